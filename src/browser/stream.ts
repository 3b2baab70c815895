// What a page has of a stream: web streams of bytes, with back-pressure in both directions. What happens below is the same as in
// Node (src/peer/connection/streams/core.ts).

import { asPosternError, PosternError } from '../errors.ts'
import { type Facade, HIGH_WATER_BYTES, StreamCore, type StreamParts } from '../peer/connection/streams/core.ts'

type Bytes = Uint8Array<ArrayBufferLike>

export class Stream implements Facade {
  /** What the far side writes. Whoever cancels it cuts the whole stream off. */
  readonly readable: ReadableStream<Bytes>
  /**
   * What the far side reads. A write resolves when the bytes are copied, and `close` when the far side has heard the end. Aborting it
   * cuts the whole stream off.
   */
  readonly writable: WritableStream<BufferSource>
  /** Resolves when both sides have ended the stream, and rejects with a PosternError when it was cut off. */
  readonly closed: Promise<void>
  /** What the connection knows of it. */
  readonly core: StreamCore
  #reading!: ReadableStreamDefaultController<Bytes>
  #writing!: WritableStreamDefaultController
  #isRead = false
  #isWritten = false
  #isOver = false
  #error: Error | undefined

  constructor(parts: StreamParts) {
    this.core = new StreamCore(parts, this)
    this.readable = new ReadableStream<Bytes>(
      {
        start: controller => {
          this.#reading = controller
        },
        pull: () => this.core.read(),
        cancel: reason => this.destroy(asPosternError(reason ?? stopped('read')))
      },
      { highWaterMark: HIGH_WATER_BYTES, size: ({ byteLength }) => byteLength }
    )
    this.writable = new WritableStream<BufferSource>(
      {
        start: controller => {
          this.#writing = controller
        },
        write: chunk => this.#write(bytesOf(chunk)),
        close: () => this.#end(),
        abort: reason => this.destroy(asPosternError(reason ?? stopped('written')))
      },
      { highWaterMark: HIGH_WATER_BYTES, size: chunk => chunk?.byteLength ?? 0 }
    )
    this.closed = this.core.settled.then(() => {
      if (this.#error) throw this.#error
    })
    this.closed.catch(() => {})
  }

  get label(): string {
    return this.core.label
  }

  /** Bytes that have arrived, from the core; null: their end. */
  push(bytes: Bytes | null): boolean {
    if (this.#isOver || this.#isRead) return false
    if (bytes) this.#reading.enqueue(bytes)
    else {
      this.#isRead = true
      this.#reading.close()
      this.#endsBoth()
    }
    return (this.#reading.desiredSize ?? 0) > 0
  }

  /** Cuts the stream off. The far side is told. */
  destroy(error: Error = stopped('used')): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#error = error
    this.core.destroyed(error)
    if (!this.#isRead) this.#reading.error(error)
    this.#writing.error(error)
  }

  #write(bytes: Bytes): Promise<void> {
    return new Promise((resolve, reject) => this.core.write(bytes, error => (error ? reject(error) : resolve())))
  }

  async #end(): Promise<void> {
    this.#isWritten = true
    this.core.end()
    this.#endsBoth()
    await this.core.flushed
    if (this.#error) throw this.#error
  }

  #endsBoth(): void {
    if (!this.#isRead || !this.#isWritten || this.#isOver) return
    this.#isOver = true
    this.core.destroyed(null)
  }
}

const stopped = (how: string) => new PosternError('io', `the stream is not ${how} any more`)

function bytesOf(chunk: BufferSource): Bytes {
  if (ArrayBuffer.isView(chunk)) return new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength)
  if (chunk instanceof ArrayBuffer) return new Uint8Array(chunk)
  throw new TypeError('a stream takes bytes: a Uint8Array, an ArrayBuffer or a view of one')
}
