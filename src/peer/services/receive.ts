// The receiving end of send.ts. A file grows in the receive folder under a hidden name, `.NAME.HASH.part`. It gets its final
// name only when every byte is verified and on the disk. A hard link gives it that name, because unlike a rename it never
// replaces what is there. HASH names the transfer: sender, name, size and modification time. A transfer that was cut goes on
// from its part file if the sender's first bytes hash to the same. The SHA-256 of the whole is checked in any case.
//
// A file that is there already is never touched. If its content is the same, the answer is "already there"; if not, the
// transfer is refused. Names come from strangers and are checked before anything is done with them.

import { createHash, type Hash } from 'node:crypto'
import { constants } from 'node:fs'
import { chmod, type FileHandle, link, lstat, open, rename, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { asPosternError, PosternError } from '../../errors.ts'
import { printable } from '../../wire/text.ts'
import type { Stream } from '../connection/stream.ts'
import { atMostTenTimesASecond, Reader, writeLine } from './lines.ts'
import type { Progress, Sent } from './send.ts'

export type Received = Sent

export interface ReceiveOptions {
  /** The folder where files go. If undefined, every file is refused with a clear sentence. */
  folder: string | undefined
  /** The fingerprint of the sender: transfers are resumed for the same sender only. */
  from: string
  /** Called at most ten times a second for each file. */
  onProgress?: (progress: Progress) => void
  onReceived?: (received: Received) => void
}

interface Header {
  name: string
  size: number
  mtimeMs: number
  mode: number
}

/** A file that is being received: the part file while it grows, or the final file if that was there before. */
interface Target {
  where: 'part' | 'file'
  path: string
  handle: FileHandle
  /** The digest of the bytes that are there, and their number. */
  hash: Hash
  bytes: number
}

/** Linux, macOS and Windows agree on this limit for a name. */
const MAX_NAME_BYTES = 255
/**
 * This many bytes are gathered for one write, because they are still in a CPU's cache then. 1 MiB made a transfer 10 %
 * slower.
 */
const WRITE_BYTES = 262_144
/**
 * This many bytes are sent on to the disk while more arrive. Otherwise the sync at the end would take a tenth of the whole
 * time.
 */
const SYNC_BYTES = 33_554_432
const partName = /^\..*\.[0-9a-f]{16}\.part$/su

/**
 * The transfers under way, by their part file. A sender that comes back takes its transfer over from its own lost connection.
 */
const underWay = new Map<string, Transfer>()

interface Transfer {
  readonly stream: Stream
  readonly ended: Promise<void>
}

/** Serves one stream named `send` until the sender ends it. Throws a PosternError, which the sender has been told too. */
export async function receive(stream: Stream, options: ReceiveOptions): Promise<Received[]> {
  const received: Received[] = []
  try {
    const { folder } = options
    if (folder === undefined) throw new PosternError('io', 'there is no folder to receive files in')
    const reader = new Reader(stream)
    for (let line = await reader.line(); line; line = await reader.line()) {
      const one = await receiveOne(stream, reader, parseHeader(line), { ...options, folder })
      received.push(one)
      options.onReceived?.(one)
    }
    stream.end()
    return received
  } catch (error) {
    const reason = asPosternError(stream.errored ?? error)
    stream.destroy(reason)
    throw reason
  }
}

async function receiveOne(
  stream: Stream,
  reader: Reader,
  header: Header,
  options: ReceiveOptions & { folder: string }
): Promise<Received> {
  const part = join(options.folder, partNameOf(header, options.from))
  const ended = Promise.withResolvers<void>()
  await takeOver(part, { stream, ended: ended.promise })
  try {
    return await store(stream, reader, header, part, options)
  } catch (error) {
    throw describe(error, header.name)
  } finally {
    underWay.delete(part)
    ended.resolve()
  }
}

async function store(
  stream: Stream,
  reader: Reader,
  header: Header,
  part: string,
  { folder, onProgress = () => {} }: ReceiveOptions & { folder: string }
): Promise<Received> {
  const startMs = performance.now()
  const { name: file, size: total } = header
  const final = join(folder, file)
  const target = await openTarget(final, part, header)
  try {
    const { where, bytes } = target
    await writeLine(stream, { type: 'have', where, bytes, sha256: target.hash.copy().digest('hex') })
    const offset = await agreeOnStart(reader, target, header)
    await fill(
      reader,
      target,
      total,
      atMostTenTimesASecond(total, done => onProgress({ file, bytes: done, total }))
    )
    const sha256 = await verify(reader, target, header)
    if (where === 'part') await publish(target, final, header)
    await writeLine(stream, { type: 'done', where })
    const outcome = where === 'file' ? 'already-there' : offset > 0 ? 'resumed' : 'sent'
    return { file, bytes: total, sha256, ms: performance.now() - startMs, outcome }
  } finally {
    await target.handle.close()
  }
}

async function openTarget(final: string, part: string, header: Header): Promise<Target> {
  const there = await lstat(final).catch(ignoreMissing)
  if (there && !(there.isFile() && there.size === header.size)) throw otherContent(header.name)
  const path = there ? final : part
  const flags = there ? constants.O_RDONLY : constants.O_RDWR | constants.O_CREAT
  const handle = await open(path, flags | constants.O_NOFOLLOW, 0o600)
  const where = there ? 'file' : 'part'
  try {
    return { where, path, handle, ...(await digest(handle, header.size)) }
  } catch (error) {
    await handle.close()
    throw error
  }
}

/**
 * The digest of what is there, to which the rest of the file will be added. A file of more than `maxBytes` is not this one,
 * and is emptied.
 */
async function digest(handle: FileHandle, maxBytes: number): Promise<{ hash: Hash; bytes: number }> {
  const { size: bytes } = await handle.stat()
  const hash = createHash('sha256')
  if (bytes > maxBytes) {
    await handle.truncate(0)
    return { hash, bytes: 0 }
  }
  const buffer = Buffer.allocUnsafe(Math.min(WRITE_BYTES, Math.max(bytes, 1)))
  for (let position = 0; position < bytes; ) {
    const { bytesRead } = await handle.read(buffer, 0, Math.min(buffer.length, bytes - position), position)
    if (bytesRead === 0) throw new PosternError('io', 'a file in the receive folder changed while it was being read')
    hash.update(buffer.subarray(0, bytesRead))
    position += bytesRead
  }
  return { hash, bytes }
}

/** The position at which the sender goes on: behind what is there, or 0 if the sender has something else there. */
async function agreeOnStart(reader: Reader, target: Target, { name }: Header): Promise<number> {
  const line = await reader.line()
  const same = line?.type === 'from' && line.same === true
  if (line?.type !== 'from' || line.offset !== (same ? target.bytes : 0)) throw unexpected()
  if (same) return target.bytes
  if (target.where === 'file') throw otherContent(name)
  await target.handle.truncate(0)
  target.hash = createHash('sha256')
  target.bytes = 0
  return 0
}

/** Takes the rest of the file. One write is under way while the next batch is gathered and hashed. */
async function fill(reader: Reader, target: Target, size: number, report: (bytes: number) => void): Promise<void> {
  let batch: Buffer[] = []
  let batchBytes = 0
  let position = target.bytes
  let writing = Promise.resolve()
  let syncing = Promise.resolve()
  const flush = async () => {
    await writing
    writing = writeAll(target.handle, batch, position)
    writing.catch(() => {})
    const step = Math.floor(position / SYNC_BYTES)
    position += batchBytes
    batch = []
    batchBytes = 0
    if (Math.floor(position / SYNC_BYTES) === step) return
    await syncing
    syncing = target.handle.datasync()
    syncing.catch(() => {})
  }
  report(target.bytes)
  try {
    for await (const chunk of reader.bytes(size - target.bytes)) {
      target.hash.update(chunk)
      target.bytes += chunk.length
      batch.push(chunk)
      batchBytes += chunk.length
      if (batchBytes >= WRITE_BYTES) await flush()
      report(target.bytes)
    }
  } finally {
    await flush()
    await writing
    await syncing
  }
}

async function writeAll(handle: FileHandle, chunks: Buffer[], position: number): Promise<void> {
  if (chunks.length === 0) return
  const { bytesWritten } = await handle.writev(chunks, position)
  if (bytesWritten < chunks.reduce((sum, chunk) => sum + chunk.length, 0))
    return await writeAll(handle, [Buffer.concat(chunks).subarray(bytesWritten)], position + bytesWritten)
  for (const chunk of chunks) release(chunk)
}

/** Gives a chunk's memory back now. If the garbage collector has to find it, that takes a fifth of a receiver's CPU time. */
function release({ buffer, byteLength }: Buffer): void {
  if (buffer instanceof ArrayBuffer && buffer.byteLength === byteLength) buffer.transfer(0)
}

async function verify(reader: Reader, target: Target, { name }: Header): Promise<string> {
  const line = await reader.line()
  if (line?.type !== 'sum' || typeof line.sha256 !== 'string') throw unexpected()
  const sha256 = target.hash.digest('hex')
  if (line.sha256 === sha256) return sha256
  if (target.where === 'part') await unlink(target.path)
  throw new PosternError('io', `"${name}" arrived damaged and was dropped`)
}

async function publish({ handle, path }: Target, final: string, { name, mode }: Header): Promise<void> {
  await chmod(path, mode & 0o777 & ~process.umask())
  await handle.sync()
  try {
    await linkOrRename(path, final)
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error
    await unlink(path)
    throw otherContent(name)
  }
  await syncFolder(join(final, '..'))
}

/** Filesystems without hard links (FAT, some network shares) rename, after a look that nothing has the final name. */
async function linkOrRename(path: string, final: string): Promise<void> {
  try {
    await link(path, final)
    await unlink(path)
  } catch (error) {
    if (!['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'].includes(codeOf(error))) throw error
    if (await lstat(final).catch(ignoreMissing)) throw Object.assign(new Error(), { code: 'EEXIST' })
    await rename(path, final)
  }
}

/** Syncs the folder, so that the new name survives a power cut too. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, constants.O_RDONLY)
  await handle.sync().finally(() => handle.close())
}

/**
 * Ends the transfer that has this part file, and takes its place. Others may wait for the same one, so each looks again when
 * its turn comes.
 */
async function takeOver(part: string, own: Transfer): Promise<void> {
  for (let before = underWay.get(part); before; before = underWay.get(part)) {
    before.stream.destroy(new PosternError('io', 'the sender began this transfer anew'))
    await before.ended
  }
  underWay.set(part, own)
}

function partNameOf({ name, size, mtimeMs }: Header, from: string): string {
  const hash = createHash('sha256')
    .update(JSON.stringify([from, name, size, mtimeMs]))
    .digest('hex')
    .slice(0, 16)
  return `.${name.slice(0, 40)}.${hash}.part`
}

function parseHeader(line: Record<string, unknown>): Header {
  const { type, name, size, mtimeMs, mode } = line
  if (type !== 'file' || !isCount(size) || !isCount(mtimeMs) || !isCount(mode)) throw unexpected()
  if (typeof name !== 'string' || !isSafeName(name)) {
    const shown = printable(JSON.stringify(name) ?? 'nothing').slice(0, 80)
    throw new PosternError('io', `${shown} is not allowed as the name of a file`)
  }
  return { name, size, mtimeMs, mode }
}

/** Whether a stranger's name stays within the folder, is displayed as what it is, and is none of our part files. */
export function isSafeName(name: string): boolean {
  if (name === '' || name === '.' || name === '..' || Buffer.byteLength(name) > MAX_NAME_BYTES) return false
  if (!name.isWellFormed() || partName.test(name)) return false
  return !/[/\\\p{Cc}\p{Zl}\p{Zp}\u202a-\u202e\u2066-\u2069]/u.test(name)
}

function describe(error: unknown, name: string): PosternError {
  if (error instanceof PosternError) return error
  return new PosternError('io', whyNotStored(codeOf(error), name), { cause: error })
}

function whyNotStored(code: string, name: string): string {
  switch (code) {
    case 'ENOSPC':
    case 'EDQUOT':
      return `no space left for "${name}"`
    case 'EFBIG':
      return `"${name}" is larger than a file may be there`
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return 'the receive folder may not be written to'
    case 'ENOENT':
    case 'ENOTDIR':
      return 'the receive folder does not exist'
    default:
      return `"${name}" could not be stored (${code})`
  }
}

function otherContent(name: string): PosternError {
  return new PosternError('io', `a different file named "${name}" is already there`)
}

function unexpected(): PosternError {
  return new PosternError('bad-message', 'the sender sent an unexpected message')
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error)
}

function ignoreMissing(error: unknown): undefined {
  if (codeOf(error) !== 'ENOENT') throw error
}
