// A socket, or a connection through another door, latched at the relay in a real session, without WebRTC on top: it can offer any
// load, and times each datagram. Runs on hosts of the laboratory; relay.ts and doors.ts are the parents.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setInterval as ticks } from 'node:timers/promises'
import { type Door, doorsOf, ofKinds } from '../../src/peer/doors/door.ts'
import { enter } from '../../src/peer/doors/enter.ts'
import type { DoorLine } from '../../src/peer/doors/line.ts'
import { GatewayLink } from '../../src/peer/gateway-link.ts'
import { loadIdentity } from '../../src/peer/identity/identity.ts'
import { testFiltering } from '../../src/peer/punch/filtering.ts'
import { Interfaces } from '../../src/peer/punch/interfaces.ts'
import { prove, WarmSocket } from '../../src/peer/punch/warm.ts'
import type { StreamDoor } from '../../src/wire/doors/door.ts'
import type { Endpoint } from '../../src/wire/endpoint.ts'
import { placeOf } from '../../src/wire/place.ts'
import type { FromGateway, Message } from '../../src/wire/signal.ts'
import { serveDeeds } from '../../test/lab/driven.ts'

export interface Load {
  bitsPerSecond: number
  payloadBytes: number
  forMs: number
}

const folder = await mkdtemp(join(tmpdir(), 'postern-bench-'))
let link: GatewayLink | undefined
let warm: WarmSocket | undefined
let session: Message<FromGateway, 'session'> | undefined
let relay: Endpoint | undefined
let doors: Door[] = []
let line: DoorLine | undefined
const told = Promise.withResolvers<Message<FromGateway, 'features'>>()
const ready = Promise.withResolvers<void>()
const over = new AbortController()
const delaysMs: number[] = []

const deeds = {
  /** @param door the one that it says to come by, as a peer whose UDP is blocked does */
  async join({ url, token, name, door }: { url: string; token: string; name: string; door?: StreamDoor }) {
    const identity = await loadIdentity(folder)
    const joined = await GatewayLink.join({ gateway: url, token, name, accepts: true, identity, insecure: true })
    link = joined.link
    link.onMessage = receive
    const { peer, key, endpoints, refreshMs } = joined.welcome
    if (door) {
      const features = await told.promise
      doors = ofKinds(doorsOf(features, { place: placeOf(url) ?? url, primary: endpoints[0] }), [door])
      return void link.send({ type: 'cold', socket: 0, reason: 'blocked', doors: [door], rttMs: 1 })
    }
    const membership = { peer, key: Buffer.from(key, 'base64'), endpoints, refreshMs }
    const { candidate } = await WarmSocket.open(() => 0, membership, over.signal)
    warm = candidate
    const addresses = await new Interfaces().told(endpoints[0])
    link.send({ type: 'warm', socket: 0, port: warm.port, addresses, rttMs: warm.rttMs })
    const test = { isMappedOnce: () => false, signal: over.signal }
    for await (const found of testFiltering(membership, test)) link.send({ type: 'filtering', ...found })
  },

  async connect({ to }: { to: string }) {
    link?.send({ type: 'connect', request: 0, to })
  },

  /** Resolves when both sides are latched. */
  async ready(_given: object) {
    await ready.promise
  },

  /** Sends at a steady rate, in timed datagrams. */
  async flood({ bitsPerSecond, payloadBytes, forMs }: Load) {
    const startMs = performance.now()
    let sentBytes = 0
    for await (const _ of ticks(1)) {
      const elapsedMs = performance.now() - startMs
      if (elapsedMs > forMs) return
      for (; sentBytes < (elapsedMs * bitsPerSecond) / 8000; sentBytes += payloadBytes) sendTimed(payloadBytes)
    }
  },

  /** From sending to receiving, of each datagram that arrived since the last question. */
  async delays(_given: object): Promise<number[]> {
    return delaysMs.splice(0)
  },

  async close(_given: object) {
    over.abort()
    line?.close()
    await warm?.raw.close()
    await link?.close()
    await rm(folder, { recursive: true, force: true })
  }
}

export type SocketDeeds = typeof deeds

function receive(message: FromGateway): void {
  switch (message.type) {
    case 'session':
      session = message
      break
    case 'order':
      void latch(message)
      break
    case 'features':
      told.resolve(message)
      break
    case 'path':
      ready.resolve()
      break
    case 'over':
    case 'refused':
      ready.reject(new Error(message.reason))
      break
    default:
  }
}

/** As a peer does it, and says that it has opened what a peer would open now. */
async function latch({ session: id, plan, order }: Message<FromGateway, 'order'>): Promise<void> {
  if (!session || order.kind !== 'splice') return
  const key = Buffer.from(session.key, 'base64')
  const username = `s:${id}:${session.role}`
  relay = order.target
  if (warm) {
    warm.take()
    warm.raw.onDatagram = heard
    await prove(warm.raw, order.target, username, { key, nonce: warm.nonce, signal: over.signal })
  } else {
    line = (await enter(doors, { username, key }, over.signal)).line
    line.onDatagram = heard
  }
  const report = { steps: [], sent: 0, received: 0 }
  link?.send({ type: 'progress', session: id, plan, step: 'found' })
  link?.send({
    type: 'opened',
    session: id,
    plan,
    local: { address: '0.0.0.0', port: warm?.port ?? 1 },
    remote: relay,
    report
  })
}

/** The clock is the machine's own, the same in every process of the laboratory. */
function sendTimed(payloadBytes: number): void {
  const datagram = Buffer.alloc(payloadBytes, 0xff)
  datagram.writeBigUInt64BE(process.hrtime.bigint(), 8)
  if (line) line.send(datagram)
  else if (relay) warm?.raw.send(datagram, relay)
}

function heard(datagram: Buffer): void {
  if (datagram[0] === 0xff) delaysMs.push(Number(process.hrtime.bigint() - datagram.readBigUInt64BE(8)) / 1e6)
}

serveDeeds(deeds)
