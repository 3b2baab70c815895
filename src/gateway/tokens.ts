// The join and the admin token: from the configuration, or made up once and kept beside the names, so that peers find
// their way back after a restart.

import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** The configured token; or the one made up before, or a new one of 96 random bits. */
export function token(configured: string, folder: string, purpose: 'join' | 'admin'): string {
  if (configured) return configured
  const file = join(folder, `${purpose}-token`)
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  try {
    writeFileSync(file, `${randomBytes(12).toString('base64url')}\n`, { mode: 0o600, flag: 'wx' })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
  return readFileSync(file, 'utf8').trim()
}

/** Compares without telling by its time how much of a guess was right. */
export function sameToken(given: string, expected: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(given), digest(expected))
}
