// The services speak in JSON lines inside a stream. Each line is versioned and short, and between the lines are counted
// bytes. A reader takes both from the stream in order. It reads nothing ahead of what the stream itself has buffered.

import { finished, type Readable, type Writable } from 'node:stream'
import { PosternError } from '../../errors.ts'
import { parseVersioned } from '../connection/versioned.ts'

/** Enough for a name of 255 bytes, escaped, with room for the rest. */
const MAX_LINE_BYTES = 4_096
const NEWLINE = 0x0a
const nothing = Buffer.alloc(0)

/**
 * Takes one chunk at a time, each as it arrived. The stream's own iterator would put together what has piled up, which costs a
 * receiver that is late one more copy.
 */
export class Reader {
  readonly #stream: Readable
  #rest: Buffer = nothing
  #waiting: PromiseWithResolvers<Buffer | undefined> | undefined
  #over: { readonly error: Error | null | undefined } | undefined

  constructor(stream: Readable) {
    this.#stream = stream.pause()
    stream.on('data', chunk => {
      stream.pause()
      this.#waiting?.resolve(chunk)
    })
    finished(stream, { writable: false }, error => {
      this.#over = { error }
      if (this.#waiting) this.#settle(this.#waiting)
    })
  }

  /** The next line; undefined when the stream has ended. Throws `bad-message` for what is not a versioned JSON line. */
  async line(): Promise<Record<string, unknown> | undefined> {
    while (!this.#rest.includes(NEWLINE)) {
      if (this.#rest.length > MAX_LINE_BYTES) throw new PosternError('bad-message', 'a line is too long')
      const more = await this.#next()
      if (!more && this.#rest.length === 0) return undefined
      if (!more) throw new PosternError('bad-message', 'the stream ended within a line')
      this.#rest = Buffer.concat([this.#rest, more])
    }
    const end = this.#rest.indexOf(NEWLINE)
    const line = parseVersioned(this.#rest.toString('utf8', 0, end), MAX_LINE_BYTES)
    this.#rest = this.#rest.subarray(end + 1)
    if (!line) throw new PosternError('bad-message', 'a line is not a message of this version')
    return line
  }

  /** Exactly `total` bytes, as they come. Throws `io` when the stream ends before. */
  async *bytes(total: number): AsyncGenerator<Buffer> {
    for (let left = total; left > 0; ) {
      const chunk = this.#rest.length > 0 ? this.#rest : await this.#next()
      if (!chunk) throw new PosternError('io', `the stream ended ${left} bytes too early`)
      const part = chunk.subarray(0, left)
      this.#rest = part.length < chunk.length ? chunk.subarray(part.length) : nothing
      left -= part.length
      yield part
    }
  }

  #next(): Promise<Buffer | undefined> {
    const waiting = Promise.withResolvers<Buffer | undefined>()
    this.#waiting = waiting
    this.#settle(waiting)
    this.#stream.resume()
    return waiting.promise
  }

  #settle({ resolve, reject }: PromiseWithResolvers<Buffer | undefined>): void {
    if (this.#over?.error) reject(this.#over.error)
    else if (this.#over) resolve(undefined)
  }
}

/** Resolves when the stream has taken the chunk over, so that its buffer may be used again. */
export function write(stream: Writable, chunk: Buffer): Promise<void> {
  return new Promise((resolve, reject) => stream.write(chunk, error => (error ? reject(error) : resolve())))
}

export function writeLine(stream: Writable, message: Record<string, unknown>): Promise<void> {
  return write(stream, Buffer.from(`${JSON.stringify({ v: 1, ...message })}\n`))
}

/** Calls `report` at most ten times a second, and always for the last byte. */
export function atMostTenTimesASecond(total: number, report: (bytes: number) => void): (bytes: number) => void {
  let lastMs = Number.NEGATIVE_INFINITY
  return bytes => {
    if (bytes < total && performance.now() - lastMs < 100) return
    lastMs = performance.now()
    report(bytes)
  }
}
