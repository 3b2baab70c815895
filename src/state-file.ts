// Files that outlive a restart: names, tokens, a key, known peers, traces. All of them are read and written here, for what can
// go wrong with one goes wrong with all.
//
//   read     an ordinary file, or the sentence that says it is none: a FIFO does not hang, a device is not read
//   replace  written beside, synced, moved into its place, and the folder synced: after a power cut it is the old or the new one
//   create   the same, but whoever was first wins
//   append   written and synced, or cut off again: a disk that fills up leaves no half line
//
// A file is made for its owner alone. What is written goes through no symbolic link, so that a link which somebody has put
// there leads to no other file; what is read may be a link, as secrets are mounted.

import { randomUUID } from 'node:crypto'
import { constants } from 'node:fs'
import { type FileHandle, link, mkdir, open, rename, rm, stat } from 'node:fs/promises'
import { dirname } from 'node:path'

/** Bits of a mode: others than the owner may read or write; any user of the computer may write. */
const OTHERS_MAY_USE = 0o066
const ALL_MAY_WRITE = 0o002

/** Windows has neither of them, and no FIFOs in its file system. */
const { O_NOFOLLOW = 0, O_NONBLOCK = 0 } = constants

/** What the operator reads for the codes of the system, as the end of a sentence. */
const troubles: Readonly<Record<string, string>> = {
  ENOSPC: 'its disk is full',
  EDQUOT: 'its disk is full',
  EFBIG: 'its disk is full',
  EROFS: 'its disk is read-only',
  EACCES: 'permission is denied',
  EPERM: 'permission is denied',
  ELOOP: 'it is a symbolic link, and nothing is written through one',
  ENXIO: 'it is not a file',
  EISDIR: 'it is not a file',
  EEXIST: 'what should be a folder is not one',
  ENOTDIR: 'what should be a folder is not one'
}

/** Why reading or writing failed, as the end of a sentence, without the path. */
export function troubleOf(thrown: unknown): string {
  const { code, message } = thrown as NodeJS.ErrnoException
  return troubles[code ?? ''] ?? code ?? message ?? String(thrown)
}

/** Makes a folder, and those above it, for its owner alone. One that is there is left as it is. */
export async function makeStateFolder(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 })
}

/** The text in the file; undefined where there is none. Throws the error of the system, or that it is not a file. */
export async function readStateFile(path: string): Promise<string | undefined> {
  try {
    await using file = await openFile(path, constants.O_RDONLY)
    return await file.readFile('utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** Puts a file with this text into the place of whatever is there. */
export async function replaceStateFile(path: string, text: string): Promise<void> {
  await writeBeside(path, text, beside => rename(beside, path))
}

/** Makes a file with this text, unless there is one already: of several that try at once one wins, and its text stays. */
export async function createStateFile(path: string, text: string): Promise<void> {
  await writeBeside(path, text, beside =>
    link(beside, path).catch(error => {
      if (error.code !== 'EEXIST') throw error
    })
  )
}

/** Adds text at the end of the file, which is made if it is missing. If that fails, none of the text stays in it. */
export async function appendToStateFile(path: string, text: string): Promise<void> {
  await using file = await openToAppend(path)
  const { size } = await file.stat()
  await appendOrCut(file, Buffer.from(text))
  if (size === 0) await syncFolder(dirname(path))
}

/** Takes the text off the end of the file, if that is how it ends. Resolves to whether it was. */
export async function cutStateFile(path: string, text: string): Promise<boolean> {
  await using file = await openFile(path, constants.O_RDWR | O_NOFOLLOW)
  return await cut(file, Buffer.from(text))
}

/** Opens a file to append to and to read, and makes it if it is missing. */
export async function openToAppend(path: string): Promise<FileHandle> {
  return await openFile(path, constants.O_RDWR | constants.O_APPEND | constants.O_CREAT | O_NOFOLLOW)
}

/** Waits until the disk has what a folder lists. Windows knows no such thing. */
export async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return
  await using handle = await open(folder, constants.O_RDONLY)
  await handle.sync()
}

/**
 * A sentence for whatever others than the owner could read or put there, with what to do about it.
 * @param secrets files that only their owner should read; one that is missing is passed over
 */
export async function exposures(folder: string, secrets: readonly string[]): Promise<string[]> {
  if (process.platform === 'win32') return []
  const open = await modeOf(folder)
  const readable = await Promise.all(secrets.map(async path => ((await modeOf(path)) & OTHERS_MAY_USE ? [path] : [])))
  return [
    ...(open & ALL_MAY_WRITE
      ? [
          `${folder} may be written by every user of this computer, who can put keys and tokens there; chmod 700 ${folder}`
        ]
      : []),
    ...readable
      .flat()
      .map(path => `${path} may be used by others than its owner; chmod 600 ${path}, and make a new one if it was read`)
  ]
}

const modeOf = async (path: string): Promise<number> => (await stat(path).catch(() => undefined))?.mode ?? 0

/** Opens without waiting for the other end of a FIFO. Throws if it is no ordinary file. */
async function openFile(path: string, flags: number): Promise<FileHandle> {
  const file = await open(path, flags | O_NONBLOCK, 0o600)
  const isFile = await file.stat().then(
    stat => stat.isFile(),
    () => false
  )
  if (isFile) return file
  await file.close()
  throw new Error('it is not a file')
}

async function writeBeside(path: string, text: string, move: (beside: string) => Promise<void>): Promise<void> {
  const beside = `${path}.${randomUUID()}`
  try {
    await writeNew(beside, text)
    await move(beside)
  } finally {
    await rm(beside, { force: true })
  }
  await syncFolder(dirname(path))
}

async function writeNew(path: string, text: string): Promise<void> {
  await using file = await open(path, 'wx', 0o600)
  await file.writeFile(text)
  await file.sync()
}

async function appendOrCut(file: FileHandle, bytes: Buffer): Promise<void> {
  let written = 0
  try {
    while (written < bytes.length) written += (await file.write(bytes, written)).bytesWritten
    await file.datasync()
  } catch (error) {
    await cut(file, bytes.subarray(0, written)).catch(() => {})
    throw error
  }
}

/** Takes these bytes off the end. If they are not its end, another process has written behind them, and they stay. */
async function cut(file: FileHandle, bytes: Buffer): Promise<boolean> {
  const from = (await file.stat()).size - bytes.length
  if (bytes.length === 0 || from < 0) return false
  const { buffer } = await file.read(Buffer.alloc(bytes.length), 0, bytes.length, from)
  if (!buffer.equals(bytes)) return false
  await file.truncate(from)
  return true
}
