// What stands in front of a gateway, or between it and its peers: something that speaks TLS for it, and an HTTP proxy.

import { once } from 'node:events'
import { createServer as createHttpServer, type IncomingMessage } from 'node:http'
import { type AddressInfo, connect, type Server } from 'node:net'
import type { Duplex } from 'node:stream'
import { createServer as createTlsServer } from 'node:tls'
import { certified } from '../tls.ts'

/** Listens on loopback, until it is disposed of with all connections. */
export async function listening<T extends Server>(server: T): Promise<{ port: number } & AsyncDisposable> {
  const open = new Set<Duplex>()
  for (const event of ['connection', 'secureConnection']) server.on(event, (socket: Duplex) => open.add(socket))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const close = async () => {
    for (const socket of open) socket.destroy()
    await new Promise(done => server.close(done))
  }
  return { port: (server.address() as AddressInfo).port, [Symbol.asyncDispose]: close }
}

/** Speaks TLS for what listens at a port, and hands on all bytes. */
export const tlsFront = (port: number) =>
  listening(createTlsServer(certified, socket => joined(socket, connect(port, '127.0.0.1'))))

/** A proxy that passes on what is asked for by CONNECT. @param login what it asks for */
export async function httpProxy(login: string) {
  const asked: string[] = []
  const server = createHttpServer()
  server.on('connect', ({ url = '', headers }: IncomingMessage, socket: Duplex) => {
    if (headers['proxy-authorization'] !== `Basic ${Buffer.from(login).toString('base64')}`)
      return void socket.end('HTTP/1.1 407 Proxy Authentication Required\r\nproxy-authenticate: Basic\r\n\r\n')
    asked.push(url)
    const { hostname, port } = new URL(`http://${url}`)
    const behind = connect(Number(port), hostname)
    socket.write('HTTP/1.1 200 OK\r\n\r\n')
    joined(socket, behind)
  })
  return Object.assign(await listening(server), { asked })
}

function joined(one: Duplex, other: Duplex): void {
  for (const end of [one, other]) end.on('error', () => {}).on('close', () => [one, other].map(each => each.destroy()))
  one.pipe(other).pipe(one)
}
