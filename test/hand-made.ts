// A peer made by hand: it says exactly what a test tells it to say, true or not, and remembers what it hears. For what
// the real peer would never do. What it waits for and cannot come any more fails at once, with what was heard instead.

import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { WebSocket } from 'ws'
import type { Identity } from '../src/peer/identity/identity.ts'
import { RawSocket } from '../src/peer/punch/raw.ts'
import { prove } from '../src/peer/punch/warm.ts'
import type { Endpoint } from '../src/wire/endpoint.ts'
import { helloProof, PROTOCOL } from '../src/wire/identity/proof.ts'
import { JOIN_PATH, placeOf } from '../src/wire/place.ts'
import { roomKeys } from '../src/wire/room/keys.ts'
import type { RoomLink } from '../src/wire/room/link.ts'
import { type Entry, entryProof } from '../src/wire/room/proof.ts'
import type { FromGateway, Message } from '../src/wire/signal.ts'
import { authority } from './peer/tls.ts'

type Welcome = Message<FromGateway, 'welcome'>
type Type = FromGateway['type']

/** What a message is waited for at most, in milliseconds: longer than a gateway waits for anything. */
const PATIENCE_MS = 20_000

/** A round trip to the gateway that makes it wait for fresh samples for longer than a busy computer holds us up. */
export const FAR_MS = 1000

export interface HelloSpec {
  readonly identity: Identity
  readonly token?: string
  /** The room that it is a guest of, in the place of the token. */
  readonly room?: Pick<RoomLink, 'name' | 'secret'>
  /** What its proof is about instead of the truth. */
  readonly entry?: Partial<Entry>
  readonly name?: string
  readonly accepts?: boolean
  /** Where it says that it dialled; left out: where it did. */
  readonly place?: string
  /** Said instead of the truth. */
  readonly lie?: Readonly<Record<string, unknown>>
}

export class HandMade implements AsyncDisposable {
  readonly ws: WebSocket
  readonly heard: FromGateway[] = []
  /** Resolves with the code the WebSocket was closed with. */
  readonly closed: Promise<number>
  welcome!: Welcome
  features: Message<FromGateway, 'features'> | undefined
  readonly #sockets: RawSocket[] = []
  readonly #waiting = new Set<Waiting>()
  readonly #place: string
  #closedWith: number | undefined

  /** @param localAddress the address of this host that it comes from; left out: the system chooses */
  constructor(url: string, headers: Readonly<Record<string, string>> = {}, localAddress?: string) {
    this.#place = placeOf(url) ?? ''
    const from = localAddress === undefined ? {} : { localAddress }
    this.ws = new WebSocket(url.replace('http', 'ws') + JOIN_PATH, { headers, ca: authority, ...from })
    this.closed = new Promise(resolve => this.ws.on('close', resolve))
    this.ws.on('close', code => {
      this.#closedWith = code
      for (const { fail } of this.#waiting) fail(closedWith(code))
    })
    this.ws.on('error', () => {})
    this.ws.on('message', data => this.#hear(JSON.parse(String(data)) as FromGateway))
  }

  /** The first message of this type that was not taken yet, and takes it. */
  hears<T extends Type>(type: T): Promise<Message<FromGateway, T>> {
    return this.hearsOf(undefined, type)
  }

  /** The same, of one session. Rejects when it cannot come any more, or has not come for long. */
  async hearsOf<T extends Type>(session: string | undefined, type: T): Promise<Message<FromGateway, T>> {
    const isOf = (message: FromGateway) =>
      session === undefined || ('session' in message && message.session === session)
    const take = () => {
      const index = this.heard.findIndex(message => message.type === type && isOf(message))
      return index < 0 ? undefined : (this.heard.splice(index, 1)[0] as Message<FromGateway, T>)
    }
    const known = take()
    if (known) return known
    if (this.#closedWith !== undefined) throw this.#vain(type, closedWith(this.#closedWith))
    const over = this.heard.find(message => session !== undefined && message.type === 'over' && isOf(message))
    if (over) throw this.#vain(type, toldOf(over))
    return await new Promise((resolve, reject) => {
      const end = () => {
        clearTimeout(late)
        this.#waiting.delete(waiting)
      }
      const fail = (why: string) => {
        end()
        reject(this.#vain(type, why))
      }
      const look = (news: FromGateway) => {
        const taken = take()
        if (!taken) return isOf(news) && isLast(news, type) ? fail(toldOf(news)) : undefined
        end()
        resolve(taken)
      }
      const waiting = { look, fail }
      const late = setTimeout(() => fail(`not within ${PATIENCE_MS / 1000} s`), PATIENCE_MS)
      this.#waiting.add(waiting)
    })
  }

  say(message: object | string | Buffer): void {
    this.ws.send(typeof message === 'string' || Buffer.isBuffer(message) ? message : JSON.stringify(message))
  }

  /** Answers the challenge; whether it is welcome is another matter. */
  async hello(spec: HelloSpec): Promise<void> {
    const { identity, token, room, name, accepts = true, place = this.#place, lie = {} } = spec
    const { nonce } = await this.hears('challenge')
    const dtls = identity.fingerprint
    const about = { place, nonce, dtls, fingerprint: identity.fingerprint, ...spec.entry }
    this.say({
      type: 'hello',
      v: PROTOCOL,
      ...(name === undefined ? {} : { name }),
      ...(room ? { room: await entering(room, about) } : { token }),
      certificate: identity.certificatePem,
      place,
      dtls,
      signature: identity.sign(helloProof({ place, nonce, dtls })).toString('base64'),
      accepts,
      ...lie
    })
  }

  /** Joins as it should. */
  static async join(url: string, spec: HelloSpec): Promise<HandMade> {
    const made = new HandMade(url)
    await made.hello(spec)
    made.welcome = await made.hears('welcome')
    return made
  }

  /**
   * Maps a socket at every endpoint of the gateway, and says so, perhaps with a lie. A round trip is none: as long as that takes
   * to echo the first nonces, since the gateway measures it.
   */
  async warm(number: number, lie: Readonly<Record<string, unknown>> = {}): Promise<RawSocket> {
    const raw = await this.#bind()
    await this.#showAll(raw, number, Number(lie.rttMs ?? 0))
    const addresses = [{ address: '127.0.0.1', prefix: 8 }]
    this.say({ type: 'warm', socket: number, port: raw.port, addresses, rttMs: 1, ...lie })
    return raw
  }

  /** Shows a fresh socket as the real peer does: says so, and asks every endpoint at the same moment. */
  async fresh({ session, round }: Message<FromGateway, 'sample'>, number: number): Promise<RawSocket> {
    const raw = await this.#bind()
    this.say({ type: 'fresh', session, round, socket: number, port: raw.port })
    await this.#showAll(raw, number)
    return raw
  }

  /** Proves a socket to an endpoint under a name. */
  async show(raw: RawSocket, endpoint: Endpoint, username: string, key?: Buffer): Promise<void> {
    await prove(raw, endpoint, username, {
      key: key ?? Buffer.from(this.welcome.key, 'base64'),
      signal: AbortSignal.timeout(5000)
    })
  }

  /** A round trip over the WebSocket: everything said before was heard. */
  async settled(): Promise<void> {
    const at = randomBytes(4).readUInt32BE()
    this.say({ type: 'ping', at })
    while ((await this.hears('pong')).at !== at);
  }

  async close(): Promise<void> {
    await Promise.all(this.#sockets.map(raw => raw.close()))
    this.ws.close()
    await this.closed
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #hear(message: FromGateway): void {
    // Follows each welcome. A peer of the first release ignores it as well.
    if (message.type === 'features') {
      this.features = message
      return
    }
    this.heard.push(message)
    for (const { look } of this.#waiting) look(message)
  }

  #vain(awaited: Type, why: string): Error {
    const heard = this.heard.length === 0 ? 'nothing else was heard' : `heard was ${this.heard.map(toldOf).join(', ')}`
    return new Error(`no ${awaited} came: ${why}; ${heard}`)
  }

  async #bind(): Promise<RawSocket> {
    const raw = await RawSocket.bind()
    this.#sockets.push(raw)
    return raw
  }

  /** The first requests leave in one turn, in the order of the endpoints. */
  async #showAll(raw: RawSocket, number: number, farMs = 0): Promise<void> {
    const { endpoints, peer, key } = this.welcome
    const username = `p:${peer}:${number}`
    const ask = (endpoint: Endpoint) =>
      raw.request(endpoint, { username }, Buffer.from(key, 'base64'), AbortSignal.timeout(5000))
    if (farMs > 0) await Promise.all(endpoints.map(ask))
    if (farMs > 0) await sleep(farMs)
    await Promise.all(endpoints.map(endpoint => this.show(raw, endpoint, username)))
  }
}

async function entering(room: Pick<RoomLink, 'name' | 'secret'>, about: Omit<Entry, 'room'>) {
  const { sign } = await roomKeys(room)
  return { name: room.name, proof: await sign(entryProof({ room: room.name, ...about })) }
}

/** Somebody who waits for a message. */
interface Waiting {
  /** Something was heard. */
  readonly look: (news: FromGateway) => void
  readonly fail: (why: string) => void
}

/** Messages that no end of a session keeps from coming: they belong to none, or begin another. */
const unbound: readonly Type[] = ['challenge', 'welcome', 'refused', 'session', 'nat', 'pong']

/** After this message nothing of that type is to be expected. */
const isLast = (news: FromGateway, awaited: Type): boolean =>
  news.type === 'refused' ? awaited !== 'pong' : news.type === 'over' && !unbound.includes(awaited)

const closedWith = (code: number) => `the WebSocket was closed with ${code}`

const toldOf = (message: FromGateway): string =>
  'reason' in message ? `${message.type} (${message.reason})` : message.type

/** A report of a peer that has done nothing. */
export const nothingDone = { steps: [], sent: 0, received: 0 }
