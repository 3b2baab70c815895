// `predict` is for NATs that count: it predicts the next port. A fresh socket shows where the counter is. Then both sides
// are commanded together at once, before others have moved the counter far. The window covers how far they may have moved
// it.
//
//   evidence at hand → worth it? → sample → fit → plan → failed → sample → …
//
// If one side is hard, it sends to the other's endpoint from the socket that was sampled, and the other opens its filter
// for the ports that this mapping may have. If both are hard, each makes a burst of mappings, one for each of m sockets,
// all towards one port of the other. They meet if that port is among the burst's, so m is the window. If each walked over
// ports with one socket, in lockstep, every foreign mapping on one side would put all that follows out of step with the
// other.

import type { Candidate } from '../nat/assignment.ts'
import { type Pass, type Plan, type Proposal, pass, probesOf } from '../strategy/plan.ts'
import type { Plugin } from '../strategy/plugin.ts'
import { hardOf, scatters } from '../strategy/remedy.ts'
import { headStartMs, hiddenSources, type Scene, type Side, score } from '../strategy/scene.ts'
import { percent } from '../units.ts'
import type { Endpoint } from '../wire/endpoint.ts'
import { ANSWERS, GUESSES, type Order } from '../wire/order.ts'
import { otherSide, type SideName, sideNames } from '../wire/side.ts'
import {
  affordable,
  type Burst,
  burstsOf,
  bySide,
  doubted,
  elapsedMs,
  guessesOf,
  habit,
  hardness,
  mappingsOf,
  mayDepend,
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
import { NEAR_MS } from './reach.ts'

interface Options extends SearchOptions {
  /**
   * Most ports that are tried at once. Others who make 50 mappings a second move the counter by 5 to 10 in 100 to 200 ms,
   * but their rate has to be learned first.
   */
  readonly window: number
  /** How often fresh samples are taken and tried. */
  readonly rounds: number
}

/** Each takes a second or so, and what has failed so often does so again. */
const MOST_ROUNDS = 8

export const predict: Plugin<Options> = {
  name: 'predict',
  defaults: { waitMs: '700ms', window: 256, sockets: 128, probes: 1024, rounds: 4, goal: 0.995, atLeast: 0.1 },
  ranges: {
    ...searchRanges,
    window: { least: 1, most: GUESSES, whole: true },
    rounds: { least: 1, most: MOST_ROUNDS, whole: true }
  },
  remedies: {
    suits: pair => hardOf(pair).length > 0 && !hardOf(pair).some(scatters),
    advice: 'let the peers stay joined, so that the rate of others is known; raise window and rounds of predict'
  },
  start: options => ({ plan: scene => plans(scene, options) })
}

function* plans(scene: Scene, options: Options): Iterable<Proposal> {
  const hidden = hiddenSources(scene)
  if (hidden) return yield pass(hidden)
  const first = hardness(scene)
  if (first.kind === 'none') return yield pass(`no port to predict: ${mappingsOf(scene)}`)
  const sides = first.kind === 'one' ? [first.side] : sideNames
  // After the sampling, the slowest side's order takes a round trip. If it is hopeless even then, no side need be sampled.
  const soonMs = Math.max(...sides.map(side => scene[side].rttMs))
  const soon: Round = { options, left: options.probes, way: 'punch', elapsed: () => soonMs }
  const hopeless = plannedIn(scene, options.probes, at => planned(at, soon))
  if (hopeless.kind === 'pass' && sides.every(side => isTold(scene[side]))) return yield hopeless
  const isDoubtful = first.kind === 'one' && first.isDoubtful
  if (isDoubtful && score(scene, 'predict/punch') < 0) return yield doubted(scene, first.side)
  const rounds = isDoubtful ? Math.min(DOUBTED, options.rounds) : options.rounds
  let left = options.probes
  for (let round = 0; round < rounds; round++) {
    yield { kind: 'sample', sides }
    const way = waysOf(scene)[round % 2] ?? 'punch'
    const now: Round = { options, left, way, elapsed: side => elapsedMs(scene, side) }
    const plan = plannedIn(scene, left, at => planned(at, now))
    if (plan.kind === 'pass') return yield plan
    left -= Math.max(...sideNames.map(side => probesOf(plan[side])))
    yield plan
    if (scene.last === 'handover-lost')
      return yield pass('a port was right, and nothing came of it: the next would be no better', {
        cause: 'handover-lost'
      })
  }
}

/** Rounds where the other side's port may be none that was observed: two misses in a row say that it is not. */
const DOUBTED = 2

/** True if some address was seen more than once. One port each cannot show a counter, if each address of a pool has its own. */
const isTold = ({ observations }: Side): boolean =>
  [...Map.groupBy(observations, ({ address }) => address).values()].some(seen => seen.length > 1)

/**
 * How the hard side's first packet leaves if one side is hard: as the punch itself (see reach.ts), or among probes. The way
 * that worked between these networks comes first, and the other one is for the next round.
 */
type Way = 'ice' | 'punch'

function waysOf(scene: Scene): readonly Way[] {
  const { caller, callee } = scene
  const sure = [caller, callee].some(({ profile }) => profile.mapping === 'endpoint-independent')
  const isByHand = !caller.agent && !callee.agent
  if (!sure || !isByHand || caller.rttMs + callee.rttMs <= NEAR_MS) return ['punch', 'punch']
  return score(scene, 'predict/punch') > score(scene, 'predict/ice') ? ['punch', 'ice'] : ['ice', 'punch']
}

interface Round {
  readonly options: Options
  /** Datagrams that each side may still send. */
  readonly left: number
  readonly way: Way
  /** Milliseconds from a side's last observation to its first probe's arrival. */
  elapsed(side: SideName): number
}

/** The plan for what was observed, or why none is worth trying. */
function planned(scene: Scene, round: Round): Plan | Pass {
  const hard = hardness(scene)
  if (hard.kind === 'none') return pass(`no port to predict any more: ${mappingsOf(scene)}`)
  if (sideNames.some(side => affordable(scene, side, round.left) < LEAST))
    return pass(`no probes left${sharedOut(scene, round.left)}`)
  return hard.kind === 'one' ? oneHard(scene, hard.side, round) : bothHard(scene, round)
}

// A path needs a probe, some repetitions of it, and answers.
const LEAST = 3 * ANSWERS

// If a NAT scatters its ports, `spray` finds one at a smaller cost, unless this many are enough.
const FEW = 16

function oneHard(scene: Scene, side: SideName, { options, left, way, elapsed }: Round): Plan | Pass {
  const other = otherSide(side)
  const [hard, easy] = [scene[side], scene[other]]
  const model = modelOf(hard)
  const verdict = model.describe()
  // What is suspected to depend on the address says nothing of another one, unless there is one counter for all.
  if (mayDepend(hard) && verdict.kind !== 'stepping')
    return unlikely(0, `${habit(hard, verdict)} towards the gateway, and may have others towards ${easy.name}`)
  // The session makes the passive side of an `ice` order wait this long, so that the other has opened its filter by then.
  const waitedMs = way === 'ice' ? headStartMs(hard, easy) : 0
  const most = Math.min(triable(easy, options.window), affordable(scene, other, left) - ANSWERS)
  const { ports, rate } = likeliest(model.candidates({ elapsedMs: elapsed(side) + waitedMs }), most, hard.mapped)
  const judged = Math.min(ports.length, verdict.kind === 'stepping' ? options.window : FEW)
  const seen = habit(hard, verdict)
  if (rate(judged) < options.atLeast)
    return unlikely(rate(judged), `${seen}: ${percent(rate(judged))} with ${judged} ports${sharedOut(scene, left)}`)
  const count = smallest(ports.length, n => rate(n) >= options.goal * rate(ports.length))
  const guesses = guessesOf(ports.slice(0, count))
  const towardsEasy = { targets: [easy.mapped], probes: budget(scene, side, 1, left) }
  const towardsHard = { targets: [], guesses, probes: budget(scene, other, count, left) }
  // The passive side sends to one endpoint alone. So a probe that its filter lets in from there came by the mapping that
  // its answers leave from.
  const passive = { side: hard, strict: ['address-dependent', 'address-and-port-dependent'], scene } as const
  const orders: Record<SideName, Order> =
    way === 'ice'
      ? bySide(side, { kind: way, ...towardsEasy }, { kind: way, ...towardsHard })
      : bySide(side, punch(towardsEasy, passive), punch(towardsHard))
  return {
    kind: 'plan',
    ...orders,
    passive: side,
    waitMs: waitMsOf(scene, options.waitMs) + (easy.agent ? triedMs(easy, { ports: count, sockets: 1 }) : 0),
    expected: rate(count),
    label: way,
    why: `${seen}: ${count} ports of ${guesses[0]?.address} from ${guesses[0]?.ports[0]} on, ${percent(rate(count))} expected`
  }
}

/** The first ports in order of probability, and what some of them are worth together. */
function likeliest(candidates: Iterable<Candidate>, most: number, mapped: Endpoint) {
  const ports: Endpoint[] = []
  const rates = [0]
  for (const { address = mapped.address, port, probability } of candidates) {
    if (ports.length >= most) break
    ports.push({ address, port })
    rates.push(Math.min(1, (rates.at(-1) ?? 0) + probability))
  }
  return { ports, rate: (count: number) => rates[Math.min(count, ports.length)] ?? 0 }
}

function bothHard(scene: Scene, { options, left, elapsed }: Round): Plan | Pass {
  const models = { caller: modelOf(scene.caller), callee: modelOf(scene.callee) }
  const burstOf = (side: SideName): Burst | undefined => {
    const most = searchable(scene, side, Math.min(options.sockets, affordable(scene, side, left) - ANSWERS), left)
    return burstsOf(models[side], { elapsedMs: elapsed(side), most, goal: options.goal })(1)
  }
  const [caller, callee] = [burstOf('caller'), burstOf('callee')]
  // The two NATs are independent, so this is a product.
  const expected = (caller?.meeting.met[1] ?? 0) * (callee?.meeting.met[1] ?? 0)
  const seen = sideNames.map(side => habit(scene[side], models[side].describe())).join(', ')
  if (!caller || !callee || expected < options.atLeast)
    return unlikely(
      expected,
      `${seen}: ${percent(expected)} with ${options.sockets} sockets each${sharedOut(scene, left)}`
    )
  const effort = (side: SideName, own: Burst, aimed: Burst) => ({
    targets: [],
    guesses: guessesOf(portsOf(aimed, scene[otherSide(side)].mapped)),
    sockets: own.sockets,
    probes: budget(scene, side, own.sockets, left)
  })
  // A filter that lets in other ports of the address also lets probes in at mappings that were made for another port.
  const passive = { side: scene.callee, strict: ['address-and-port-dependent'], scene } as const
  return {
    kind: 'plan',
    caller: punch(effort('caller', caller, callee)),
    callee: punch(effort('callee', callee, caller), passive),
    waitMs: waitMsOf(scene, options.waitMs),
    expected,
    label: 'punch',
    why: `${seen}: ${caller.sockets} and ${callee.sockets} mappings around ${caller.meeting.ports[0]} and ${callee.meeting.ports[0]}, ${percent(expected)} expected`
  }
}

// A walk is sent at least twice, since a packet is lost now and then. A short one is sent up to AGAIN times, within LITTLE.
const AGAIN = 8
const LITTLE = 256

/** Datagrams for a walk of so many steps, its repetitions and the answers. */
function budget(scene: Scene, side: SideName, steps: number, left: number): number {
  const walk = Math.max(2 * steps, Math.min(AGAIN * steps, LITTLE), 2 * ANSWERS)
  return Math.min(affordable(scene, side, left), ANSWERS + walk)
}
