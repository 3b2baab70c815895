// The story of one connect request: both peers are introduced, each strategy has its turn with what is known of the two
// sides (evidence.ts), each plan is tried (attempts.ts), and both are told what became of it. Everything that a request starts
// ends with it. What happens later to a relayed path is recorded by relayed.ts.
//   introduce ─► for each strategy: scene ─► turn: plan ─► attempt … ─► path or over, with a verdict

import { randomBytes } from 'node:crypto'
import type { SpanContext } from '@opentelemetry/api'
import { nowMs } from '../../clock.ts'
import { asPosternError, type Code, PosternError } from '../../errors.ts'
import type { Failure, Plan } from '../../strategy/plan.ts'
import { type Attempt, blockedSides, type Scene } from '../../strategy/scene.ts'
import { type Strategy, type Turn, takeTurn } from '../../strategy/turn.ts'
import { verdictAttributes } from '../../trace/record/verdict-attributes.ts'
import type { Verdict } from '../../verdict.ts'
import { type SideName, sideNames } from '../../wire/side.ts'
import type { Continues, FromGateway, FromPeer, Message } from '../../wire/signal.ts'
import { type Member, relayOnlyReason } from '../peers/member.ts'
import type { Change } from '../recording/change-span.ts'
import { askedMs } from '../recording/on-our-clock.ts'
import { turnAttributes } from '../recording/plan-span.ts'
import { pathAttributes, recordSides } from '../recording/request-span.ts'
import { errorAttributes, type Step, within } from '../recording/step.ts'
import { requestTrail, type Trail } from '../recording/trail.ts'
import type { SpliceCounters } from '../relay/counters.ts'
import { inTurns } from '../shares/judging.ts'
import { Attempts } from './attempts.ts'
import { Closing } from './closing.ts'
import { Evidence } from './evidence.ts'
import type { House } from './house.ts'
import { discreet, introduction, noPath, overMessage, pathMessage, turnMessage } from './messages.ts'
import type { Telling } from './neighbours.ts'
import { Relayed } from './relayed/relayed.ts'
import type { FromTrial } from './trial.ts'

export interface Connect {
  readonly caller: Member
  readonly callee: Member
  readonly request: number
  readonly traceparent?: string | undefined
  /** When the caller asked for it, on its own clock. */
  readonly atMs?: number | undefined
  /** The connection that another path is asked for. */
  readonly continues?: Continues | undefined
}

export type Ended = { kind: 'direct' | 'relay'; by: string } | { kind: 'failed'; code: Code; reason: string }

/** The plan that opened, and the strategy that made it. */
type Won = Readonly<{ plan: Plan; strategy: Strategy }>

/** A turn that nobody needs to take: nothing can be aimed at a side of which nothing was seen, or is to be. */
const passed = (reason: string): Turn => ({ outcome: 'passed', reason, cause: 'unsuited' })

/** The codes that a side may leave with. Any other code is the gateway's own, and a verdict would take it for that. */
const leavingCodes: readonly Code[] = ['io', 'timeout', 'fingerprint-mismatch', 'over-quota']

export class Session {
  readonly id = randomBytes(8).toString('hex')
  readonly caller: Member
  readonly callee: Member
  readonly keys = { caller: randomBytes(20), callee: randomBytes(20) }
  readonly probeKey = randomBytes(20)
  readonly #house: House
  readonly #asked: Connect
  readonly #trail: Trail
  readonly #arrivedMs = nowMs()
  /** When the caller asked, on our clock. */
  readonly #calledMs: number
  readonly #evidence: Evidence
  readonly #attempts: Attempts
  readonly #over = new AbortController()
  readonly #gone: AbortSignal
  readonly #closing: Closing
  #leaver: SideName | undefined
  #relayed: Relayed | undefined
  #root: SpanContext | undefined
  #isDecided = false

  constructor(house: House, asked: Connect, trail = requestTrail(house, asked.traceparent)) {
    this.#house = house
    this.#asked = asked
    this.#trail = trail
    this.caller = asked.caller
    this.callee = asked.callee
    this.#calledMs = askedMs(asked.atMs, this.caller.clock, this.#arrivedMs)
    this.#gone = AbortSignal.any([this.caller.gone, this.callee.gone, this.#over.signal])
    this.#closing = new Closing(house.deadlineMs, async () => this.#isLatched())
    const ask = (side: SideName, round: number) => this.#tell(side, { type: 'sample', session: this.id, round })
    const tell = (side: SideName, telling: Telling) => this.#tell(side, { ...telling, session: this.id })
    this.#evidence = new Evidence(house, {
      ...asked,
      inBackground: this.inBackground,
      gone: AbortSignal.any([this.#gone, this.#closing.all]),
      ask,
      tell
    })
    this.#attempts = new Attempts(house, this, this.#evidence)
  }

  /** Runs to the end; never throws. */
  async run(): Promise<Ended> {
    const { tracer, parent, name, attributes } = this.#trail
    try {
      return await within(tracer, parent, name, attributes(this), root => this.#connect(root), this.#calledMs)
    } finally {
      this.#isDecided = true
    }
  }

  async #connect(root: Step): Promise<Ended> {
    root.span.addEvent('asked', {}, this.#arrivedMs)
    this.#root = root.span.spanContext()
    try {
      const { request } = this.#asked
      const asked = { request, trace: this.#root.traceId, continues: this.continues?.session }
      this.#tellBoth(side => introduction(this, side, asked))
      const key = this.#trail.isOwn ? this.#house.keyOf(root.span) : undefined
      if (key) this.#tell('caller', { type: 'trace', request, trace: asked.trace, key })
      const won = await this.#firstPath(root).finally(() => this.#evidence.sides.giveBack())
      return await this.#conclude(root, won)
    } catch (thrown) {
      return await this.#fail(root, thrown)
    }
  }

  /** Gives the strategies their turns in the operator's order; the first path that opens wins. */
  async #firstPath(root: Step): Promise<Won> {
    using closing = this.#closing
    closing.begin()
    const relayOnly = relayOnlyReason(this)
    if (relayOnly && !this.#trail.strategies.some(({ lastResort }) => lastResort))
      throw new PosternError('no-path', `no path to ${this.callee.name}: ${relayOnly}, and this gateway has no relay`)
    const attempts: Attempt[] = []
    for (const strategy of this.#trail.strategies) {
      const over = AbortSignal.any([this.#gone, strategy.lastResort ? closing.all : closing.strategies])
      // The time spent waiting here counts for no strategy's turn.
      const scene = await this.#sceneFor(strategy, root, attempts)
      const startMs = performance.now()
      const turn = await root.within('postern.plugin', { 'postern.plugin': strategy.name }, async step => {
        const forRelay = strategy.lastResort ? undefined : (relayOnly ?? blockedSides(scene))
        const taken = forRelay
          ? passed(forRelay)
          : await takeTurn(inTurns(strategy, this.#house.judging, this.caller.account), scene, {
              over,
              scene: () => this.#sceneFor(strategy, root, attempts),
              sample: sides => this.#evidence.sample(step, sides, over),
              attempt: plan => this.#attempt(step, plan, strategy, over)
            })
        step.set(turnAttributes(taken))
        return taken
      })
      this.#tell('caller', turnMessage(this, strategy, turn, performance.now() - startMs))
      if (turn.outcome === 'path') return { plan: turn.plan, strategy }
      attempts.push({ by: strategy.name, ...turn })
    }
    throw noPath(this.callee, attempts)
  }

  /** Throws `no-path` where the time for the whole request is over before the scene is known. */
  async #sceneFor({ name }: Strategy, root: Step, attempts: readonly Attempt[]): Promise<Scene> {
    try {
      return await this.#evidence.scene(root, attempts)
    } catch (thrown) {
      if (this.#gone.aborted || !this.#closing.all.aborted) throw thrown
      const late: Attempt = { by: name, outcome: 'failed', reason: 'the time was over', cause: 'deadline' }
      throw noPath(this.callee, [...attempts, late])
    }
  }

  async #isLatched(): Promise<boolean> {
    const { caller, callee } = await this.#house.relay.latched(this.id)
    return caller !== undefined && callee !== undefined
  }

  async #attempt(step: Step, plan: Plan, strategy: Strategy, over: AbortSignal): Promise<true | Failure> {
    const wanted = this.#wanted
    if (wanted && wanted !== (plan.limits ? 'relay' : 'direct'))
      return { reason: `the path is to be ${inWords[wanted]}`, cause: 'unsuited' }
    const result = await this.#attempts.try(step, plan, strategy, over)
    this.#gone.throwIfAborted()
    if (result !== true && this.isLeft) throw new PosternError('io', 'a side left before the path was open on both')
    return result
  }

  /** The only kind of path that is wanted. A strategy of any name may plan for the relay, and the last one for another path. */
  get #wanted(): Continues['only'] | undefined {
    return relayOnlyReason(this) ? 'relay' : this.continues?.only
  }

  async #conclude(root: Step, { plan, strategy: { name: by } }: Won): Promise<Ended> {
    const kind = plan.limits ? 'relay' : 'direct'
    root.set(pathAttributes({ kind, by, why: plan.why }))
    const verdict = this.#judge(root)
    if (plan.limits) this.#relayed = new Relayed(root)
    const passing = plan.limits && (await this.#house.relay.passing(this.id))
    const bitsPerSecond = (side: SideName) => passing?.[side] ?? plan.limits?.perSession
    this.#tellBoth(side => pathMessage(this, { by, bitsPerSecond: bitsPerSecond(side), verdict }))
    return { kind, by }
  }

  /** Nobody waits for a path any more, so there is time to wait for the reports of both sides: the verdict rests on them. */
  async #fail(root: Step, thrown: unknown): Promise<Ended> {
    const error = asPosternError(thrown)
    const lost = sideNames.find(which => this[which].gone.aborted)
    const side = error.code === 'peer-offline' ? (lost ?? this.#leaver) : (this.#leaver ?? lost)
    await this.#attempts.reports.settled()
    root.set({ ...(side ? { 'postern.side': side } : {}), ...errorAttributes(thrown) })
    const verdict = this.#judge(root)
    this.#tellBoth(() => overMessage(this, error, { trace: root.span.spanContext().traceId, verdict }))
    return { kind: 'failed', code: error.code, reason: error.message }
  }

  /** Called when everything else has been recorded. */
  #judge(root: Step): Verdict | undefined {
    this.#attempts.reports.close()
    // What stood in the way is judged of the request that made a connection.
    if (this.continues) return undefined
    recordSides(root, this, { observer: this.#house.observer, calledMs: this.#calledMs })
    const verdict = this.#house.judge(root.span)
    if (verdict) root.set(verdictAttributes(verdict))
    return verdict
  }

  /** Takes what a side says of an order, of the fresh socket it was asked for, or of what it heard on its links. */
  receive(side: SideName, message: FromTrial | Message<FromPeer, 'fresh' | 'beacon'>): void {
    if (message.type === 'fresh') this.#evidence.sides.shown(side, message)
    else if (message.type === 'beacon') this.#evidence.neighbours.heard(side, message)
    else this.#attempts.receive(side, message)
  }

  /**
   * A side wants nothing more of this session. If it has opened the path, the session goes on until the other side has opened
   * it or failed. If the search is still under way, the session ends, and waits only for the other side's report.
   */
  leave(side: SideName, code: string, reason: string): void {
    if (!this.#isDecided && this.#attempts.hasOpened(side)) {
      this.#leaver ??= side
      return
    }
    // The side that had opened the path may have left already, because this side closed it. It is this side that ends the
    // session, and says why.
    if (!this.#over.signal.aborted) this.#leaver = side
    const known = leavingCodes.find(one => one === code) ?? 'io'
    this.#over.abort(new PosternError(known, `${this[side].name} left: ${reason}`))
  }

  /** The session is not wanted any more, whatever it has found. */
  giveUp(why: PosternError): void {
    this.#over.abort(why)
  }

  /** The connection that this session looks for another path of. */
  get continues(): Continues | undefined {
    return this.#asked.continues
  }

  /**
   * Nobody waits for what it finds, since its two sides are connected over the relay. Without a relay they are not: then their path
   * was lost. Nor are they where the path before is too narrow for their packets.
   */
  get inBackground(): boolean {
    const { only, mtu } = this.continues ?? {}
    return only === 'direct' && mtu === undefined && this.#house.strategies.some(({ lastResort }) => lastResort)
  }

  /** Where it is recorded, once it has begun. */
  get root(): SpanContext | undefined {
    return this.#root
  }

  /** The request is over: there is a path, or there will be none. */
  get isDecided(): boolean {
    return this.#isDecided
  }

  /** A side has left. If it had opened the path, the request may still end with a path. */
  get isLeft(): boolean {
    return this.#leaver !== undefined
  }

  /** The relayed path, once there is one. */
  get relayed(): Relayed | undefined {
    return this.#relayed
  }

  /** The relayed path has changed. */
  changed(change: Change): void {
    this.#relayed?.changed(change)
  }

  /** The relay of this session has ended. */
  ended(counters: SpliceCounters): void {
    this.#relayed?.ended(this.#leaver, counters)
  }

  /** @param id of a member */
  sideOf(id: string): SideName | undefined {
    return sideNames.find(side => this[side].id === id)
  }

  #tell(side: SideName, message: FromGateway): void {
    this.#house.commander.command([{ peer: this[side].id, message: this.#said(message) }])
  }

  #tellBoth(messageFor: (side: SideName) => FromGateway): void {
    const messages = sideNames.map(side => ({ peer: this[side].id, message: this.#said(messageFor(side)) }))
    this.#house.commander.command(messages)
  }

  #said(message: FromGateway): FromGateway {
    return relayOnlyReason(this) ? discreet(message) : message
  }
}

const inWords = { relay: 'through the relay', direct: 'direct' } as const
