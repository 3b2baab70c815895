// Proof of address: a number that only the owner of an address and port can know, because it was sent there. It is not kept,
// but computed again when it comes back, so a flood of spoofed requests leaves nothing behind.

import { createHmac, createSecretKey, randomBytes, timingSafeEqual } from 'node:crypto'
import type { DoorKind } from '../../wire/doors/door.ts'
import { type Endpoint, formatEndpoint } from '../../wire/endpoint.ts'

/** A nonce is valid for one to two epochs: longer than a peer waits between two refreshes of its mapping. */
const EPOCH_MS = 120_000

/** Bytes of a nonce that says when it was sent: three of the time in milliseconds, and six of proof. They make 12 characters. */
const TIMED = { time: 3, proof: 6 } as const
const WRAP_MS = 256 ** TIMED.time

/** Short, so that an answer that carries it is no larger than its question; 2^64 guesses are out of reach over UDP. */
export const NONCE_BYTES = 8

export class Nonces {
  /** Bytes would be found to be none of Node's own keys each time, which takes longer than all else. */
  readonly #secret = createSecretKey(randomBytes(32))
  readonly #now: () => number

  /** @param now milliseconds since any fixed point. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now
  }

  /** @param door what is proved at one says nothing of another, where one address and port may be somebody else's */
  issue(source: Endpoint, door: DoorKind = 'udp'): Buffer {
    return this.#compute(source, door, this.#epoch())
  }

  proves(source: Endpoint, nonce: Buffer | undefined, door: DoorKind = 'udp'): boolean {
    if (nonce?.length !== NONCE_BYTES) return false
    const epoch = this.#epoch()
    return [epoch, epoch - 1].some(candidate => timingSafeEqual(nonce, this.#compute(source, door, candidate)))
  }

  /**
   * A nonce as text, for whoever handles it as such (RFC 8489 section 14.10), over UDP. When it comes back it tells how long that took,
   * so no time is kept for it either.
   */
  issueTimed(source: Endpoint): string {
    return this.#timed(source, Math.floor(this.#now())).toString('base64url')
  }

  /** How long ago such a nonce was sent to this source, in milliseconds; undefined where it was not, or too long ago. */
  ageMs(source: Endpoint, nonce: Buffer | undefined): number | undefined {
    const given = Buffer.from(nonce?.toString('latin1') ?? '', 'base64url')
    if (given.length !== TIMED.time + TIMED.proof) return undefined
    const now = this.#now()
    const ms = (Math.floor(now) - given.readUIntBE(0, TIMED.time) + WRAP_MS) % WRAP_MS
    const sentMs = Math.floor(now) - ms
    const isOurs = ms <= 2 * EPOCH_MS && timingSafeEqual(given, this.#timed(source, sentMs))
    return isOurs ? now - sentMs : undefined
  }

  #timed(source: Endpoint, atMs: number): Buffer {
    const time = Buffer.alloc(TIMED.time)
    time.writeUIntBE(atMs % WRAP_MS, 0, TIMED.time)
    return Buffer.concat([time, this.#proof(`timed ${atMs} ${formatEndpoint(source)}`).subarray(0, TIMED.proof)])
  }

  #epoch(): number {
    return Math.floor(this.#now() / EPOCH_MS)
  }

  #compute(source: Endpoint, door: DoorKind, epoch: number): Buffer {
    return this.#proof(`${door} ${epoch} ${formatEndpoint(source)}`).subarray(0, NONCE_BYTES)
  }

  #proof(of: string): Buffer {
    return createHmac('sha256', this.#secret).update(of).digest()
  }
}
