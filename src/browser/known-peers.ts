// Remembers which fingerprint a name had the last time, as src/peer/identity/known-peers.ts does in a file.

import { PosternError } from '../errors.ts'
import { isPinned, otherFingerprint } from '../peer/identity/trust.ts'
import { fold } from '../wire/name.ts'
import type { Store } from './store.ts'

interface Known {
  readonly name: string
  readonly fingerprint: string
}

export class KnownPeers {
  readonly #store: Store
  /** Host and port of the gateway. */
  readonly #gateway: string

  constructor(store: Store, gateway: string) {
    this.#store = store
    this.#gateway = gateway
  }

  /** Throws `fingerprint-mismatch` unless the name has the pinned fingerprint or, without a pin, the one that it had before. */
  async check(name: string, fingerprint: string, pin?: string): Promise<void> {
    if (pin !== undefined) return isPinned(name, fingerprint, pin)
    const known = await this.#use(this.#store.putOnce<Known>('known', this.#key(name), { name, fingerprint }))
    if (known.fingerprint === fingerprint) return
    const advice = `have it forgotten: await peer.forget('${name}')`
    throw otherFingerprint({ as: name, shown: fingerprint, gateway: this.#gateway, known, advice })
  }

  /** The next fingerprint that the name has is remembered. */
  async forget(name: string): Promise<void> {
    await this.#use(this.#store.delete('known', this.#key(name)))
  }

  #key(name: string): string {
    return `${this.#gateway} ${fold(name)}`
  }

  async #use<T>(work: Promise<T>): Promise<T> {
    try {
      return await work
    } catch (cause) {
      throw new PosternError('io', 'the browser cannot read or write what it keeps of known peers', { cause })
    }
  }
}
