// The story of one connect request: observe both sockets, profile both NATs, walk the strategies, and tell both peers
// what became of it. Everything it starts ends with it.

import { randomBytes } from 'node:crypto'
import type { Context } from '@opentelemetry/api'
import { nowMs, timeoutSignal } from '../../clock.ts'
import { asPosternError, type Code, PosternError } from '../../errors.ts'
import { type Link, type Turn, walk } from '../../strategy/chain.ts'
import { type Failure, type Plan, probesOf } from '../../strategy/plan.ts'
import type { Attempt, Scene } from '../../strategy/scene.ts'
import { verdictAttributes } from '../../trace/verdict/verdict.ts'
import type { Verdict } from '../../verdict.ts'
import { CALLED_OFF, STALE_SOCKET } from '../../wire/order.ts'
import { otherRole, type Role, roles } from '../../wire/role.ts'
import { type FromGateway, type FromPeer, type Message, OVER_CHARACTERS } from '../../wire/signal.ts'
import type { Joined } from '../peers/joined.ts'
import { type Change, counterAttributes, recordChange } from '../recording/change.ts'
import { askedMs } from '../recording/clock.ts'
import { recordJoin } from '../recording/join.ts'
import { latchAttributes, planAttributes } from '../recording/plan.ts'
import { recordProfile } from '../recording/profile.ts'
import { Reports } from '../recording/reports.ts'
import { requestAttributes, sidesAttributes } from '../recording/request.ts'
import { errorAttributes, failureAttributes, parentOf, recordShowing, type Step, within } from '../recording/spans.ts'
import type { SpliceCounters } from '../relay/splice.ts'
import type { House } from './house.ts'
import { activeOf, blindOf, flowsOf, handoverMsOf, ordersOf } from './orders.ts'
import { Sides } from './sides.ts'
import { type FromTrial, Trial, type TrialResult } from './trial.ts'

export interface Connect {
  readonly caller: Joined
  readonly callee: Joined
  readonly request: number
  readonly traceparent?: string | undefined
  /** When the caller asked for it, on its own clock. */
  readonly atMs?: number | undefined
}

export type Ended = { kind: 'direct' | 'relay'; by: string } | { kind: 'failed'; code: Code }

/** What a side may leave for. Any other code is the gateway's own, and a verdict would take it for that. */
const leavingCodes: readonly Code[] = ['io', 'timeout', 'fingerprint-mismatch']

/** Changes of a relayed path's source that a trace has: a side that flaps must not fill it. */
const RELATCHES = 16

export class Session {
  readonly id = randomBytes(8).toString('hex')
  readonly caller: Joined
  readonly callee: Joined
  /** What each side signs its own datagrams to the gateway with. */
  readonly keys = { caller: randomBytes(20), callee: randomBytes(20) }
  readonly #probeKey = randomBytes(20)
  readonly #house: House
  readonly #asked: Connect
  readonly #sides: Sides
  readonly #reports: Reports
  readonly #over = new AbortController()
  readonly #gone: AbortSignal
  /** The plan that is being tried. */
  #trial: Trial | undefined
  #leaver: Role | undefined
  #isDecided = false
  #plans = 0
  /** The span of the strategy whose turn it is. */
  #parent: Context = parentOf(undefined)
  /** The root, once the path is relayed: what becomes of it later is recorded beneath. */
  #relayed: Context | undefined
  #relatches = 0

  constructor(house: House, asked: Connect) {
    const { caller, callee } = asked
    this.#house = house
    this.caller = caller
    this.callee = callee
    this.#asked = asked
    this.#gone = AbortSignal.any([caller.gone, callee.gone, this.#over.signal])
    this.#sides = new Sides(house, { caller, callee, gone: this.#gone })
    this.#reports = new Reports(house.tracer, { caller, callee })
  }

  /** Runs to the end; never throws. */
  async run(): Promise<Ended> {
    const { tracer } = this.#house
    const { traceparent, atMs } = this.#asked
    const arrivedMs = nowMs()
    const calledMs = askedMs(atMs, this.caller.clock, arrivedMs)
    const connect = async (root: Step): Promise<Ended> => {
      root.span.addEvent('asked', {}, arrivedMs)
      try {
        this.#introduce(root.span.spanContext().traceId)
        const won = await this.#connect(root).finally(() => this.#sides.giveBack())
        return this.#conclude(root, won, calledMs)
      } catch (thrown) {
        return await this.#fail(root, thrown, calledMs)
      }
    }
    const attributes = requestAttributes(this, this.#house)
    try {
      return await within(tracer, parentOf(traceparent), 'postern.connect', attributes, connect, calledMs)
    } finally {
      this.#isDecided = true
    }
  }

  /**
   * What a peer says of a plan; words about an older one are recorded, and come too late to matter. So does what had come of an
   * order when it was called off: whoever called it off has ended the plan, or is about to leave.
   */
  receive(role: Role, message: FromTrial): void {
    if (message.type !== 'progress') this.#reports.received(role, message)
    if (message.plan !== this.#plans || (message.type === 'failed' && message.code === CALLED_OFF)) return
    this.#trial?.receive(role, message)
  }

  /** A side shows the fresh socket it was asked for. */
  shown(role: Role, message: Message<FromPeer, 'fresh'>): void {
    this.#sides.shown(role, message)
  }

  /**
   * A side wants nothing more of this session. Where it has opened the path, the other side's word on that is awaited; while
   * the search is under way, what the other side reports of it.
   */
  leave(role: Role, code: string, reason: string): void {
    if (this.#trial?.hasOpened(role)) {
      this.#leaver ??= role
      return
    }
    // Who had opened the path may have left already, because this one closed it: this one ends the session, and says why.
    if (!this.#over.signal.aborted) this.#leaver = role
    const known = leavingCodes.find(one => one === code) ?? 'io'
    this.#over.abort(new PosternError(known, `${this[role].name} left: ${reason}`))
  }

  /** The request is over: there is a path, or there will be none. */
  get isDecided(): boolean {
    return this.#isDecided
  }

  /** A side opened the path and has left already. */
  get isLeft(): boolean {
    return this.#leaver !== undefined
  }

  /** Something became of the relayed path. */
  changed(change: Change): void {
    if (!this.#relayed || (change.kind === 'relatched' && ++this.#relatches > RELATCHES)) return
    recordChange(this.#house.tracer, this.#relayed, change)
  }

  /** Its relay is over. */
  ended(counters: SpliceCounters): void {
    this.changed({ kind: 'ended', side: this.#leaver, counters })
  }

  roleOf(peer: Joined): Role | undefined {
    return peer === this.caller ? 'caller' : peer === this.callee ? 'callee' : undefined
  }

  #introduce(traceId: string): void {
    const message = (role: Role): Message<FromGateway, 'session'> => ({
      type: 'session',
      session: this.id,
      ...(role === 'caller' ? { request: this.#asked.request } : {}),
      role,
      peer: {
        name: this[otherRole(role)].name,
        fingerprint: this[otherRole(role)].fingerprint,
        named: this[otherRole(role)].named
      },
      key: this.keys[role].toString('base64'),
      probeKey: this.#probeKey.toString('base64'),
      trace: traceId
    })
    this.#house.commander.command(roles.map(role => ({ peer: this[role].id, message: message(role) })))
  }

  async #connect(root: Step): Promise<{ plan: Plan; link: Link }> {
    using deadline = timeoutSignal(this.#house.deadlineMs)
    let won: { plan: Plan; link: Link } | undefined
    const attempts = await walk(this.#house.links, {
      scene: tried => this.#scene(root.context, tried),
      over: link => (link.lastResort ? this.#gone : AbortSignal.any([this.#gone, deadline])),
      sample: (sides, over) => this.#sample(sides, over),
      turn: (link, run) => this.#turn(root.context, link, run),
      attempt: async (plan, link, over) => {
        const result = await this.#attempt(plan, link, over)
        this.#gone.throwIfAborted()
        if (result === true) won = { plan, link }
        else if (this.isLeft) throw new PosternError('io', 'a side left before the path was open on both')
        return result
      }
    })
    if (!won) throw new PosternError('no-path', `no path to ${this.callee.name}: ${summary(attempts)}`)
    return won
  }

  /** Both sockets observed and profiled; only what is missing is waited for. */
  async #scene(parent: Context, attempts: readonly Attempt[]): Promise<Scene> {
    this.#gone.throwIfAborted()
    const { missing } = this.#sides
    if (missing.length > 0) await this.#observe(parent, missing)
    await this.#judgeFilters(parent)
    const scene = this.#seen(attempts)
    if (missing.length > 0) for (const role of roles) recordProfile(this.#house.tracer, parent, role, scene[role])
    return scene
  }

  async #observe(parent: Context, missing: readonly Role[]): Promise<void> {
    const sinceMs = nowMs()
    const attributes = { 'postern.sides': missing.join(' ') }
    try {
      await within(this.#house.tracer, parent, 'postern.observe', attributes, async ({ span }) =>
        this.#sides.take(missing, showing => recordShowing(span, showing, sinceMs))
      )
    } catch (error) {
      await this.#askOther(parent)
      throw error
    }
  }

  /** One side is not heard. Whether the other, which was heard at some time, is so now tells whose fault that is. */
  async #askOther(parent: Context): Promise<void> {
    const heard = this.#sides.takeWarm()
    if (heard.length === 1 && !this.#gone.aborted) await this.#sample(heard, this.#gone, parent)
  }

  /** Two endpoint-independent mappings meet whatever the filters do; any other pair depends on what the tests say of them. */
  async #judgeFilters(parent: Context): Promise<void> {
    const sides = this.#sides.untested
    if (sides.length === 0) return
    const attributes = { 'postern.sides': sides.join(' '), 'postern.test': 'filtering' }
    await within(this.#house.tracer, parent, 'postern.observe', attributes, () => this.#sides.filteringKnown(sides))
  }

  #seen(attempts: readonly Attempt[] = []): Scene {
    const [caller, callee] = [this.#sides.side('caller'), this.#sides.side('callee')]
    return { caller, callee, attempts, atMs: nowMs(), memory: this.#house.outcomes.recall(caller, callee) }
  }

  /** Fresh sockets, seen a moment ago: from their last mappings the next one is predicted. */
  async #sample(sides: readonly Role[], over: AbortSignal, parent = this.#parent): Promise<true | Failure> {
    const attributes = { 'postern.sides': sides.join(' '), 'postern.fresh': true }
    const sinceMs = nowMs()
    const shown = await within(this.#house.tracer, parent, 'postern.observe', attributes, async ({ span }) => {
      const ask = (role: Role, round: number) => this.#tell(role, { type: 'sample', session: this.id, round })
      const showings = await this.#sides.renew(sides, ask, AbortSignal.any([over, this.#gone]))
      for (const showing of showings) recordShowing(span, showing, sinceMs)
      const cold = showings.find(({ isWarm }) => !isWarm)
      if (!cold) return true
      const cause = this.#gone.aborted ? 'gone' : over.aborted ? 'deadline' : 'no-sample'
      const failure = { reason: cold.reason ?? '', cause } as const
      span.setAttributes(failureAttributes(failure))
      return failure
    })
    this.#gone.throwIfAborted()
    if (shown === true)
      for (const role of sides) recordProfile(this.#house.tracer, parent, role, this.#sides.side(role))
    return shown
  }

  async #turn(parent: Context, link: Link, run: () => Promise<Turn>): Promise<Turn> {
    const startMs = performance.now()
    const turn = await within(
      this.#house.tracer,
      parent,
      'postern.plugin',
      { 'postern.plugin': link.name },
      async step => {
        this.#parent = step.context
        const done = await run()
        step.span.setAttributes({
          'postern.outcome': done.outcome,
          'postern.reason': done.reason,
          ...(done.cause === undefined ? {} : { 'postern.cause': done.cause }),
          ...(done.expected === undefined ? {} : { 'postern.expected': done.expected })
        })
        return done
      }
    )
    const ms = Math.round((performance.now() - startMs) * 10) / 10
    this.#tell('caller', {
      type: 'strategy',
      session: this.id,
      name: link.name,
      outcome: turn.outcome,
      reason: turn.reason.slice(0, 500),
      ms
    })
    return turn
  }

  async #attempt(plan: Plan, link: Link, signal: AbortSignal): Promise<true | Failure> {
    const name = plan.limits ? 'postern.relay' : 'postern.plan'
    const attributes = { 'postern.plugin': link.name, ...planAttributes(plan) }
    return await within(this.#house.tracer, this.#parent, name, attributes, async step => {
      const scene = this.#seen()
      const refused = this.#charge(plan, scene)
      if (refused) {
        const failure = { reason: refused, cause: 'shared-budget' } as const
        step.span.setAttributes(failureAttributes(failure))
        return failure
      }
      const splice = plan.limits && this.#house.relay.arm(this, plan.limits)
      const order = (seen: Scene) => this.#order(step, { scene: seen, plan, link, signal })
      const result = await order(scene)
      const again = !result.open && (await this.#renew(step, result))
      const settled = again ? await order(this.#seen()) : result
      if (splice) step.span.setAttributes(latchAttributes(splice))
      this.#learn(plan, link, scene, settled)
      if (settled.open) {
        step.span.setAttributes({ 'postern.outcome': 'path', 'postern.reason': settled.reason })
        return true
      }
      const counters = splice && this.#house.relay.disarm(this.id)
      if (counters) step.span.setAttributes(counterAttributes(counters))
      this.#callOff(settled)
      const failure = { reason: settled.reason, cause: settled.cause ?? 'failed' }
      step.span.setAttributes(failureAttributes(failure))
      return failure
    })
  }

  /** Takes what the plan may send from the budget of the addresses it aims at. The reason where there is not enough. */
  #charge(plan: Plan, scene: Scene): string | undefined {
    const { budget } = this.#house
    const costs = roles.map(role => ({ at: scene[otherRole(role)], probes: probesOf(plan[role]) }))
    const short = costs.find(({ at, probes }) => probes > budget.left(at.mapped.address))
    if (short) {
      budget.refused++
      const { at, probes } = short
      return `the probe budget of ${at.mapped.address} (${at.name}) is shared out: ${at.probes} left of the ${probes} needed`
    }
    for (const { at, probes } of costs) budget.take(at.mapped.address, probes)
    return undefined
  }

  /** What a plan has shown: what it cost, how far apart the networks are, and whether this way works between them. */
  #learn(plan: Plan, link: Link, scene: Scene, result: TrialResult): void {
    const { budget, paths, outcomes } = this.#house
    for (const role of roles) {
      const report = result[role]?.report
      if (report)
        budget.giveBack(scene[otherRole(role)].mapped.address, Math.max(0, probesOf(plan[role]) - report.sent))
      // A relayed side sends to an endpoint that has seen its mapping before.
      if (!plan.limits) this.#sides.made(role, report?.flows ?? flowsOf(plan[role]))
    }
    if (result.open && !plan.limits)
      paths.learn(scene.caller.mapped.address, scene.callee.mapped.address, result[activeOf(plan)]?.report)
    if (plan.label) outcomes.learn(scene.caller, scene.callee, `${link.name}/${plan.label}`, result.open)
  }

  /**
   * A plan may be called off at the moment a peer has handed its socket over; the next order then names a socket that is
   * gone. True when that is why a plan failed, and fresh sockets are at hand for another try.
   */
  async #renew({ context }: Step, result: TrialResult): Promise<boolean> {
    const stale = roles.filter(role => result[role]?.code === STALE_SOCKET)
    if (stale.length === 0) return false
    this.#callOff(result)
    for (const role of stale) this.#sides.drop(role)
    await this.#scene(context, [])
    return true
  }

  #callOff({ used }: TrialResult): void {
    this.#tellBoth({ type: 'cancel', session: this.id, plan: this.#plans })
    this.#reports.calledOff(this.#plans)
    for (const role of used) this.#sides.drop(role)
  }

  async #order({ context }: Step, { scene, plan, link, signal }: Trying): Promise<TrialResult> {
    const each = <T>(of: (role: Role) => T) => ({ caller: of('caller'), callee: of('callee') })
    const rttMs = each(role => this.#sides.rttMs(role))
    const handoverMs = handoverMsOf(rttMs)
    const number = ++this.#plans
    this.#trial = new Trial({ waitMs: plan.waitMs, handoverMs, blind: blindOf(plan), signal })
    const sockets = each(role => this.#sides.ordered(role))
    const betweenMs = this.#house.paths.rttMs(scene.caller.mapped.address, scene.callee.mapped.address)
    this.#reports.ordered(number, context, rttMs)
    this.#house.commander.command(
      ordersOf(plan, this, { session: this.id, number, by: link.name, sockets, rttMs, betweenMs })
    )
    const result = await this.#trial.result
    if (!result.open) this.#trial = undefined
    return result
  }

  #conclude(root: Step, { plan, link }: { plan: Plan; link: Link }, calledMs: number): Ended {
    const kind = plan.limits ? 'relay' : 'direct'
    this.#trial = undefined
    root.span.setAttributes({
      'postern.outcome': 'path',
      'postern.path': kind,
      'postern.plugin': link.name,
      'postern.reason': plan.why
    })
    const verdict = this.#judge(root, calledMs)
    if (plan.limits) this.#relayed = root.context
    const limit = plan.limits ? { bitsPerSecond: plan.limits.perSession } : {}
    this.#tellBoth({ type: 'path', session: this.id, by: link.name, kind, ...limit, ...verdict })
    return { kind, by: link.name }
  }

  /** Nobody waits for a path any more, so what both sides have to say is waited for: the verdict rests on it. */
  async #fail(root: Step, thrown: unknown, calledMs: number): Promise<Ended> {
    const { code, message } = asPosternError(thrown)
    const lost = roles.find(role => this[role].gone.aborted)
    const side = code === 'peer-offline' ? (lost ?? this.#leaver) : (this.#leaver ?? lost)
    await this.#reports.settled()
    root.span.setAttributes({ ...(side ? { 'postern.side': side } : {}), ...errorAttributes(thrown) })
    const verdict = this.#judge(root, calledMs)
    const { traceId } = root.span.spanContext()
    const reason = message.slice(0, OVER_CHARACTERS)
    this.#tellBoth({ type: 'over', session: this.id, code, reason, trace: traceId, ...verdict })
    return { kind: 'failed', code }
  }

  /** Everything else is recorded by now. */
  #judge({ span, context }: Step, calledMs: number): { verdict?: Verdict } {
    const { tracer, observer, judge } = this.#house
    this.#reports.close()
    for (const role of roles) recordJoin(tracer, context, { side: role, peer: this[role], calledMs })
    span.setAttributes(sidesAttributes(this, observer))
    const verdict = judge(span)
    if (!verdict) return {}
    span.setAttributes(verdictAttributes(verdict))
    return { verdict }
  }

  #tell(role: Role, message: FromGateway): void {
    this.#house.commander.command([{ peer: this[role].id, message }])
  }

  #tellBoth(message: FromGateway): void {
    this.#house.commander.command(roles.map(role => ({ peer: this[role].id, message })))
  }
}

interface Trying {
  readonly scene: Scene
  readonly plan: Plan
  readonly link: Link
  readonly signal: AbortSignal
}

const summary = (attempts: readonly Attempt[]) =>
  attempts.map(({ by, outcome, reason }) => `${by} ${outcome} (${reason})`).join('; ')
