// The join and the admin token. Each comes from the configuration, or is made up once and kept beside the names, so that
// peers can join again after a restart.

import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { PosternError } from '../../errors.ts'

/**
 * The configured token, or else the one made up before, or else a new one of 96 random bits. Throws `io` if the file of the
 * token made up before is empty: an empty token would let everybody in.
 */
export function token(configured: string, folder: string, purpose: 'join' | 'admin'): string {
  if (configured) return configured
  const file = join(folder, `${purpose}-token`)
  if (!existsSync(file)) makeUp(file, folder)
  const kept = readFileSync(file, 'utf8').trim()
  if (kept) return kept
  throw new PosternError('io', `the ${purpose} token in ${file} is empty; delete the file, and a new one is made up`)
}

/** Writes a token beside its place and then moves it there, so that it is there whole or not at all. */
function makeUp(file: string, folder: string): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  writeFileSync(`${file}.new`, `${randomBytes(12).toString('base64url')}\n`, { mode: 0o600 })
  renameSync(`${file}.new`, file)
}

/** Compares in a time that does not tell how much of a guess was right. */
export function sameToken(given: string, expected: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(given), digest(expected))
}
