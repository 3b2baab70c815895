// One order of the gateway, obeyed: find the path with the raw socket, hand the socket over, report. The kinds of order
// differ only in what comes before the handover.
//
//   ice      passive: hand over at once, the first ICE check is the punch        active: as punch, for a moment
//   punch    passive: probe until one is answered                                 active: probe until the check comes
//   splice   latch at the gateway's relay, then as punch with the gateway as the only target

import { setTimeout as sleep } from 'node:timers/promises'
import type { Endpoint } from '../wire/endpoint.ts'
import type { FromGateway, Message, Report } from '../wire/signal.ts'
import { handOver, type Opened } from './handover.ts'
import type { Identity } from './identity.ts'
import { type Counts, findPath } from './probe.ts'
import { prove, type WarmSocket } from './warm.ts'

export interface Obeying {
  readonly warm: WarmSocket
  readonly identity: Identity
  readonly role: 'caller' | 'callee'
  /** Signs what goes to the gateway within the session. */
  readonly key: Buffer
  /** Signs what goes to the other side. */
  readonly probeKey: Buffer
  /** Called when the path is found and the socket is about to be handed over. */
  readonly found: () => void
  /** Aborted when the order is called off. */
  readonly signal: AbortSignal
}

/** What happened and when, for the trace; it grows until the order is done. */
export class Diary {
  readonly #startMs = performance.now()
  readonly #steps: [string, number][] = []
  readonly counts: Counts = { sent: 0, received: 0 }

  step(name: string): void {
    if (this.#steps.length < 30) this.#steps.push([name, Math.round((performance.now() - this.#startMs) * 100) / 100])
  }

  report(): Report {
    return { steps: [...this.#steps], ...this.counts }
  }
}

/** Resolves with the open connection. Rejects with what `signal` aborts with, `timeout`, or `io`. */
export async function obey(message: Message<FromGateway, 'order'>, obeying: Obeying, diary: Diary): Promise<Opened> {
  const { warm, identity, signal } = obeying
  const late = AbortSignal.any([signal, AbortSignal.timeout(Math.ceil(message.waitMs + message.handoverMs))])
  const step = (name: string) => diary.step(name)
  const remote = await path(message, { ...obeying, signal: late }, diary)
  obeying.found()
  return await handOver(warm.raw, { handover: message.handover, remote, identity, step, signal: late })
}

async function path(
  { order, handover, session, afterMs, patienceMs }: Message<FromGateway, 'order'>,
  obeying: Obeying,
  diary: Diary
): Promise<Endpoint> {
  const { warm, probeKey, role, key, signal } = obeying
  const step = (name: string) => diary.step(name)
  const punch = (targets: readonly Endpoint[], patienceMs?: number) =>
    findPath(warm.raw, { targets, probeKey, handover, signal, step, patienceMs }, diary.counts)
  switch (order.kind) {
    case 'ice':
      if (handover.role === 'active') return await punch(order.targets, patienceMs)
      if (afterMs > 0) await sleep(afterMs, undefined, { signal })
      return order.targets[0] ?? (await punch([]))
    case 'punch':
      return await punch(order.targets)
    case 'splice':
      await prove(warm.raw, order.target, `s:${session}:${role}`, { key, nonce: warm.nonce, signal })
      diary.step('latched')
      return await punch([order.target])
  }
}
