// Thousands of idle peers on one gateway: what one of them costs in memory, how fast they join, what a call among them and a health
// check notice of the others, and how soon all are back after the gateway has started again.
//
//   node bench/peers.ts [--peers N] [--few N] [--snapshots FOLDER]
//
// The peers are scripts in processes of their own (idle/scripted.ts), each with a key, a name, a WebSocket and a UDP socket. They run
// on the cores of the gateway, so what they take is missing there. The limits of the gateway are raised as far as so many peers ask
// for it, and none is off: networks and certificates have their shares. With `--snapshots` what is on the heap is written down, and
// the resident memory says nothing then.

import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { get } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { Driven } from '../test/lab/driven.ts'
import { Crowds } from './idle/crowds.ts'
import type { Pair } from './idle/pair.ts'
import type { Door } from './idle/scripted.ts'
import { goal, median, percentile, summary } from './means/figures.ts'
import { here, openGatewayProcess } from './means/gateway-process.ts'
import { metered } from './means/processor.ts'

const { values } = parseArgs({
  options: { peers: { type: 'string' }, few: { type: 'string' }, snapshots: { type: 'string' } }
})
const MANY = Number(values.peers ?? 18_000)
const FEW = Number(values.few ?? 2000)
if (!(FEW > 0 && MANY > FEW)) throw new Error('--peers takes a number above that of --few, which is 2000 if left out')

/** The gateway has seen every mapping twice by then, and has nothing more to do for those who have just come, in milliseconds. */
const SETTLED_MS = 35_000

const SWEPT_MS = 3000

const CALLS = 100
/** Calls before those that are measured: what runs the first time takes longer. */
const PRACTICE = 10
const HEALTH_EVERY_MS = 25
const IDLE_MS = 20_000

/** All are to be back by then, in milliseconds; who is not back in four times that does not come. */
const BACK_MS = 60_000

const folder = await mkdtemp(join(tmpdir(), 'postern-peers-'))

/** Seats for a quarter more, since a gateway keeps its last ones for networks that have few. */
const configOf = (state: string, { http, udp }: { http: number; udp: readonly number[] }) => `
listen: { http: '127.0.0.1:${http}', udp: { addresses: [127.0.0.1], ports: [${udp.join(', ')}] } }
state: ${join(folder, state)}
strategies: [direct, relay]
limits: { peers: ${Math.ceil(MANY * 1.25)}, names: ${MANY * 6} }
log: { level: warn }
`
const anywhere = { http: 0, udp: [0, 0, 0] }

await using opened = new AsyncDisposableStack()
opened.defer(() => rm(folder, { recursive: true, force: true }))
const empty = opened.use(openGatewayProcess())
const beside = await empty.do('open', { config: configOf('empty', anywhere) })
let gateway = opened.use(openGatewayProcess())
const door = await gateway.do('open', { config: configOf('full', anywhere) })
const crowds = opened.use(new Crowds(MANY))

await look('no peers')
const full = await fill()
await rest()
await call()
await startAgain()

interface Look {
  /** Resident as it is, in bytes; then after a collection; and the heap with what is outside of it. */
  readonly asItIs: number
  readonly resident: number
  readonly heap: number
}

/** Few peers, then many: the difference is what one costs. */
async function fill(): Promise<Look> {
  await crowds.grow(FEW)
  const inKernel = kernelBytes()
  await joined(FEW)
  const few = await settled(`${FEW} peers`)
  await snapshot('few')
  await crowds.grow(MANY)
  const health = healthOf(door)
  const perSecond = await joined(MANY - FEW)
  const checks = await health.end()
  const many = await settled(`${MANY} peers`)
  await snapshot('many')
  const [resident, asItIs, heap] = (['resident', 'asItIs', 'heap'] as const).map(
    kind => (many[kind] - few[kind]) / (MANY - FEW)
  )
  const kB = (bytes = Number.NaN) => `${(bytes / 1000).toFixed(2)} kB`
  console.log(`for each peer: heap ${kB(heap)}, resident ${kB(resident)}, before a collection ${kB(asItIs)}`)
  console.log(`the kernel's for each peer, at both ends of both sockets: ${kB((kernelBytes() - inKernel) / MANY)}`)
  console.log('/healthz while they joined', summary(checks))
  goal(`bytes of resident memory for each peer, ${FEW} to ${MANY}`, resident ?? Number.NaN, { atMost: 14_000 })
  goal('joins a second', perSecond, { atLeast: 500 })
  return many
}

/** Those that were made join. Resolves with how many did so in a second. */
async function joined(count: number): Promise<number> {
  const meter = metered([gateway.pid, ...crowds.pids])
  await crowds.join(door)
  const { seconds, busy, others } = meter()
  const [own = 0, theirs] = apart(busy.map(spent => (1000 * spent) / count))
  console.log(
    `${count} joined in ${seconds.toFixed(1)} s, ${(count / seconds).toFixed(0)} a second; processor for each: ${own.toFixed(2)} ms of the ` +
      `gateway, ${theirs.toFixed(2)} ms of the peers; other programs had ${others.toFixed(0)} % of the cores`
  )
  return count / seconds
}

/** Nobody comes, goes or calls. */
async function rest(): Promise<void> {
  await allThere()
  const before = await crowds.tally()
  const meter = metered([gateway.pid, ...crowds.pids])
  await sleep(IDLE_MS)
  const { seconds, busy, others } = meter()
  const { shown, unanswered, lost } = await crowds.tally()
  const [own, theirs] = apart(busy.map(spent => (100 * spent) / seconds))
  console.log(
    `idle: the gateway takes ${own.toFixed(0)} % of a core, its peers ${theirs.toFixed(0)} %, other programs have ${others.toFixed(0)} % of both; ` +
      `${((shown - before.shown) / seconds).toFixed(0)} mappings shown a second`
  )
  goal('mappings that were shown in vain', unanswered - before.unanswered, { atMost: 0 })
  goal('links that were lost', lost - before.lost, { atMost: 0 })
}

/** On a busy computer a collection of all garbage takes seconds, in which peers may lose patience; they are back before it goes on. */
async function allThere(): Promise<void> {
  const startMs = performance.now()
  const isOver = () => performance.now() - startMs > 4 * BACK_MS
  while ((await crowds.tally()).ready < MANY && !isOver()) await sleep(200)
}

/** A real peer calls another one, in turns with a pair at an empty gateway. */
async function call(): Promise<void> {
  const pairs = await Promise.all([openPair(door), openPair(beside)])
  const [health, still] = [healthOf(door), healthOf(beside)]
  const [among, alone] = await inTurns(pairs)
  const [checks, others] = [await health.end(), await still.end()]
  console.log('connect among them       ', summary(among))
  console.log('connect, empty gateway   ', summary(alone))
  console.log('/healthz                 ', summary(checks))
  console.log('/healthz, empty gateway  ', summary(others))
  goal('median of connects beside an empty gateway', median(among) / median(alone), { atMost: 1.5 })
  goal('99th percentile of /healthz, in ms', percentile(checks, 99), { atMost: 50 })
}

/** The gateway ends, and another one has its place, its names and its token. */
async function startAgain(): Promise<void> {
  const before = await crowds.tally()
  const startMs = performance.now()
  const seconds = () => (performance.now() - startMs) / 1000
  await gateway[Symbol.asyncDispose]()
  gateway = opened.use(openGatewayProcess())
  await gateway.do('open', { config: configOf('full', { http: Number(new URL(door.url).port), udp: door.udp }) })
  const openedAfter = seconds()
  await allThere()
  const backAfter = seconds()
  const { ready, tries, lost } = await crowds.tally()
  console.log(
    `started again in ${openedAfter.toFixed(1)} s: ${ready} back after ${backAfter.toFixed(1)} s; ${tries - before.tries} tries came to nothing, ` +
      `${lost - before.lost - MANY} links were lost again`
  )
  const again = await settled(`${ready} peers, after the start`)
  goal('peers that are not back', MANY - ready, { atMost: 0 })
  goal('seconds until all are back', backAfter, { atMost: BACK_MS / 1000 })
  goal('resident memory beside that before', again.resident / full.resident, { atMost: 1.3 })
}

/** The gateway's figure, and the sum of those of the peers' processes. */
function apart([own = 0, ...theirs]: readonly number[]): [own: number, theirs: number] {
  return [own, theirs.reduce((sum, one) => sum + one, 0)]
}

async function settled(what: string): Promise<Look> {
  await sleep(SETTLED_MS)
  return await look(what)
}

async function look(what: string): Promise<Look> {
  const asItIs = 1024 * Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${gateway.pid}/status`, 'latin1'))?.[1])
  // What the first collection has found is given back by threads that have their time to do so, where the computer is busy.
  await gateway.do('memory', {})
  await sleep(SWEPT_MS)
  const figures = { asItIs, ...(await gateway.do('memory', {})) }
  const { ready } = await crowds.tally()
  const [first, second, third] = [figures.asItIs, figures.resident, figures.heap].map(bytes => (bytes / 1e6).toFixed(1))
  console.log(`${what}: resident ${first} MB, after a collection ${second} MB, heap ${third} MB (${ready} joined)`)
  return figures
}

async function snapshot(name: string): Promise<void> {
  if (values.snapshots) await gateway.do('snapshot', { path: join(values.snapshots, `${name}.heapsnapshot`) })
}

/** What the kernel of this computer keeps for sockets and files, and what lies in their buffers. */
function kernelBytes(): number {
  const slab = 1024 * Number(/^Slab:\s+(\d+)/m.exec(readFileSync('/proc/meminfo', 'latin1'))?.[1])
  const pages = [...readFileSync('/proc/net/sockstat', 'latin1').matchAll(/mem (\d+)/g)]
  return slab + pages.reduce((sum, [, count]) => sum + 4096 * Number(count), 0)
}

/** Asks whether a gateway is up, again and again, until `end`, which resolves with how long each answer took, in milliseconds. */
function healthOf({ url }: Door): { end(): Promise<number[]> } {
  const times: number[] = []
  let isOver = false
  const asking = (async () => {
    while (!isOver) {
      const startMs = performance.now()
      const isAnswered = await answers(`${url}/healthz`)
      times.push(isAnswered ? performance.now() - startMs : Number.POSITIVE_INFINITY)
      await sleep(HEALTH_EVERY_MS)
    }
  })()
  const end = async () => {
    isOver = true
    await asking
    return times
  }
  return { end }
}

/** By a connection of its own, as whoever watches a gateway makes one. */
function answers(url: string): Promise<boolean> {
  return new Promise(resolve => {
    const asking = get(url, { agent: false }, answer => {
      answer.resume().on('end', () => resolve(answer.statusCode === 200))
    })
    asking.on('error', () => resolve(false))
  })
}

async function openPair(at: Door): Promise<Driven<Pair>> {
  const pair = opened.use(new Driven<Pair>(here, new URL('idle/pair.ts', import.meta.url)))
  await pair.do('join', { door: at })
  for (let practice = 0; practice < PRACTICE; practice++) await pair.do('connect', {})
  return pair
}

/** Milliseconds of each call, by pair. Each round begins with the other. */
async function inTurns(pairs: readonly Driven<Pair>[]): Promise<[number[], number[]]> {
  const times: [number[], number[]] = [[], []]
  for (let round = 0; round < CALLS; round++)
    for (let turn = 0; turn < 2; turn++) {
      const at = (round + turn) % 2
      times[at]?.push((await pairs[at]?.do('connect', {})) ?? Number.NaN)
    }
  return times
}
