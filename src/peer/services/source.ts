// A file that is being sent: read with one buffer ahead, and watched, so that what was read is what it holds.

import { createHash, type Hash } from 'node:crypto'
import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { basename } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { PosternError } from '../../errors.ts'

/**
 * The size of a buffer. Two of them are all the memory that a transfer needs, and they fit a CPU's cache; 1 MiB was 4 %
 * slower.
 */
const READ_BYTES = 262_144

/**
 * A file that was changed so lately, in milliseconds, may change again without another time: the clock of a file system ticks
 * every 10 ms or more often.
 */
const TICK_MS = 20
const LOOKS = 3

export interface Source {
  readonly path: string
  readonly name: string
  readonly handle: FileHandle
}

/** What tells that a file has changed. Only the system sets the last one. */
interface State {
  readonly size: number
  readonly mode: number
  readonly mtimeNs: bigint
  readonly ctimeNs: bigint
}

export type Stated = Source & State

/** Throws `io` if one of these could not be sent: it is not there, may not be read, or is no file. */
export async function checkSendable(paths: readonly string[]): Promise<void> {
  for (const path of paths) await (await openSource(path)).handle.close()
}

/** Opens a file without waiting, so that a named pipe is refused instead of hanging. */
export async function openSource(path: string): Promise<Source> {
  const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch(cause => {
    throw new PosternError('io', `${path} ${whyUnreadable(cause)}`, { cause })
  })
  const stat = await handle.stat()
  if (stat.isFile()) return { path, name: basename(path), handle }
  await handle.close()
  if (!stat.isDirectory()) throw new PosternError('io', `${path} is not a regular file`)
  throw new PosternError('io', `${path} is a directory; send its files, or pack it: tar c ${path} | postern pipe NAME`)
}

/** The state of a file whose next change will show, unless it changes all the time: then one of the next will. */
export async function settledState(handle: FileHandle): Promise<State> {
  for (let looks = 1; ; looks++) {
    const state = await stateOf(handle)
    const sinceMs = Date.now() - Number(state.mtimeNs / 1_000_000n)
    if (sinceMs < 0 || sinceMs > TICK_MS || looks === LOOKS) return state
    await sleep(TICK_MS)
  }
}

async function stateOf(handle: FileHandle): Promise<State> {
  const { size, mode, mtimeNs, ctimeNs } = await handle.stat({ bigint: true })
  return { size: Number(size), mode: Number(mode) & 0o777, mtimeNs, ctimeNs }
}

/** Throws `io` unless what was read is all that the file holds, and no part of it was changed meanwhile. */
export async function checkUnchanged(source: Stated): Promise<void> {
  const { size, mtimeNs, ctimeNs } = await stateOf(source.handle)
  if (size !== source.size || mtimeNs !== source.mtimeNs || ctimeNs !== source.ctimeNs) throw changed(source)
  const { bytesRead } = await source.handle.read(Buffer.alloc(1), 0, 1, size)
  if (bytesRead > 0)
    throw new PosternError('io', `"${source.name}" holds more than its size says; postern pipe can carry what it holds`)
}

export async function hashPrefix(source: Stated, bytes: number): Promise<Hash> {
  const hash = createHash('sha256')
  for await (const chunk of readAhead(source, 0, bytes)) hash.update(chunk)
  return hash
}

/** The bytes from `start` to `end`. A chunk is good until the next one is asked for, because its buffer is then used again. */
export async function* readAhead(source: Stated, start: number, end: number): AsyncGenerator<Buffer> {
  const buffers = [Buffer.allocUnsafe(READ_BYTES), Buffer.allocUnsafe(READ_BYTES)] as const
  const read = async (index: number): Promise<Buffer> => {
    const position = start + index * READ_BYTES
    const length = Math.max(0, Math.min(READ_BYTES, end - position))
    return fill(source, index % 2 === 0 ? buffers[0] : buffers[1], length, position)
  }
  let ahead = read(0)
  for (let index = 0; start + index * READ_BYTES < end; index += 1) {
    const chunk = await ahead
    ahead = read(index + 1)
    ahead.catch(() => {})
    yield chunk
  }
  await ahead
}

async function fill(source: Stated, buffer: Buffer, length: number, position: number): Promise<Buffer> {
  let filled = 0
  while (filled < length) {
    const { bytesRead } = await source.handle.read(buffer, filled, length - filled, position + filled)
    if (bytesRead === 0) throw changed(source)
    filled += bytesRead
  }
  return buffer.subarray(0, length)
}

function changed({ name }: Source): PosternError {
  return new PosternError('io', `"${name}" changed while it was being sent`)
}

function whyUnreadable(cause: unknown): string {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
  if (code === 'ENOENT' || code === 'ENOTDIR') return 'does not exist'
  if (code === 'EACCES' || code === 'EPERM') return 'may not be read'
  return `cannot be opened (${String(code ?? cause)})`
}
