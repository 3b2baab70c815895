// `npm run lab -- TYPE_A TYPE_B` opens one connection between two NATs and prints the path; `npm run lab -- --matrix`
// prints the table of all pairs, with `--browsers` that of real browsers, `npm run lab -- --causes` the table of causes that are produced and what their traces say,
// `npm run lab -- --faults` how transfers get over faults, `npm run lab -- --stun-clients` what others' STUN clients say of the
// NATs, and `npm run lab -- --foreign` the table of NATs that are not the kernel's; `npm run lab` lists the types.

import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { asPosternError } from '../../src/errors.ts'
import { writeBundles } from '../../tools/bundle.ts'
import { printCauses } from '../causes/print.ts'
import type { Tried } from './driver.ts'
import { callTable } from './faults/call/run.ts'
import { listTable, printTable } from './faults/life/print.ts'
import { lifeTable } from './faults/life/run.ts'
import { listFaults, printFaults } from './faults/print.ts'
import { printForeign } from './foreign/print.ts'
import { foreignWorlds } from './foreign/worlds.ts'
import { type Cell, gridOf, openGrid } from './grid.ts'
import { matrixUsage, printMatrix as printBrowserMatrix } from './matrix/print.ts'
import { coreTypes, type NatType, natFamilies, natTypes, natureOf } from './nat.ts'
import { type GatewaySpec, openRig, type Rig, type RigPeer } from './rig.ts'
import { printStunClients } from './stun-clients.ts'
import { labProblem } from './world.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    matrix: { type: 'boolean', default: false },
    browsers: { type: 'boolean', default: false },
    only: { type: 'string' },
    out: { type: 'string' },
    ice: { type: 'string' },
    'stun-clients': { type: 'boolean', default: false },
    causes: { type: 'boolean', default: false },
    foreign: { type: 'boolean', default: false },
    faults: { type: 'boolean', default: false },
    call: { type: 'boolean', default: false },
    list: { type: 'boolean', default: false },
    trials: { type: 'string', default: '10' },
    'at-once': { type: 'string', default: '2' },
    rate: { type: 'string' },
    same: { type: 'boolean', default: false },
    strategies: { type: 'string', default: 'direct, stun, map, predict, spray, relay' },
    'one-address': { type: 'boolean', default: false },
    'delay-a': { type: 'string', default: '0' },
    'delay-b': { type: 'string', default: '0' },
    seed: { type: 'string' },
    times: { type: 'string', default: '1' },
    help: { type: 'boolean', short: 'h', default: false }
  }
})

const usage = `npm run lab -- TYPE_A TYPE_B [options]   a connection from behind one NAT to behind another
npm run lab -- TYPE --same               two hosts behind the same NAT
npm run lab -- --matrix                  the table of all pairs of the ${coreTypes.length} core types
npm run lab -- --matrix --browsers       the same with pages in Chromium and Firefox; --help says more
npm run lab -- --causes [WORD...]        the table of causes of failed and relayed connections: each is produced, and
                                         the verdict of its trace shown; of those with a word in them, where given
npm run lab -- --faults [WORD...]        how transfers get over faults on their way: each is produced, and the time until
                                         they go on measured beside its goal; with --list, what there is
npm run lab -- --faults --browsers [WORD...]  how connections of pages do, their streams and what they film
npm run lab -- --faults --call [WORD...]  how calls of two in browsers do, by the page of the gateway
npm run lab -- --stun-clients            others' STUN clients behind six NATs, against a gateway: downloads them, and prints
                                         what each says
npm run lab -- --foreign [NAME...]       NATs that are not the kernel's, and gateways that are published by others: what
                                         each is called, and the paths through it; of those of these names, where given

  --strategies "direct, stun, relay"     as in the YAML file; all when left out
  --one-address                          the gateway listens on one of its two addresses only
  --delay-a MS, --delay-b MS             one way, between a site and the public network
  --times N                              so many connections, their times, and what hosts refused at closed ports
  --trials N, --at-once N, --rate N      of --faults: how often each (10), how many at a time (2), Mbit/s of the transfer (40;
                                         of pages 4 each way, one at a time)
  --seed N                               repeats a run: base ports, blocks and hashes follow from it

Types: ${[...natTypes, ...natFamilies].join(', ')}
Foreign: ${foreignWorlds.map(({ name }) => name).join(', ')}`

try {
  const problem = labProblem()
  if (values.help) console.log(values.browsers ? matrixUsage : usage)
  else if (problem) throw new Error(`the laboratory cannot run here: ${problem}`)
  else if (values.causes) await printCauses(positionals)
  else if (values.faults && values.call && values.list) listTable(callTable, positionals)
  else if (values.faults && values.call) await printCalls()
  else if (values.faults && values.browsers && values.list) listTable(lifeTable, positionals)
  else if (values.faults && values.browsers) await printTable(lifeTable, positionals, lifeOptions())
  else if (values.faults && values.list) listFaults(positionals)
  else if (values.faults) await printFaults(positionals, faultOptions())
  else if (values['stun-clients']) await printStunClients()
  else if (values.foreign) await printForeign(positionals)
  else if (values.matrix && values.browsers) await printBrowserMatrix(browserOptions())
  else if (values.matrix) await printMatrix()
  else if (positionals.length === (values.same ? 1 : 2)) await printPath(positionals.map(known))
  else console.log(usage)
} catch (thrown) {
  console.error(asPosternError(thrown).message)
  process.exitCode = 1
}

async function printPath([a, b]: NatType[]): Promise<void> {
  const line = (delay: string) => ({ line: { delayMs: Number(delay) } })
  const sites = b
    ? [
        { nat: a as NatType, ...line(values['delay-a']) },
        { nat: b, ...line(values['delay-b']) }
      ]
    : [{ nat: a as NatType, hosts: 2, ...line(values['delay-a']) }]
  await using rig = await openRig({ sites, ...gateway(), ...seed() })
  const [caller, callee] = rig.peers
  if (!caller || !callee) throw new Error('a connection takes two hosts')
  console.log(`${a} -> ${b ?? 'the same NAT'}   (seed ${rig.world.seed})`)
  if (Number(values.times) > 1) return await printTimes(rig, Number(values.times))
  const tried = await caller.connect(callee, 1 << 20)
  for (const { name, outcome, reason, ms } of tried.strategies)
    console.log(`  ${name.padEnd(8)} ${outcome.padEnd(7)} ${ms.toFixed(1).padStart(8)} ms  ${reason}`)
  if (tried.failed) throw new Error(`${tried.failed.code}: ${tried.failed.reason}`)
  console.log(
    `${tried.path?.kind} by ${tried.path?.by} in ${tried.path?.ms} ms, ${tried.path?.local} to ${tried.path?.remote}`
  )
  console.log(`1 MiB ${tried.intact ? 'intact' : 'DAMAGED'} in ${tried.transferMs.toFixed(0)} ms`)
}

async function printTimes({ peers, world }: Rig, times: number): Promise<void> {
  const [caller, callee] = peers as [RigPeer, RigPeer]
  const tried: Tried[] = []
  while (tried.length < times) tried.push(await caller.connect(callee, 0))
  const count = (wanted: string) => tried.filter(({ path }) => (path?.kind ?? 'failed') === wanted).length
  const ms = tried.flatMap(({ path }) => path?.ms ?? []).sort((one, other) => one - other)
  console.log(`${count('direct')} direct, ${count('relay')} relayed, ${count('failed')} failed`)
  console.log(
    `median ${ms[ms.length >> 1]} ms, longest ${ms.at(-1)} ms, ${ms.filter(one => one < 1000).length} below 1 s`
  )
  for (const site of world.sites)
    console.log(`${await site.refused()} STUN messages were refused at closed ports behind ${site.nat}`)
}

async function printMatrix(): Promise<void> {
  await using grid = await openGrid({ ...gateway(), ...seed() })
  console.log(`rows call columns (seed ${grid.seed})\n`)
  const cells = await gridOf(grid)
  const width = Math.max(...coreTypes.map(type => type.length))
  for (const row of coreTypes) {
    const line = coreTypes.map(column => cells.find(cell => cell.caller === row && cell.callee === column)?.tried)
    console.log(row.padEnd(width), line.map(tried => (tried ? mark(tried) : '·').padEnd(7)).join(' '))
  }
  const direct = cells.filter(({ tried }) => tried.path?.kind === 'direct').length
  const relayed = cells.filter(({ tried }) => tried.path?.kind === 'relay').length
  console.log(`\ncolumns: ${coreTypes.join(', ')}`)
  console.log(`${direct} direct, ${relayed} relay, ${cells.length - direct - relayed} failed, of ${cells.length}`)
  const [last] = cells.toSorted((a, b) => openedAfter(b) - openedAfter(a))
  if (last) console.log(`the slowest after ${openedAfter(last).toFixed(0)} ms: ${last.caller} calling ${last.callee}`)
}

function openedAfter({ tried }: Cell): number {
  return tried.path?.ms ?? 0
}

function mark({ path, intact }: Cell['tried']): string {
  if (!path) return 'failed'
  return intact ? path.kind : 'damaged'
}

function faultOptions() {
  const trials = positive('trials', values.trials)
  const atOnce = positive('at-once', values['at-once'])
  return { trials, atOnce, bytesPerSecond: rateOf('40'), ...seed() }
}

/** A gateway serves what was built; what is to be seen is the page as it is written now. */
async function printCalls(): Promise<void> {
  await writeBundles(fileURLToPath(new URL('../../dist', import.meta.url)))
  await printTable(callTable, positionals, { trials: positive('trials', values.trials), ...seed() })
}

function lifeOptions() {
  return { trials: positive('trials', values.trials), bytesPerSecond: rateOf('4'), ...seed() }
}

function rateOf(otherwise: string): number {
  return (positive('rate', values.rate ?? otherwise) * 1e6) / 8
}

function browserOptions() {
  const { only, out, ice, strategies } = values
  return { nats: positionals.map(known), only, out, ice, strategies: `[${strategies}]`, ...seed() }
}

function positive(name: string, text: string): number {
  if (/^[1-9]\d{0,3}$/.test(text)) return Number(text)
  throw new Error(`--${name} takes a whole number from 1 to 9999`)
}

function gateway(): GatewaySpec {
  return { strategies: `[${values.strategies}]`, ...(values['one-address'] ? { addresses: 1 } : {}) }
}

function seed(): { seed?: number } {
  return values.seed ? { seed: Number(values.seed) } : {}
}

function known(type: string): NatType {
  try {
    natureOf(type as NatType)
    return type as NatType
  } catch {
    throw new Error(`there is no NAT type "${type}"; there are ${[...natTypes, ...natFamilies].join(', ')}`)
  }
}
