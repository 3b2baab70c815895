// Requests that are being answered. Whoever asks for much and reads nothing would fill the memory with answers, and whoever asks
// for thousands in one segment would hold up everybody else.
//
//   request ─► room, by its share ─► answered ─► read
//         │                              ├─► nothing of it is read for a while ─► the connection is closed
//         │                              └─► it is read, but without end ───────► the connection is closed
//         └─► none ─► 429, and the connection is closed behind it

import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Code } from '../../errors.ts'
import { Shares } from '../shares/shares.ts'

export interface AnswerCounters {
  /** Requests that were refused, since their network had too many under way. */
  busy: number
  /** Connections closed because their answers were not read. */
  unread: number
}

export interface Patience {
  /** How long nothing at all may be read of an answer, in milliseconds; it may be twice that before it is noticed. */
  readonly stallMs?: number
  /** How long an answer may take in all. */
  readonly wholeMs?: number
}

/** Requests under way of all networks together, and the part of them that one may have: 50. */
const UNDER_WAY = 500
const OF_ONE = 1 / 10

const STALL_MS = 8000
const WHOLE_MS = 120_000

const refusal = JSON.stringify({
  code: 'relay-full' satisfies Code,
  reason: 'too many requests of this network are being answered; ask again in a second'
})

export class Answers {
  readonly counters: AnswerCounters = { busy: 0, unread: 0 }
  readonly #underWay = new Shares({ capacity: UNDER_WAY, most: OF_ONE })
  readonly #wholeMs: number
  /** What ends with a connection. Nobody tells a response of that which still waits for others before it. */
  readonly #ofSocket = new Map<Socket, Set<() => void>>()
  /** Connections that have had a refusal. What came behind it in the same segment is not answered. */
  readonly #over = new WeakSet<Socket>()

  constructor(server: Server, { stallMs = STALL_MS, wholeMs = WHOLE_MS }: Patience = {}) {
    this.#wholeMs = wholeMs
    // Node takes it for a sign of life when something of what it has written is taken.
    server.setTimeout(stallMs, socket => this.#cut(socket))
  }

  /** Whether a connection gets no more answers. */
  isOver(socket: Socket): boolean {
    return this.#over.has(socket)
  }

  /** Whether a request may be answered. If not, it has been refused. */
  begin({ socket }: IncomingMessage, response: ServerResponse, network: string): boolean {
    if (!this.#underWay.take({ network })) {
      this.#refuse(socket, response)
      return false
    }
    const late = setTimeout(() => this.#cut(socket), this.#wholeMs)
    const ends = this.#of(socket)
    const end = () => {
      if (!ends.delete(end)) return
      clearTimeout(late)
      this.#underWay.giveBack({ network })
    }
    ends.add(end)
    response.once('close', end)
    return true
  }

  #refuse(socket: Socket, response: ServerResponse): void {
    this.counters.busy++
    this.#over.add(socket)
    socket.pause()
    response
      .writeHead(429, { 'content-type': 'application/json', 'retry-after': '1', connection: 'close' })
      .end(refusal)
  }

  #cut(socket: Socket): void {
    if (this.#ofSocket.get(socket)?.size) this.counters.unread++
    socket.destroy()
  }

  #of(socket: Socket): Set<() => void> {
    const known = this.#ofSocket.get(socket)
    if (known) return known
    const ends = new Set<() => void>()
    this.#ofSocket.set(socket, ends)
    socket.once('close', () => {
      for (const end of ends) end()
      this.#ofSocket.delete(socket)
    })
    return ends
  }
}
