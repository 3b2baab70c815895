// Sends files, one after the other, over one stream named `send`. For each file:
//
//   sender    file { name, size, mtimeMs, mode, speaks }
//   receiver  asking { }                         a person is asked whether it is taken; left out where nobody is
//             have { where: part, bytes, sha256 }    what came of this transfer before
//   sender    from { offset, same }              its own first bytes hash the same: go on there; else 0
//   sender    (the bytes)  sum { sha256 }        of the whole file
//   receiver  done { where: part }               verified, written to the disk, under its name
//
// If a file of this name and size is there already, the sender shows what it has, and hears whether it is the same:
//
//   receiver  have { where: file, bytes }
//   sender    sum { sha256 }
//   receiver  done { where: file }
//
// `speaks` is 2. In version 1, which does not name it, the receiver told the digest of a file that was there, as of a part.
// Such a receiver is answered in its own way, and such a sender is told that a file is there, and no more.
//
// Either side ends the stream with a reason when something fails, and the other side shows it. Reading, hashing and
// sending overlap: while one buffer is hashed and sent the next one is read.

import { createHash, type Hash } from 'node:crypto'
import { asPosternError, PosternError } from '../../errors.ts'
import type { Connection, OpenOptions } from '../connection/connection.ts'
import type { Stream } from '../connection/streams/stream.ts'
import { atMostTenTimesASecond, Reader, write, writeLine } from './lines.ts'
import { checkUnchanged, hashPrefix, openSource, readAhead, type Source, type Stated, settledState } from './source.ts'

export interface Progress {
  file: string
  bytes: number
  total: number
}

export interface Sent {
  file: string
  bytes: number
  sha256: string
  ms: number
  /**
   * Where the receiver's copy came from: from this transfer, or from one that was begun before, or the receiver had the file
   * already.
   */
  outcome: 'sent' | 'resumed' | 'already-there'
}

export interface SendOptions extends OpenOptions {
  /** Called at most ten times a second for each file. */
  onProgress?: (progress: Progress) => void
  onSent?: (sent: Sent) => void
  /** Called if a person at the receiver is being asked whether to take the file. */
  onAsking?: () => void
  signal?: AbortSignal
}

/** The version of these messages. */
const SPEAKS = 2

/**
 * Sends each of `paths` into the peer's receive folder under its own base name. All files are opened before the first byte is
 * sent. Throws a PosternError (`io`, or `path-lost`) at the first file that fails; the files before it have arrived.
 */
export async function send(connection: Connection, paths: string[], options: SendOptions = {}): Promise<Sent[]> {
  const sources: Source[] = []
  try {
    for (const path of paths) sources.push(await openSource(path))
    return await sendAll(await connection.open('send', resumeOf(options)), sources, options)
  } finally {
    for (const { handle } of sources) await handle.close()
  }
}

const resumeOf = ({ resumeMs }: OpenOptions): OpenOptions => (resumeMs === undefined ? {} : { resumeMs })

async function sendAll(stream: Stream, sources: Source[], options: SendOptions): Promise<Sent[]> {
  const { onSent, signal } = options
  const stop = () => stream.destroy(new PosternError('io', 'the transfer was interrupted', { cause: signal?.reason }))
  if (signal?.aborted) stop()
  signal?.addEventListener('abort', stop, { once: true })
  try {
    const reader = new Reader(stream)
    const sent: Sent[] = []
    for (const source of sources) {
      const one = await sendOne(stream, reader, source, options)
      sent.push(one)
      onSent?.(one)
    }
    stream.end()
    await reader.line()
    return sent
  } catch (error) {
    throw endWith(stream, error)
  } finally {
    signal?.removeEventListener('abort', stop)
  }
}

async function sendOne(stream: Stream, reader: Reader, opened: Source, options: SendOptions): Promise<Sent> {
  const startMs = performance.now()
  const source = { ...opened, ...(await settledState(opened.handle)) }
  const { name: file, size: bytes, mode } = source
  const { onProgress = () => {}, onAsking = () => {} } = options
  const mtimeMs = Number(source.mtimeNs / 1_000_000n)
  await writeLine(stream, { type: 'file', name: file, size: bytes, mtimeMs, mode, speaks: SPEAKS })
  const have = parseHave(await answerOf(reader, onAsking), bytes)
  const report = atMostTenTimesASecond(bytes, done => onProgress({ file, bytes: done, total: bytes }))
  const { sha256, offset } =
    have.sha256 === undefined
      ? await show(source)
      : await sendRest(stream, source, { bytes: have.bytes, sha256: have.sha256 }, report)
  await checkUnchanged(source)
  await writeLine(stream, { type: 'sum', sha256 })
  const where = parseDone(await reader.line())
  return { file, bytes, sha256, ms: performance.now() - startMs, outcome: outcomeOf(where, offset) }
}

/** The receiver's answer to what it was offered. It may ask a person first. */
async function answerOf(reader: Reader, onAsking: () => void): Promise<Record<string, unknown> | undefined> {
  const line = await reader.line()
  if (line?.type !== 'asking') return line
  onAsking()
  return await reader.line()
}

/** What this side has, for a receiver that has a file of this name and size. */
async function show(source: Stated): Promise<{ sha256: string; offset: number }> {
  return { sha256: (await hashPrefix(source, source.size)).digest('hex'), offset: source.size }
}

async function sendRest(
  stream: Stream,
  source: Stated,
  have: { bytes: number; sha256: string },
  report: (bytes: number) => void
): Promise<{ sha256: string; offset: number }> {
  const prefix = await hashPrefix(source, have.bytes)
  const same = prefix.copy().digest('hex') === have.sha256
  const offset = same ? have.bytes : 0
  await writeLine(stream, { type: 'from', offset, same })
  const sha256 = await sendBytes(stream, source, offset, same ? prefix : createHash('sha256'), report)
  return { sha256, offset }
}

/** Sends the file from `offset` on and returns the digest of the whole. */
async function sendBytes(
  stream: Stream,
  source: Stated,
  offset: number,
  hash: Hash,
  report: (bytes: number) => void
): Promise<string> {
  let sentBytes = offset
  report(sentBytes)
  for await (const chunk of readAhead(source, offset, source.size)) {
    const written = write(stream, chunk)
    hash.update(chunk)
    await written
    sentBytes += chunk.length
    report(sentBytes)
  }
  return hash.digest('hex')
}

/** Ends the stream with the error. The caller is told what ended it first, on either side. */
function endWith(stream: Stream, error: unknown): PosternError {
  const reason = asPosternError(stream.errored ?? error)
  stream.destroy(reason)
  return reason
}

function outcomeOf(where: 'part' | 'file', offset: number): Sent['outcome'] {
  if (where === 'file') return 'already-there'
  return offset > 0 ? 'resumed' : 'sent'
}

/** There is no digest if the receiver has a file of this name and size, and wants to be shown what this side has. */
function parseHave(
  line: Record<string, unknown> | undefined,
  size: number
): { bytes: number; sha256: string | undefined } {
  const { type, where, bytes, sha256 } = line ?? {}
  const isCount = typeof bytes === 'number' && Number.isSafeInteger(bytes) && bytes >= 0 && bytes <= size
  if (type !== 'have' || !isCount) throw unexpected()
  if (where === 'file' && sha256 === undefined) return { bytes, sha256 }
  if (typeof sha256 !== 'string') throw unexpected()
  return { bytes, sha256 }
}

function parseDone(line: Record<string, unknown> | undefined): 'part' | 'file' {
  if (line?.type !== 'done' || (line.where !== 'part' && line.where !== 'file')) throw unexpected()
  return line.where
}

function unexpected(): PosternError {
  return new PosternError('bad-message', 'the receiver sent an unexpected answer')
}
