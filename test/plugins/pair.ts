// Two simulated NATs and a gateway without a network: the gateway's scene is what it would have seen of them, and a plan is
// walked as peers walk it, each pair of a socket and an endpoint taking a mapping of its own. Whether they met is counted
// beside the probability the plan gave. Seeded; times are simulated.

import * as allocators from '../../bench/means/allocators.ts'
import { between, type Dice, type Foreign, type Nat, nobody } from '../../bench/means/allocators.ts'
import type { Observation } from '../../src/nat/assignment.ts'
import type { Plan, Proposal } from '../../src/strategy/plan.ts'
import type { Planner } from '../../src/strategy/plugin.ts'
import type { Scene, Side } from '../../src/strategy/scene.ts'
import type { Endpoint } from '../../src/wire/endpoint.ts'
import type { Order } from '../../src/wire/order.ts'
import { type SideName, sideNames } from '../../src/wire/side.ts'
import { sideOf } from '../scenes.ts'
import { targetsOf } from './contract.ts'

/** What a box gives a socket towards an endpoint, and the time that passes behind it. */
export interface Box {
  /** Undefined where the box is easy: its mapping is the one observed. */
  readonly map?: (localPort: number, to: string) => { readonly address: string; readonly port: number }
  pass(ms: number): void
}

export const easy = (): Box => ({ pass: () => {} })

/** One counter, moved on by others. */
export function stepping(step: number, foreign: (roll: Dice) => Foreign = () => nobody): (roll: Dice) => Box {
  return roll => {
    const course = { low: 1024, high: 65_535, step, from: aligned(step, between(roll, 10_000, 50_000)) }
    return boxOf(allocators.stepping(course, foreign(roll)))
  }
}

/** Others make so many mappings a second, whenever they like. */
export const others = (perSecond: number) => (roll: Dice) => allocators.poisson(roll, perSecond)

const aligned = (step: number, port: number) =>
  step > 0 ? port - ((port - 1024) % step) : port + ((65_535 - port) % -step)

const boxOf = (nat: Nat): Box => ({ map: localPort => nat.map(localPort), pass: ms => nat.pass(ms) })

/** Random ports of a range, one twice only towards different endpoints, as Linux has it. */
export function scattering(low: number, high: number): (roll: Dice) => Box {
  return roll => {
    const towards = new Map<string, Nat>()
    const nat = (to: string) => {
      const known = towards.get(to) ?? allocators.scattered(roll, low, high)
      towards.set(to, known)
      return known
    }
    return { map: (localPort, to) => nat(to).map(localPort), pass: () => {} }
  }
}

export function block(size: number): (roll: Dice) => Box {
  return roll => {
    const low = size * between(roll, Math.ceil(1024 / size), 65_536 / size - 1)
    return scattering(low, low + size - 1)(roll)
  }
}

export interface World {
  readonly roll: Dice
  readonly caller: (roll: Dice) => Box
  readonly callee: (roll: Dice) => Box
  /** Round trip of each side to the gateway, in milliseconds. */
  readonly rttMs: number
  /** Sockets the gateway has seen before, over some seconds each. */
  readonly earlier: number
}

export interface Trial {
  /** Undefined where the planner passed. */
  readonly plan?: Plan
  readonly met: boolean
  /** Datagrams that both sides had sent when they met, one for each step of a walk. */
  readonly sent: number
  readonly reason?: string
}

const gatewayEndpoints = ['g1:1', 'g1:2', 'g2:1', 'g2:2']

/** A side's NAT and what the gateway saw of it. */
class Watched {
  readonly box: Box
  readonly observations: Observation[] = []
  readonly #roll: Dice
  readonly #rttMs: number
  localPort = 0

  constructor(box: Box, { roll, rttMs }: World) {
    this.box = box
    this.#roll = roll
    this.#rttMs = rttMs
  }

  /** A fresh socket shows its mappings, made `atMs`. */
  sample(atMs: number, endpoint: Endpoint): void {
    this.localPort = between(this.#roll, 1024, 65_535)
    for (const [i, to] of gatewayEndpoints.entries()) {
      const { port } = this.box.map?.(this.localPort, to) ?? endpoint
      const seen = { address: endpoint.address, port, localPort: this.localPort }
      this.observations.push({ ...seen, atMs: atMs + this.#rttMs / 2 + i * SPACING_MS })
      this.box.pass(SPACING_MS)
    }
  }
}

const SPACING_MS = 0.3
const OBSERVED = 32

/** The first plan of a planner for two new NATs, walked. */
export async function trial(planner: Planner, world: World): Promise<Trial> {
  const sides = {
    caller: new Watched(world.caller(world.roll), world),
    callee: new Watched(world.callee(world.roll), world)
  }
  let nowMs = 1e6
  const pass = (ms: number) => {
    nowMs += ms
    for (const side of sideNames) sides[side].box.pass(ms)
  }
  for (let socket = 0; socket <= world.earlier; socket++) {
    for (const side of sideNames) sides[side].sample(nowMs, mappedOf(side))
    nowMs += gatewayEndpoints.length * SPACING_MS
    pass(between(world.roll, 2000, 5000))
  }
  const scene: Scene = {
    get caller() {
      return sideIn('caller', sides.caller, world)
    },
    get callee() {
      return sideIn('callee', sides.callee, world)
    },
    get atMs() {
      return nowMs
    },
    attempts: [],
    memory: {}
  }
  for await (const step of planner.plan(scene)) {
    if (step.kind !== 'sample') return ended(step, sides, world, pass)
    pass(world.rttMs / 2)
    for (const side of step.sides) sides[side].sample(nowMs, mappedOf(side))
    nowMs += gatewayEndpoints.length * SPACING_MS
    pass(world.rttMs / 2)
  }
  return { met: false, sent: 0, reason: 'no plan' }
}

const mappedOf = (side: SideName): Endpoint => ({
  address: side === 'caller' ? '198.51.100.10' : '198.51.100.20',
  port: 40_000
})

function sideIn(side: SideName, { box, observations, localPort }: Watched, { rttMs }: World): Side {
  const mapping = box.map ? 'address-and-port-dependent' : 'endpoint-independent'
  return sideOf(side, {
    mapped: mappedOf(side),
    port: localPort,
    rttMs,
    observations: observations.slice(-OBSERVED),
    profile: { mapping, filtering: 'address-and-port-dependent' }
  })
}

function ended(
  step: Exclude<Proposal, { kind: 'sample' }>,
  sides: Record<SideName, Watched>,
  world: World,
  pass: (ms: number) => void
): Trial {
  if (step.kind === 'pass') return { met: false, sent: 0, reason: step.reason }
  pass(world.rttMs / 2)
  return { plan: step, ...walked(step, sides, world) }
}

/** A datagram: the mapping it leaves from and where it goes. */
interface Sent {
  readonly from: string
  readonly to: string
}

/** Both walk at once; a path is two mappings that each sent to the other. */
function walked(plan: Plan, sides: Record<SideName, Watched>, { roll }: World): { met: boolean; sent: number } {
  const walks = { caller: walk(plan.caller, 'caller', sides, roll), callee: walk(plan.callee, 'callee', sides, roll) }
  const gone = { caller: new Set<string>(), callee: new Set<string>() }
  let sent = 0
  for (let on = true; on; ) {
    on = false
    for (const side of sideNames) {
      const { value, done } = walks[side].next()
      if (done) continue
      on = true
      sent++
      gone[side].add(`${value.from} ${value.to}`)
      if (gone[side === 'caller' ? 'callee' : 'caller'].has(`${value.to} ${value.from}`)) return { met: true, sent }
    }
  }
  return { met: false, sent }
}

function* walk(order: Order, side: SideName, sides: Record<SideName, Watched>, roll: Dice): Generator<Sent, undefined> {
  if (order.kind === 'splice') return
  const { box, localPort } = sides[side]
  const { address } = mappedOf(side)
  const sockets = Array.from({ length: order.sockets ?? 1 }, (_, i) =>
    i === 0 ? localPort : between(roll, 1024, 65_535)
  )
  for (const target of targetsOf(order)) {
    const to = `${target.address}:${target.port}`
    for (const socket of sockets) {
      const { port } = box.map?.(socket, to) ?? mappedOf(side)
      yield { from: `${address}:${port}`, to }
    }
  }
}

/** Trials in a row, and whether what the plans promised is what came of them. */
export async function measured(planner: Planner, world: World, trials: number) {
  const results: Trial[] = []
  for (let i = 0; i < trials; i++) results.push(await trial(planner, world))
  const met = results.filter(result => result.met).length
  const expected = results.reduce((sum, { plan }) => sum + (plan?.expected ?? 0), 0)
  const spread = results.reduce((sum, { plan }) => sum + (plan?.expected ?? 0) * (1 - (plan?.expected ?? 0)), 0)
  // 99 % of a sum of independent trials; a half for whole numbers.
  const margin = 2.576 * Math.sqrt(spread) + 0.5
  const sent = results.map(result => result.sent).sort((a, b) => a - b)
  return {
    results,
    met,
    expected,
    margin,
    calibrated: Math.abs(met - expected) <= margin,
    median: sent[trials >> 1] ?? 0
  }
}
