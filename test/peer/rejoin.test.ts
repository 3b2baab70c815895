// What a link does when the network of its host changes, when the host slept, and when the gateway does not answer any more.

import { once } from 'node:events'
import { type AddressInfo, createServer, isIPv4, type Socket } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import test from 'ava'
import { type WebSocket, WebSocketServer } from 'ws'
import { GatewayLink, type LinkOptions } from '../../src/peer/gateway-link.ts'
import { Network, type Reading, reading } from '../../src/peer/network.ts'
import { until } from '../until.ts'
import { identity } from './paper-identity.ts'

/** A gateway that welcomes everybody, and remembers who came with which id. */
class Welcoming implements AsyncDisposable {
  readonly server: WebSocketServer
  readonly links: WebSocket[] = []
  readonly asked: (string | undefined)[] = []
  /** Whether it says that it gives ids again. */
  keeps = true
  /** Whether a peer hears anything of it. */
  answers = true
  /** How long its welcome takes, in milliseconds. */
  welcomesAfterMs = 0

  private constructor(server: WebSocketServer) {
    this.server = server
    server.on('connection', ws => this.#serve(ws))
  }

  static async open(port = 0, host = '127.0.0.1'): Promise<Welcoming> {
    const server = new WebSocketServer({ port, host, autoPong: false })
    await once(server, 'listening')
    return new Welcoming(server)
  }

  get url(): string {
    const { address, port } = this.server.address() as AddressInfo
    return `http://${address}:${port}`
  }

  #serve(ws: WebSocket): void {
    if (!this.answers) return
    this.links.push(ws)
    const say = (message: object) => ws.send(JSON.stringify(message))
    ws.on('ping', data => this.answers && ws.pong(data))
    ws.on('message', async data => {
      const { type, peer } = JSON.parse(String(data))
      if (type !== 'hello') return
      this.asked.push(peer)
      if (this.welcomesAfterMs > 0) await setTimeout(this.welcomesAfterMs)
      const endpoints = [{ address: '127.0.0.1', port: 3478 }]
      say({ type: 'welcome', peer: `0a${this.links.length}`, name: 'ann', key: '', endpoints, refreshMs: 15_000 })
      say({ type: 'features', features: this.keeps ? ['proofs', 'rejoin'] : ['proofs'] })
    })
    say({ type: 'challenge', v: 3, nonce: '' })
  }

  async [Symbol.asyncDispose]() {
    for (const ws of this.server.clients) ws.terminate()
    this.server.close()
    await once(this.server, 'close')
  }
}

/** A joined link on a host whose network is what the test says. */
async function joined(gateway: string, more: Partial<LinkOptions> = {}) {
  const now: { reading: Reading; ms: number } = { reading: { addresses: ['10.0.0.2'], route: undefined }, ms: 0 }
  const network = new Network({ read: () => now.reading, clocks: () => [now.ms], looks: false })
  let isThere = true
  const watch = {
    on: network.on.bind(network),
    has: () => isThere,
    get isUp() {
      return network.isUp
    }
  }
  const options = { gateway, token: 'token', name: 'ann', accepts: true, identity, insecure: false, ...more }
  const { link } = await GatewayLink.join(options, undefined, watch)
  const events: string[] = []
  link.onLost = () => events.push('lost')
  link.onWelcome = () => events.push('joined')
  let features = 0
  link.onMessage = ({ type }) => {
    if (type === 'features') features++
  }
  const look = (reading: Reading) => {
    now.reading = reading
    network.look()
    network.look()
  }
  let moves = 3
  return {
    link,
    events,
    /** Resolves when the gateway has said so many times what it can do. */
    told: (times: number) => until(() => features >= times),
    gone: () => look({ addresses: [], route: undefined }),
    /** The host has another address; the one that the link leaves from is there, or not. */
    moves(isLeft: boolean) {
      isThere = isLeft
      look({ addresses: [`10.0.0.${moves++}`], route: undefined })
    },
    wakes() {
      now.ms += 60_000
      network.look()
    }
  }
}

test('a link from an address that is gone is dropped at once, and joined again under the same id without a wait', async t => {
  await using gateway = await Welcoming.open()
  const { link, events, moves, told } = await joined(gateway.url)
  await told(1)
  moves(false)
  await until(() => events.length === 2)
  t.deepEqual(events, ['lost', 'joined'])
  t.deepEqual(gateway.asked, [undefined, '0a1'])
  await link.close()
})

test('a link that stands a change, or a sleep, is asked, and stays if it answers', async t => {
  await using gateway = await Welcoming.open()
  const { link, events, moves, wakes } = await joined(gateway.url)
  const [ws] = gateway.links
  if (!ws) throw new Error('nobody came')
  for (const happens of [() => moves(true), wakes]) {
    const asked = once(ws, 'ping')
    happens()
    await asked
  }
  // Longer than it waits for the answer.
  await setTimeout(1500)
  t.deepEqual(events, [])
  await link.close()
})

test('a link that answers nothing after a change, a sleep or when it is asked is made anew', async t => {
  await using gateway = await Welcoming.open()
  for (const doubt of ['moves', 'wakes', 'probe'] as const) {
    const { link, events, moves, wakes, told } = await joined(gateway.url)
    await told(1)
    gateway.answers = false
    if (doubt === 'moves') moves(true)
    else if (doubt === 'wakes') wakes()
    else link.probeLink()
    await until(() => events[0] === 'lost')
    gateway.answers = true
    await link.close()
  }
  t.pass()
})

test('a gateway that has greeted is waited for, since thousands may be welcomed before: nobody comes again meanwhile', async t => {
  await using gateway = await Welcoming.open()
  const { link, events, told } = await joined(gateway.url)
  await told(1)
  // Longer than the first try of a link that was lost waits for one that says nothing.
  gateway.welcomesAfterMs = 3300
  gateway.links[0]?.terminate()
  await until(() => events.length === 2)
  t.deepEqual(events, ['lost', 'joined'])
  t.is(gateway.links.length, 2)
  await link.close()
})

const [outward] = reading().addresses?.filter(isIPv4) ?? []
const outwardTest = outward === undefined ? test.skip : test

outwardTest('while there is no network nobody tries to join, and when there is one it is tried at once', async t => {
  let gateway = await Welcoming.open(0, outward)
  const port = Number(new URL(gateway.url).port)
  const { link, events, gone, moves } = await joined(gateway.url, { insecure: true })
  gone()
  await gateway[Symbol.asyncDispose]()
  await until(() => events.length === 1)
  gateway = await Welcoming.open(port, outward)
  // Longer than the first wait where there is a network.
  await setTimeout(1000)
  t.deepEqual(events, ['lost'])
  moves(true)
  await until(() => events.length === 2)
  t.deepEqual(events, ['lost', 'joined'])
  await link.close()
  await gateway[Symbol.asyncDispose]()
})

test('an attempt on a route that is dead is given up for the next network', async t => {
  const gateway = await Welcoming.open()
  const port = Number(new URL(gateway.url).port)
  const { link, events, moves } = await joined(gateway.url)
  await gateway[Symbol.asyncDispose]()
  const held: Socket[] = []
  const dead = createServer(socket => void held.push(socket.resume())).listen(port, '127.0.0.1')
  await until(() => held.length === 1)
  dead.close()
  const [first] = held
  if (!first) throw new Error('nobody came')
  const left = once(first, 'close')
  moves(true)
  await left
  await using _gateway = await Welcoming.open(port)
  await until(() => events.at(-1) === 'joined')
  t.deepEqual(events, ['lost', 'joined'])
  await link.close()
})

test('no id is asked for at a gateway that gives none again, nor by a peer that was thrown out', async t => {
  await using gateway = await Welcoming.open()
  gateway.keeps = false
  const { link, events, told } = await joined(gateway.url)
  gateway.links[0]?.terminate()
  await until(() => events.length === 2)
  gateway.keeps = true
  gateway.links[1]?.terminate()
  await until(() => events.length === 4)
  await told(3)
  const replaced = { type: 'refused', code: 'gateway-unreachable', reason: 'another has come' }
  gateway.links[2]?.send(JSON.stringify(replaced))
  gateway.links[2]?.close(1008)
  await until(() => events.length === 6)
  t.deepEqual(gateway.asked, [undefined, undefined, undefined, undefined])
  await link.close()
})

test('a first join that waits for a network is tried as soon as there is one', async t => {
  const gateway = await Welcoming.open()
  const { url } = gateway
  await gateway[Symbol.asyncDispose]()
  let now: Reading = { addresses: [], route: undefined }
  const network = new Network({ read: () => now, looks: false })
  const waits: number[] = []
  const joining = GatewayLink.join(
    {
      ...{ gateway: url, token: 'token', name: 'ann', accepts: true, identity, insecure: false, keepsTrying: true },
      onWaiting: (_, waitMs) => waits.push(waitMs)
    },
    undefined,
    network
  )
  await until(() => waits.length === 3, 20_000)
  const again = await Welcoming.open(Number(new URL(url).port))
  now = { addresses: ['10.0.0.2'], route: undefined }
  const startMs = performance.now()
  network.look()
  network.look()
  const { link } = await joining
  t.true(performance.now() - startMs < (waits[2] ?? 0), 'sooner than it would have been tried')
  await link.close()
  await again[Symbol.asyncDispose]()
})
