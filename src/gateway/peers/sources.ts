// Watches whether something in front of the gateway hides where peers come from (nat/hidden.ts), and says so: once in the
// log, and for as long as such a peer is joined to whoever asks.

import { networkInterfaces } from 'node:os'
import { isHidden, keepSources } from '../../nat/hidden.ts'
import type { Endpoint } from '../../wire/endpoint.ts'
import type { Address } from '../../wire/shapes.ts'
import type { Member, WarmSocket } from './member.ts'
import type { Observer } from './observer.ts'

export const warningCodes = [
  'hidden-sources',
  'unchecked-url',
  'identity-twice',
  'certificate-ends',
  'certificate-kept',
  'overloaded',
  'udp-unheard',
  'not-reloaded',
  'unnamed-proxy'
] as const

/** What is wrong with the gateway's own set-up, in words. It names no peer and no address. */
export interface Warning {
  readonly code: (typeof warningCodes)[number]
  readonly sentence: string
  readonly advice: string
}

type Peer = Pick<Member, 'id' | 'name' | 'gateway' | 'gone'>

export interface SourcesOptions {
  readonly observer: Pick<Observer, 'samples'>
  readonly log: { warn(fields: object, message: string): void }
  /** The gateway's own addresses; left out: those of this computer. */
  readonly links?: () => readonly Address[]
}

export class Sources {
  readonly #observer: SourcesOptions['observer']
  readonly #log: SourcesOptions['log']
  readonly #links: () => readonly Address[]
  /** Ids of the joined peers whose sources are hidden. */
  readonly #hidden = new Set<string>()
  #isTold = false

  constructor({ observer, log, links = ownLinks }: SourcesOptions) {
    this.#observer = observer
    this.#log = log
    this.#links = links
  }

  /** How many joined peers are seen at an address that is not theirs. */
  get hidden(): number {
    return this.#hidden.size
  }

  get warnings(): readonly Warning[] {
    const { hidden } = this
    if (hidden === 0) return []
    const sentence = `sources are hidden: something in front of the gateway rewrites where ${hidden} of its peers come from`
    return [{ code: 'hidden-sources', sentence, advice: keepSources }]
  }

  /** Judges by a socket that a peer has just shown, before anybody asks for a connection. Never throws. */
  async look(peer: Peer, { number, addresses }: Pick<WarmSocket, 'number' | 'addresses'>): Promise<void> {
    const [first] = await this.#observer.samples(peer.id, number).catch(() => [])
    if (first) this.isHidden(peer, first.mapped, addresses)
  }

  /**
   * Whether a peer that seems to come from `mapped` does not come from there.
   * @param addresses of the peer's interfaces
   */
  isHidden(peer: Peer, { address: mapped }: Endpoint, addresses: readonly Address[]): boolean {
    const { address: reached } = peer.gateway
    const hidden = isHidden({ mapped, reached, peer: addresses, gateway: this.#links() })
    if (hidden) this.#note(peer, mapped)
    else this.#hidden.delete(peer.id)
    return hidden
  }

  #note({ id, name, gateway: { address: reached }, gone }: Peer, mapped: string): void {
    if (gone.aborted || this.#hidden.has(id)) return
    this.#hidden.add(id)
    gone.addEventListener('abort', () => this.#hidden.delete(id), { once: true })
    if (this.#isTold) return
    this.#isTold = true
    this.#log.warn(
      { peer: name, reached, mapped },
      `hidden-sources: a peer that reached ${reached} is seen at ${mapped}, an address of something in front of the gateway; NATs cannot be told, and connections are relayed; ${keepSources}`
    )
  }
}

/** The addresses of this computer's interfaces. */
export const ownLinks = (): Address[] =>
  Object.values(networkInterfaces())
    .flatMap(list => list ?? [])
    .map(({ address, cidr, family }) => ({
      address,
      prefix: Number(cidr?.split('/')[1] ?? (family === 'IPv4' ? 32 : 128))
    }))
