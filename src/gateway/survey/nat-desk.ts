// A peer asks what its network is like. The sockets it has just shown are judged as the sockets of a connection would be, and
// the strategies are asked what they could do with the result. That takes tens of milliseconds of computing, so it is done in
// turns (shares/judging.ts), seldom for each certificate, and within the share of its network.

import { LRUCache } from 'lru-cache'
import { nowMs, timeoutSignal } from '../../clock.ts'
import { asPosternError, PosternError } from '../../errors.ts'
import { fit } from '../../nat/assignment.ts'
import type { Strategy } from '../../strategy/turn.ts'
import type { NatReport } from '../../wire/nat-report.ts'
import type { FromGateway, FromPeer, Message } from '../../wire/signal.ts'
import type { Commander } from '../peers/commander.ts'
import { Full, later } from '../peers/full.ts'
import type { Member } from '../peers/member.ts'
import { observationsOf, sideOf, type Watch } from '../session/side-seen.ts'
import { inTurns } from '../shares/judging.ts'
import { latest } from '../shares/latest.ts'
import { prospects } from './prospects.ts'

type Question = Message<FromPeer, 'nat'>

/** How often a certificate may have an answer, in milliseconds, over all its links. */
const EVERY_MS = 1000

/** Certificates whose last answer is remembered. */
const REMEMBERED = 10_000

/** How long an answer waits for the filtering test, in milliseconds. */
const FILTERING_MS = 2000

export class NatDesk {
  /** Questions that came too early, or found no time left for them. */
  refused = 0
  readonly #watch: Watch
  readonly #commander: Commander
  readonly #strategies: () => readonly Strategy[]
  readonly #now: () => number
  /** When each certificate asked last. */
  readonly #asked = new LRUCache<string, number>(latest(REMEMBERED))

  /** @param now milliseconds since some moment */
  constructor(
    watch: Watch & { readonly commander: Commander },
    strategies: () => readonly Strategy[],
    now: () => number = () => performance.now()
  ) {
    this.#now = now
    this.#watch = watch
    this.#commander = watch.commander
    this.#strategies = strategies
  }

  /** Sends the report, or the reason why there is none. Never throws. */
  async answer(peer: Member, question: Question): Promise<void> {
    const { request } = question
    try {
      this.#admit(peer)
      await peer.filteringKnown(timeoutSignal(FILTERING_MS))
      this.#tell(peer, { type: 'nat', request, report: await this.#report(peer, question) })
    } catch (thrown) {
      const { code, message, retryMs } = asPosternError(thrown)
      if (thrown instanceof Full) this.refused++
      const again = retryMs === undefined ? {} : { retryMs }
      this.#tell(peer, { type: 'refused', request, code, reason: message, ...again })
    }
  }

  #tell({ id }: Member, message: FromGateway): void {
    this.#commander.command([{ peer: id, message }])
  }

  /** Throws `timeout` where it is too early. */
  #admit(peer: Member): void {
    const waitMs = (this.#asked.get(peer.fingerprint) ?? -Infinity) + EVERY_MS - this.#now()
    if (waitMs > 0) throw later('judging', 'the network was judged a moment ago', waitMs, EARLY)
    const { judging } = this.#watch
    if (!judging.hasRoom(peer.account))
      throw later('judging', 'the gateway judges many networks now', judging.retryMs(), EARLY)
    this.#asked.set(peer.fingerprint, this.#now())
  }

  async #report(peer: Member, { sockets, addresses, rttMs }: Question): Promise<NatReport> {
    const { observer, history, sources, judging } = this.#watch
    const shown = await Promise.all(
      sockets.map(async ({ socket, port }) => ({ socket, port, samples: await observer.samples(peer.id, socket) }))
    )
    const [last] = shown.slice(-1)
    if (!last || last.samples.length === 0)
      throw new PosternError('udp-blocked', 'no UDP datagram of this socket reached the gateway')
    const socket = { port: last.port, addresses, rttMs }
    const [first] = last.samples
    const isHidden = first !== undefined && sources.isHidden(peer, first.mapped, addresses)
    if (!isHidden)
      for (const { samples, port } of shown.slice(0, -1)) history.learn(peer.fingerprint, observationsOf(samples, port))
    const asker = peer.account
    const seen = { socket, samples: last.samples, aiming: { caller: peer } }
    const shownSide = await sideOf(this.#watch, peer, seen, observations =>
      judging.run(asker, () => fit(observations).describe())
    )
    // The sockets that were shown are not those that connections take: one of these may have a forward.
    const { open, router } = peer
    const side = { ...shownSide, ...(open ? { open } : {}) }
    const { mapping, filtering, translated, assignment } = side.profile
    const strategies = this.#strategies().map(strategy => inTurns(strategy, judging, asker))
    return {
      mapping,
      filtering,
      translated,
      ...(isHidden ? { hidden: { reached: peer.gateway.address } } : {}),
      addresses: [...new Set(shown.flatMap(({ samples }) => samples.map(({ mapped }) => mapped.address)))],
      certain: mapping !== 'unknown',
      samples: shown.flatMap(({ socket, samples }) => samples.map(({ via, mapped }) => ({ via, mapped, socket }))),
      ...(assignment ? { allocation: assignment } : {}),
      rttMs,
      ...(open ? { forward: open } : {}),
      ...(router ? { router: router.answer } : {}),
      prospects: isHidden ? [] : await prospects(strategies, side, nowMs())
    }
  }
}

const EARLY = { code: 'timeout' } as const
