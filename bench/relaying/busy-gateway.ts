// A whole gateway while it relays: eight sessions of peers made by hand, whose sockets a load of its own process takes over once they
// are latched. How newcomers and `/healthz` fare while twice the total is offered, and what floods do to what is relayed.

import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { loadIdentity } from '../../src/peer/identity/identity.ts'
import type { RawSocket } from '../../src/peer/punch/raw.ts'
import { HandMade, nothingDone } from '../../test/hand-made.ts'
import { Driven } from '../../test/lab/driven.ts'
import type { Attacker, AttackName, Door } from '../means/attacks.ts'
import { goal, median, percentile, summary } from '../means/figures.ts'
import { type GatewayProcess, here, openGatewayProcess } from '../means/gateway-process.ts'
import type { Honest, Visit } from '../means/honest.ts'
import type { Carried, Load } from './load.ts'

const SESSIONS = 8
const TOTAL = 200_000_000
const [BYTES, HEADER_BYTES] = [1200, 28]
const FOR_MS = 20_000
const SETTLE_MS = 1_000
const HEALTH_EVERY_MS = 20
const VISIT_EVERY_MS = 500
/** A port where nobody listens. */
const NOBODY = 9
const FLOOD_MS = 20_000
const PAIRS = { before: 50, counted: 200 } as const

/** Whoever floods has no limit that would spare the relay. */
const config = `
listen: { http: '127.0.0.1:0', udp: { addresses: [127.0.0.1], ports: [0] } }
strategies: [direct, { relay: { perSession: 100 Mbit/s, perPeer: 100 Mbit/s, total: 200 Mbit/s } }]
log: { level: warn }
`

/** A gateway with its guests, and the sessions that it relays, by the ports of both sides. */
class Busy implements AsyncDisposable {
  readonly gateway: GatewayProcess
  readonly honest: Driven<Honest>
  readonly door: Door
  readonly ports: readonly (readonly [number, number])[]
  readonly #stack: AsyncDisposableStack

  private constructor(stack: AsyncDisposableStack, opened: Pick<Busy, 'gateway' | 'honest' | 'door' | 'ports'>) {
    this.#stack = stack
    this.gateway = opened.gateway
    this.honest = opened.honest
    this.door = opened.door
    this.ports = opened.ports
  }

  static async open(): Promise<Busy> {
    const stack = new AsyncDisposableStack()
    const gateway = stack.use(openGatewayProcess())
    const { url, token, udp } = await gateway.do('open', { config })
    const door = { url, token, udp: udp[0] ?? 0 }
    const [honest, callee] = [0, 1].map(() =>
      stack.use(new Driven<Honest>(here, new URL('../means/honest.ts', import.meta.url)))
    ) as [Driven<Honest>, Driven<Honest>]
    const checkout = join(import.meta.dirname, '../..')
    await Promise.all([honest, callee].map(one => one.do('load', { checkout })))
    await callee.do('stay', { door })
    await honest.do('visit', { door })
    const folder = await mkdtemp(join(tmpdir(), 'postern-busy-'))
    stack.defer(() => rm(folder, { recursive: true }))
    const ports: [number, number][] = []
    for (let pair = 0; pair < SESSIONS; pair++) ports.push(await relayed(door, { pair, folder, stack }))
    return new Busy(stack, { gateway, honest, door, ports })
  }

  /** Sends through all sessions, both ways, and counts. */
  async load(offer: Pick<Load, 'perSecond' | 'run' | 'forMs'> & Partial<Load>): Promise<Carried> {
    const load: Load = {
      ...{ port: this.door.udp, sessions: SESSIONS, callers: 0, callees: 0, ports: this.ports },
      ...{ bytes: BYTES, window: 1, inAll: 1, isResting: true, settleMs: SETTLE_MS, pid: this.gateway.pid },
      ...offer
    }
    const program = new URL('load.ts', import.meta.url).pathname
    const child: ChildProcess = spawn(process.execPath, [program, JSON.stringify(load)], {
      stdio: ['ignore', 'pipe', 'inherit']
    })
    let text = ''
    for await (const chunk of child.stdout ?? []) text += chunk
    return JSON.parse(text) as Carried
  }

  /** How long `/healthz` takes, in milliseconds. */
  async health(forMs: number): Promise<number[]> {
    const all: number[] = []
    for (const endMs = performance.now() + forMs; performance.now() < endMs; await sleep(HEALTH_EVERY_MS)) {
      const startMs = performance.now()
      await (await fetch(`${this.door.url}/healthz`)).text()
      all.push(performance.now() - startMs)
    }
    return all
  }

  async visits(forMs: number): Promise<Visit[]> {
    const all: Visit[] = []
    for (const endMs = performance.now() + forMs; performance.now() < endMs; await sleep(VISIT_EVERY_MS))
      all.push(await this.honest.do('visit', { door: this.door }))
    return all
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync()
  }
}

/** A session between two peers that stay joined; resolves with the ports that it is latched at, which are free by then. */
async function relayed(
  door: Door,
  { pair, folder, stack }: { pair: number; folder: string; stack: AsyncDisposableStack }
): Promise<[number, number]> {
  const joined = ['caller', 'callee'].map(async side => {
    const identity = await loadIdentity(join(folder, `${side}-${pair}`))
    const made = stack.use(await HandMade.join(door.url, { identity, token: door.token, name: `${side}-${pair}` }))
    return { made, raw: await made.warm(0) }
  })
  const [caller, callee] = (await Promise.all(joined)) as [Made, Made]
  caller.made.say({ type: 'connect', request: 0, to: `callee-${pair}` })
  await Promise.all([caller, callee].map(latched))
  const ports: [number, number] = [caller.raw.port, callee.raw.port]
  await Promise.all([caller.raw.close(), callee.raw.close()])
  return ports
}

interface Made {
  readonly made: HandMade
  readonly raw: RawSocket
}

/** Follows no order but the relay's. */
async function latched({ made, raw }: Made): Promise<void> {
  const { session, role, key } = await made.hears('session')
  for (;;) {
    const { plan, order } = await made.hearsOf(session, 'order')
    if (order.kind !== 'splice') {
      made.say({ type: 'failed', session, plan, code: 'io', reason: 'only relayed', report: nothingDone })
      continue
    }
    await made.show(raw, order.target, `s:${session}:${role}`, Buffer.from(key, 'base64'))
    const local = { address: '127.0.0.1', port: raw.port }
    made.say({ type: 'progress', session, plan, step: 'found' })
    made.say({ type: 'opened', session, plan, local, remote: order.target, report: nothingDone })
    await made.hearsOf(session, 'path')
    return
  }
}

const connects = (visits: readonly Visit[]): number[] =>
  visits.map(({ connectMs }) => connectMs ?? Number.POSITIVE_INFINITY)

/** What a gateway takes for a relayed pair that says nothing, with all that it knows of two joined peers, their session and its trace. */
export async function idlePairs(): Promise<void> {
  await using stack = new AsyncDisposableStack()
  const gateway = stack.use(openGatewayProcess())
  const wide = 'limits: { bindingsPerSource: 1000000, messagesPerSecond: 1000000, sessionsPerPeer: 1000 }'
  const { url, token, udp } = await gateway.do('open', { config: `${config}${wide}` })
  const folder = await mkdtemp(join(tmpdir(), 'postern-idle-'))
  stack.defer(() => rm(folder, { recursive: true }))
  const looks: { heap: number; resident: number }[] = []
  for (let pair = 0; pair < PAIRS.before + PAIRS.counted; pair++) {
    if (pair === PAIRS.before) looks.push(await gateway.do('memory', {}))
    await relayed({ url, token, udp: udp[0] ?? 0 }, { pair, folder, stack })
  }
  looks.push(await gateway.do('memory', {}))
  const [heap, resident] = (['heap', 'resident'] as const).map(
    kind => ((looks[1]?.[kind] ?? 0) - (looks[0]?.[kind] ?? 0)) / PAIRS.counted / 1000
  )
  console.log(
    `  a gateway: ${resident?.toFixed(1)} kB for each relayed pair, both peers joined (heap ${heap?.toFixed(1)} kB; ${PAIRS.counted} pairs)`
  )
}

/** Twice the total is offered; the same generator aimed at nobody is the quiet time. */
export async function busyGateway(): Promise<void> {
  await using busy = await Busy.open()
  const perSecond = (2 * TOTAL) / 8 / BYTES
  const beside = async (port: number) => {
    const loading = busy.load({ port, perSecond, run: 10, forMs: FOR_MS })
    await sleep(2 * SETTLE_MS)
    const forMs = FOR_MS - 2 * SETTLE_MS
    const [health, visits] = await Promise.all([busy.health(forMs), busy.visits(forMs)])
    return { health, visits, carried: await loading }
  }
  console.log(`\na gateway at its total of ${TOTAL / 1e6} Mbit/s while twice that is offered, ${FOR_MS / 1000} s`)
  const quiet = await beside(NOBODY)
  const loud = await beside(busy.door.udp)
  const wire = loud.carried.perSecond * 8 * (BYTES + HEADER_BYTES)
  console.log(
    `  relayed ${(wire / 1e6).toFixed(1)} Mbit/s with headers; /healthz: ${summary(loud.health)}, connect: ${summary(connects(loud.visits))}`
  )
  console.log(`  quiet: /healthz: ${summary(quiet.health)}, connect: ${summary(connects(quiet.visits))}`)
  goal('99th percentile of /healthz, in ms', percentile(loud.health, 99), { atMost: 20 })
  goal('median of connects beside the quiet time', median(connects(loud.visits)) / median(connects(quiet.visits)), {
    atMost: 1.3
  })
  goal('connects that did not come about', loud.visits.filter(({ why }) => why !== undefined).length, { atMost: 0 })
}

/** What is sent to a gateway that relays a little meanwhile. */
export async function floods(): Promise<void> {
  await using busy = await Busy.open()
  await using attacker = new Driven<Attacker>(here, new URL('../means/attacks.ts', import.meta.url))
  await attacker.do('open', { checkout: join(import.meta.dirname, '../..') })
  for (const name of ['datagrams', 'stun from 1,000'] satisfies AttackName[]) {
    // Buffers and tables have their size by then, and code is compiled.
    await attacker.do('attack', { name, door: busy.door, ms: FLOOD_MS / 4 })
    const before = await busy.gateway.do('memory', {})
    const attack = attacker.do('attack', { name, door: busy.door, ms: FLOOD_MS })
    const [carried, answered] = await Promise.all([
      busy.load({ perSecond: 2_000, run: 1, forMs: FLOOD_MS - 3_000 }),
      busy.honest.do('ask', { door: busy.door, ms: FLOOD_MS - 2_000 })
    ])
    const sent = await attack
    const heard = await attacker.do('answers', {})
    const after = await busy.gateway.do('memory', {})
    console.log(`\n${name}: ${sent} datagrams in ${FLOOD_MS / 1000} s; answers ${JSON.stringify(heard)}`)
    goal('lost of what is relayed', carried.lost, { atMost: 0.001 })
    goal('honest requests answered', answered, { atLeast: 0.9 })
    goal('bytes of the largest answer for each of its question', heard.most, { atMost: 3 })
    goal('answers to what is no STUN', heard.toOthers, { atMost: 0 })
    goal('resident memory, MB more', (after.resident - before.resident) / 1e6, { atMost: 10 })
  }
}
