// Repeated trials of `predict` and `spray` on real NATs: what the models expected beside what happened, and what it cost.
//
//   node bench/trials.ts [--only WORD] [--trials N] [--seed N]
//
// A trial is one connect request. `expected` is the probability in the span of its first plan, made before anything was
// sent; a hit is a path by that plan. The interval is the exact binomial one, of 99 %.

import { parseArgs } from 'node:util'
import { birthdayRate, sprayRate, windowRate } from '../src/nat/assignment.ts'
import type { SpanRecord, TraceRecord } from '../src/trace/record/record.ts'
import type { NatType } from '../test/lab/nat.ts'
import { openRig, type Rig, type RigPeer } from '../test/lab/rig.ts'
import { binomialInterval } from './means/binomial.ts'
import { goal, median } from './means/figures.ts'

const { values } = parseArgs({
  options: { only: { type: 'string' }, trials: { type: 'string' }, seed: { type: 'string' } }
})

interface Trial {
  readonly direct: boolean
  readonly ms: number
  readonly by: string
  /** The first plan of the plugin under test: undefined where it had none. */
  readonly expected: number | undefined
  readonly hit: boolean
  /** Datagrams both sides sent in all plans of the plugin, until the path was found. */
  readonly probes: number
  /** From the last sample at the gateway to the mapping's making, as the gateway's clock sees it, in milliseconds. */
  readonly elapsedMs: number | undefined
  /** Ports that were guessed. */
  readonly ports: number
}

interface Scenario {
  readonly name: string
  readonly nats: readonly [NatType, NatType]
  readonly strategies: string
  readonly plugin: 'predict' | 'spray'
  readonly trials: number
  /** Foreign mappings per second behind the first NAT. */
  readonly perSecond?: number
  readonly delaysMs?: readonly [number, number]
  readonly judge: (trials: readonly Trial[], scenario: Scenario) => void
}

const relay = 'relay: { waitMs: 2s }'
const scale = (trials: number) => Number(values.trials ?? trials)

const stepping = (['+1', '+2', '-1', '+7'] as const).flatMap(step => {
  const nat = `symmetric${step}` as NatType
  const both: [NatType, NatType][] = [
    [nat, 'port-restricted'],
    [nat, nat]
  ]
  return both.map(
    (nats): Scenario => ({
      name: `predict ${nats.join(' x ')}`,
      nats,
      strategies: `[stun, predict, ${relay}]`,
      plugin: 'predict',
      trials: scale(200),
      judge: all => goal('direct by predict', share(all, direct), { atLeast: 198 / 200 })
    })
  )
})

const worlds = { near: [0, 0], far: [20, 30] } as const

// Far away the window is kept small, so that misses are many enough to be counted.
const drifting = [5, 20, 50].flatMap(perSecond =>
  Object.entries(worlds).map(
    ([world, delaysMs]): Scenario => ({
      name: `predict drift ${perSecond}/s ${world}`,
      nats: ['symmetric+1', 'port-restricted'],
      strategies: `[stun, predict: { rounds: 1${world === 'near' ? '' : `, window: ${Math.max(2, perSecond / 10)}`} }, ${relay}]`,
      plugin: 'predict',
      trials: scale(400),
      perSecond,
      delaysMs,
      judge: judgeDrift
    })
  )
)

const scenarios: Scenario[] = [
  ...stepping,
  ...drifting,
  ...[
    { sockets: 64, probes: 512 },
    { sockets: 128, probes: 640 }
  ].map(
    (size): Scenario => ({
      name: `spray random ${size.sockets} sockets ${size.probes} probes`,
      nats: ['symmetric-random', 'port-restricted'],
      strategies: `[stun, spray: { sockets: ${size.sockets}, probes: ${size.probes}, perSecond: 4000 }, ${relay}]`,
      plugin: 'spray',
      trials: scale(400),
      judge: all => judgeSpray(all, size)
    })
  ),
  {
    name: 'spray random default',
    nats: ['symmetric-random', 'port-restricted'],
    strategies: `[stun, predict, spray, ${relay}]`,
    plugin: 'spray',
    trials: scale(100),
    judge: all => {
      goal('direct', share(all, direct), { atLeast: 0.99 })
      goal('median time, ms', median(all.map(({ ms }) => ms)), { atMost: 1000 })
    }
  },
  {
    name: 'spray block x port-restricted',
    nats: ['symmetric-block', 'port-restricted'],
    strategies: `[stun, predict, spray, ${relay}]`,
    plugin: 'spray',
    trials: scale(100),
    judge: all => {
      goal('direct', share(all, direct), { atLeast: 0.99 })
      goal('probes of both sides, median', median(all.map(({ probes }) => probes)), { atMost: 150 })
    }
  },
  {
    name: 'spray block x block',
    nats: ['symmetric-block', 'symmetric-block'],
    strategies: `[stun, spray: { probes: 512, perSecond: 2000 }, ${relay}]`,
    plugin: 'spray',
    trials: scale(200),
    judge: all => {
      judgeExpected(all)
      console.log(`       the formula, for a block of 512 known exactly: ${sprayRate(496, 496, 512).toFixed(3)}`)
    }
  },
  {
    name: 'spray block x +1',
    nats: ['symmetric-block', 'symmetric+1'],
    strategies: `[stun, spray: { probes: 1024, perSecond: 2000 }, ${relay}]`,
    plugin: 'spray',
    trials: scale(200),
    judge: judgeExpected
  }
]

async function run(scenario: Scenario): Promise<Trial[]> {
  const { name, nats, strategies, perSecond, delaysMs = [0, 0], trials } = scenario
  await using rig = await openRig({
    sites: nats.map((nat, i) => ({ nat, line: delaysMs[i] ? { delayMs: delaysMs[i] } : {} })),
    strategies,
    config: 'limits: { probesPerAddress: 100000000, probesInAll: 100000000 }',
    ...(values.seed ? { seed: Number(values.seed) } : {})
  })
  await using _traffic = perSecond ? await rig.world.sites[0]?.traffic(perSecond) : undefined
  const [hard, other] = rig.peers as [RigPeer, RigPeer]
  const all: Trial[] = []
  for (let i = 0; i < trials; i++) {
    // Each side calls in turn: which of them is hard must not depend on who asked.
    const [from, to] = i % 2 === 0 ? [hard, other] : [other, hard]
    all.push(await trial(rig, from, to, scenario))
  }
  const times = all.filter(direct).map(({ ms }) => ms)
  console.log(`\n${name}: ${trials} trials (seed ${rig.world.seed})`)
  console.log(
    `       direct ${all.filter(direct).length}, by first plan ${all.filter(({ hit }) => hit).length}, ` +
      `median ${median(times).toFixed(1)} ms, ${median(all.map(({ probes }) => probes))} probes`
  )
  return all
}

async function trial(rig: Rig, from: RigPeer, to: RigPeer, scenario: Scenario): Promise<Trial> {
  const { path } = await from.connect(to, 0)
  const record = path ? await rig.trace(path.trace) : undefined
  const plans = record ? plansOf(record, scenario.plugin) : []
  const [first] = plans
  return {
    direct: path?.kind === 'direct',
    ms: path?.ms ?? Number.POSITIVE_INFINITY,
    by: path?.by ?? 'none',
    expected: first?.attributes['postern.expected'] as number | undefined,
    hit: first?.attributes['postern.outcome'] === 'path',
    probes: record && first ? probesOf(record, plans) : 0,
    elapsedMs: record && first ? elapsed(record, first, scenario) : undefined,
    ports: first
      ? Math.max(...['caller', 'callee'].map(side => Number(first.attributes[`postern.${side}.ports`] ?? 0)))
      : 0
  }
}

const plansOf = (record: TraceRecord, plugin: string): SpanRecord[] =>
  record.spans.filter(({ name, attributes }) => name === 'postern.plan' && attributes['postern.plugin'] === plugin)

function probesOf({ spans }: TraceRecord, plans: readonly SpanRecord[]): number {
  const ids = new Set(plans.map(({ id }) => id))
  const sides = spans.filter(({ name, parent }) => name === 'postern.probe' && parent && ids.has(parent))
  return sides.reduce((sum, { attributes }) => sum + Number(attributes['postern.sent'] ?? 0), 0)
}

/**
 * The hard side's order takes half a round trip, and so did its last sample. Far apart, it also gives the other side a head
 * start, by as much as that side is farther from the gateway.
 */
function elapsed({ spans }: TraceRecord, plan: SpanRecord, { delaysMs = [0, 0] }: Scenario): number | undefined {
  const samples = spans.filter(({ name, startMs }) => name === 'postern.profile' && startMs <= plan.startMs)
  const hard = samples.findLast(({ attributes }) => attributes['postern.mapping'] !== 'endpoint-independent')
  const last = Math.max(...(hard?.events ?? []).map(({ atMs }) => atMs))
  const headStartMs = Math.max(0, delaysMs[1] - delaysMs[0])
  return Number.isFinite(last) ? plan.startMs - last + 2 * delaysMs[0] + headStartMs : undefined
}

const direct = (trial: Trial) => trial.direct
const share = (all: readonly Trial[], which: (trial: Trial) => boolean) => all.filter(which).length / all.length
const mean = (figures: readonly number[]) => figures.reduce((sum, figure) => sum + figure, 0) / figures.length

/** What the models promised lies in the interval of what happened. */
function judgeExpected(all: readonly Trial[]): void {
  const planned = all.filter(({ expected }) => expected !== undefined)
  const hits = planned.filter(({ hit }) => hit).length
  const expected = mean(planned.map(trial => trial.expected ?? 0))
  const { low, high } = binomialInterval(hits, planned.length)
  console.log(`       ${hits} of ${planned.length} hits: 99 % interval ${low.toFixed(3)} to ${high.toFixed(3)}`)
  goal('trials with a plan', planned.length / all.length, { atLeast: 0.99 })
  goal('expected, not below the interval', expected, { atLeast: low })
  goal('expected, not above the interval', expected, { atMost: high })
}

function judgeDrift(all: readonly Trial[], { perSecond = 0 }: Scenario): void {
  judgeExpected(all)
  const elapsedMs = mean(all.flatMap(one => one.elapsedMs ?? []))
  const ports = mean(all.map(one => one.ports))
  const floor = mean(all.map(one => windowRate(one.ports, (perSecond * (one.elapsedMs ?? 0)) / 1000)))
  const { high } = binomialInterval(all.filter(({ hit }) => hit).length, all.length)
  console.log(`       T ${elapsedMs.toFixed(1)} ms, w ${ports.toFixed(1)}: Pr[Poisson(λT) < w] ${floor.toFixed(3)}`)
  goal('hits: the interval reaches Pr[Poisson(λT) < w]', high, { atLeast: floor })
}

function judgeSpray(all: readonly Trial[], { sockets, probes }: { sockets: number; probes: number }): void {
  judgeExpected(all)
  const tried = Math.max(...all.map(({ ports }) => ports))
  const hits = all.filter(({ hit }) => hit).length
  const { low, high } = binomialInterval(hits, all.length)
  // Linux draws from 1024 to 65535.
  const rate = birthdayRate(sockets, tried, 64_512)
  console.log(`       1 - C(N-k,n)/C(N,n), k ${sockets}, n ${tried} of ${probes}: ${rate.toFixed(3)}`)
  goal('the formula, not below the interval', rate, { atLeast: low })
  goal('the formula, not above the interval', rate, { atMost: high })
}

for (const scenario of scenarios)
  if (!values.only || scenario.name.includes(values.only)) scenario.judge(await run(scenario), scenario)
