// The throughput of a file sent over a direct path, from disk to disk and verified, beside bare node-datachannel peers
// that send messages over the same NATs, at the message size they like best.
//
//   node bench/direct.ts [repetitions]

import { openRig, type RigPeer } from '../test/lab/rig.ts'
import type { Host } from '../test/lab/world.ts'
import { BarePair } from './means/bare-pair.ts'
import { goal, median } from './means/figures.ts'

const repetitions = Number(process.argv[2] ?? 7)
const BYTES = 256 << 20
const messageSizes = [16, 64, 256] as const

await using rig = await openRig({
  sites: [{ nat: 'port-restricted' }, { nat: 'port-restricted-moved' }],
  strategies: '[stun]'
})
const [caller, callee] = rig.peers as [RigPeer, RigPeer]
const hosts = rig.world.sites.map(site => site.hosts[0]) as [Host, Host]
await using bare = new BarePair(hosts, `${rig.world.gateway.addresses[0]}:3478`)

console.log(`${BYTES >> 20} MiB, ${repetitions} times each, interleaved (seed ${rig.world.seed}); MB/s:`)
const postern: number[] = []
const bares = new Map<number, number[]>(messageSizes.map(size => [size, []]))
for (let repetition = 0; repetition < repetitions; repetition++) {
  postern.push(megabytesPerSecond((await caller.process.do('send', { to: callee.name, bytes: BYTES })).ms))
  for (const [kibibytes, figures] of bares) figures.push(megabytesPerSecond(await blast(kibibytes << 10)))
}
console.log('postern, file to file'.padEnd(24), spread(postern))
for (const [kibibytes, figures] of bares) console.log(`bare, ${kibibytes} KiB messages`.padEnd(24), spread(figures))
goal('postern beside the best bare', median(postern) / Math.max(...[...bares.values()].map(median)), { atLeast: 0.9 })

async function blast(messageBytes: number): Promise<number> {
  await bare.open()
  const ms = await bare.blast(BYTES, messageBytes)
  await bare.shut()
  return ms
}

function megabytesPerSecond(ms: number): number {
  return BYTES / 1000 / ms
}

function spread(figures: readonly number[]): string {
  const [median_, ...ends] = [median(figures), Math.min(...figures), Math.max(...figures)].map(one => one.toFixed(1))
  return `median ${median_}, ${ends.join(' to ')}`
}
