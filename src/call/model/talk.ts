// What two pages of a call say to each other on one connection, beside sound and picture: lines of JSON on one stream, which the side that
// called opens. Files are offered here. It is over with the connection, and the connection with it.

import type { Connection } from '../../browser/connection.ts'
import type { Stream } from '../../browser/stream.ts'
import type { TokenBucket } from '../../token-bucket.ts'
import { Incoming, Outgoing } from './files.ts'
import { FILES_OFFERED } from './limits.ts'
import { type About, LINES, type Line, Lines, lineText, parseLine } from './line.ts'

export interface TalkHooks {
  /** What this side says of itself. */
  readonly about: () => About
  /** Of the other side's lines, however many connections they come by. */
  readonly pace: TokenBucket
  /** The other side has said what it is called, and what it sends, and in which version of lines. */
  readonly told: (about: About, version: number) => void
  readonly said: (text: string) => void
  readonly offered: (file: Incoming) => void
}

const LABEL = 'call'

export class Talk {
  readonly #connection: Connection
  readonly #hooks: TalkHooks
  readonly #offers = new Map<number, Outgoing>()
  readonly #incoming = new Map<number, Incoming>()
  #say: ((line: Line) => void) | undefined
  #count = 0

  /** Has to be made in the turn in which the connection comes: the other side may open the stream at once. */
  constructor(connection: Connection, hooks: TalkHooks) {
    this.#connection = connection
    this.#hooks = hooks
    connection.closed.addEventListener('abort', () => this.#over(), { once: true })
    if (connection.role === 'callee') connection.serve(LABEL, stream => this.#converse(stream))
    else void this.#begin()
  }

  /** False where the other side does not hear it now. */
  say(text: string): boolean {
    this.#say?.({ type: 'chat', text })
    return this.#say !== undefined
  }

  tell(about: About): void {
    this.#say?.({ type: 'about', v: LINES, ...about })
  }

  /** Undefined where it cannot be offered now. */
  offer(file: File): Outgoing | undefined {
    if (!this.#say || [...this.#offers.values()].filter(({ isOver }) => !isOver).length >= FILES_OFFERED)
      return undefined
    const id = this.#count++
    const outgoing = new Outgoing(file, () => this.#say?.({ type: 'withdraw', id }))
    this.#offers.set(id, outgoing)
    this.#say({ type: 'file', id, name: file.name, size: file.size })
    return outgoing
  }

  async #begin(): Promise<void> {
    try {
      await this.#converse(await this.#connection.open(LABEL))
    } catch {
      // What the connection ends with is told elsewhere.
    }
  }

  async #converse(stream: Stream): Promise<void> {
    if (this.#say) return stream.destroy()
    const writer = stream.writable.getWriter()
    const encoder = new TextEncoder()
    this.#say = line => void writer.write(encoder.encode(lineText(line))).catch(() => {})
    this.tell(this.#hooks.about())
    const lines = new Lines()
    try {
      // Not every browser iterates over a stream.
      const reader = stream.readable.getReader()
      for (let next = await reader.read(); !next.done; next = await reader.read())
        for (const text of lines.of(next.value)) if (this.#hooks.pace.take()) this.#heard(parseLine(text))
    } finally {
      void this.#connection.close()
    }
  }

  #heard(line: Line | undefined): void {
    switch (line?.type) {
      case 'about': {
        const { name, microphone, picture } = line
        return this.#hooks.told({ name, microphone, picture }, line.v)
      }
      case 'chat':
        return this.#hooks.said(line.text)
      case 'file':
        return this.#offered(line)
      case 'take':
        return void this.#offers.get(line.id)?.send(this.#connection, line.id)
      case 'refuse':
        return this.#offers.get(line.id)?.refused()
      case 'withdraw':
        return this.#incoming.get(line.id)?.lost()
    }
  }

  #offered({ id, name, size }: Extract<Line, { type: 'file' }>): void {
    for (const [known, { isOver }] of this.#incoming) if (isOver) this.#incoming.delete(known)
    if (this.#incoming.has(id) || this.#incoming.size >= FILES_OFFERED) return this.#say?.({ type: 'refuse', id })
    const incoming = new Incoming({ id, name, size }, this.#connection, {
      take: () => this.#say?.({ type: 'take', id }),
      refuse: () => this.#say?.({ type: 'refuse', id })
    })
    this.#incoming.set(id, incoming)
    this.#hooks.offered(incoming)
  }

  #over(): void {
    this.#say = undefined
    for (const file of [...this.#offers.values(), ...this.#incoming.values()]) file.lost()
    this.#offers.clear()
    this.#incoming.clear()
  }
}
