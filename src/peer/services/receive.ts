// The receiving end of send.ts. A file grows in the receive folder as a part file (parts.ts). It gets its final name only when
// every byte is verified and on the disk (publish.ts). A transfer that was cut goes on from its part if the sender's first bytes
// hash to the same. The SHA-256 of the whole is checked in any case.
//
// A file that is there already is never touched. If its content is the same, the answer is "already there"; if not, the
// transfer is refused. Names come from strangers and are checked before anything is done with them (file-name.ts).

import { createHash } from 'node:crypto'
import { constants } from 'node:fs'
import { lstat, open, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { asPosternError, PosternError } from '../../errors.ts'
import { formatBytes } from '../../units.ts'
import type { Stream } from '../connection/streams/stream.ts'
import { Comparisons } from './digest.ts'
import { checkFileName } from './file-name.ts'
import { atMostTenTimesASecond, Reader, writeLine } from './lines.ts'
import { ignoreMissing, isHopeless, notStored, otherContent } from './not-stored.ts'
import { Part, tidyParts } from './parts.ts'
import { publish } from './publish.ts'
import type { Progress, Sent } from './send.ts'
import { fill, openPart, type Target } from './target.ts'

export type Received = Sent

/** A file that a sender wants to send. */
export interface Offer {
  readonly file: string
  readonly bytes: number
}

export interface ReceiveOptions {
  /** The folder where files go. If undefined, every file is refused with a clear sentence. */
  folder: string | undefined
  /** The fingerprint of the sender: transfers are resumed for the same sender only. */
  from: string
  /** Takes names that begin with a dot or a dash too, which shells and tools heed by themselves; false if left out. */
  dotfiles?: boolean | undefined
  /** Leaves files executable that are so at the sender; false if left out. */
  executable?: boolean | undefined
  /** The largest file that is taken, in bytes; any that fits if left out. */
  maxBytes?: number | undefined
  /** Called before each file. If it throws, or rejects, the file is refused, and the sender is told the error's message. */
  admit?: ((offer: Offer) => unknown) | undefined
  /** Called at most ten times a second for each file. */
  onProgress?: (progress: Progress) => void
  onReceived?: (received: Received) => void
}

type Receiving = ReceiveOptions & { readonly folder: string }

interface Header {
  readonly name: string
  readonly size: number
  readonly mtimeMs: number
  readonly mode: number
  /** The version of what send.ts says that the sender speaks; 1 of a former release, which does not name it. */
  readonly speaks: number
}

/** If it takes longer to admit a sender, in milliseconds, a person is being asked, and the sender is told so. */
const ASKING_MS = 200

const comparisons = new Comparisons()

/** Serves one stream named `send` until the sender ends it. Throws a PosternError, which the sender has been told too. */
export async function receive(stream: Stream, options: ReceiveOptions): Promise<Received[]> {
  const received: Received[] = []
  const { folder } = options
  try {
    if (folder === undefined) throw new PosternError('io', 'there is no folder to receive files in')
    await tidyParts(folder)
    const reader = new Reader(stream)
    for (let line = await reader.line(); line; line = await reader.line()) {
      const one = await receiveOne(stream, reader, parseHeader(line, options), { ...options, folder })
      received.push(one)
      options.onReceived?.(one)
    }
    stream.end()
    return received
  } catch (error) {
    const reason = asPosternError(stream.errored ?? error)
    stream.destroy(reason)
    if (folder !== undefined) await tidyParts(folder)
    throw reason
  }
}

async function receiveOne(stream: Stream, reader: Reader, header: Header, options: Receiving): Promise<Received> {
  await admitted(stream, header, options)
  const part = await Part.take(options.folder, header, options.from, stream)
  try {
    const there = await lstat(join(options.folder, header.name)).catch(ignoreMissing)
    if (!there) return await store(stream, reader, header, part, options)
    if (!there.isFile() || there.size !== header.size) throw otherContent(header.name)
    return await compare(stream, reader, header, options)
  } catch (error) {
    throw notStored(error, header.name)
  } finally {
    part.release()
  }
}

async function admitted(stream: Stream, { name, size, speaks }: Header, { maxBytes, admit }: Receiving): Promise<void> {
  if (maxBytes !== undefined && size > maxBytes)
    throw new PosternError(
      'io',
      `"${name}" has ${formatBytes(size)}, and files of at most ${formatBytes(maxBytes)} are taken`
    )
  const ask = () => void writeLine(stream, { type: 'asking' }).catch(() => {})
  const timer = speaks > 1 ? setTimeout(ask, ASKING_MS) : undefined
  try {
    await admit?.({ file: name, bytes: size })
  } finally {
    clearTimeout(timer)
  }
}

/** Says whether the file that is there is the same. Nothing is said of it before the sender has shown the digest. */
async function compare(
  stream: Stream,
  reader: Reader,
  { name: file, size: bytes, speaks }: Header,
  { folder, onProgress }: Receiving
): Promise<Received> {
  const startMs = performance.now()
  if (speaks < 2)
    throw new PosternError(
      'io',
      `"${file}" is already there, and the sender's postern is too old to ask if it is the same; update it`
    )
  await writeLine(stream, { type: 'have', where: 'file', bytes })
  const sha256 = await parseSum(reader)
  await using handle = await open(join(folder, file), constants.O_RDONLY | constants.O_NOFOLLOW)
  if (!(await comparisons.isSame(handle, bytes, sha256))) throw otherContent(file)
  onProgress?.({ file, bytes, total: bytes })
  await writeLine(stream, { type: 'done', where: 'file' })
  return { file, bytes, sha256, ms: performance.now() - startMs, outcome: 'already-there' }
}

async function store(
  stream: Stream,
  reader: Reader,
  header: Header,
  part: Part,
  options: Receiving
): Promise<Received> {
  const startMs = performance.now()
  const { name: file, size: total, mode, mtimeMs } = header
  const target = await openPart(part, total)
  const { handle } = target
  try {
    await part.reserve(total - target.bytes, header)
    const there = target.hash.copy().digest('hex')
    await writeLine(stream, { type: 'have', where: 'part', bytes: target.bytes, sha256: there })
    const offset = await agreeOnStart(reader, target, header)
    const report = (bytes: number) => options.onProgress?.({ file, bytes, total })
    await fill(reader, target, total, atMostTenTimesASecond(total, report))
    const sha256 = await verify(reader, target, header)
    const { folder, executable = false } = options
    await publish({ handle, part: part.path, final: join(folder, file), mtimeMs, mode, executable })
    await writeLine(stream, { type: 'done', where: 'part' })
    const outcome = offset > 0 ? 'resumed' : 'sent'
    return { file, bytes: total, sha256, ms: performance.now() - startMs, outcome }
  } catch (error) {
    if (target.bytes === 0 || isHopeless(error)) await unlink(part.path).catch(() => {})
    throw error
  } finally {
    await handle.close()
  }
}

/** The position at which the sender goes on: behind what is there, or 0 if the sender has something else there. */
async function agreeOnStart(reader: Reader, target: Target, header: Header): Promise<number> {
  const line = await reader.line()
  const same = line?.type === 'from' && line.same === true
  if (line?.type !== 'from' || line.offset !== (same ? target.bytes : 0)) throw unexpected()
  if (same) return target.bytes
  await target.handle.truncate(0)
  target.hash = createHash('sha256')
  target.bytes = 0
  await target.part.reserve(header.size, header)
  return 0
}

async function verify(reader: Reader, { hash, part }: Target, { name }: Header): Promise<string> {
  const shown = await parseSum(reader)
  const sha256 = hash.digest('hex')
  if (shown === sha256) return sha256
  await unlink(part.path)
  throw new PosternError('io', `"${name}" arrived damaged and was dropped`)
}

function parseHeader(line: Record<string, unknown>, options: ReceiveOptions): Header {
  const { type, name, size, mtimeMs, mode, speaks = 1 } = line
  if (type !== 'file' || !isCount(size) || !isTime(mtimeMs) || !isCount(mode) || !isCount(speaks)) throw unexpected()
  return { name: checkFileName(name, options), size, mtimeMs, mode, speaks }
}

/** The digest of the whole file, as the sender says it. */
async function parseSum(reader: Reader): Promise<string> {
  const line = await reader.line()
  if (line?.type !== 'sum' || typeof line.sha256 !== 'string') throw unexpected()
  return line.sha256
}

function unexpected(): PosternError {
  return new PosternError('bad-message', 'the sender sent an unexpected message')
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

/** Milliseconds since the epoch, or before it. */
function isTime(value: unknown): value is number {
  return typeof value === 'number' && Math.abs(value) <= 8.64e15
}
