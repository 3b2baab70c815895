// How fast peers may say things. A peer has its own pace, which all links of its certificate share. All peers together have what the
// event loop can do beside everything else, which each network and certificate has a share of (shares.ts). What comes faster
// waits (inbox.ts).

import { LRUCache } from 'lru-cache'
import { TokenBucket } from '../../token-bucket.ts'
import type { FromPeer } from '../../wire/signal.ts'
import { latest } from '../shares/latest.ts'
import { type Bound, boundOf, type Holder, Shares } from '../shares/shares.ts'

/** What the loop does in a second of all that is said, if it is asked to, counted in messages that cost little. */
const IN_ALL = 4000

/** Hellos among them: half of the loop is for peers that have joined, whose pings are answered within seconds or they come again. */
const HELLOS = 600

/** Where the operator allows peers more, the loop is asked for at least as much as so many of them may say. */
const FASTEST = 10

/** So much may come at once, in milliseconds of the rate: what is served in one turn of the event loop stays short. */
const AT_ONCE_MS = 50

/**
 * Where the operator allows more peers, it is asked for what these say: an idle one says a message in nine seconds and pings in ten, and
 * three times as much is for whatever else they say.
 */
const OF_A_PEER = 1 / 2

/** What a message costs, measured in those that cost little. */
const costs: Partial<Record<FromPeer['type'], number>> = { hello: 10, connect: 5 }

/** The same of a ping or pong of the WebSocket itself. */
const FRAME_COST = 1 / 4

/** Messages of all links that wait. A link of which 64 kB were read at once has some hundreds. */
const WAITING = 50_000

/** Certificates whose pace is remembered. */
const CERTIFICATES = 10_000

export class Pace {
  readonly waiting = new Shares({ capacity: WAITING })
  readonly #perSecond: Bound
  readonly #now: () => number
  readonly #inAll: Shares
  readonly #hellos: Shares
  readonly #ofCertificate = new LRUCache<string, TokenBucket>(latest(CERTIFICATES))
  /** What those were made with. */
  #perSecondOfThese = 0

  /**
   * @param perSecond messages of one peer, of which a second's worth may be saved up
   * @param peers how many may be joined
   * @param now milliseconds on any clock that does not go back
   */
  constructor(perSecond: Bound, peers: Bound, now = () => performance.now()) {
    this.#perSecond = perSecond
    this.#now = now
    const atOnce = (rate: number) => (rate * AT_ONCE_MS) / 1000
    const capacity = () => atOnce(Math.max(IN_ALL, boundOf(perSecond) * FASTEST, boundOf(peers) * OF_A_PEER))
    // A network that has said nothing finds room for one peer's pace, whoever else is heard.
    this.#inAll = new Shares({ capacity, least: () => atOnce(boundOf(perSecond)), fadeMs: AT_ONCE_MS, now })
    this.#hellos = new Shares({ capacity: atOnce(HELLOS), fadeMs: AT_ONCE_MS, now })
  }

  /** Milliseconds until a holder may be heard; 0: now, and that is charged. */
  admit(holder: Holder): number {
    const restMs = this.untilMs(holder)
    if (restMs > 0) return restMs
    this.#inAll.charge(holder)
    this.#of(holder)?.charge(1)
    if (isStranger(holder)) this.#hellos.charge(holder)
    return 0
  }

  /** The same, and nothing is charged. */
  untilMs(holder: Holder): number {
    const restMs = this.#of(holder)?.untilMs() ?? 0
    if (restMs > 0) return restMs
    if (isStranger(holder) && !this.#hellos.hasRoom(holder)) return this.#retryMs(this.#hellos)
    return this.#inAll.hasRoom(holder) ? 0 : this.#retryMs(this.#inAll)
  }

  /** Where thousands wait, each asks again about as often as it has a chance: asking costs more than many a message. */
  #retryMs(shares: Shares): number {
    return shares.retryMs() * (1 + this.waiting.used / shares.capacity)
  }

  /** What was said costs more than most. */
  charge(holder: Holder, type: FromPeer['type']): void {
    const more = (costs[type] ?? 1) - 1
    if (more > 0) this.#inAll.charge(holder, more)
  }

  /** A frame that is no message. */
  frame(holder: Holder): void {
    this.#inAll.charge(holder, FRAME_COST)
    this.#of(holder)?.charge(FRAME_COST)
  }

  #of({ certificate }: Holder): TokenBucket | undefined {
    if (certificate === undefined) return undefined
    const perSecond = boundOf(this.#perSecond)
    if (perSecond !== this.#perSecondOfThese) this.#ofCertificate.clear()
    this.#perSecondOfThese = perSecond
    const known = this.#ofCertificate.get(certificate)
    if (known) return known
    const bucket = new TokenBucket({ perSecond, capacity: perSecond, now: this.#now })
    this.#ofCertificate.set(certificate, bucket)
    return bucket
  }
}

/** Nobody has a certificate before the hello, which is all that is heard of who has not joined. */
const isStranger = ({ certificate }: Holder): boolean => certificate === undefined
