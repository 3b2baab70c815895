// Keeps traces in a file of JSON lines, so that a restart loses nothing. There is a line when a record is complete, and
// another when it was amended; the last line of a root counts. Nothing here keeps the gateway waiting: lines wait in a
// bounded queue and are written together. When the file has grown too large, the records in memory are written to a new
// file beside it, which takes its place.
//
//   append → queue → write together → too large? → write what is kept beside it, rename

import { createReadStream } from 'node:fs'
import { type FileHandle, open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Logger } from 'pino'
import { PosternError } from '../../errors.ts'
import { makeStateFolder, openToAppend, syncFolder, troubleOf } from '../../state-file.ts'

/** Most bytes that wait for a slow disk. */
const QUEUE_BYTES = 16 * 2 ** 20

/** No record is as long, so a longer line is not ours. */
const LINE_BYTES = 16 * 2 ** 20

/** A smaller file is not worth writing anew. */
const SMALL_BYTES = 2 ** 20

/** Bytes that are written at once. */
const BATCH_BYTES = 2 ** 20

/** Milliseconds from a rewriting that failed to the next one. */
const REST_MS = 30_000

const NEWLINE = Buffer.from('\n')

export class TraceFile {
  /** Lines that were written, were no records when the file was read, found no room in the queue, or could not be written. */
  readonly counters = { written: 0, skipped: 0, dropped: 0, failed: 0 }
  readonly #path: string
  readonly #memory: number
  readonly #log: Pick<Logger, 'warn'>
  #handle: FileHandle
  #bytes: number
  /** The file does not end with the end of a line. */
  #torn = false
  #restsUntilMs = 0
  #queue: Buffer[] = []
  #queued = 0
  #writing: Promise<void> | undefined
  #kept: (() => readonly Buffer[]) | undefined
  #complained = false

  private constructor(path: string, handle: FileHandle, options: FileOptions & { bytes: number }) {
    this.#path = path
    this.#handle = handle
    this.#memory = options.memory
    this.#log = options.log
    this.#bytes = options.bytes
  }

  /** Opens the file, or makes it, for its owner alone. Throws `bad-config`. */
  static async open(path: string, options: FileOptions): Promise<TraceFile> {
    try {
      await makeStateFolder(dirname(path))
      const handle = await openToAppend(path)
      try {
        await handle.chmod(0o600)
        return new TraceFile(path, handle, { ...options, bytes: (await handle.stat()).size })
      } catch (error) {
        await handle.close()
        throw error
      }
    } catch (cause) {
      throw new PosternError('bad-config', `traces.file: ${path} cannot be opened: ${troubleOf(cause)}`, { cause })
    }
  }

  /**
   * Hands on each line, oldest first. Throws `bad-config` if the file cannot be read.
   * @param take it returns false if the line is no record, which is counted
   */
  async read(take: (line: string) => boolean): Promise<void> {
    try {
      for await (const { line, whole } of linesOf(this.#path)) {
        if (!take(line.toString())) this.counters.skipped++
        this.#torn = !whole
      }
    } catch (cause) {
      throw new PosternError('bad-config', `traces.file: ${this.#path} cannot be read: ${(cause as Error).message}`, {
        cause
      })
    }
    if (this.counters.skipped > 0)
      this.#log.warn({ file: this.#path, lines: this.counters.skipped }, 'lines of the file of traces are no traces')
  }

  /** @param kept what the file is to hold when it is written anew */
  follow(kept: () => readonly Buffer[]): void {
    this.#kept = kept
  }

  /** Does not wait for the disk. */
  append(line: Buffer): void {
    if (this.#queued + line.length > QUEUE_BYTES) {
      this.counters.dropped++
      return
    }
    this.#queue.push(line)
    this.#queued += line.length + 1
    this.#writing ??= this.#write()
  }

  /** Waits until everything that was appended before is written, or has failed. */
  async flush(): Promise<void> {
    await this.#writing
  }

  async close(): Promise<void> {
    await this.flush()
    await this.#handle.close()
  }

  async #write(): Promise<void> {
    // What is appended within one turn is written together.
    await undefined
    while (this.#queue.length > 0) {
      const lines = this.#take()
      try {
        if (this.#bytes > Math.max(SMALL_BYTES, 2 * this.#memory) && this.#kept) await this.#renewAtTimes(this.#kept)
        else await this.#extend(lines)
        this.counters.written += lines.length
        this.#complained = false
      } catch (error) {
        this.counters.failed += lines.length
        this.#complain(error as Error)
      }
    }
    this.#writing = undefined
  }

  #take(): Buffer[] {
    const lines = this.#queue
    this.#queue = []
    this.#queued = 0
    return lines
  }

  async #extend(lines: readonly Buffer[]): Promise<void> {
    const text = textOf(lines)
    const whole = this.#torn ? Buffer.concat([NEWLINE, text]) : text
    // It counts as torn until the write has succeeded: a full disk takes only the beginning.
    this.#torn = true
    await this.#handle.appendFile(whole)
    this.#torn = false
    this.#bytes += whole.length
  }

  /**
   * Rewrites the file. If that failed it is not tried again at once, since the records may be many, and the file grows no
   * further.
   */
  async #renewAtTimes(kept: () => readonly Buffer[]): Promise<void> {
    if (performance.now() < this.#restsUntilMs) throw new Error('the file is too long, and could not be written anew')
    this.#restsUntilMs = performance.now() + REST_MS
    await this.#renew(kept())
    this.#restsUntilMs = 0
  }

  /** The lines that were queued before are among the records kept, or have been evicted. */
  async #renew(kept: readonly Buffer[]): Promise<void> {
    const beside = `${this.#path}.new`
    // What lies there was left by a gateway that was killed, or is a link that somebody has put there.
    await rm(beside, { force: true })
    const handle = await open(beside, 'wx', 0o600)
    let bytes = 0
    try {
      for (const lines of batchesOf(kept)) {
        const text = textOf(lines)
        await handle.appendFile(text)
        bytes += text.length
      }
      await handle.sync()
      await rename(beside, this.#path)
    } catch (error) {
      await handle.close()
      // A partial file would take up room on a disk that may be full.
      await rm(beside, { force: true })
      throw error
    }
    const before = this.#handle
    this.#handle = handle
    this.#bytes = bytes
    this.#torn = false
    await before.close()
    await syncFolder(dirname(this.#path))
  }

  #complain(error: Error): void {
    if (!this.#complained) this.#log.warn({ file: this.#path }, `traces cannot be written: ${error.message}`)
    this.#complained = true
  }
}

export interface FileOptions {
  /** Bytes of traces kept in memory: the file may grow to twice as many. */
  readonly memory: number
  readonly log: Pick<Logger, 'warn'>
}

const textOf = (lines: readonly Buffer[]) => Buffer.concat(lines.flatMap(line => [line, NEWLINE]))

/** To copy everything at once would hold the gateway up. */
function* batchesOf(lines: readonly Buffer[]): Iterable<readonly Buffer[]> {
  let batch: Buffer[] = []
  let bytes = 0
  for (const line of lines) {
    batch.push(line)
    bytes += line.length
    if (bytes < BATCH_BYTES) continue
    yield batch
    batch = []
    bytes = 0
  }
  yield batch
}

/** Lines that are not empty, each with whether it has its end. Only the beginning is given of a line that is too long. */
async function* linesOf(path: string): AsyncIterable<{ line: Buffer; whole: boolean }> {
  let parts: Buffer[] = []
  let length = 0
  const add = (part: Buffer) => {
    if (length <= LINE_BYTES) parts.push(part)
    length += part.length
  }
  const take = () => {
    const line = Buffer.concat(parts)
    parts = []
    length = 0
    return line
  }
  for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) {
    let from = 0
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, from)) {
      add(chunk.subarray(from, end))
      from = end + 1
      if (length > 0) yield { line: take(), whole: true }
    }
    add(chunk.subarray(from))
  }
  if (length > 0) yield { line: take(), whole: false }
}
