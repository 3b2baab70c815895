// How a request is refused of which nobody can tell where it came from.

import type { ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { asPosternError } from '../../errors.ts'

const TYPE = 'application/json; charset=utf-8'

/** What `ask` gives; undefined where it throws: then the request is answered with 400 and why. */
export function refuse<T>(response: ServerResponse, ask: () => T): T | undefined {
  try {
    return ask()
  } catch (thrown) {
    response.writeHead(400, { 'content-type': TYPE, connection: 'close' }).end(bodyOf(thrown))
    return undefined
  }
}

/** The same for a request of another protocol, whose answer nobody else writes. */
export function refuseUpgrade<T>(socket: Duplex, ask: () => T): T | undefined {
  try {
    return ask()
  } catch (thrown) {
    const body = bodyOf(thrown)
    const lines = ['HTTP/1.1 400 Bad Request', `content-type: ${TYPE}`, `content-length: ${Buffer.byteLength(body)}`]
    socket.on('error', () => socket.destroy())
    socket.end([...lines, 'connection: close', '', body].join('\r\n'), () => socket.destroy())
    return undefined
  }
}

function bodyOf(thrown: unknown): string {
  const { code, message: reason } = asPosternError(thrown)
  return JSON.stringify({ code, reason })
}
