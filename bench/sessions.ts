// Memory of the gateway over many sessions. Peers by script: they speak the signalling and show their sockets over UDP, and
// say of every order what their turn wants, without a data channel. Direct, relayed and failed sessions, requests that are
// refused, callers that leave midway, and now and then a peer that joins anew.
//
//   node bench/sessions.ts [sessions]
//
// The store of traces has a small limit, so that it is full after the warm-up.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadIdentity } from '../src/peer/identity/identity.ts'
import { RawSocket } from '../src/peer/punch/raw.ts'
import { CALLED_OFF } from '../src/wire/obeying.ts'
import type { FromGateway, Message } from '../src/wire/signal.ts'
import { HandMade, nothingDone } from '../test/hand-made.ts'
import { goal } from './means/figures.ts'
import { openGatewayProcess } from './means/gateway-process.ts'
import { trendOf } from './means/trend.ts'

const sessions = Number(process.argv[2] ?? 50_000)
/** Tables that remember past spans and traces are full by then, and code is compiled. */
const WARM_UP = 8000
const LOOKS = 10
/** What is kept of a session by mistake is an object at least, and a signal or a trace has hundreds of bytes and thousands. */
const HEAP_BYTES = 50
/** The allocator gives back what it likes. */
const RESIDENT_BYTES = 250
const PAIRS = 8
/** Sessions of one peer between two joins. */
const STAY = 500

const config = `
listen: { http: '127.0.0.1:0', udp: { addresses: [127.0.0.1], ports: [0] } }
limits: { bindingsPerSource: 1000000, messagesPerSecond: 1000000 }
strategies: [direct, relay]
traces: { memory: 4 MiB }
`

const turns = ['direct', 'relayed', 'failed', 'refused', 'left'] as const
type Turn = (typeof turns)[number]

/** A peer by script: one UDP socket, shown under a new number for each session. */
class Scripted {
  readonly name: string
  #link!: HandMade
  #raw!: RawSocket
  #number = 0
  #request = 0

  constructor(name: string) {
    this.name = name
  }

  async join(): Promise<void> {
    const identity = await loadIdentity(join(folder, this.name))
    this.#raw ??= await RawSocket.bind()
    this.#link = await HandMade.join(door.url, { identity, token: door.token, name: this.name })
  }

  async leave(): Promise<void> {
    await this.#link.close()
  }

  async close(): Promise<void> {
    await this.leave()
    await this.#raw.close()
  }

  say(message: object): void {
    this.#link.say(message)
  }

  hears<Type extends FromGateway['type']>(type: Type): Promise<Message<FromGateway, Type>> {
    return this.#link.hears(type)
  }

  /** What nobody waited for. */
  forget(): void {
    this.#link.heard.length = 0
  }

  async warm(): Promise<void> {
    const { welcome } = this.#link
    const [endpoint] = welcome.endpoints
    const socket = this.#number++
    if (endpoint) await this.#link.show(this.#raw, endpoint, `p:${welcome.peer}:${socket}`)
    const addresses = [{ address: '127.0.0.1', prefix: 8 }]
    this.say({ type: 'warm', socket, port: this.#raw.port, addresses, rttMs: 1 })
  }

  connect(to: string): void {
    this.say({ type: 'connect', request: this.#request++, to })
  }

  async opens(): Promise<void> {
    const { session, plan } = await this.hears('order')
    const at = { address: '127.0.0.1', port: this.#raw.port }
    this.say({ type: 'progress', session, plan, step: 'bound' })
    this.say({ type: 'opened', session, plan, local: at, remote: at, report: nothingDone })
  }

  async fails(code = 'io'): Promise<void> {
    const { session, plan } = await this.hears('order')
    this.say({ type: 'failed', session, plan, code, reason: 'as the script says', report: nothingDone })
  }

  /** Reports that nothing came of an order: it will be called off, and its report be waited for. */
  async gives(): Promise<void> {
    await this.fails(CALLED_OFF)
  }
}

const folder = await mkdtemp(join(tmpdir(), 'postern-sessions-'))
await using gateway = openGatewayProcess()
const door = await gateway.do('open', { config })
const pairs = Array.from({ length: PAIRS }, (_, pair) => [
  new Scripted(`caller-${pair}`),
  new Scripted(`callee-${pair}`)
])
await Promise.all(pairs.flat().map(peer => peer.join()))

await run(WARM_UP)
const looks = [await look(0)]
console.log(`${sessions} sessions after ${WARM_UP}`)
const startMs = performance.now()
for (let done = 0; done < sessions; done += sessions / LOOKS) {
  await run(sessions / LOOKS)
  looks.push(await look(done + sessions / LOOKS))
}
console.log(`${Math.round((1000 * sessions) / (performance.now() - startMs))} sessions a second`)
const status = await gateway.do('status', {})
goal('sessions still there', status?.sessions.now ?? Number.NaN, { atMost: 0 })
for (const [kind, atMost] of [['heap', HEAP_BYTES] as const, ['resident', RESIDENT_BYTES] as const]) {
  const grown = (looks.at(-1)?.[kind] ?? 0) - (looks[0]?.[kind] ?? 0)
  console.log(`${kind}: ${grown.toFixed(1)} MB more at the end than after the warm-up`)
  goal(`${kind}, bytes more with each session`, trendOf(looks.map(one => [one.done, 1e6 * one[kind]])).slope, {
    atMost
  })
}
await Promise.all(pairs.flat().map(peer => peer.close()))
await rm(folder, { recursive: true })

/** So many sessions, shared among the pairs. */
async function run(count: number): Promise<void> {
  let next = 0
  await Promise.all(
    pairs.map(async ([caller, callee], pair) => {
      if (!caller || !callee) return
      for (let own = 0; next < count; own++) {
        next++
        if (own % STAY === STAY - 1) await Promise.all([again(caller), again(callee)])
        await session(caller, callee, turns[(own + pair) % turns.length] as Turn)
      }
    })
  )
}

async function again(peer: Scripted): Promise<void> {
  await peer.leave()
  await peer.join()
}

async function session(caller: Scripted, callee: Scripted, turn: Turn): Promise<void> {
  caller.forget()
  callee.forget()
  if (turn === 'refused') {
    caller.connect('nobody')
    await caller.hears('refused')
    return
  }
  await Promise.all([caller.warm(), callee.warm()])
  caller.connect(callee.name)
  const { session } = await caller.hears('session')
  const leave = { type: 'leave', session, code: 'io', reason: 'enough' }
  if (turn === 'left') {
    await Promise.all([caller.gives(), callee.gives()])
    caller.say(leave)
    await Promise.all([caller.hears('over'), callee.hears('over')])
    return
  }
  if (turn !== 'direct') await Promise.all([caller.fails(), callee.gives()])
  if (turn === 'failed') await Promise.all([caller.fails(), callee.gives()])
  else await Promise.all([caller.opens(), callee.opens()])
  const end = turn === 'failed' ? 'over' : 'path'
  await Promise.all([caller.hears(end), callee.hears(end)])
  if (turn === 'relayed') for (const peer of [caller, callee]) peer.say(leave)
}

/** In MB. */
async function look(done: number): Promise<{ done: number; heap: number; resident: number }> {
  const { heap, resident } = await gateway.do('memory', {})
  const figures = { done, heap: heap / 1e6, resident: resident / 1e6 }
  console.log(
    `after ${String(done).padStart(6)}: heap ${figures.heap.toFixed(2)} MB, resident ${figures.resident.toFixed(1)} MB`
  )
  return figures
}
