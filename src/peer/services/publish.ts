// Gives a received file its mode, its time and its name. All of that is there once every byte is verified and on the disk. A hard
// link gives the name, because unlike a rename it never replaces what is there.

import { constants } from 'node:fs'
import { type FileHandle, link, lstat, open, rename, unlink } from 'node:fs/promises'
import { dirname } from 'node:path'
import { codeOf, ignoreMissing } from './not-stored.ts'

export interface Publishing {
  readonly handle: FileHandle
  readonly part: string
  readonly final: string
  /** When the sender's copy was changed last, in milliseconds since the epoch. */
  readonly mtimeMs: number
  /** The permissions of the sender's copy. This user's umask is taken off them. */
  readonly mode: number
  /** Whether the file may be run if the sender's copy may. */
  readonly executable: boolean
}

/** Throws `EEXIST` if the name is there already, or what the system refuses. */
export async function publish({ handle, part, final, mtimeMs, mode, executable }: Publishing): Promise<void> {
  await handle.chmod(mode & (executable ? 0o777 : 0o666) & ~process.umask())
  // A file system that cannot hold the time, such as one before 1970, keeps its own.
  await handle.utimes(new Date(), new Date(mtimeMs)).catch(() => {})
  await handle.sync()
  await linkOrRename(part, final)
  await syncFolder(dirname(final))
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
