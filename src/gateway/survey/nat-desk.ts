// A peer asks what its network is like: the sockets it has just shown are judged as those of a connection would be, and
// the strategies are asked what they could do with that.

import { nowMs, timeoutSignal } from '../../clock.ts'
import { asPosternError, PosternError } from '../../errors.ts'
import { fit } from '../../nat/assignment.ts'
import type { Link } from '../../strategy/chain.ts'
import type { NatReport } from '../../wire/nat-report.ts'
import type { FromPeer, Message } from '../../wire/signal.ts'
import type { Joined } from '../peers/joined.ts'
import { observationsOf, sideOf, type Watch } from '../session/sides.ts'
import { prospects } from './prospects.ts'

type Question = Message<FromPeer, 'nat'>

/** An answer takes some tens of milliseconds of computing: so often may a peer have one. */
const EVERY_MS = 1000

/** How long the test of the filter is waited for. */
const FILTERING_MS = 2000

export class NatDesk {
  readonly #watch: Watch
  readonly #links: readonly Link[]
  readonly #asked = new WeakMap<Joined, number>()

  constructor(watch: Watch, links: readonly Link[]) {
    this.#watch = watch
    this.#links = links
  }

  /** Sends the report, or why there is none. Never throws. */
  async answer(peer: Joined, question: Question): Promise<void> {
    const { request } = question
    try {
      this.#admit(peer)
      await peer.filteringKnown(timeoutSignal(FILTERING_MS))
      peer.send({ type: 'nat', request, report: await this.#report(peer, question) })
    } catch (thrown) {
      const { code, message } = asPosternError(thrown)
      peer.send({ type: 'refused', request, code, reason: message })
    }
  }

  #admit(peer: Joined): void {
    const waitMs = (this.#asked.get(peer) ?? -Infinity) + EVERY_MS - performance.now()
    if (waitMs > 0) throw new PosternError('timeout', 'the network was judged a moment ago; ask again in a second')
    this.#asked.set(peer, performance.now())
  }

  async #report(peer: Joined, { sockets, addresses, rttMs }: Question): Promise<NatReport> {
    const { observer, history } = this.#watch
    const shown = sockets.map(({ socket, port }) => ({ socket, port, samples: observer.samples(peer.id, socket) }))
    const [last] = shown.slice(-1)
    if (!last || last.samples.length === 0)
      throw new PosternError('udp-blocked', 'no UDP datagram of this socket reached the gateway')
    for (const { samples, port } of shown.slice(0, -1)) history.learn(peer.fingerprint, observationsOf(samples, port))
    const socket = { port: last.port, addresses, rttMs }
    const side = sideOf(this.#watch, peer, { socket, samples: last.samples }, seen => fit(seen).describe())
    const { mapping, filtering, translated, allocation } = side.profile
    return {
      mapping,
      filtering,
      translated,
      addresses: [...new Set(shown.flatMap(({ samples }) => samples.map(({ mapped }) => mapped.address)))],
      certain: mapping !== 'unknown',
      samples: shown.flatMap(({ socket, samples }) => samples.map(({ via, mapped }) => ({ via, mapped, socket }))),
      ...(allocation ? { allocation } : {}),
      rttMs,
      prospects: await prospects(this.#links, side, nowMs())
    }
  }
}
