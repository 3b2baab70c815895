// The digest of what a file holds, and whether a file that is there already is the one that is sent. The latter is told only to
// a sender that has shown the digest first, in one word. So a sender learns nothing of a file that it does not have. Whoever
// guesses at a short one is slow: answers that say "different" are rationed, for all senders together.

import { createHash, type Hash } from 'node:crypto'
import type { FileHandle } from 'node:fs/promises'
import { PosternError } from '../../errors.ts'
import { TokenBucket } from '../../token-bucket.ts'

/** The size of a buffer: it is in a CPU's cache then. */
const READ_BYTES = 262_144

/** Files that differ: a person's whole folder at once, and one a second in the long run. */
const DIFFERENT = { perSecond: 1, capacity: 256 } as const

/** The digest of the first bytes of a file, to which more can be added. Throws `io` if there are not so many. */
export async function digestOf(handle: FileHandle, bytes: number): Promise<Hash> {
  const hash = createHash('sha256')
  const buffer = Buffer.allocUnsafe(Math.min(READ_BYTES, Math.max(bytes, 1)))
  for (let position = 0; position < bytes; ) {
    const { bytesRead } = await handle.read(buffer, 0, Math.min(buffer.length, bytes - position), position)
    if (bytesRead === 0) throw new PosternError('io', 'a file in the receive folder changed while it was being read')
    hash.update(buffer.subarray(0, bytesRead))
    position += bytesRead
  }
  return hash
}

export class Comparisons {
  readonly #different: TokenBucket

  /** @param now milliseconds on any clock that does not go back */
  constructor(now: () => number = () => performance.now()) {
    this.#different = new TokenBucket({ ...DIFFERENT, now })
  }

  /** Whether the file, which has so many bytes, has the digest that was shown. Throws `io` if it may not be told now. */
  async isSame(handle: FileHandle, bytes: number, shown: string): Promise<boolean> {
    if (!this.#different.take())
      throw new PosternError('io', 'too many files were sent that differ from what is there; try again in a minute')
    const isSame = (await digestOf(handle, bytes)).digest('hex') === shown
    if (isSame) this.#different.charge(-1)
    return isSame
  }
}
