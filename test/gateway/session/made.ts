// What a session lives in, made by hand: members without a link, an observer that has seen what a test says, a commander
// that keeps what was commanded, and the gateway's own relay and memory.

import { ROOT_CONTEXT } from '@opentelemetry/api'
import { Budget, type ProbeLimits } from '../../../src/gateway/memory/budget.ts'
import { History } from '../../../src/gateway/memory/history.ts'
import { Outcomes } from '../../../src/gateway/memory/outcomes.ts'
import { Paths } from '../../../src/gateway/memory/paths.ts'
import { type Identified, Joined } from '../../../src/gateway/peers/joined.ts'
import type { WarmSocket } from '../../../src/gateway/peers/member.ts'
import type { Observer } from '../../../src/gateway/peers/observer.ts'
import { type Step, within } from '../../../src/gateway/recording/step.ts'
import { LocalRelay } from '../../../src/gateway/relay/relay.ts'
import type { House } from '../../../src/gateway/session/house.ts'
import { Judging } from '../../../src/gateway/shares/judging.ts'
import type { Sample } from '../../../src/nat/profile.ts'
import type { Plan } from '../../../src/strategy/plan.ts'
import type { Order } from '../../../src/wire/order.ts'
import type { FromGateway, Message } from '../../../src/wire/signal.ts'
import { recorder } from '../../trace/recorder.ts'

export const endpoints = ['203.0.113.1', '203.0.113.2'].flatMap(address =>
  [3478, 3479].map(port => ({ address, port }))
) as [{ address: string; port: number }, ...{ address: string; port: number }[]]

/** A member whose link is a pair of hands. */
export class Hand extends Joined {
  readonly said: FromGateway[]
  readonly leave: (why: Error) => void
  /** Whatever it is hailed with, it lives, unless a test says when it was heard last. */
  readonly link: { heardMs: number }

  constructor(name: string, more: Partial<Identified> = {}) {
    const gone = new AbortController()
    const said: FromGateway[] = []
    const who = { id: name, name, named: true, fingerprint: `print of ${name}`, accepts: true, key: Buffer.alloc(20) }
    const link = {
      gone: gone.signal,
      heardMs: Number.POSITIVE_INFINITY,
      hail: () => {},
      send: (message: FromGateway) => void said.push(message)
    }
    super({ ...who, endpoints, ...more }, link)
    this.link = link
    this.said = said
    this.leave = why => gone.abort(why)
  }
}

export const socket = (number: number, more: Partial<WarmSocket> = {}): WarmSocket => ({
  number,
  port: 4000 + number,
  addresses: [{ address: '10.0.0.2', prefix: 24 }],
  rttMs: 10,
  ...more
})

/** Has seen of each peer's sockets what it was shown. */
export class Eyes implements Observer {
  readonly #samples = new Map<string, Sample[]>()
  readonly #changed = new EventTarget()

  /** A socket was seen at this public address: at one port by all endpoints, or at one by each of the first ones. */
  sees({ id }: Hand, number: number, address: string, ports: number | readonly number[] = 4000 + number): void {
    const each = typeof ports === 'number' ? endpoints.map(() => ports) : ports
    const samples = each.map((port, at) => {
      const via = endpoints[at] ?? endpoints[0]
      return { via, primary: at === 0, mapped: { address, port }, atMs: at, sinceMs: at }
    })
    this.#samples.set(`${id} ${number}`, samples)
    this.#changed.dispatchEvent(new Event('change'))
  }

  async samples(peer: string, number: number): Promise<readonly Sample[]> {
    return this.#samples.get(`${peer} ${number}`) ?? []
  }

  async seen(peer: string, number: number, count: number, signal: AbortSignal): Promise<void> {
    while ((await this.samples(peer, number)).length < count && !signal.aborted)
      await new Promise<void>(resolve => {
        signal.addEventListener('abort', () => resolve(), { once: true })
        this.#changed.addEventListener('change', () => resolve(), { once: true })
      })
  }

  /** What a peer says of its round trips is so, unless a test says otherwise. */
  rttMs = (_peer: string): number => Number.POSITIVE_INFINITY
  endpoints = () => endpoints
  iceEndpoints = () => ({ endpoints })
  admit = () => {}
  dismiss = () => {}
  remapped = () => undefined
  heardOthers = () => false
  deaf = () => []
}

export type Told = Readonly<{ peer: string; message: FromGateway }>

/** All that sessions share. What is commanded is kept in `told`, and handed to `onTold`. */
export class Home implements House, Disposable {
  readonly told: Told[] = []
  onTold: (told: Told) => void = () => {}
  readonly #recorder = recorder()
  readonly tracer = this.#recorder.tracer
  readonly spans = this.#recorder.spans
  readonly observer = new Eyes()
  readonly history = new History()
  readonly sources = { isHidden: (): boolean => false }
  readonly paths = new Paths()
  readonly outcomes = new Outcomes()
  readonly judging = new Judging()
  readonly budget: Budget
  readonly relay: LocalRelay
  deadlineMs = 60_000
  /** One that has nothing to propose. */
  strategies: House['strategies'] = [{ name: 'mine', planner: { plan: () => [] }, lastResort: false }]
  readonly judge = () => undefined
  readonly keyOf = () => undefined
  readonly commander = {
    isJoined: (_id: string): boolean => true,
    command: (all: readonly Told[]) => {
      this.told.push(...all)
      for (const told of all) this.onTold(told)
    }
  }

  constructor({ relayed = 8, ...limits }: Partial<ProbeLimits> & { relayed?: number } = {}) {
    // The budget's clock stands still: what was taken is gone until it is given back. A pair has 100 at each address.
    this.budget = new Budget({ probesPerAddress: 400, probesInAll: 4000, ...limits }, () => 0)
    this.relay = new LocalRelay({ maxSessions: relayed })
  }

  /** What was commanded of one type, without what was read before. */
  heard<Type extends FromGateway['type']>(type: Type): Message<FromGateway, Type>[] {
    return this.told.flatMap(({ message }) => (message.type === type ? [message as Message<FromGateway, Type>] : []))
  }

  /** Runs something as a step of a trace. */
  step<T>(run: (step: Step) => Promise<T>): Promise<T> {
    return within(this.tracer, ROOT_CONTEXT, 'postern.connect', {}, run)
  }

  [Symbol.dispose](): void {
    this.relay[Symbol.dispose]()
  }
}

/** Keeps the process waiting, for timers that do not by themselves. */
export function awake(): Disposable {
  const timer = setInterval(() => {}, 1000)
  return { [Symbol.dispose]: () => clearInterval(timer) }
}

/** Two that have a warm socket each, seen by all endpoints, and whose NATs keep no secrets. */
export function pair(
  { observer }: Pick<Home, 'observer'>,
  more: Partial<WarmSocket> = {}
): { caller: Hand; callee: Hand } {
  const [caller, callee] = [new Hand('ann'), new Hand('bob')]
  for (const [at, peer] of [caller, callee].entries()) {
    peer.warmed(socket(0, more))
    peer.filters({ port: true, address: true })
    observer.sees(peer, 0, `192.0.2.${at + 1}`)
  }
  return { caller, callee }
}

export const punch: Order = { kind: 'punch', targets: [{ address: '192.0.2.9', port: 9 }] }

export const planOf = (more: Partial<Plan> = {}): Plan => ({
  ...{ kind: 'plan', caller: punch, callee: punch, waitMs: 60_000, why: 'why not' },
  ...more
})
