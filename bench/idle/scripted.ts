// A peer by script that waits for connections and gets none: it does what the real peer does while it is idle, and holds a tenth of
// the memory. A WebSocket of its own with a ping each 10 s, one UDP socket shown to each endpoint of the gateway each 15 s, the
// clock measured each minute, and back by itself when the link is lost, after the same waits.
//
// What is the peer's own code is used as it is: the certificate, the signature, STUN, the pings, the clock and the waits.

import { createPrivateKey, type KeyObject, sign } from 'node:crypto'
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { WebSocket } from 'ws'
import { idly, sleep } from '../../src/clock.ts'
import { Heartbeat } from '../../src/peer/heartbeat.ts'
import { createCertificate } from '../../src/peer/identity/self-signed.ts'
import { AGAIN, type Backoff, backoff } from '../../src/peer/patience.ts'
import { Timekeeper } from '../../src/peer/timekeeper.ts'
import type { Endpoint } from '../../src/wire/endpoint.ts'
import { fingerprintOf } from '../../src/wire/identity/certificate.ts'
import { helloProof, PROTOCOL } from '../../src/wire/identity/proof.ts'
import { JOIN_PATH } from '../../src/wire/place.ts'
import type { FromGateway, FromPeer, Message } from '../../src/wire/signal.ts'
import { BINDING, decode, encode, type StunMessage, transactionId } from '../../src/wire/stun.ts'

/** Where a gateway is reached, and what it takes to join. */
export interface Door {
  readonly url: string
  readonly token: string
}

/** What became of all peers of a process. */
export interface Tally {
  /** Joined, and shown at every endpoint. */
  ready: number
  /** Links that were lost after the peer had joined. */
  lost: number
  /** Tries to join that came to nothing: refused, or not answered in time. */
  tries: number
  /** Mappings that were shown and proved, and those of which no repetition was answered. */
  shown: number
  unanswered: number
}

/** As the real peer: how long it waits for a challenge the first time, and at most, and then for a welcome, in milliseconds. */
const CHALLENGE_MS = { first: 3000, most: 10_000 } as const
const WELCOME_MS = 30_000

/** As the real peer's requests over UDP, in milliseconds. */
const RETRANSMIT_MS = [100, 200, 400, 800, 1000] as const

interface Identity {
  readonly certificate: string
  readonly fingerprint: string
  readonly key: KeyObject
}

export class ScriptedPeer {
  readonly #name: string
  readonly #address: string
  readonly #tally: Tally
  readonly #identity: Identity
  readonly #waiting = new Map<string, (answer: Buffer) => void>()
  #udp!: Socket
  #over = new AbortController()
  #ws: WebSocket | undefined
  #welcome!: Message<FromGateway, 'welcome'>
  #nonces = new Map<Endpoint, Buffer>()
  #id: string | undefined
  #isClosed = false
  #isReady = false

  constructor(name: string, address: string, tally: Tally) {
    this.#name = name
    this.#address = address
    this.#tally = tally
    const { certificatePem: certificate, keyPem } = createCertificate()
    this.#identity = { certificate, fingerprint: fingerprintOf(certificate), key: createPrivateKey(keyPem) }
  }

  /** Binds its UDP socket. */
  async bind(): Promise<void> {
    this.#udp = createSocket('udp4').bind(0, this.#address)
    await once(this.#udp, 'listening')
    this.#udp.on('message', answer => this.#waiting.get(answer.toString('latin1', 8, 20))?.(answer))
  }

  /** Joins, however often that has to be tried, and stays until `close`. Resolves once it has shown its socket. */
  async join(door: Door, waits: Backoff = AGAIN): Promise<void> {
    const pauses = backoff(waits)
    for (let tries = 0; !this.#isClosed; tries++) {
      const patienceMs = Math.min(CHALLENGE_MS.first * 2 ** tries, CHALLENGE_MS.most)
      if (await this.#tries(door, patienceMs)) return await this.#stay(door)
      this.#tally.tries++
      await sleep(pauses.next().value)
    }
  }

  close(): void {
    this.#isClosed = true
    this.#ws?.terminate()
    this.#udp.close()
  }

  /** Whether it was welcomed in time. */
  #tries(door: Door, patienceMs: number): Promise<boolean> {
    const options = { localAddress: this.#address, perMessageDeflate: false }
    const ws = new WebSocket(door.url.replace('http', 'ws') + JOIN_PATH, options)
    this.#ws = ws
    return new Promise(resolve => {
      let late = setTimeout(() => ws.terminate(), patienceMs)
      ws.on('error', () => {})
      ws.on('close', () => {
        clearTimeout(late)
        resolve(false)
      })
      ws.on('message', data => {
        const message = JSON.parse(String(data)) as FromGateway
        if (message.type === 'challenge') {
          clearTimeout(late)
          late = setTimeout(() => ws.terminate(), WELCOME_MS)
          this.#say(this.#hello(message, door))
        }
        if (message.type !== 'welcome') return
        clearTimeout(late)
        this.#welcome = message
        resolve(true)
      })
    })
  }

  #hello({ nonce }: Message<FromGateway, 'challenge'>, { url: place, token }: Door): FromPeer {
    const { certificate, fingerprint: dtls, key } = this.#identity
    return {
      ...{ type: 'hello', v: PROTOCOL, name: this.#name, token, certificate, place, dtls },
      signature: sign('sha256', helloProof({ place, nonce, dtls }), key).toString('base64'),
      ...{ accepts: true, reached: '127.0.0.1', beacons: true },
      ...(this.#id === undefined ? {} : { peer: this.#id })
    }
  }

  async #stay(door: Door): Promise<void> {
    const ws = this.#ws as WebSocket
    this.#id = this.#welcome.peer
    this.#nonces = new Map()
    this.#over = new AbortController()
    const timekeeper = new Timekeeper(message => this.#say(message))
    const heartbeat = new Heartbeat(ws)
    ws.removeAllListeners('message')
    ws.on('message', data => {
      heartbeat.heard()
      const message = JSON.parse(String(data)) as FromGateway
      if (message.type === 'pong') timekeeper.answer(message)
    })
    ws.removeAllListeners('close')
    ws.on('close', () => this.#left(door))
    const { signal } = this.#over
    void timekeeper.keep(signal)
    const rttMs = await this.#show()
    if (signal.aborted) return
    const addresses = [{ address: this.#address, prefix: 8 }]
    this.#say({ type: 'warm', socket: 0, port: this.#udp.address().port, addresses, rttMs })
    await this.#testFiltering()
    if (signal.aborted) return
    this.#ready(true)
    this.#refresh(signal)
  }

  #left(door: Door): void {
    this.#over.abort()
    this.#ready(false)
    if (this.#isClosed) return
    this.#tally.lost++
    const { firstMs } = AGAIN
    void sleep(firstMs * (0.5 + Math.random() / 2)).then(() => this.join(door))
  }

  #ready(isReady: boolean): void {
    if (isReady !== this.#isReady) this.#tally.ready += isReady ? 1 : -1
    this.#isReady = isReady
  }

  #say(message: FromPeer): void {
    if (this.#ws?.readyState === WebSocket.OPEN) this.#ws.send(JSON.stringify(message))
  }

  #refresh(signal: AbortSignal): void {
    const timer = idly(
      setTimeout(async () => {
        await this.#show()
        if (!signal.aborted) this.#refresh(signal)
      }, this.#welcome.refreshMs)
    )
    signal.addEventListener('abort', () => clearTimeout(timer), { once: true })
  }

  /** Shows the mappings at all endpoints, and proves them. Resolves with the round trip to the first, in milliseconds. */
  async #show(): Promise<number> {
    const { endpoints, peer } = this.#welcome
    const [rttMs = 0] = await Promise.all(endpoints.map(endpoint => this.#prove(endpoint, `p:${peer}:0`)))
    return rttMs
  }

  /** Asks one endpoint, and echoes the nonce that comes back unless it is known already. */
  async #prove(endpoint: Endpoint, username: string): Promise<number> {
    let rttMs = 0
    for (let round = 0; round < 3; round++) {
      const sentMs = performance.now()
      const nonce = this.#nonces.get(endpoint)
      const answer = await this.#ask(endpoint, { username, ...(nonce ? { nonce } : {}) })
      if (!answer) break
      rttMs = performance.now() - sentMs
      if (nonce && !answer.nonce) {
        this.#tally.shown++
        return rttMs
      }
      if (answer.nonce) this.#nonces.set(endpoint, answer.nonce)
    }
    this.#tally.unanswered++
    return rttMs
  }

  /** Is an answer let in from another port? The nonce of the first endpoint is known by now. */
  async #testFiltering(): Promise<void> {
    const { endpoints, peer } = this.#welcome
    const [primary] = endpoints
    const nonce = primary && this.#nonces.get(primary)
    if (!primary || !nonce || endpoints.length < 2) return
    const change = { address: false, port: true }
    const answer = await this.#ask(primary, { username: `f:${peer}:0`, nonce, change })
    this.#say({ type: 'filtering', port: answer !== undefined })
  }

  /** Sends a request until its answer comes; undefined where none does. */
  #ask(to: Endpoint, message: Omit<StunMessage, 'class' | 'method' | 'transaction'>): Promise<StunMessage | undefined> {
    const key = Buffer.from(this.#welcome.key, 'base64')
    const transaction = transactionId()
    const id = transaction.toString('latin1')
    const datagram = encode({ class: 'request', method: BINDING, transaction, ...message }, { key })
    return new Promise(resolve => {
      let timer: NodeJS.Timeout
      const end = (answer: StunMessage | undefined) => {
        clearTimeout(timer)
        this.#waiting.delete(id)
        resolve(answer)
      }
      this.#waiting.set(id, bytes => {
        const answer = decode(bytes)
        if (answer?.verify(key)) end(answer)
      })
      const transmit = (count: number) => {
        if (this.#isClosed || count === RETRANSMIT_MS.length) return end(undefined)
        this.#udp.send(datagram, to.port, to.address)
        timer = setTimeout(transmit, RETRANSMIT_MS[count], count + 1)
      }
      transmit(0)
    })
  }
}
