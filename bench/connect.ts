// Time from `connect` to the open channel, in four worlds: pairs of NATs one after the other, each beside hyperdht (and
// two port-restricted NATs beside plain ICE too) on the same hosts, trial by trial, so that all meet the same machine.
//
//   node bench/connect.ts [--world near|far|lossy|one] [--pair "symmetric+1 port-restricted"] [--trials N] [--beside PATH]
//
// PATH is another checkout, such as the commit before: its gateway and peers take turns with ours (means/beside.ts).
// In the world `one` our gateway has one address, and one with two takes turns with it.
//
// All peers are warm: ours keep a socket open to the gateway, hyperdht's client has joined its network and knows the
// server from the trial before. The medians of hyperdht are of what opened; of ours, what did not open directly counts
// as taking forever, where a goal is about direct paths.

import { parseArgs } from 'node:util'
import { Driven } from '../test/lab/driven.ts'
import type { NatType } from '../test/lab/nat.ts'
import type { IceDeeds } from '../test/lab/plain-ice/driver.ts'
import { openRig, type Rig, type RigPeer } from '../test/lab/rig.ts'
import type { Site, SiteSpec } from '../test/lab/world.ts'
import { besideOption, checkoutAt, judgeTimes, openBeside, twoAddresses } from './means/beside.ts'
import { direct, failed, goal, median, type Outcome, opened, percentile, printOutcomes } from './means/figures.ts'
import { openHyperdht } from './peers/open.ts'

const { values } = parseArgs({
  options: { trials: { type: 'string' }, world: { type: 'string' }, pair: { type: 'string' }, ...besideOption }
})
const checkout = checkoutAt(values.beside)

const strategies = '[direct, stun, predict, spray, relay]'

/** Nobody sprays the same address so often within a minute: with the default the trials would wait for each other's budget. */
const config = 'limits: { probesPerAddress: 1000000, probesInAll: 10000000 }'

interface World {
  readonly title: string
  /** One way, in milliseconds, between each site and the public network. */
  readonly delays: readonly [number, number]
  readonly lossPercent: number
  /** Our gateway's addresses; two when left out. With one, a gateway with two is `theirs`. */
  readonly addresses?: 1
  readonly pairs: readonly Pair[]
}

interface Pair {
  readonly nats: readonly [NatType, NatType]
  readonly trials: number
  /** hyperdht has a turn after every so many of ours; with nothing here, none. It takes seconds where ports are random. */
  readonly hyperdhtEvery?: number
  /** Plain ICE has a turn after each of ours, and the caller's own steps are printed. */
  readonly besideIce?: true
  /** A peer that has just joined has a turn after each of ours. */
  readonly besideStranger?: true
  judge(measured: Measured): void
}

interface Measured {
  readonly ours: readonly Outcome[]
  /** Those of the other checkout, or of the gateway with two addresses, where there is one. */
  readonly theirs: readonly Outcome[]
  readonly strangers: readonly Outcome[]
  readonly ice: readonly Outcome[]
  readonly hyperdht: readonly Outcome[]
  /** Our median between two port-restricted NATs, in the same world; undefined when it was left out. */
  readonly restrictedMs: number | undefined
}

const restricted: Pair['nats'] = ['port-restricted', 'port-restricted']
const oneSteps: Pair['nats'] = ['symmetric+1', 'port-restricted']
const bothStep: Pair['nats'] = ['symmetric+2', 'symmetric+1']
const oneRandom: Pair['nats'] = ['symmetric-random', 'port-restricted']
const bothRandom: Pair['nats'] = ['symmetric-random', 'symmetric-random']

const worlds: Readonly<Record<string, World>> = {
  near: {
    title: 'without delay',
    delays: [0, 0],
    lossPercent: 0,
    pairs: [
      { nats: restricted, trials: 300, hyperdhtEvery: 3, besideIce: true, judge: restrictedNear },
      { nats: oneSteps, trials: 100, hyperdhtEvery: 5, judge: besideRestricted(3) },
      { nats: bothStep, trials: 100, hyperdhtEvery: 20, judge: besideRestricted(3) },
      { nats: oneRandom, trials: 100, hyperdhtEvery: 3, judge: randomNear },
      { nats: bothRandom, trials: 50, hyperdhtEvery: 10, judge: hopelessNear }
    ]
  },
  far: {
    title: '40 and 60 ms to the gateway, 100 ms between the peers',
    delays: [20, 30],
    lossPercent: 0,
    pairs: [
      { nats: restricted, trials: 100, hyperdhtEvery: 2, besideIce: true, judge: besideIce },
      { nats: oneSteps, trials: 100, hyperdhtEvery: 5, judge: besideRestricted(1.4) },
      { nats: bothStep, trials: 100, hyperdhtEvery: 20, judge: besideRestricted(1.4) },
      { nats: oneRandom, trials: 100, hyperdhtEvery: 3, judge: randomFar },
      { nats: bothRandom, trials: 30, hyperdhtEvery: 10, judge: () => {} }
    ]
  },
  lossy: {
    title: 'as far, and 2 % of all datagrams lost on each line',
    delays: [20, 30],
    lossPercent: 2,
    pairs: [
      { nats: oneSteps, trials: 200, judge: directDespiteLoss },
      { nats: bothStep, trials: 200, judge: directDespiteLoss }
    ]
  },
  one: {
    title: 'a gateway with one address, and one with two beside it, without delay',
    delays: [0, 0],
    lossPercent: 0,
    addresses: 1,
    pairs: [
      { nats: restricted, trials: 100, besideIce: true, besideStranger: true, judge: restrictedOne },
      { nats: oneSteps, trials: 100, judge: besideTwo(1.5) },
      { nats: oneRandom, trials: 100, judge: besideTwo(1.5) }
    ]
  }
}

function besideIce({ ours, ice }: Measured): void {
  goal('median beside plain ICE', median(direct(ours)) / median(opened(ice)), { atMost: 0.65 })
}

function restrictedNear(measured: Measured): void {
  const [ours, ice] = [direct(measured.ours), opened(measured.ice)]
  besideIce(measured)
  goal('95th percentile beside plain ICE', percentile(ours, 95) / percentile(ice, 95), { atMost: 0.65 })
  goal('connections above 250 ms', ours.filter(ms => ms > 250).length, { atMost: 0 })
}

function besideTwo(atMost: number): Pair['judge'] {
  return ({ ours, theirs }) =>
    goal('median beside the gateway with two addresses', median(direct(ours)) / median(direct(theirs)), { atMost })
}

function restrictedOne(measured: Measured): void {
  const { ours, strangers, ice } = measured
  besideTwo(1.1)(measured)
  goal('median beside plain ICE', median(direct(ours)) / median(opened(ice)), { atMost: 1 })
  goal("median of strangers' first calls beside it", median(direct(strangers)) / median(direct(ours)), { atMost: 1.25 })
}

function besideRestricted(atMost: number): Pair['judge'] {
  return ({ ours, restrictedMs }) => {
    if (restrictedMs === undefined) console.log('not judged: takes the port-restricted pair in the same run')
    else goal('median beside our port-restricted pair', median(direct(ours)) / restrictedMs, { atMost })
  }
}

function randomNear({ ours, hyperdht }: Measured): void {
  goal('median beside hyperdht', median(direct(ours)) / median(opened(hyperdht)), { atMost: 1 / 3 })
}

function randomFar({ ours, hyperdht }: Measured): void {
  goal('median in ms', median(direct(ours)), { atMost: 1500 })
  const late = percentile(direct(ours), 95) / percentile(opened(hyperdht), 95)
  goal('95th percentile beside hyperdht', late, { atMost: 0.5 })
}

function hopelessNear({ ours }: Measured): void {
  goal('longest time to the relay, in ms', percentile(opened(ours), 100), { atMost: 1000 })
}

function directDespiteLoss({ ours }: Measured): void {
  goal('direct, of 200', (200 * ours.filter(({ kind }) => kind === 'direct').length) / ours.length, { atLeast: 198 })
}

const chosen = Object.entries(worlds).filter(([name]) => !values.world || values.world === name)
const pairsOf = ({ pairs }: World) => pairs.filter(({ nats }) => !values.pair || values.pair === nats.join(' '))
if (!chosen.some(([, world]) => pairsOf(world).length > 0)) throw new Error('there is no such pair in such a world')
for (const [, world] of chosen) await bench(world)

async function bench(world: World): Promise<void> {
  const { title, delays, lossPercent } = world
  console.log(`\n${title}`)
  let restrictedMs: number | undefined
  for (const pair of pairsOf(world)) {
    const sites = pair.nats.map((nat, at) => ({ nat, line: { delayMs: delays[at] ?? 0, lossPercent } }))
    const measured = await measure(pair, sites, world.addresses)
    const { ours, theirs } = measured
    if (pair.nats === restricted) restrictedMs = median(direct(ours))
    goal('connections that failed', failed(ours), { atMost: 0 })
    if (checkout && !world.addresses) judgeTimes(ours, theirs)
    pair.judge({ ...measured, restrictedMs })
  }
}

/** Opens the pair's world, has each take its turns, and prints what came of it. */
async function measure(
  pair: Pair,
  sites: SiteSpec[],
  addresses: World['addresses']
): Promise<Omit<Measured, 'restrictedMs'>> {
  await using rig = await openRig({ sites, strategies, config, ...(addresses ? { addresses } : {}) })
  await using beside = await openBeside(rig, { strategies, config }, addresses ? twoAddresses : checkout)
  await using ice = pair.besideIce && (await openIce(rig))
  await using hyperdht = pair.hyperdhtEvery ? await openHyperdht(rig) : undefined
  console.log(`\n${pair.nats.join(' x ')} (seed ${rig.world.seed})`)
  const none = (): Outcome[] => []
  const measured = { ours: none(), theirs: none(), strangers: none(), ice: none(), hyperdht: none() }
  const traces: Path[] = []
  for (let trial = 0; trial < Number(values.trials ?? pair.trials); trial++) {
    const [ours, theirs] = await beside.inTurns(trial, connect)
    measured.ours.push(ours)
    if (theirs) measured.theirs.push(theirs)
    if (ours.kind !== 'failed') traces.push(ours)
    if (pair.besideStranger) measured.strangers.push(await strange(rig))
    if (ice) measured.ice.push(besides(await ice.call()))
    if (hyperdht && trial % (pair.hyperdhtEvery ?? 1) === 0) measured.hyperdht.push(besides(await hyperdht.call()))
  }
  printOutcomes('postern', measured.ours)
  if (measured.theirs.length > 0) printOutcomes(addresses ? 'two' : 'beside', measured.theirs)
  if (pair.besideStranger) printOutcomes('strangers', measured.strangers)
  if (ice) printOutcomes('plain ICE', measured.ice)
  if (hyperdht) printOutcomes('hyperdht', measured.hyperdht)
  if (pair.besideIce) await printBudget(rig, traces)
  return measured
}

type Path = Exclude<Outcome, { kind: 'failed' }> & { trace: string }

/** From the first peer of a rig to the second. */
async function connect({ peers }: Rig): Promise<Path | Extract<Outcome, { kind: 'failed' }>> {
  return await connectFrom(peers[0] as RigPeer, peers[1] as RigPeer)
}

/** A peer that nobody has seen before joins, calls at once, and is gone. */
async function strange({ world, peers, guest }: Rig): Promise<Outcome> {
  await using stranger = await guest(world.sites[0] as Site)
  return await connectFrom(stranger, peers[1] as RigPeer)
}

async function connectFrom(caller: RigPeer, callee: RigPeer): Promise<Path | Extract<Outcome, { kind: 'failed' }>> {
  const { path, failed } = await caller.connect(callee, 0)
  return path ?? { kind: 'failed', why: failed?.code ?? 'no code' }
}

/** What others open is direct: neither has a relay here. */
function besides({ ms, why = 'timeout' }: { ms?: number; why?: string }): Outcome {
  return ms === undefined ? { kind: 'failed', why } : { kind: 'direct', ms }
}

/** A pair of plain ICE peers on the same hosts, with a switchboard on the gateway's. */
async function openIce({ world }: Rig): Promise<AsyncDisposable & { call(): Promise<{ ms?: number }> }> {
  await using opened = new AsyncDisposableStack()
  const script = new URL('../test/lab/plain-ice/driver.ts', import.meta.url)
  const switchboard = opened.use(new Driven<IceDeeds>(world.gateway, script))
  await switchboard.do('serve', { port: 8081 })
  const address = world.gateway.addresses[0] ?? ''
  const [a, b] = await Promise.all(
    world.sites.map(async (site, index) => {
      const host = site.hosts[0]
      if (!host) throw new Error('a site has no host')
      const peer = opened.use(new Driven<IceDeeds>(host, script))
      await peer.do('join', { url: `ws://${address}:8081`, name: String(index), server: { address, port: 3478 } })
      return peer
    })
  )
  const all = opened.move()
  return {
    call: async () => (await a?.do('call', { to: '1' })) ?? {},
    [Symbol.asyncDispose]: async () => {
      await b?.[Symbol.asyncDispose]()
      await all.disposeAsync()
    }
  }
}

/** Where the time goes: the caller's own steps, in the median, and in round trips between the peers where there are any. */
async function printBudget(rig: Rig, paths: readonly Path[]): Promise<void> {
  const phases = new Map<string, number[]>()
  const add = (phase: string, ms: number) => phases.set(phase, [...(phases.get(phase) ?? []), ms])
  for (const { trace, ms } of paths) {
    const record = await rig.trace(trace)
    const own = (wanted: string) =>
      record?.spans.findLast(
        ({ name, attributes }) => name === `postern.${wanted}` && attributes['postern.side'] === 'caller'
      )
    const [probe, handover] = [own('probe'), own('handover')]
    if (!probe || !handover) continue
    let before = probe.startMs
    add('order', ms - (handover.endMs - before))
    const found = probe.events.filter(({ name }) => !/^(first|last)_/.test(name))
    for (const { name, atMs } of [...found, { name: 'bound', atMs: handover.startMs }, ...handover.events]) {
      add(name, atMs - before)
      before = atMs
    }
  }
  const roundTripMs = rig.world.sites.reduce((sum, { spec }) => sum + 2 * (spec.line?.delayMs ?? 0), 0)
  console.log('budget of the caller (median of each step after the one before it; the order comes first):')
  for (const [name, figures] of phases) {
    const share = roundTripMs > 0 ? `  ${(median(figures) / roundTripMs).toFixed(2)} round trips` : ''
    console.log(`  ${name.padEnd(10)} ${median(figures).toFixed(1).padStart(7)} ms${share}`)
  }
}
