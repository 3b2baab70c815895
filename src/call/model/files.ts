// Files between two pages of a call: offered by a line, and sent on a stream of their own once they are taken. A browser that can write to
// a file does so as the bytes come; elsewhere they are kept in memory until they are saved.
//
//   offers ─► waits ─► moving ─► sent            is offered ─► (taking) ─► moving ─► arrived
//                └──► refused, or broken                  └──► refused, or broken

import { type Signal, signal } from '@preact/signals'
import type { Connection } from '../../browser/connection.ts'
import { PosternError } from '../../errors.ts'
import type { FileOffer } from './line.ts'

export type FileState = 'offered' | 'taking' | 'waits' | 'moving' | 'arrived' | 'sent' | 'refused' | 'broken'

export interface Transfer {
  readonly name: string
  readonly size: number
  readonly state: Signal<FileState>
  /** Bytes that have arrived, or were taken to be sent. */
  readonly done: Signal<number>
  /** Nothing more comes of it. */
  readonly isOver: boolean
  /** Ends it. */
  stop(): void
}

const labelOf = (id: number): string => `file ${id}`

const isEnd = (state: FileState): boolean => ['arrived', 'sent', 'refused', 'broken'].includes(state)

/** A file that this side has offered. It is sent when the other side takes it. */
export class Outgoing implements Transfer {
  readonly state = signal<FileState>('waits')
  readonly done = signal(0)
  readonly #file: File
  readonly #withdraw: () => void
  readonly #over = new AbortController()

  /** @param withdraw tells the other side that it is offered no more */
  constructor(file: File, withdraw: () => void) {
    this.#file = file
    this.#withdraw = withdraw
  }

  get name(): string {
    return this.#file.name
  }

  get size(): number {
    return this.#file.size
  }

  get isOver(): boolean {
    return isEnd(this.state.peek())
  }

  /** The other side has taken it. */
  async send(connection: Connection, id: number): Promise<void> {
    if (this.state.peek() !== 'waits') return
    this.state.value = 'moving'
    const { signal } = this.#over
    try {
      const stream = await connection.open(labelOf(id))
      await this.#file.stream().pipeThrough(counting(this.done)).pipeTo(stream.writable, { signal })
      // The other side ends it once it has all.
      await stream.readable.pipeTo(new WritableStream(), { signal })
      this.state.value = 'sent'
    } catch {
      this.state.value = 'broken'
    }
  }

  refused(): void {
    if (this.state.peek() === 'waits') this.state.value = 'refused'
  }

  /** The connection is gone, and the offer with it. */
  lost(): void {
    if (this.state.peek() === 'waits') this.state.value = 'broken'
  }

  stop(): void {
    if (this.state.peek() === 'waits') {
      this.state.value = 'broken'
      this.#withdraw()
    }
    this.#over.abort(new PosternError('io', 'whoever sends the file stopped it'))
  }
}

export interface IncomingHooks {
  readonly take: () => void
  readonly refuse: () => void
}

/** A file that the other side has offered. */
export class Incoming implements Transfer {
  readonly name: string
  readonly size: number
  readonly state = signal<FileState>('offered')
  readonly done = signal(0)
  /** Where it can be saved from, once it is there. */
  readonly url = signal<string | undefined>(undefined)
  readonly #id: number
  readonly #connection: Connection
  readonly #hooks: IncomingHooks
  readonly #over = new AbortController()
  /** The other side has begun to send it. */
  #isComing = false

  constructor({ id, name, size }: FileOffer, connection: Connection, hooks: IncomingHooks) {
    this.name = name
    this.size = size
    this.#id = id
    this.#connection = connection
    this.#hooks = hooks
  }

  get isOver(): boolean {
    return isEnd(this.state.peek())
  }

  /** Asks where to write it, if the browser can, and takes it. */
  async take(): Promise<void> {
    if (this.state.peek() !== 'offered') return
    this.state.value = 'taking'
    const to = await destination(this.name)
    // It may have been withdrawn while the person chose.
    if (this.state.peek() !== 'taking') return void to?.writable.abort().catch(() => {})
    if (!to) {
      this.state.value = 'offered'
      return
    }
    this.state.value = 'moving'
    this.#connection.serve(labelOf(this.#id), async stream => {
      if (this.#isComing || this.isOver) return stream.destroy()
      this.#isComing = true
      try {
        const readable = stream.readable as ReadableStream<Uint8Array<ArrayBuffer>>
        const { signal } = this.#over
        await readable.pipeThrough(counting(this.done, this.size)).pipeTo(to.writable, { signal })
        await stream.writable.close()
        this.url.value = to.url()
        this.state.value = 'arrived'
      } catch (thrown) {
        this.state.value = 'broken'
        throw thrown
      }
    })
    this.#hooks.take()
  }

  refuse(): void {
    if (this.state.peek() !== 'offered') return
    this.state.value = 'refused'
    this.#hooks.refuse()
  }

  /** It is offered no more. What has begun to come ends by its stream. */
  lost(): void {
    if (!this.isOver && !this.#isComing) this.state.value = 'broken'
  }

  stop(): void {
    this.lost()
    this.#over.abort(new PosternError('io', 'whoever receives the file stopped it'))
  }
}

/** Counts bytes. Neither more nor fewer pass than `size`, if that is given. */
function counting(
  done: Signal<number>,
  size?: number
): TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>> {
  return new TransformStream({
    transform(bytes, to) {
      done.value += bytes.length
      if (size !== undefined && done.peek() > size) throw new PosternError('io', 'the file is larger than was offered')
      to.enqueue(bytes)
    },
    flush() {
      if (size !== undefined && done.peek() < size) throw new PosternError('io', 'the file is shorter than was offered')
    }
  })
}

interface Destination {
  readonly writable: WritableStream<Uint8Array<ArrayBuffer>>
  /** Where it can be saved from, if that is still to be done. */
  readonly url: () => string | undefined
}

/** File System Access, which not all browsers have. */
interface FilePicker {
  showSaveFilePicker(options: { suggestedName: string }): Promise<{
    createWritable(): Promise<WritableStream<Uint8Array<ArrayBuffer>>>
  }>
}

/** Undefined where the person changes their mind. */
async function destination(suggestedName: string): Promise<Destination | undefined> {
  const { showSaveFilePicker } = globalThis as Partial<FilePicker>
  if (!showSaveFilePicker) return inMemory()
  try {
    const file = await showSaveFilePicker({ suggestedName })
    return { writable: await file.createWritable(), url: () => undefined }
  } catch (thrown) {
    return (thrown as DOMException).name === 'AbortError' ? undefined : inMemory()
  }
}

function inMemory(): Destination {
  const parts: Uint8Array<ArrayBuffer>[] = []
  return {
    writable: new WritableStream({ write: bytes => void parts.push(bytes) }),
    // The browser has them from then on.
    url: () => URL.createObjectURL(new Blob(parts.splice(0)))
  }
}
