// TLS on the HTTP port. A connection is a TCP connection first, and counted as such; what is served later is a socket over it. Whoever
// does not begin a handshake there is told what to do instead, for what it says is most likely a request in clear.
//
//   TCP ─► 22 ─► handshake, within 10 s ─► HTTP over TLS
//     └─► else ─► 400, which says https

import type { Server } from 'node:http'
import { createServer, type ServerOptions } from 'node:https'
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import type { Certificate } from './certificate.ts'
import type { Connections } from './connections.ts'
import { SILENT_MS } from './first-byte.ts'

/** The first byte of a handshake: the type of its record. */
const HANDSHAKE = 22

/** How long whoever has been told waits for the rest to be read, in milliseconds. */
const TOLD_MS = 2000

/** Of these words peers know what is meant (peer/unreachable.ts), and so do people. */
const instead =
  'An HTTP request was sent to an HTTPS port: this gateway speaks TLS here. Write https:// where its URL has http://.\n'

const answer = [
  'HTTP/1.1 400 Bad Request',
  'content-type: text/plain; charset=utf-8',
  `content-length: ${Buffer.byteLength(instead)}`,
  'connection: close',
  '',
  instead
].join('\r\n')

/** An HTTP server over TLS, whose certificate is always the present one. */
export function createSecureServer(certificate: Certificate, options: ServerOptions): Server {
  const { cert, key } = certificate.pair
  const server = createServer({ ...options, cert, key, handshakeTimeout: SILENT_MS })
  certificate.onRenewed = ({ cert, key }) => server.setSecureContext({ cert, key })
  return server as unknown as Server
}

/**
 * What is done with the connections of such a server, once their first byte is there.
 * @param shakeHands the server's own listener for TCP connections
 */
export function securely(server: Server, connections: Connections, shakeHands: (socket: Socket) => void) {
  /** Handshakes that are under way. Node does not tell of a socket which connection it is over: both have the same two ends. */
  const underWay = new Map<string, Socket>()
  server.on('secureConnection', (secure: TLSSocket) => {
    const ends = endsOf(secure)
    const socket = underWay.get(ends)
    underWay.delete(ends)
    if (socket) connections.carries(socket, secure)
    else secure.destroy()
  })
  return (socket: Socket, byte: number): void => {
    if (byte !== HANDSHAKE) return tellInstead(socket)
    const ends = endsOf(socket)
    underWay.set(ends, socket)
    socket.on('error', () => socket.destroy())
    socket.once('close', () => underWay.delete(ends))
    shakeHands(socket)
  }
}

const endsOf = ({ remoteAddress, remotePort, localAddress }: Socket): string =>
  `${remoteAddress} ${remotePort} ${localAddress}`

/** What it says further is read and forgotten: bytes that nobody reads would cut off the answer. */
function tellInstead(socket: Socket): void {
  const late = setTimeout(() => socket.destroy(), TOLD_MS)
  socket.on('error', () => socket.destroy())
  socket.once('close', () => clearTimeout(late))
  socket.resume()
  socket.end(answer)
}
