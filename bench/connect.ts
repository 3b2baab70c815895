// Time from `connect` to the open channel, port-restricted against port-restricted, beside plain ICE in the same run.
//
//   node bench/connect.ts [--trials N] [--world near|far]

import { parseArgs } from 'node:util'
import { Driven } from '../test/lab/driven.ts'
import { openRig, type Rig, type RigPeer } from '../test/lab/rig.ts'
import { goal, median, percentile, summary } from './figures.ts'
import type { IceDeeds } from './ice.ts'

const { values } = parseArgs({ options: { trials: { type: 'string' }, world: { type: 'string' } } })

/** One-way delays in milliseconds of the two sites: 40 and 60 ms to the gateway and back, 100 ms between the peers. */
const worlds = {
  near: { title: 'without delay', delays: [0, 0], trials: 300, slowMs: 250 },
  far: { title: '40 and 60 ms to the gateway, 100 ms between the peers', delays: [20, 30], trials: 100, slowMs: 2000 }
} as const

type World = (typeof worlds)[keyof typeof worlds]

for (const [name, world] of Object.entries(worlds)) if (!values.world || values.world === name) await bench(world)

async function bench(world: World): Promise<void> {
  const sites = world.delays.map(delayMs => ({ nat: 'port-restricted' as const, line: { delayMs } }))
  await using rig = await openRig({ sites, strategies: '[direct, stun, relay]' })
  await using ice = await openIce(rig)
  const [caller, callee] = rig.peers as [RigPeer, RigPeer]
  const trials = Number(values.trials ?? world.trials)
  console.log(`\n${world.title}: ${trials} trials each, interleaved (seed ${rig.world.seed})`)
  const ours: number[] = []
  const theirs: number[] = []
  const paths: { trace: string; ms: number }[] = []
  let failed = 0
  for (let trial = 0; trial < trials; trial++) {
    const { path } = await caller.connect(callee, 0)
    if (path) ours.push(path.ms)
    else failed++
    if (path) paths.push(path)
    const { ms } = await ice.call()
    if (ms !== undefined) theirs.push(ms)
  }
  console.log('postern   ', summary(ours))
  console.log('plain ICE ', summary(theirs), `aborted ${trials - theirs.length}`)
  await printBudget(rig, paths, world)
  goal('connections that failed', failed, { atMost: 0 })
  goal('median beside plain ICE', median(ours) / median(theirs), { atMost: 0.65 })
  if (world === worlds.near) {
    goal('95th percentile beside plain ICE', percentile(ours, 95) / percentile(theirs, 95), { atMost: 0.65 })
    goal(`connections above ${world.slowMs} ms`, ours.filter(ms => ms > world.slowMs).length, { atMost: 0 })
  }
}

/** A pair of plain ICE peers on the same hosts, with a switchboard on the gateway's. */
async function openIce({ world }: Rig): Promise<AsyncDisposable & { call(): Promise<{ ms?: number }> }> {
  await using opened = new AsyncDisposableStack()
  const script = new URL('ice.ts', import.meta.url)
  const switchboard = opened.use(new Driven<IceDeeds>(world.gateway, script))
  await switchboard.do('serve', { port: 8081 })
  const address = world.gateway.addresses[0]
  const [a, b] = await Promise.all(
    world.sites.map(async (site, index) => {
      const host = site.hosts[0]
      if (!host) throw new Error('a site has no host')
      const peer = opened.use(new Driven<IceDeeds>(host, script))
      await peer.do('join', { url: `ws://${address}:8081`, name: String(index), stunServer: `${address}:3478` })
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
async function printBudget(
  rig: Rig,
  paths: readonly { trace: string; ms: number }[],
  { delays }: World
): Promise<void> {
  const phases = new Map<string, number[]>()
  const add = (phase: string, ms: number) => phases.set(phase, [...(phases.get(phase) ?? []), ms])
  for (const { trace, ms } of paths) {
    const record = await rig.trace(trace)
    const handover = record?.spans.find(
      ({ name, attributes }) => name === 'postern.handover' && attributes['postern.side'] === 'caller'
    )
    if (!handover) continue
    let before = handover.startMs
    add('order', ms - ((handover.events.at(-1)?.atMs ?? before) - before))
    for (const { name, atMs } of handover.events) {
      add(name, atMs - before)
      before = atMs
    }
  }
  const roundTripMs = 2 * (delays[0] + delays[1])
  console.log('budget of the caller (median of each step after the one before it; the order comes first):')
  for (const [name, figures] of phases) {
    const share = roundTripMs > 0 ? `  ${(median(figures) / roundTripMs).toFixed(2)} round trips` : ''
    console.log(`  ${name.padEnd(10)} ${median(figures).toFixed(1).padStart(7)} ms${share}`)
  }
}
