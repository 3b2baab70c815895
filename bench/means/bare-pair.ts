// The parent's end of two bare peers (bare.ts), one on each of two hosts.

import { Driven } from '../../test/lab/driven.ts'
import type { Host } from '../../test/lab/world.ts'
import type { BareDeeds } from './bare.ts'

export class BarePair implements AsyncDisposable {
  readonly processes: readonly [Driven<BareDeeds>, Driven<BareDeeds>]
  readonly #stun: string

  constructor(hosts: readonly [Host, Host], stun: string) {
    const script = new URL('bare.ts', import.meta.url)
    this.processes = [new Driven<BareDeeds>(hosts[0], script), new Driven<BareDeeds>(hosts[1], script)]
    this.#stun = stun
  }

  /** The side that offers is the DTLS server: it learns the other's candidates second, or a lost hello costs 1 s. */
  async open(): Promise<void> {
    const [a, b] = this.processes
    const stun = this.#stun
    const offer = await a.do('offer', { stun })
    const answer = await b.do('answer', { stun, sdp: offer.sdp })
    await b.do('add', offer)
    await a.do('accept', answer)
    await Promise.all([a.do('opened', {}), b.do('opened', {})])
  }

  async blast(bytes: number, messageBytes: number): Promise<number> {
    return await this.processes[0].do('blast', { bytes, messageBytes })
  }

  async shut(): Promise<void> {
    const [a, b] = this.processes
    await Promise.all([a.do('shut', { first: true }), b.do('shut', { first: false })])
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.processes.map(process => process[Symbol.asyncDispose]()))
  }
}
