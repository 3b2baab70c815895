// One run of the test: who the visitor is to the endpoints, the one message that it says, and its end.

import { randomBytes } from 'node:crypto'
import type { WebSocket } from 'ws'
import { nowMs } from '../../clock.ts'
import { asPosternError, PosternError } from '../../errors.ts'
import type { Endpoint } from '../../wire/endpoint.ts'
import { type FromDesk, parseShown, type Shown } from '../../wire/nettest/messages.ts'
import { RUN_MS } from '../../wire/nettest/path.ts'
import { Full } from '../peers/full.ts'
import type { Observer } from '../peers/observer.ts'
import { networkOf } from '../shares/network.ts'
import type { Newcomer } from '../signalling/reception.ts'
import type { VisitsCounters } from './counters.ts'
import { type Judges, seenOf } from './judge.ts'
import { verdictOf } from './result.ts'
import type { Results } from './results.ts'

/** RFC 6455 section 7.4.1: it is over, or what was said breaks the rules. */
const [NORMAL, POLICY] = [1000, 1008]

/** Between two pings, of which the quickest answer counts, in milliseconds: at first a page is busy. */
const PING_MS = 700

export interface VisitOptions extends Judges {
  readonly observer: Observer
  /** TCP ports of the relay's own. */
  readonly tcp: readonly number[]
  /** How long a run may take, in milliseconds; 15 s if left out. */
  readonly runMs?: number
}

/** What all visits share. */
export interface House {
  readonly options: VisitOptions
  readonly results: Results
  readonly counters: Pick<VisitsCounters, 'done' | 'late' | 'malformed'>
}

export class Visit {
  readonly #id = `v${randomBytes(8).toString('hex')}`
  readonly #key = randomBytes(20)
  /** The credentials of an agent that is not there: whoever knows them is answered, and that is all. */
  readonly door = { ufrag: randomBytes(6).toString('hex'), pwd: randomBytes(18).toString('hex') }
  readonly #ws: WebSocket
  readonly #newcomer: Newcomer
  readonly #house: House
  #timer: NodeJS.Timeout | undefined
  #pinging: NodeJS.Timeout | undefined
  /** When the ping left that is not answered yet. */
  #pingedMs: number | undefined
  /** The shortest round trip over the WebSocket. */
  #rttMs = Number.POSITIVE_INFINITY
  #hasDoor = false
  #hasShown = false

  constructor(ws: WebSocket, newcomer: Newcomer, house: House) {
    this.#ws = ws
    this.#newcomer = newcomer
    this.#house = house
  }

  begin(): void {
    const { observer, tcp, runMs = RUN_MS } = this.#house.options
    const { endpoints } = observer.iceEndpoints(this.#newcomer.reached.address)
    if (endpoints.length === 0) return this.#end(new PosternError('wrong-family', NO_ADDRESS))
    this.#timer = setTimeout(() => this.#late(), runMs)
    this.#newcomer.whenShed(() => this.#end(new Full('strangers', 'the gateway has no place for this test now')))
    this.#ws.on('message', (data, isBinary) => void this.#hear(String(data), isBinary))
    // A browser sends no pings, and pongs alone that were asked for.
    this.#ws.on('ping', () => this.#end(brokenOff()))
    this.#ws.on('pong', () => this.#answered())
    this.#pinging = setInterval(() => this.#ping(), PING_MS)
    observer.admit(this.#id, this.#key)
    const { door } = this
    this.#say({ type: 'begin', visit: this.#id, key: this.#key.toString('base64'), endpoints, tcp: [...tcp], door })
    this.#ping()
  }

  #ping(): void {
    if (this.#pingedMs !== undefined || this.#ws.readyState !== this.#ws.OPEN) return
    this.#pingedMs = nowMs()
    this.#ws.ping()
  }

  #answered(): void {
    if (this.#pingedMs === undefined) return this.#end(brokenOff())
    this.#rttMs = Math.min(this.#rttMs, nowMs() - this.#pingedMs)
    this.#pingedMs = undefined
  }

  foundDoor(): void {
    this.#hasDoor = true
  }

  over(): void {
    clearTimeout(this.#timer)
    clearInterval(this.#pinging)
    this.#house.options.observer.dismiss(this.#id)
  }

  async #hear(text: string, isBinary: boolean): Promise<void> {
    if (this.#ws.readyState !== this.#ws.OPEN) return
    try {
      if (isBinary || this.#hasShown) throw brokenOff()
      this.#hasShown = true
      const result = await this.#result(parseShown(text))
      if (this.#ws.readyState !== this.#ws.OPEN) return
      this.#say({ type: 'done', result })
      clearTimeout(this.#timer)
      this.#ws.close(NORMAL)
    } catch (thrown) {
      this.#end(asPosternError(thrown))
    }
  }

  /** Judges, and keeps what was found. Resolves with its id. */
  async #result({ sockets, agent }: Shown): Promise<string> {
    const { options, results, counters } = this.#house
    const { observer } = options
    const shown = sockets.map(async ({ socket, port }) => ({ port, samples: await observer.samples(this.#id, socket) }))
    const knownMs = observer.rttMs(this.#id) || this.#rttMs
    const rttMs = Number.isFinite(knownMs) ? Math.round(knownMs * 10) / 10 : 0
    const { from, reached } = this.#newcomer
    const { endpoints, relay = endpoints[0] } = observer.iceEndpoints(reached.address)
    const seen = await seenOf(options, {
      asker: { network: networkOf(from), certificate: this.#id },
      sockets: await Promise.all(shown),
      gateway: relay as Endpoint,
      ...{ agent, from, rttMs },
      hasDoor: this.#hasDoor,
      isBound: sockets.length > 0
    })
    // Nobody waits for it any more.
    if (this.#ws.readyState !== this.#ws.OPEN) throw new PosternError('timeout', OVER)
    const verdict = verdictOf(seen)
    counters.done[verdict]++
    return results.keep({ ...seen, verdict, rttMs, atMs: Math.round(nowMs()) })
  }

  #late(): void {
    this.#house.counters.late++
    this.#end(new PosternError('timeout', OVER))
  }

  /** Nobody is given time to answer the close. */
  #end(error: PosternError): void {
    if (this.#ws.readyState !== this.#ws.OPEN) return
    if (error.code === 'bad-message') this.#house.counters.malformed++
    this.#say(refusal(error))
    this.#ws.close(POLICY)
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.#ws.terminate(), CLOSING_MS).unref()
  }

  #say(message: FromDesk): void {
    send(this.#ws, message)
  }
}

/** How long a visitor that was told that it is over may take to hear it, in milliseconds. */
const CLOSING_MS = 1000

const brokenOff = () => new PosternError('bad-message', 'a test takes one message of text, and nothing else')

const OVER = 'the test took too long'
const NO_ADDRESS =
  'the gateway was reached by IPv6 and has no IPv4 address to tell, and UDP is IPv4 alone; its operator can name one in listen.udp.public'

export const refusal = ({ code, message: reason, retryMs }: PosternError): FromDesk => ({
  ...{ type: 'refused', code, reason },
  ...(retryMs === undefined ? {} : { retryMs })
})

export function send(ws: WebSocket, message: FromDesk): void {
  if (ws.readyState === ws.OPEN) ws.send(JSON.stringify(message))
}
