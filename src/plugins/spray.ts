// `spray` is for NATs that scatter their ports. Many sockets hold many mappings open on the hard side, and the other side
// tries many ports: they meet by the birthday paradox. Numbers alone decide how many of each there are, and whether it is
// worth trying at all.
//
//   one side hard    k sockets towards the other's endpoint; the other walks over n ports, likeliest first (assignment/sweep.ts)
//   both scatter     both open k sockets and aim all of them at t ports, one after the other (assignment/meeting.ts)
//   one steps        it makes one burst towards a port of the other's range; the other aims k sockets at each of the next ports
//
// One order holds the whole walk, so nothing is tried twice, and it ends when the path is found.

import { type Drawn, meetingRate, type PortModel, sweep, type World } from '../nat/assignment.ts'
import { type Pass, type Plan, type Proposal, pass } from '../strategy/plan.ts'
import type { Plugin } from '../strategy/plugin.ts'
import { hardOf, scatters } from '../strategy/remedy.ts'
import { hiddenSources, type Scene, type Side, score } from '../strategy/scene.ts'
import { percent } from '../units.ts'
import type { Endpoint } from '../wire/endpoint.ts'
import { ANSWERS, MOST_PER_SECOND } from '../wire/order.ts'
import { otherSide, type SideName, sideNames } from '../wire/side.ts'
import {
  affordable,
  burstsOf,
  bySide,
  doubted,
  elapsedMs,
  guessesOf,
  type Hardness,
  habit,
  hardness,
  holdable,
  mappingsOf,
  modelOf,
  plannedIn,
  portsOf,
  punch,
  type SearchOptions,
  searchable,
  searchRanges,
  sharedOut,
  smallest,
  triable,
  triedMs,
  unlikely,
  waitMsOf
} from './hard.ts'

interface Options extends SearchOptions {
  /** Datagrams of a side per second: routers drop bursts, and networks take them for an attack. */
  readonly perSecond: number
}

export const spray: Plugin<Options> = {
  name: 'spray',
  defaults: { waitMs: '700ms', sockets: 256, probes: 2048, perSecond: 1000, goal: 0.999, atLeast: 0.15 },
  ranges: { ...searchRanges, perSecond: { least: 1, most: MOST_PER_SECOND } },
  remedies: {
    suits: pair => {
      const hard = hardOf(pair)
      // If neither side's port is known, and one may be anywhere, no search is worth it.
      const isHopeless = hard.length > 1 && hard.some(({ assignment }) => assignment === 'random')
      return hard.some(scatters) && !isHopeless
    },
    advice: 'raise sockets and probes of spray, and limits.probesPerAddress'
  },
  start: options => ({ plan: scene => plans(scene, options) })
}

function* plans(scene: Scene, options: Options): Iterable<Proposal> {
  const hidden = hiddenSources(scene)
  if (hidden) return yield pass(hidden)
  const hard = hardness(scene)
  if (hard.kind === 'none') return yield pass(`no port to search for: ${mappingsOf(scene)}`)
  if (hard.kind === 'one') return yield plannedIn(scene, options.probes, at => oneHard(at, hard, options))
  const models = modelsOf(scene)
  const counting = sideNames.filter(side => models[side].describe().kind === 'stepping')
  if (counting.length > 1) return yield pass(`${habits(scene, models)}: two next ports to predict, none to search for`)
  const soon: Both = { models, options, counter: counting[0], elapsed: side => scene[side].rttMs }
  const found = plannedIn(scene, options.probes, at => bothHard(at, soon))
  const sides = counting.length > 0 ? counting : sideNames.filter(side => isUnsure(scene[side], models[side]))
  const enough = found.kind === 'pass' || (counting.length === 0 && (found.expected ?? 0) >= options.goal)
  if (enough || sides.length === 0) return yield found
  yield { kind: 'sample', sides }
  const elapsed = (side: SideName) => elapsedMs(scene, side)
  const now: Both = { models: modelsOf(scene), options, counter: counting[0], elapsed }
  yield plannedIn(scene, options.probes, at => bothHard(at, now))
}

type Models = Readonly<Record<SideName, PortModel>>

const modelsOf = ({ caller, callee }: Scene): Models => ({ caller: modelOf(caller), callee: modelOf(callee) })

function habits(scene: Scene, models: Models): string {
  const verdicts = { caller: models.caller.describe(), callee: models.callee.describe() }
  if (sideNames.every(side => verdicts[side].kind === 'random')) return 'both random'
  return sideNames.map(side => habit(scene[side], verdicts[side])).join(', ')
}

// If fewer mappings were seen, a few more tell the size of a block much better, and with it how many sockets are needed.
const FEW = 12

const isUnsure = ({ observations }: Side, model: PortModel) =>
  new Set(observations.map(({ port }) => port)).size < FEW && model.describe().kind === 'block'

// Numbers of sockets to weigh if one side is hard. What lies between changes the cost by a few percent.
const APART = [16, 32, 64, 128, 256, 512, 1024]

// The cost of a miss in datagrams: a connection that has to be relayed costs as much as ten whole attempts.
const MISSED = 20_000

type OneHard = Extract<Hardness, { kind: 'one' }>

function oneHard(scene: Scene, { side, isDoubtful }: OneHard, options: Options): Plan | Pass {
  const other = otherSide(side)
  const before = score(scene, `spray/${side}`)
  if (isDoubtful && before < 0) return doubted(scene, side)
  const [hard, easy] = [scene[side], scene[other]]
  const model = modelOf(hard)
  const { ranges, share, address } = drawnBy(hard, model)
  const sockets = holdable(hard, Math.min(options.sockets, walkable(scene, side, options)))
  const search = cheapest(ranges, share, { sockets, most: triable(easy, walkable(scene, other, options)) })
  const seen = habit(hard, model.describe())
  const inBudget = search.rates.at(-1) ?? 0
  if (inBudget < options.atLeast)
    return unlikely(
      inBudget,
      `${seen}: ${percent(inBudget)} with ${search.sockets} sockets and ${search.ports.length} ports${sharedOut(scene, options.probes)}`
    )
  const count = isDoubtful && before === 0 ? firstOf(search) : enoughOf(search, options.goal)
  const expected = search.rates[count] ?? 0
  const guesses = guessesOf(search.ports.slice(0, count).map(port => ({ address, port })))
  const { perSecond } = options
  const towardsEasy = { targets: [easy.mapped], sockets: search.sockets, perSecond }
  const towardsHard = { targets: [], guesses, perSecond }
  // Every socket sends to one endpoint alone. So a probe that its filter lets in from there came by the mapping that its
  // answers leave from.
  const passive = { side: hard, strict: ['address-dependent', 'address-and-port-dependent'], scene } as const
  const orders = bySide(
    side,
    punch({ ...towardsEasy, probes: budget(scene, side, search.sockets, options) }, passive),
    punch({ ...towardsHard, probes: budget(scene, other, count, options) })
  )
  return {
    kind: 'plan',
    ...orders,
    passive: side,
    waitMs: waitMs(scene, bySide(side, { ports: 1, sockets: search.sockets }, { ports: count, sockets: 1 }), options),
    expected,
    label: side,
    why: `${seen}: ${search.sockets} sockets and up to ${count} ports of ${address}, ${percent(expected)} expected`
  }
}

/**
 * The ports to walk over: twice as many as should be enough, since a packet is lost now and then. If nothing is enough, the
 * whole budget.
 */
function enoughOf({ ports, rates }: Search, goal: number): number {
  const enough = rates.findIndex(rate => rate >= goal)
  return enough < 0 ? ports.length : Math.min(ports.length, 2 * enough)
}

/** The ports that find most, where the other side's mapping may spoil it: a search in vain should not take long. */
function firstOf({ ports, rates }: Search): number {
  const enough = rates.findIndex(rate => rate >= MOST)
  return enough < 0 ? ports.length : enough
}

const MOST = 0.97

interface Search {
  readonly sockets: number
  readonly ports: readonly number[]
  /** Probability that a mapping is found after 0, 1, 2 … ports. */
  readonly rates: readonly number[]
}

/** The number of sockets that costs least: the sockets, the ports tried until one is found, and what is missed. */
function cheapest(
  ranges: readonly Drawn[],
  share: number,
  { sockets, most }: { sockets: number; most: number }
): Search {
  let best: Search & { cost: number } = { sockets: 0, ports: [], rates: [0], cost: Number.POSITIVE_INFINITY }
  for (const count of sizes(APART, sockets)) {
    const { ports, rates } = sweep(ranges, { open: Math.max(1, Math.floor(count * share)), most })
    const tried = rates.slice(0, -1).reduce((sum, rate) => sum + 1 - rate, 0)
    const cost = count + tried + MISSED * (1 - (rates.at(-1) ?? 0))
    // More sockets cost more from here on.
    if (cost > best.cost) break
    best = { sockets: count, ports, rates, cost }
  }
  return best
}

const sizes = (all: readonly number[], most: number) => (most < 1 ? [] : [...all.filter(size => size < most), most])

/** How a side's ports towards the other are drawn at its likeliest public address. */
interface Lottery {
  readonly ranges: readonly Drawn[]
  /** Share of its mappings that get the address. */
  readonly share: number
  readonly address: string
}

function drawnBy({ profile, mapped }: Side, model: PortModel): Lottery {
  const [first] = model.addresses()
  const ranges = model.ranges()
  const there = isOfAddress(profile) ? [ANYWHERE] : ranges
  return { ranges: there, share: first?.share ?? 1, address: first?.address ?? mapped.address }
}

/** Suspected of it, if a port is searched for and the mapping is unknown (`hardness`). */
const isOfAddress = ({ mapping }: Side['profile']) => mapping === 'address-dependent' || mapping === 'unknown'

/**
 * A NAT whose mapping is address-dependent may have quite other ports towards the peer's address than it has shown towards
 * the gateway's. So any port but the well-known ones (RFC 4787 section 4.2.1) counts as equally likely.
 */
const ANYWHERE: Drawn = { low: 1024, high: 65535, weight: 1 }

interface Both {
  readonly models: Models
  readonly options: Options
  /** The side whose NAT counts, if one does. */
  readonly counter: SideName | undefined
  elapsed(side: SideName): number
}

function bothHard(scene: Scene, both: Both): Plan | Pass {
  const { models, options, counter } = both
  const seen = habits(scene, models)
  const found = counter ? oneCounts(scene, counter, both) : bothScatter(scene, both)
  if (!found || found.expected < options.atLeast)
    return unlikely(
      found?.expected ?? 0,
      `${seen}: ${percent(found?.expected ?? 0)} in budget${sharedOut(scene, options.probes)}`
    )
  const effort = (side: SideName) => {
    const { sockets, targets } = found[side]
    // A burst is short, and has no pace: if it took its time, others would step in between its mappings.
    const pace = side === counter ? {} : { perSecond: options.perSecond }
    const probes = budget(scene, side, sockets * targets.length, options)
    return { targets: [], guesses: guessesOf(targets), sockets, ...pace, probes }
  }
  const words = sideNames.map(side => `${found[side].sockets} sockets towards ${found[side].targets.length} ports`)
  // A filter that lets in other ports of the address lets probes in at mappings that were made for another port.
  const passive = { side: scene.callee, strict: ['address-and-port-dependent'], scene } as const
  return {
    kind: 'plan',
    caller: punch(effort('caller')),
    callee: punch(effort('callee'), passive),
    waitMs: waitMs(scene, { caller: tried(found.caller), callee: tried(found.callee) }, options),
    expected: found.expected,
    why: `${seen}: ${words.join(', ')}, ${percent(found.expected)} expected`
  }
}

/** What each side does if both are hard: every socket sends to every target. */
type Joint = Readonly<Record<SideName, { readonly sockets: number; readonly targets: readonly Endpoint[] }>> & {
  readonly expected: number
}

/**
 * Both sides do the same. They use many sockets and few targets, for a batch of mappings should hold as much of its range
 * as it can.
 */
function bothScatter(scene: Scene, { models, options }: Both): Joint | undefined {
  const most = Math.min(...sideNames.map(side => walkable(scene, side, options)))
  const sockets = Math.min(...sideNames.map(side => searchable(scene, side, options.sockets, options.probes)))
  const ports = Math.min(...sideNames.map(side => triable(scene[side], most, sockets)))
  const drawn = { caller: drawnBy(scene.caller, models.caller), callee: drawnBy(scene.callee, models.callee) }
  const collapses = sideNames.some(side => hasOneMapping(scene[side]))
  return leastThatReaches(options.goal, { most, sockets, ports, collapses }, (sockets, mostTargets) => {
    const aims = {
      caller: aimAt(drawn.callee, sockets, mostTargets),
      callee: aimAt(drawn.caller, sockets, mostTargets)
    }
    return targets => {
      const [caller, callee] = [aims.caller.slice(0, targets), aims.callee.slice(0, targets)]
      const expected = meetingRate(worlds(drawn.caller, sockets, callee), worlds(drawn.callee, sockets, caller))
      return { caller: { sockets, targets: caller }, callee: { sockets, targets: callee }, expected }
    }
  })
}

/** The burst of the side that counts aims at one port of the other, which aims at the ports that the burst will have. */
function oneCounts(scene: Scene, counter: SideName, { models, options, elapsed }: Both): Joint | undefined {
  const other = otherSide(counter)
  const drawn = drawnBy(scene[other], models[other])
  const sockets = Math.min(options.sockets, walkable(scene, counter, options))
  const most = searchable(scene, counter, sockets, options.probes)
  const burstOf = burstsOf(models[counter], { elapsedMs: elapsed(counter), most, goal: options.goal })
  const collapses = hasOneMapping(scene[other])
  const inBudget = walkable(scene, other, options)
  const together = searchable(scene, other, options.sockets, options.probes)
  const limits = { most: inBudget, sockets: together, ports: triable(scene[other], inBudget, together), collapses }
  return leastThatReaches(options.goal, limits, sockets => {
    const aim = aimAt(drawn, sockets, 1)
    const scattered = worlds(drawn, sockets, aim)
    return targets => {
      const found = burstOf(targets)
      if (!found) return undefined
      const counted: World[] = found.meeting.met.map((weight, met) => ({ kind: 'counter', weight, met }))
      const burstAt = { sockets: found.sockets, targets: aim }
      const sides = bySide(counter, burstAt, { sockets, targets: portsOf(found, scene[counter].mapped) })
      return { ...sides, expected: meetingRate(counted, scattered) }
    }
  })
}

/** True if all ports of an address get the same mapping: a socket then has one to offer, whatever it aims at. */
const hasOneMapping = ({ profile }: Side) => profile.mapping === 'address-dependent'

// Numbers of sockets to weigh if both sides are hard. A few would each need many targets. And if a NAT does not give a port
// twice, many sockets towards few targets find more before its ports are used up.
const TOGETHER = [64, 128, 256, 512, 1024]

/** The choice with the fewest datagrams that reaches the goal, or else the one that comes closest to it. */
function leastThatReaches(
  goal: number,
  { most, sockets, ports, collapses }: { most: number; sockets: number; ports: number; collapses: boolean },
  jointsOf: (sockets: number, mostTargets: number) => (targets: number) => Joint | undefined
): Joint | undefined {
  let found: { joint: Joint; cost: number } | undefined
  for (const count of sizes(TOGETHER, Math.min(sockets, most))) {
    const mostTargets = collapses ? 1 : Math.min(ports, Math.floor(most / count))
    const jointOf = jointsOf(count, mostTargets)
    const targets = smallest(mostTargets, few => (jointOf(few)?.expected ?? 0) >= goal)
    const joint = jointOf(targets)
    const cost = count * targets
    if (joint && (!found || isBetter({ joint, cost }, found, goal))) found = { joint, cost }
  }
  return found?.joint
}

function isBetter(a: { joint: Joint; cost: number }, b: { joint: Joint; cost: number }, goal: number): boolean {
  const [one, other] = [Math.min(goal, a.joint.expected), Math.min(goal, b.joint.expected)]
  return Math.abs(one - other) < NOTHING ? a.cost <= LITTLE_MORE * b.cost : one > other
}

// Probabilities that differ by less count as equal: the models are no better than that.
const NOTHING = 0.002

// More sockets may cost more by this factor.
const LITTLE_MORE = 1.25

function aimAt({ ranges, address }: Lottery, open: number, most: number): Endpoint[] {
  return sweep(ranges, { open, most }).ports.map(port => ({ address, port }))
}

/** How much of each range a batch of mappings holds, and how many targets lie there. Ranges that are alike are merged. */
function worlds({ ranges, share }: Lottery, sockets: number, aimed: readonly Endpoint[]): World[] {
  const alike = new Map<string, World>()
  for (const { low, high, weight } of ranges) {
    const inside = aimed.filter(({ port }) => port >= low && port <= high).length
    const name = `${high - low} ${inside}`
    const held = Math.min(1, (sockets * share) / (high - low + 1))
    alike.set(name, { kind: 'range', weight: weight + (alike.get(name)?.weight ?? 0), held, aimed: inside })
  }
  return [...alike.values()]
}

/** No walk takes longer: by then a person who waits should have a connection, direct or relayed. */
const LONGEST_MS = 10_000

/** Most datagrams of a side's walk: its own budget, the budget of the address, and the time at its pace all bound it. */
function walkable(scene: Scene, side: SideName, options: Options): number {
  const timeMs = Math.max(0, LONGEST_MS - waitMsOf(scene, options.waitMs))
  const inTime = Math.floor((timeMs * options.perSecond) / 1000)
  return Math.max(0, Math.min(affordable(scene, side, options.probes) - ANSWERS, inTime))
}

interface Steps {
  /** How many each socket tries. */
  readonly ports: number
  readonly sockets: number
}

const tried = ({ sockets, targets }: Joint[SideName]): Steps => ({ ports: targets.length, sockets })

function waitMs(scene: Scene, steps: Readonly<Record<SideName, Steps>>, { waitMs, perSecond }: Options): number {
  const walks = sideNames.map(side => triedMs(scene[side], { ...steps[side], perSecond }))
  return Math.round(waitMsOf(scene, waitMs) + Math.max(...walks))
}

/** Datagrams for the walk, for a second one, and for the answers, as far as they are affordable. */
const budget = (scene: Scene, side: SideName, steps: number, { probes }: Options) =>
  Math.min(affordable(scene, side, probes), 2 * steps + 2 * ANSWERS)
