// A small reverse proxy on loopback that has something below a path, WebSockets included.

import { once } from 'node:events'
import { createServer, type IncomingMessage, request } from 'node:http'
import { type AddressInfo, connect } from 'node:net'

export interface ReverseProxy extends AsyncDisposable {
  /** Where what lies behind it is found. */
  readonly url: string
  /** What lies behind it, `http://address:port`. */
  target: string
}

/** @param strips whether it takes `path` off, as `location /gate/ { proxy_pass http://…/; }` of nginx does. */
export async function reverseProxy(path: string, strips: boolean): Promise<ReverseProxy> {
  const server = createServer((asked, answer) => {
    const to = within(asked)
    if (to === undefined) return void answer.writeHead(404).end('elsewhere')
    const { method = '', headers } = asked
    const forward = request(proxy.target + to, { method, headers }, answered => {
      answer.writeHead(answered.statusCode ?? 502, answered.headers)
      answered.pipe(answer)
    })
    asked.pipe(forward)
  })
  server.on('upgrade', (asked, socket) => {
    const to = within(asked)
    if (to === undefined) return void socket.end('HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n')
    const { hostname, port } = new URL(proxy.target)
    const behind = connect(Number(port), hostname)
    const lines = asked.rawHeaders.flatMap((name, at) => (at % 2 === 0 ? [`${name}: ${asked.rawHeaders[at + 1]}`] : []))
    behind.write([`GET ${to} HTTP/1.1`, ...lines, '', ''].join('\r\n'))
    for (const end of [socket, behind])
      end.on('error', () => {}).on('close', () => [socket, behind].map(one => one.destroy()))
    socket.pipe(behind).pipe(socket)
  })
  const within = ({ url = '' }: IncomingMessage): string | undefined => {
    if (url !== path && !url.startsWith(`${path}/`)) return undefined
    return strips ? url.slice(path.length) || '/' : url
  }
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const proxy = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`,
    target: '',
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    }
  }
  return proxy
}
