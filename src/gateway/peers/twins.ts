// One identity at two places at once: a computer that was cloned with its key, or a key in other hands. Both wait for connections
// under it, and what is sent to one of them lands wherever the other joined last. So both are told, and the operator.
//
//   a peer joins, or shows its socket ─► another one with its certificate ─► elsewhere? ─► do both answer now? ─► told
//
// A second program of one computer is at the same place. The link that a peer has lost as it changed networks does not answer.
// Peers that only call are no twins, since nothing is sent to them.

import { isIPv4 } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { LRUCache } from 'lru-cache'
import { nowMs } from '../../clock.ts'
import { plainAddress } from '../../wire/endpoint.ts'
import type { FromGateway } from '../../wire/signal.ts'
import { networkOf } from '../shares/network.ts'
import type { Member } from './member.ts'
import type { Warning } from './sources.ts'

type Peer = Pick<Member, 'name' | 'fingerprint' | 'gone' | 'heardMs' | 'hail'> & { send(message: FromGateway): void }

interface Twin {
  readonly peer: Peer
  /** The address that its signalling comes from. */
  readonly from: string
  /** The address of its interface from which it reaches the gateway, as it says; undefined until it does. */
  at?: string
  /** The ones it was told of, and those that are asked together with it just now: as a rule nobody, so one empty list is all lists. */
  others: readonly Twin[]
  asked: readonly Twin[]
}

const nobody: readonly Twin[] = []

export interface TwinsOptions {
  readonly log: { warn(fields: object, message: string): void }
  /** How long both have to answer, in milliseconds; if left out, 2 s. Who is slower is asked again when one of them shows a socket. */
  readonly answerMs?: number
}

const ANSWER_MS = 2000

/** One identity is in the log once in this time, in milliseconds: two computers may take turns for days. */
const LOGGED_MS = 3_600_000
const LOGGED = 1024

export class Twins {
  readonly #log: TwinsOptions['log']
  readonly #answerMs: number
  /** Those that wait for connections, by fingerprint. */
  readonly #joined = new Map<string, readonly Twin[]>()
  /** The fingerprints of which two were told of each other. */
  readonly #double = new Set<string>()
  readonly #logged = new LRUCache<string, true>({ max: LOGGED, ttl: LOGGED_MS })

  constructor({ log, answerMs = ANSWER_MS }: TwinsOptions) {
    this.#log = log
    this.#answerMs = answerMs
  }

  /** How many identities are at two places now. */
  get count(): number {
    return this.#double.size
  }

  get warnings(): readonly Warning[] {
    const { count } = this
    if (count === 0) return []
    const sentence = `${count === 1 ? 'one peer is' : `${count} peers are`} joined from two places at once: a computer was cloned with its key, or a key is in other hands`
    return [{ code: 'identity-twice', sentence, advice: 'see in the log which; on the clone, move identity.pem away' }]
  }

  /** A peer that waits for connections has joined. */
  joined(peer: Peer, from: string): void {
    const twin: Twin = { peer, from: plainAddress(from), others: nobody, asked: nobody }
    this.#joined.set(peer.fingerprint, [...this.#of(peer), twin])
    peer.gone.addEventListener('abort', () => this.#left(twin), { once: true })
    this.#look(twin)
  }

  /** A peer has shown a socket, and said what its interfaces are. */
  shown(peer: Peer, [first]: readonly { readonly address: string }[]): void {
    const twin = this.#of(peer).find(one => one.peer === peer)
    if (!twin || !first) return
    twin.at = first.address
    this.#look(twin)
  }

  #of({ fingerprint }: Peer): readonly Twin[] {
    return this.#joined.get(fingerprint) ?? nobody
  }

  #left(twin: Twin): void {
    const { fingerprint } = twin.peer
    for (const other of twin.others) other.others = without(other.others, twin)
    const left = without(this.#of(twin.peer), twin)
    if (left.length > 0) this.#joined.set(fingerprint, left)
    else this.#joined.delete(fingerprint)
    if (!left.some(({ others }) => others.length > 0)) this.#double.delete(fingerprint)
  }

  #look(twin: Twin): void {
    for (const other of this.#of(twin.peer)) {
      const isKnown = other === twin || twin.others.includes(other) || twin.asked.includes(other)
      if (!isKnown && isElsewhere(twin, other)) void this.#ask(twin, other)
    }
  }

  async #ask(twin: Twin, other: Twin): Promise<void> {
    const both = [twin, other]
    const askedMs = nowMs()
    twin.asked = [...twin.asked, other]
    other.asked = [...other.asked, twin]
    for (const { peer } of both) peer.hail()
    await sleep(this.#answerMs, undefined, { ref: false })
    twin.asked = without(twin.asked, other)
    other.asked = without(other.asked, twin)
    if (both.every(({ peer }) => peer.heardMs >= askedMs && !peer.gone.aborted)) this.#tell(twin, other)
  }

  #tell(twin: Twin, other: Twin): void {
    twin.others = [...twin.others, other]
    other.others = [...other.others, twin]
    this.#double.add(twin.peer.fingerprint)
    twin.peer.send(wordOf(other))
    other.peer.send(wordOf(twin))
    const { fingerprint, name } = twin.peer
    if (this.#logged.has(fingerprint)) return
    this.#logged.set(fingerprint, true)
    this.#log.warn(
      { peer: name, fingerprint, from: [placeOf(other), placeOf(twin)] },
      `identity-twice: ${name} is joined from two places at once, and both answer: a computer was cloned with its key, or the key is in other hands; on the clone, move identity.pem away, so that it makes a key of its own`
    )
  }
}

/** The one empty list again where nobody is left. */
const without = (twins: readonly Twin[], one: Twin): readonly Twin[] => {
  const left = twins.filter(twin => twin !== one)
  return left.length > 0 ? left : nobody
}

const placeOf = ({ from, at }: Twin): string => (at === undefined || at === from ? from : `${at} behind ${from}`)

const wordOf = (twin: Twin): FromGateway => ({ type: 'twin', name: twin.peer.name, from: placeOf(twin).slice(0, 128) })

/** Hosts of one network have different addresses there, and hosts of two may have one private address, but not one network. */
function isElsewhere(a: Twin, b: Twin): boolean {
  if (a.at !== undefined && b.at !== undefined && a.at !== b.at) return true
  // One host may come by IPv4 and by IPv6.
  return isIPv4(a.from) === isIPv4(b.from) && networkOf(a.from) !== networkOf(b.from)
}
