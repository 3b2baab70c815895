// What the instrument is tried with in the place of postern: a plain TCP connection, joined to standard input and output. It gets
// over a cut by itself, loses nothing, and dies where a NAT forgets it. Tells what it is about as the command line does.
//
//   tcp.ts listen PORT | tcp.ts connect ADDRESS PORT

import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { pipeline } from 'node:stream/promises'

const tell = (event: object) => process.stderr.write(`${JSON.stringify(event)}\n`)

const [what, ...place] = process.argv.slice(2)
try {
  if (what === 'listen') await join(await accepted(Number(place[0])))
  else await join(await dialled(place[0] ?? '', Number(place[1])))
} catch (thrown) {
  tell({ event: 'error', reason: (thrown as Error).message })
  process.exitCode = 1
}

async function accepted(port: number): Promise<Socket> {
  const server = createServer({ allowHalfOpen: true }).listen(port)
  await once(server, 'listening')
  tell({ event: 'joined' })
  const [socket] = await once(server, 'connection')
  server.close()
  return socket
}

async function dialled(host: string, port: number): Promise<Socket> {
  const startMs = performance.now()
  const socket = connect({ host, port, allowHalfOpen: true })
  await once(socket, 'connect')
  tell({ event: 'path', kind: 'direct', ms: performance.now() - startMs })
  return socket
}

async function join(socket: Socket): Promise<void> {
  await Promise.all([pipeline(process.stdin, socket), pipeline(socket, process.stdout)])
}
