// How honest peers fare while somebody does its worst: one source, or one holder of the join token with 64 certificates from
// one source, for 20 s each. Beside that the same generator is aimed elsewhere: that is the quiet time, with the same load on this
// computer, and what the gateway's guests notice is the ratio of the two. Elsewhere is ports where nobody listens, or a second
// gateway where the attack has nothing to do without an answer.
//
//   node bench/hostile.ts [--only NAME] [--seconds N] [--beside PATH]
//
// Each second a newcomer joins and calls another peer, and a plain STUN client asks 40 times. How long a turn of the
// gateway's event loop takes is measured against a bare Node process beside it.

import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { createServer } from 'node:net'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { Driven } from '../test/lab/driven.ts'
import { type Attacker, type AttackName, attacks, type Door } from './means/attacks.ts'
import { goal, median } from './means/figures.ts'
import { type GatewayProcess, here, openGatewayProcess } from './means/gateway-process.ts'
import type { Honest, Visit } from './means/honest.ts'

const { values } = parseArgs({
  options: { only: { type: 'string' }, seconds: { type: 'string' }, beside: { type: 'string' } }
})

const ours = join(import.meta.dirname, '..')
const LOUD_MS = 1000 * Number(values.seconds ?? 20)
const QUIET_MS = LOUD_MS / 4
const VISIT_EVERY_MS = 1000
/** What the attack has opened is there by then. */
const BEGIN_MS = 1000

/** All limits are the defaults. The store of traces is so small that it could be turned over meanwhile. */
const config = `
listen: { http: '0.0.0.0:0', udp: { addresses: [127.0.0.1], ports: [0] } }
strategies: [direct, relay]
traces: { memory: 8 MiB }
log: { level: warn }
`

/** What plain STUN clients get at the least, where it is less than everything. */
const stunAtLeast: Partial<Record<AttackName, number>> = { garbage: 0.99, stun: 0.6, 'stun from 1,000': 0.6 }

/** Attacks that have nothing to do where nobody answers them, so that they would load the computer less there. */
const answered: readonly AttackName[] = ['tokens', 'joins', 'names', 'requests', 'nonsense', 'nat']

const names = (Object.keys(attacks) as AttackName[]).filter(name => !values.only || name.startsWith(values.only))
if (names.length === 0) throw new Error(`--only takes one of ${Object.keys(attacks).join(', ')}`)
if (values.beside && !existsSync(join(values.beside, 'node_modules')))
  throw new Error(`--beside ${values.beside}: nothing is installed there, run npm ci in that folder first`)

const nobody = await deadDoor()
for (const name of names) {
  console.log(`\n${name}`)
  const mine = await run(name, ours)
  judge(name, mine)
  if (values.beside) print('beside', await run(name, resolve(values.beside)))
}

interface Run {
  readonly quiet: readonly Visit[]
  readonly loud: readonly Visit[]
  /** Shares of STUN requests that were answered. */
  readonly stun: { readonly quiet: number; readonly loud: number }
  /** Traces of visits that came about and are gone. */
  readonly lost: number
  /** Turns of the gateway's event loop beside a bare process's, in milliseconds. */
  readonly turns: { readonly most: number; readonly late: number; readonly bare: number }
  readonly grownBytes: number
  /** How often the worst was done in a second. */
  readonly perSecond: number
}

async function run(name: AttackName, checkout: string): Promise<Run> {
  await using opened = new AsyncDisposableStack()
  const gateway: GatewayProcess = opened.use(openGatewayProcess())
  const bare: GatewayProcess = opened.use(openGatewayProcess())
  const honest = openHonest(opened)
  const attacker = opened.use(new Driven<Attacker>(here, new URL('means/attacks.ts', import.meta.url)))
  const { url, token, udp } = await gateway.do('open', { config, checkout })
  const door: Door = { url, token, udp: udp[0] ?? 0 }
  await Promise.all([
    openCallee(opened, door, checkout),
    honest.do('load', { checkout }),
    attacker.do('open', { checkout })
  ])
  await honest.do('visit', { door })
  const during = async (at: Door, ms: number): Promise<{ visits: Visit[]; stun: number; done: number }> => {
    const attack = attacker.do('attack', { name, door: at, ms })
    await sleep(BEGIN_MS)
    const visits: Visit[] = []
    const asking = honest.do('ask', { door, ms: ms - 2 * BEGIN_MS })
    for (const endMs = performance.now() + ms - 2 * BEGIN_MS; performance.now() < endMs; ) {
      const nextMs = performance.now() + VISIT_EVERY_MS
      visits.push(await honest.do('visit', { door }))
      await sleep(Math.max(0, nextMs - performance.now()))
    }
    return { visits, stun: await asking, done: await attack }
  }
  const elsewhere = answered.includes(name) ? await secondDoor(opened, checkout) : { ...door, ...nobody }
  const quiet = await during(elsewhere, Math.max(QUIET_MS, 4 * BEGIN_MS))
  const before = await gateway.do('memory', {})
  await Promise.all([gateway.do('watch', {}), bare.do('watch', {})])
  const loud = await during(door, LOUD_MS)
  const [turns, idle] = await Promise.all([gateway.do('watched', {}), bare.do('watched', {})])
  const after = await gateway.do('memory', {})
  const kept = await Promise.all(
    loud.visits.flatMap(({ trace }) => (trace ? [gateway.do('hasTrace', { id: trace })] : []))
  )
  return {
    quiet: quiet.visits,
    loud: loud.visits,
    stun: { quiet: quiet.stun, loud: loud.stun },
    lost: kept.filter(has => !has).length,
    turns: { most: turns.mostMs, late: turns.lateMs, bare: idle.mostMs },
    grownBytes: after.resident - before.resident,
    perSecond: (1000 * loud.done) / LOUD_MS
  }
}

function judge(name: AttackName, ran: Run): void {
  print('ours', ran)
  const { loud, quiet, stun, lost, turns } = ran
  const unanswered = loud.filter(({ why }) => why !== undefined)
  for (const { why } of unanswered.slice(0, 3)) console.log(`  ${why}`)
  goal('newcomers who did not get in, or not through', unanswered.length, { atMost: 0 })
  goal('longest join, in ms', Math.max(...loud.map(({ joinMs }) => joinMs ?? Number.POSITIVE_INFINITY)), {
    atMost: 1000
  })
  goal('median of connections beside the quiet time', medianOf(loud) / medianOf(quiet), { atMost: 1.5 })
  goal('STUN requests answered', stun.loud, { atLeast: stunAtLeast[name] ?? 0.99 })
  goal('traces of newcomers that are gone', lost, { atMost: 0 })
  goal('99.9th percentile of turns, in ms', turns.late, { atMost: 20 })
  goal('longest turn less the bare process’s, in ms', turns.most - turns.bare, { atMost: 100 })
}

function medianOf(visits: readonly Visit[]): number {
  return median(visits.map(({ connectMs }) => connectMs ?? Number.POSITIVE_INFINITY))
}

function print(who: string, { quiet, loud, stun, turns, grownBytes, perSecond }: Run): void {
  const [still, busy] = [quiet, loud].map(visits => medianOf(visits).toFixed(1))
  const through = loud.filter(({ why }) => why === undefined).length
  const joins = median(loud.map(({ joinMs }) => joinMs ?? Number.POSITIVE_INFINITY)).toFixed(0)
  console.log(
    `${who}: ${through} of ${loud.length} through, join ${joins} ms, connect ${busy} ms (quiet ${still} ms), ${perSecond.toFixed(0)}/s`
  )
  console.log(
    `  STUN ${(100 * stun.loud).toFixed(1)} % (quiet ${(100 * stun.quiet).toFixed(1)} %), turns p99.9 ${turns.late.toFixed(1)}, max ${turns.most.toFixed(1)} ms (bare ${turns.bare.toFixed(1)}), ${(grownBytes / 1e6).toFixed(1)} MB more`
  )
}

/** A gateway of its own, with a callee of the same name. */
async function secondDoor(opened: AsyncDisposableStack, checkout: string): Promise<Door> {
  const gateway = opened.use(openGatewayProcess())
  const { url, token, udp } = await gateway.do('open', { config, checkout })
  const door: Door = { url, token, udp: udp[0] ?? 0 }
  await openCallee(opened, door, checkout)
  return door
}

function openHonest(opened: AsyncDisposableStack): Driven<Honest> {
  return opened.use(new Driven<Honest>(here, new URL('means/honest.ts', import.meta.url)))
}

/** In a process of its own: it may be what the attack is aimed at. */
async function openCallee(opened: AsyncDisposableStack, door: Door, checkout: string): Promise<void> {
  const callee = openHonest(opened)
  await callee.do('load', { checkout })
  await callee.do('stay', { door })
}

/** Ports that nobody listens on: the ones of a listener that is gone. */
async function deadDoor(): Promise<Omit<Door, 'token'>> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return { url: `http://127.0.0.1:${port}`, udp: port }
}
