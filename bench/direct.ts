// The throughput of a file sent over a direct path, from disk to disk and verified, beside bare node-datachannel peers
// that send messages over the same NATs, at the message size they like best.
//
//   node bench/direct.ts [repetitions] [--beside PATH]
//
// PATH is another checkout, such as the commit before: its gateway and peers take turns with ours (means/beside.ts).

import { parseArgs } from 'node:util'
import { openRig, type Rig, type RigPeer } from '../test/lab/rig.ts'
import type { Host } from '../test/lab/world.ts'
import { BarePair } from './means/bare-pair.ts'
import { besideOption, checkoutAt, judgeThroughput, openBeside } from './means/beside.ts'
import { goal, median } from './means/figures.ts'

const { values, positionals } = parseArgs({ options: besideOption, allowPositionals: true })
const checkout = checkoutAt(values.beside)
const repetitions = Number(positionals[0] ?? 7)
const BYTES = 256 << 20
const messageSizes = [16, 64, 256] as const
const strategies = '[stun]'

await using rig = await openRig({
  sites: [{ nat: 'port-restricted' }, { nat: 'port-restricted-moved' }],
  strategies
})
await using beside = await openBeside(rig, { strategies }, checkout)
const hosts = rig.world.sites.map(site => site.hosts[0]) as [Host, Host]
await using bare = new BarePair(hosts, `${rig.world.gateway.addresses[0]}:3478`)

console.log(`${BYTES >> 20} MiB, ${repetitions} times each, interleaved (seed ${rig.world.seed}); MB/s:`)
const postern: number[] = []
const others: number[] = []
const bares = new Map<number, number[]>(messageSizes.map(size => [size, []]))
for (let repetition = 0; repetition < repetitions; repetition++) {
  const [ours, theirs] = await beside.inTurns(repetition, sendFile)
  postern.push(ours)
  if (theirs !== undefined) others.push(theirs)
  for (const [kibibytes, figures] of bares) figures.push(megabytesPerSecond(await blast(kibibytes << 10)))
}
console.log('postern, file to file'.padEnd(24), spread(postern))
if (checkout) console.log('beside, file to file'.padEnd(24), spread(others))
for (const [kibibytes, figures] of bares) console.log(`bare, ${kibibytes} KiB messages`.padEnd(24), spread(figures))
goal('postern beside the best bare', median(postern) / Math.max(...[...bares.values()].map(median)), { atLeast: 0.9 })
if (checkout) judgeThroughput(postern, others)

async function sendFile({ peers }: Rig): Promise<number> {
  const [caller, callee] = peers as [RigPeer, RigPeer]
  return megabytesPerSecond((await caller.process.do('send', { to: callee.name, bytes: BYTES })).ms)
}

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
