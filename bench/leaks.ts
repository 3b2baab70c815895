// Five hundred sessions of all sorts in one world: joined by each strategy, relayed, sprayed in vain, failed, and several
// at once. Afterwards the peers and the gateway hold no more descriptors and sockets than before.
//
//   node bench/leaks.ts [sessions]

import { setTimeout } from 'node:timers/promises'
import type { Tried } from '../test/lab/driver.ts'
import type { NatType } from '../test/lab/nat.ts'
import { openRig, type Rig, type RigPeer } from '../test/lab/rig.ts'
import { goal, summary } from './means/figures.ts'

const sessions = Number(process.argv[2] ?? 500)
/** A closed connection lingers for 2 s at most, and nothing of its own happens in a peer for so long after that. */
const REST_MS = 3000
const SETTLE_MS = 20_000

const nats: NatType[] = [
  'symmetric+1',
  'symmetric-2',
  'port-restricted',
  'symmetric-random',
  'symmetric-random',
  'symmetric-block',
  'port-restricted'
]
/** Its requests to latch at the relay are lost, so that what has no direct path there fails. */
const UNRELAYED = 4

/** Callers and callees by their place, sessions of a line at once. */
// biome-ignore format: a table
const rounds: readonly (readonly [number, number])[][] = [
  [[0, 2], [1, 5]], // predict, spray
  [[2, 6]], // stun
  [[0, 1]], // predict, both sides
  [[3, 2]], // spray
  [[5, 2], [0, 3]], // spray, in vain and relayed
  [[3, 4]], // sprayed in vain and failed
  [[4, 6], [0, 2], [2, 0]] // in each other's way
]

/** Every peer has been joined before: node-datachannel opens what it keeps with its first connection. */
const WARM_UP = 5 * rounds.flat().length

await using rig = await openRig({
  sites: nats.map(nat => ({ nat })),
  strategies: '[direct, stun, predict, spray: { atLeast: 0, probes: 512, perSecond: 4000 }, relay: { waitMs: 300ms }]',
  config: 'limits: { probesPerAddress: 1000000000, probesInAll: 1000000000 }'
})
await loseLatches(rig)
await run(WARM_UP)
const before = await settled(rig)
console.log(`${sessions} sessions after ${WARM_UP} (seed ${rig.world.seed})`)
const all = await run(sessions)
console.log(summary(all.map(({ ms }) => ms)))
const ends = Map.groupBy(all, ({ path, failed }) => path?.by ?? failed?.code ?? '')
console.log([...ends].map(([end, { length }]) => `${end} ${length}`).join(', '))
const sprayed = all.filter(({ strategies }) =>
  strategies.some(({ name, outcome }) => name === 'spray' && outcome === 'failed')
)
console.log(`sprayed in vain ${sprayed.length}`)
const after = await settled(rig)
for (const [index, { who, open, sockets }] of after.entries()) {
  goal(`sockets more than before, ${who}`, sockets - (before[index]?.sockets ?? 0), { atMost: 0 })
  goal(`descriptors more than before, ${who}`, open - (before[index]?.open ?? 0), { atMost: 0 })
}

/** `ms` from the call to the closed connection, or the failure. */
async function run(count: number): Promise<(Tried & { ms: number })[]> {
  const tried: (Tried & { ms: number })[] = []
  for (let round = 0; tried.length < count; round++) {
    const pairs = (rounds[round % rounds.length] ?? []).slice(0, count - tried.length)
    tried.push(...(await Promise.all(pairs.map(([from, to]) => connect(peer(from), peer(to))))))
  }
  return tried
}

async function connect(from: RigPeer, to: RigPeer): Promise<Tried & { ms: number }> {
  const startMs = performance.now()
  const tried = await from.connect(to, 1000)
  return { ...tried, ms: performance.now() - startMs }
}

function peer(place: number): RigPeer {
  const found = rig.peers[place]
  if (!found) throw new Error(`no peer ${place}`)
  return found
}

/** A request to latch names its session: `s:`, behind the headers of UDP, STUN and the first attribute, 32 bytes in all. */
async function loseLatches({ world }: Rig): Promise<void> {
  const rule = 'meta l4proto udp @th,256,16 0x733a drop'
  const chain = ['chain forward {', 'type filter hook forward priority filter', rule, '}']
  await world.sites[UNRELAYED]?.boxes[0]?.nft(['table ip unrelayed {', ...chain, '}', ''].join('\n'))
}

interface Held {
  readonly who: string
  readonly open: number
  readonly sockets: number
}

/** What each holds once nothing has changed for a while. */
async function settled({ peers, gateway }: Rig): Promise<Held[]> {
  const named = peers.map(({ name, site, process }) => ({ who: `${name} ${site.nat}`, process }))
  const look = () =>
    Promise.all(
      [...named, { who: 'gateway', process: gateway }].map(async ({ who, process }) => ({
        who,
        ...(await process.do('descriptors', {}))
      }))
    )
  const endMs = performance.now() + SETTLE_MS
  let held = await look()
  for (let sinceMs = performance.now(); performance.now() < Math.min(endMs, sinceMs + REST_MS); ) {
    await setTimeout(50)
    const now = await look()
    if (JSON.stringify(now) !== JSON.stringify(held)) sinceMs = performance.now()
    held = now
  }
  return held
}
