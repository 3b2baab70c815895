// The join and the admin token. Each comes from the configuration, or is made up once and kept beside the names, so that
// peers can join again after a restart.

import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { join } from 'node:path'
import { tokenShape } from '../../config/schema.ts'
import { PosternError } from '../../errors.ts'
import { makeStateFolder, readStateFile, replaceStateFile, troubleOf } from '../../state-file.ts'

export type Purpose = 'join' | 'admin'

/** Where a token that was made up is kept. */
export const tokenFile = (folder: string, purpose: Purpose): string => join(folder, `${purpose}-token`)

/**
 * The configured token, or else the one made up before, or else a new one of 96 random bits. Rejects with `io` if the file of
 * the token made up before cannot be read, or has no token in it: an empty one would let everybody in.
 */
export async function token(configured: string, folder: string, purpose: Purpose): Promise<string> {
  if (configured) return configured
  const file = tokenFile(folder, purpose)
  const kept = (await use(file, purpose, () => readStateFile(file)))?.trim()
  if (kept === undefined) return await use(file, purpose, () => makeUp(file, folder))
  if (tokenShape.test(kept)) return kept
  throw unusable(file, purpose, kept === '' ? 'is empty' : 'is damaged, or shorter than 16 characters')
}

async function makeUp(file: string, folder: string): Promise<string> {
  const made = randomBytes(12).toString('base64url')
  await makeStateFolder(folder)
  await replaceStateFile(file, `${made}\n`)
  return made
}

async function use<T>(file: string, purpose: Purpose, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (cause) {
    throw unusable(file, purpose, `cannot be read or kept: ${troubleOf(cause)}`)
  }
}

const unusable = (file: string, purpose: Purpose, why: string): PosternError =>
  new PosternError('io', `the ${purpose} token in ${file} ${why}; delete the file, and a new one is made up`)

/** Compares in a time that does not tell how much of a guess was right. */
export function sameToken(given: string, expected: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(given), digest(expected))
}
