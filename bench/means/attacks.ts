// What one source does at its worst, or one holder of the join token with many certificates: each for some seconds, at a
// pace of its own, against a gateway on this computer or against ports where nobody listens. A child of bench/hostile.ts.
//
// Its TCP connections come from one network, which is not the one honest peers come from. It asks for nothing but what any
// client may ask for, only too much of it.

import { randomBytes } from 'node:crypto'
import { createSocket, type Socket as UdpSocket } from 'node:dgram'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Identity } from '../../src/peer/identity/identity.ts'
import { BINDING, decode, encode, transactionId } from '../../src/wire/stun.ts'
import { serveDeeds } from '../../test/lab/driven.ts'

/** Where a gateway is reached, on 127.0.0.1. */
export interface Door {
  readonly url: string
  readonly token: string
  /** The port of its first UDP endpoint. */
  readonly udp: number
}

/** Everything TCP comes from one network, whose owner has all of its addresses. */
let opened = 0
const from = (): string => `127.0.99.${1 + (opened++ % 254)}`

/** As many certificates one holder of the token makes. */
const CERTIFICATES = 64

/** A time slice in which what is due is sent at once, in milliseconds. */
const SLICE_MS = 5

type Made = InstanceType<typeof import('../../test/hand-made.ts')['HandMade']>

let checkout: string
let identities: readonly Identity[] = []

type Attack = (door: Door, over: AbortSignal) => Promise<void>

export const attacks = {
  /** Answers that nobody reads. */
  unread: (door, over) =>
    repeat(over, 800, async () => {
      const socket = await dialled(door, over)
      socket.pause()
      socket.write(`GET /login HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`.repeat(8))
    }),

  /** WebSockets without a hello. */
  idle: (door, over) =>
    repeat(over, 800, async () => {
      const socket = await dialled(door, over)
      const upgrade = ['GET /join HTTP/1.1', 'Host: 127.0.0.1', 'Connection: Upgrade', 'Upgrade: websocket']
      const key = ['Sec-WebSocket-Version: 13', `Sec-WebSocket-Key: ${Buffer.alloc(16, 1).toString('base64')}`]
      socket.write(`${[...upgrade, ...key].join('\r\n')}\r\n\r\n`)
      socket.resume()
    }),

  /** Requests without end in one connection after the other, all of them read. */
  pipelined: (door, over) =>
    repeat(over, 10, async () => {
      const socket = await dialled(door, over)
      socket.resume()
      socket.write(`GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`.repeat(1000))
    }),

  /** Wrong join tokens. */
  tokens: (door, over) =>
    repeat(over, 500, async () => {
      const made = await stranger(door, over)
      await made.hello({ identity: one(0), token: 'wrong', accepts: false })
      await made.closed
    }),

  garbage: (door, over) => datagrams(door, over, 50_000, 1, [garbage]),

  /** By turns what is nothing, what a session's data looks like, and questions about a session that nobody's key has signed. */
  datagrams: (door, over) => datagrams(door, over, 50_000, 30, [garbage, data, wronglySigned]),

  stun: (door, over) => datagrams(door, over, 32_000, 1, [binding]),

  /** The same from a thousand addresses of many networks. */
  'stun from 1,000': (door, over) => datagrams(door, over, 32_000, 1000, [binding]),

  /** Joins that stay, with all certificates. */
  joins: (door, over) => repeat(over, 400, async turn => void (await member(door, over, turn))),

  /** Names that are kept for good. */
  names: (door, over) =>
    repeat(over, 200, async turn => {
      const made = await member(door, over, turn, `name-${turn}`)
      made.ws.terminate()
    }),

  /** Requests to one honest peer, and not a word afterwards but a long round trip. */
  requests: (door, over) =>
    fromAll(door, over, 10, (made, request) => made.say({ type: 'connect', request, to: 'honest' }), 3000),

  /** Requests for nobody. */
  nonsense: (door, over) =>
    fromAll(door, over, 200, (made, request) => made.say({ type: 'connect', request, to: 'nobody' })),

  /** A NAT that scatters its ports, as its sockets say, to be judged. */
  nat: (door, over) =>
    fromAll(
      door,
      over,
      10,
      (made, request) => {
        const sockets = Array.from({ length: 16 }, (_, socket) => ({ socket: socket % 4, port: 2000 + 7 * socket }))
        made.say({ type: 'nat', request, sockets, addresses: [{ address: '10.0.0.2', prefix: 24 }], rttMs: 5 })
      },
      5,
      4
    )
} satisfies Readonly<Record<string, Attack>>

export type AttackName = keyof typeof attacks

const deeds = {
  async open({ checkout: path }: { checkout: string }): Promise<void> {
    checkout = path
    const { loadIdentity } = (await import(
      join(checkout, 'src/peer/identity/identity.ts')
    )) as typeof import('../../src/peer/identity/identity.ts')
    const folder = await mkdtemp(join(tmpdir(), 'postern-attacks-'))
    identities = await Promise.all(
      Array.from({ length: CERTIFICATES }, (_, index) => loadIdentity(join(folder, `${index}`)))
    )
    await rm(folder, { recursive: true })
  },

  /** Does its worst for so long, and lets go of everything. Resolves with how often it did so. */
  async attack({ name, door, ms }: { name: AttackName; door: Door; ms: number }): Promise<number> {
    done = 0
    const over = AbortSignal.timeout(ms)
    await attacks[name](door, over).catch(error => {
      if (!over.aborted) throw error
    })
    for (const socket of sockets) socket.destroy()
    sockets.clear()
    for (const made of members) made.ws.terminate()
    members.clear()
    return done
  },

  /** What came back for datagrams of the last attack: how many, the most bytes for one of the question, and how many for no STUN. */
  async answers(_given: object): Promise<Answers> {
    return answers
  },

  async close(_given: object): Promise<void> {}
}

export type Attacker = typeof deeds

export interface Answers {
  count: number
  most: number
  toOthers: number
}

let answers: Answers = { count: 0, most: 0, toOthers: 0 }
let done = 0
const sockets = new Set<Socket>()
const members = new Set<Made>()

const one = (index: number): Identity => {
  const identity = identities[index % CERTIFICATES]
  if (!identity) throw new Error('there is no identity')
  return identity
}

/** So many turns a second, whatever becomes of each. */
async function repeat(over: AbortSignal, perSecond: number, turn: (index: number) => Promise<void>): Promise<void> {
  let next = 0
  const startMs = performance.now()
  while (!over.aborted) {
    const due = ((performance.now() - startMs) / 1000) * perSecond
    for (; next < due; next++)
      turn(next).then(
        () => done++,
        () => {}
      )
    await sleep(SLICE_MS)
  }
}

async function dialled({ url }: Door, over: AbortSignal): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port: Number(new URL(url).port), localAddress: from() })
  sockets.add(socket)
  socket.on('error', () => {})
  socket.on('close', () => sockets.delete(socket))
  await once(socket, 'connect', { signal: over })
  return socket
}

const handMade = async () =>
  (await import(join(checkout, 'test/hand-made.ts'))) as typeof import('../../test/hand-made.ts')

async function stranger({ url }: Door, over: AbortSignal): Promise<Made> {
  const { HandMade } = await handMade()
  over.throwIfAborted()
  const made = new HandMade(url)
  members.add(made)
  made.ws.on('close', () => members.delete(made))
  return made
}

async function member(door: Door, over: AbortSignal, index: number, name?: string): Promise<Made> {
  const made = await stranger(door, over)
  await made.hello({ identity: one(index), token: door.token, accepts: false, ...(name ? { name } : {}) })
  made.welcome = await made.hears('welcome')
  return made
}

/** Joins with all certificates, shows sockets, and has each say something so many times a second. */
async function fromAll(
  door: Door,
  over: AbortSignal,
  perSecond: number,
  say: (made: Made, request: number) => void,
  rttMs = 5,
  warm = 1
): Promise<void> {
  const joining = Array.from({ length: CERTIFICATES }, async (_, index) => {
    const made = await member(door, over, index)
    for (let number = 0; number < warm; number++) await made.warm(number, { rttMs })
    return made
  })
  const settled = await Promise.allSettled(joining)
  const joined = settled.flatMap(outcome => (outcome.status === 'fulfilled' ? [outcome.value] : []))
  let request = 0
  await repeat(over, perSecond, async () => {
    for (const made of joined) if (made.ws.bufferedAmount < 65_536) say(made, request++)
    done += joined.length
  })
}

/** Datagrams at a rate, from sockets of as many networks, one address each; each socket sends one kind. */
async function datagrams(
  { udp }: Door,
  over: AbortSignal,
  perSecond: number,
  sources: number,
  kinds: readonly (() => Buffer)[]
): Promise<void> {
  answers = { count: 0, most: 0, toOthers: 0 }
  const from = await Promise.all(
    Array.from({ length: sources }, (_, index) => bound(`127.${1 + (index >> 8)}.${index & 255}.9`))
  )
  const kindOf = (index: number) => kinds[index % kinds.length] as () => Buffer
  for (const [index, socket] of from.entries()) {
    const question = kindOf(index)()
    socket.on('message', answer => {
      answers.count++
      answers.most = Math.max(answers.most, answer.length / question.length)
      if (decode(question) === undefined) answers.toOthers++
    })
  }
  let sent = 0
  const startMs = performance.now()
  while (!over.aborted) {
    const due = ((performance.now() - startMs) / 1000) * perSecond
    // What could not be sent in time is left out: a burst afterwards would be another test.
    sent = Math.max(sent, due - perSecond / 10)
    for (; sent < due; sent++, done++) {
      const index = Math.floor(sent) % sources
      from[index]?.send(kindOf(index)(), udp, '127.0.0.1')
    }
    await sleep(1)
  }
  for (const socket of from) socket.close()
}

async function bound(address: string): Promise<UdpSocket> {
  const socket = createSocket('udp4')
  socket.on('error', () => {})
  socket.bind(0, address)
  await once(socket, 'listening')
  return socket
}

const garbage = () => Buffer.alloc(20, 7)

/** As a record of DTLS 1.2 begins (RFC 6347 section 4.1). */
const data = () => Buffer.concat([Buffer.from('17fefd0001000000000001', 'hex'), randomBytes(100)])

const wronglySigned = () =>
  encode(
    { class: 'request', method: BINDING, transaction: transactionId(), username: 's:abcdef0123456789:caller' },
    { key: randomBytes(32) }
  )

let asked = 0
function binding(): Buffer {
  const request = Buffer.from('000100002112a442000000000000000000000000', 'hex')
  request.writeUInt32BE(asked++ >>> 0, 16)
  return request
}

/** Whatever opens a TCP connection here comes from that one address. */
function comeFromThere(): void {
  const connectAsEver = Socket.prototype.connect
  // biome-ignore lint/suspicious/noExplicitAny: it has many signatures, and all of them are handed on
  Socket.prototype.connect = function (this: Socket, ...given: any[]) {
    const [first] = given.flat()
    if (typeof first === 'object' && first !== null && !('localAddress' in first)) first.localAddress = from()
    return Reflect.apply(connectAsEver, this, given)
  } as typeof connectAsEver
}

if (process.argv[1] === import.meta.filename) {
  comeFromThere()
  serveDeeds(deeds)
}
