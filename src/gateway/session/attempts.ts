// Tries one plan: it is charged to the budget, ordered, awaited, learned from, and called off if it did not open. If a socket
// of the plan turns out to be gone, the plan is ordered once more with another socket.
//
//   charge ─► arm the relay ─► order ─► result ─► refund ─► renew and order again? ─► learn ─► path, or call off

import { forIce } from '../../strategy/ice-only.ts'
import { type Failure, type Plan, probesOf, probesWithin } from '../../strategy/plan.ts'
import { blockedSides, hiddenSources, type Scene } from '../../strategy/scene.ts'
import type { Strategy } from '../../strategy/turn.ts'
import { type Endpoint, sameEndpoint } from '../../wire/endpoint.ts'
import { CALLED_OFF, STALE_SOCKET } from '../../wire/obeying.ts'
import { handoverMsOf, type Order, OWN_ADDRESS } from '../../wire/order.ts'
import { PACKET_BYTES } from '../../wire/packet-size.ts'
import { otherSide, type SideName, sideNames } from '../../wire/side.ts'
import type { Continues } from '../../wire/signal.ts'
import type { Member } from '../peers/member.ts'
import { counterAttributes } from '../recording/change-span.ts'
import { latchAttributes, planAttributes } from '../recording/plan-span.ts'
import { Reports } from '../recording/reports.ts'
import { failureAttributes, type Step } from '../recording/step.ts'
import type { Latched } from '../relay/splice.ts'
import type { Evidence } from './evidence.ts'
import type { House } from './house.ts'
import { activeOf, agentsOf, blindOf, flowsOf, type Ordering, ordersOf } from './orders.ts'
import { aimAttributes, ownReason, withoutOwn } from './own-targets.ts'
import { type FromTrial, Trial, type TrialResult } from './trial.ts'

/** The session whose plans are tried. */
export interface Tried extends Readonly<Record<SideName, Member>> {
  readonly id: string
  /** What is asked for, where it looks for another path of a connection. */
  readonly continues?: Pick<Continues, 'mtu'> | undefined
  /** Its two sides are connected, and nobody waits for it. */
  readonly inBackground?: boolean
}

/** A plan, the strategy that made it, and a signal that ends it whatever its own `waitMs` says. */
interface Trying {
  readonly plan: Plan
  readonly strategy: Strategy
  readonly over: AbortSignal
}

export class Attempts {
  readonly reports: Reports
  readonly #house: House
  readonly #session: Tried
  readonly #evidence: Evidence
  /** The order that was given last, and its number. What a side says of an older order comes too late to matter. */
  #trial: Trial | undefined
  #orders = 0
  /** A side has said that the other one is not on its own host. */
  #areApart = false

  constructor(house: House, session: Tried, evidence: Evidence) {
    this.#house = house
    this.#session = session
    this.#evidence = evidence
    this.reports = new Reports(session)
  }

  /**
   * Resolves with true when the channel is open on both sides, otherwise with the reason why it is not. Rejects with
   * `relay-full`, or with the reason why the session is over.
   */
  async try(step: Step, plan: Plan, strategy: Strategy, over: AbortSignal): Promise<true | Failure> {
    const name = plan.limits ? 'postern.relay' : 'postern.plan'
    const attributes = { 'postern.plugin': strategy.name, ...planAttributes(plan) }
    return await step.within(name, attributes, async within => {
      const failure = await this.#attempt(within, { plan, strategy, over })
      const outcome = failure ? failureAttributes(failure) : OPENED
      within.set(outcome)
      return failure ?? true
    })
  }

  /**
   * Takes what a peer says of an order. What it says of an older order is recorded, but comes too late to matter. The same
   * holds for what had come of an order when it was called off: whoever called it off has ended the plan, or is about to
   * leave.
   */
  receive(side: SideName, message: FromTrial): void {
    if (message.type !== 'progress') this.reports.received(side, message)
    if (message.plan !== this.#orders || (message.type === 'failed' && message.code === CALLED_OFF)) return
    this.#trial?.receive(side, message)
  }

  /** True if a side has opened the path that is being tried. */
  hasOpened(side: SideName): boolean {
    return this.#trial?.hasOpened(side) ?? false
  }

  async #attempt(step: Step, planned: Trying): Promise<Failure | undefined> {
    const scene = await this.#evidence.seen()
    const adapted = this.#forIce(planned.plan, scene)
    if (typeof adapted === 'string') return { reason: adapted, cause: 'unsuited' }
    const aimed = withoutOwn(adapted, scene, this.#areApart)
    step.set(aimAttributes(aimed, scene))
    if (aimed.own.length > 0) return { reason: ownReason(aimed, adapted, scene), cause: 'own-address' }
    const trying = { ...planned, plan: aimed.plan }
    const { plan, strategy } = trying
    const refused = this.#charge(plan, scene)
    if (refused) return { reason: refused, cause: 'budget-shared-out' }
    if (plan.limits) await this.#arm(plan.limits)
    const result = await this.#order(step, scene, trying)
    const again = !result.open && (await this.#renew(step, result, plan))
    const renewed = again ? await this.#evidence.seen() : undefined
    // Whoever says that his socket is gone has the other side probe twice.
    const mayRepeat = renewed && this.#charge(plan, renewed) === undefined
    const settled = mayRepeat
      ? await this.#order(step, renewed, { ...trying, plan: retargeted(plan, scene, renewed) })
      : result
    if (plan.limits) step.set(latchAttributes(await this.#latched()))
    this.#learn(plan, strategy, scene, settled)
    if (settled.cause === 'own-address') this.#setApart(step, settled, withoutOwn(plan, scene, true).own)
    if (settled.open) return undefined
    if (plan.limits) await this.#disarm(step)
    this.#callOff(settled, plan)
    return { reason: settled.reason, cause: settled.cause ?? 'never-obeyed' }
  }

  /** Takes the probes of a plan from the budget of the addresses it aims at. Returns the reason if there are too few. */
  #charge(plan: Plan, scene: Scene): string | undefined {
    const { budget } = this.#house
    const taken: { address: string; probes: number }[] = []
    for (const side of sideNames) {
      const { name, mapped } = scene[otherSide(side)]
      const [{ address }, probes] = [mapped, probesOf(plan[side])]
      const left = budget.left(address, this.#session)
      if (probes > left) {
        for (const one of taken) budget.giveBack(one.address, this.#session, one.probes)
        budget.refuse(this.#session)
        return `the probe budget of ${address} (${name}) is shared out: ${left} left of the ${probes} needed`
      }
      budget.take(address, this.#session, probes)
      taken.push({ address, probes })
    }
    return undefined
  }

  /**
   * Gives back the probes that were charged and cannot have been sent, at the pace of the order. What a side says that it did not
   * send counts only where both say that a path is open, and so agree.
   */
  #refund(plan: Plan, scene: Scene, result: TrialResult, ms: number): void {
    for (const side of sideNames) {
      // An agent counts nothing.
      const said = result.open && !scene[side].agent ? result[side]?.report?.sent : undefined
      const sent = Math.min(said ?? Number.POSITIVE_INFINITY, probesWithin(plan[side], ms))
      const { address } = scene[otherSide(side)].mapped
      this.#house.budget.giveBack(address, this.#session, probesOf(plan[side]) - sent)
    }
  }

  /** Limits are kept by account, so that a peer that joins again has the same ones as before. */
  async #arm(limits: NonNullable<Plan['limits']>): Promise<void> {
    const { id, caller, callee } = this.#session
    const peers = { caller: caller.account.certificate, callee: callee.account.certificate }
    await this.#house.relay.arm(id, peers, limits, caller.account)
  }

  #forIce(plan: Plan, scene: Scene): Plan | string {
    if (plan.limits && sideNames.some(side => !scene[side].doors && hasNoRelay(this.#session[side])))
      return 'this gateway has one UDP port, and a browser cannot be relayed by the one that it shows its mapping to'
    return forIce(plan, scene)
  }

  /** A side that speaks ICE alone latches by its checks. */
  async #expect(ice: Ordering['ice']): Promise<void> {
    const agent = (side: SideName) => ({ local: ice[side], remote: ice[otherSide(side)] })
    const agents = sideNames.filter(side => this.#session[side].iceOnly).map(side => [side, agent(side)])
    if (agents.length > 0) await this.#house.relay.expect(this.#session.id, Object.fromEntries(agents))
  }

  /** Only the trace needs this: a relay that does not answer spoils no path. */
  async #latched(): Promise<Latched> {
    return await this.#house.relay.latched(this.#session.id).catch(() => ({}))
  }

  async #disarm(step: Step): Promise<void> {
    const counters = await this.#house.relay.disarm(this.#session.id)
    if (counters) step.set(counterAttributes(counters))
  }

  /** A side has said so. What was said first ends the trial, so the other may have the same to say and be late. */
  #setApart(step: Step, result: TrialResult, apart: readonly SideName[]): void {
    this.#areApart = true
    const own = sideNames.filter(side => result[side]?.code === OWN_ADDRESS || apart.includes(side))
    step.set(Object.fromEntries(own.map(side => [`postern.${side}.own`, true])))
  }

  /** Both orders leave together. Resolves when the channel is open on both sides, or when it is known that it will not be. */
  async #order(step: Step, scene: Scene, { plan, strategy, over }: Trying): Promise<TrialResult> {
    const { sides } = this.#evidence
    const each = <T>(of: (side: SideName) => T) => ({ caller: of('caller'), callee: of('callee') })
    const rttMs = each(side => sides.rttMs(side))
    const number = ++this.#orders
    const trial = new Trial({
      waitMs: plan.waitMs,
      handoverMs: handoverMsOf(rttMs.caller + rttMs.callee),
      blind: blindOf(plan),
      signal: over
    })
    this.#trial = trial
    const sockets = each(side => sides.ordered(side))
    const [here, there] = [scene.caller.mapped.address, scene.callee.mapped.address]
    // Behind one address some paths lead over a LAN and others through its NAT: what one took says nothing of the other.
    const betweenMs = here === there ? undefined : this.#house.paths.rttMs(here, there)
    this.reports.ordered(number, step, rttMs)
    const mtu = this.#mtu(plan, scene)
    step.set({ 'postern.mtu': mtu })
    const ice = agentsOf(side => sides.iceOf(side))
    if (plan.limits) await this.#expect(ice)
    const ordering = { session: this.#session.id, number, by: strategy.name, sockets, rttMs, betweenMs, ice, mtu }
    const leftMs = performance.now()
    this.#house.commander.command(ordersOf(plan, this.#session, ordering))
    const result = await trial.result
    this.#refund(plan, scene, result, performance.now() - leftMs)
    if (!result.open) this.#trial = undefined
    return result
  }

  /** The largest IP packet of a path, in bytes: what is asked for, or is known of these networks, and no more than either side wants. */
  #mtu({ limits }: Plan, { caller, callee }: Scene): number {
    const known = this.#house.paths.mtu(limits ? 'relay' : 'direct', caller.mapped.address, callee.mapped.address)
    const wanted = sideNames.map(side => this.#session[side].mtu ?? PACKET_BYTES)
    return Math.min(this.#session.continues?.mtu ?? known ?? PACKET_BYTES, ...wanted)
  }

  /**
   * A plan may be called off just when a peer has handed its socket over. The next order then names a socket that is gone.
   * Resolves with true if a plan failed for this reason, once other sockets are at hand for another try.
   */
  async #renew(step: Step, result: TrialResult, plan: Plan): Promise<boolean> {
    const stale = sideNames.filter(side => result[side]?.code === STALE_SOCKET)
    if (stale.length === 0) return false
    this.#callOff(result, plan)
    for (const side of stale) this.#evidence.sides.drop(side)
    await this.#evidence.scene(step, [])
    return true
  }

  /** Learns from a plan how far apart the networks are, and whether this way works between them. */
  #learn(plan: Plan, strategy: Strategy, scene: Scene, result: TrialResult): void {
    const { paths, outcomes } = this.#house
    const [here, there] = [scene.caller.mapped.address, scene.callee.mapped.address]
    // A relayed side makes no unseen mapping: it sends to an endpoint that has seen its mapping before.
    if (!plan.limits)
      for (const side of sideNames) this.#evidence.sides.made(side, result[side]?.report?.flows ?? flowsOf(plan[side]))
    // Where sources are hidden, or nothing was seen, these addresses are no networks.
    if (hiddenSources(scene) ?? blockedSides(scene)) return
    if (result.open && !plan.limits) paths.learn(here, there, result[activeOf(plan)]?.report)
    const asked = this.#session.continues?.mtu
    // Behind one address a path over a LAN says nothing of one through its NAT.
    if (result.open && asked && here !== there) paths.narrow(plan.limits ? 'relay' : 'direct', here, there, asked)
    if (result.open) this.#prove(scene, result)
    if (plan.label) outcomes.learn(scene.caller, scene.callee, `${strategy.name}/${plan.label}`, result.open)
  }

  /**
   * A side that the other met where the gateway had seen it has the same mapping towards two addresses, unless these are one,
   * or both sides are behind one address and met within it.
   */
  #prove(scene: Scene, result: TrialResult): void {
    for (const side of sideNames) {
      const [{ mapped, gateway }, other] = [scene[side], otherSide(side)]
      const remote = result[other]?.remote
      const isElsewhere = ![mapped.address, gateway.address].includes(scene[other].mapped.address)
      if (remote && isElsewhere && sameEndpoint(remote, mapped)) this.#evidence.sides.proved(side, mapped)
    }
  }

  #callOff({ used }: TrialResult, plan: Plan): void {
    const message = { type: 'cancel', session: this.#session.id, plan: this.#orders } as const
    this.#house.commander.command(sideNames.map(side => ({ peer: this.#session[side].id, message })))
    this.reports.calledOff(this.#orders)
    // An agent takes the description of a far side once, and who is blind lets its socket go before it says so.
    const isGone = (side: SideName) =>
      used.has(side) || this.#session[side].iceOnly !== undefined || blindOf(plan) === side
    for (const side of sideNames.filter(isGone)) this.#evidence.sides.drop(side)
  }
}

/** The plan for other sockets of the sides, which are not where the ones before were. */
function retargeted(plan: Plan, before: Scene, now: Scene): Plan {
  const order = (side: SideName): Order => {
    const given = plan[side]
    if (given.kind === 'splice') return given
    const [was, is] = [before, now].map(scene => scene[otherSide(side)].mapped) as [Endpoint, Endpoint]
    return { ...given, targets: given.targets.map(target => (sameEndpoint(target, was) ? is : target)) }
  }
  return { ...plan, caller: order('caller'), callee: order('callee') }
}

/** Browsers take nothing from an endpoint that they ask. */
const hasNoRelay = ({ iceOnly, gateway, endpoints }: Member): boolean =>
  iceOnly !== undefined && endpoints.some(endpoint => sameEndpoint(endpoint, gateway))

const OPENED = { 'postern.outcome': 'path', 'postern.reason': 'open on both sides' }
