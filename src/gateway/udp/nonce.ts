// Proof of address: a number that only the owner of an address and port can know, because it was sent there. It is not kept,
// but computed again when it comes back, so a flood of spoofed requests leaves nothing behind.

import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { type Endpoint, formatEndpoint } from '../../wire/endpoint.ts'

/** A nonce is valid for one to two epochs: longer than a peer waits between two refreshes of its mapping. */
const EPOCH_MS = 120_000

/** Short, so that an answer that carries it is no larger than its question; 2^64 guesses are out of reach over UDP. */
export const NONCE_BYTES = 8

export class Nonces {
  readonly #secret = randomBytes(32)
  readonly #now: () => number

  /** @param now milliseconds since any fixed point. */
  constructor(now: () => number = Date.now) {
    this.#now = now
  }

  issue(source: Endpoint): Buffer {
    return this.#compute(source, this.#epoch())
  }

  proves(source: Endpoint, nonce: Buffer | undefined): boolean {
    if (nonce?.length !== NONCE_BYTES) return false
    const epoch = this.#epoch()
    return [epoch, epoch - 1].some(candidate => timingSafeEqual(nonce, this.#compute(source, candidate)))
  }

  #epoch(): number {
    return Math.floor(this.#now() / EPOCH_MS)
  }

  #compute(source: Endpoint, epoch: number): Buffer {
    return createHmac('sha256', this.#secret)
      .update(`${epoch} ${formatEndpoint(source)}`)
      .digest()
      .subarray(0, NONCE_BYTES)
  }
}
