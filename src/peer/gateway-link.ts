// The WebSocket to the gateway. A peer joins by proving that it has the key of its certificate, to the gateway at the place that
// it dialled. If the link is lost, the peer joins again by itself, with backoff. What the peer says while the link is down is
// dropped, because every message is about a state that the gateway has forgotten.

import { setTimeout as sleep } from 'node:timers/promises'
import { getCACertificates } from 'node:tls'
import { WebSocket } from 'ws'
import { asPosternError, type Code, codes, PosternError } from '../errors.ts'
import { plainAddress } from '../wire/endpoint.ts'
import {
  type FromGateway,
  type FromPeer,
  helloProof,
  type Message,
  ORDER_BYTES,
  otherVersion,
  PROTOCOL,
  parseFromGateway
} from '../wire/signal.ts'
import { type GatewayUrl, gatewayUrl, ipv4Of, refusePublic } from './gateway-url.ts'
import type { Identity } from './identity/identity.ts'
import { AGAIN, backoff, persist, toldMs } from './patience.ts'
import { type Answer, answerOf, unreachable } from './unreachable.ts'

export interface LinkOptions {
  /** The gateway's URL, with `http:`, `https:`, `ws:` or `wss:`. */
  readonly gateway: string
  readonly token: string
  readonly name?: string | undefined
  readonly accepts: boolean
  readonly identity: Identity
  /** Allows `ws:` to addresses that are not private, where others can read the token on the way. */
  readonly insecure: boolean
  /** Certificates in PEM, of authorities that are trusted besides those that Node trusts. */
  readonly ca?: string | undefined
  /** How long the gateway has to welcome this peer, in milliseconds; 10 s if left out. */
  readonly connectMs?: number
  /**
   * Whether a first join goes on where there is no network or no gateway yet, until `signal` aborts. If left out, it fails at
   * once, unless the gateway asks to be tried again within a minute.
   */
  readonly keepsTrying?: boolean
  /** Called before a first join is tried again, with what was in the way and how long it waits, in milliseconds. */
  readonly onWaiting?: (error: PosternError, waitMs: number) => void
}

export type Welcome = Message<FromGateway, 'welcome'>

/** The gateway pings every 20 s. After a silence that is longer than two of these intervals the link is dead. */
const SILENCE_MS = 45_000

/** A gateway that is there answers a hello in a round trip or two. */
const CONNECT_MS = 10_000

export class GatewayLink {
  /** The gateway that this is. Known peers are kept per gateway. */
  readonly url: string
  onMessage: (message: FromGateway) => void = () => {}
  onWelcome: (welcome: Welcome) => void = () => {}
  /** Called when the link is lost. It is joined again later, unless `final` is true. */
  onLost: (error: PosternError, final: boolean) => void = () => {}
  readonly #gateway: GatewayUrl
  readonly #options: LinkOptions
  readonly #over = new AbortController()
  #ws: WebSocket | undefined
  #reachedAt: string | undefined

  private constructor(options: LinkOptions) {
    this.#gateway = gatewayUrl(options.gateway)
    this.url = this.#gateway.join.href
    this.#options = options
  }

  /** Joins for the first time. Throws `gateway-unreachable`, `bad-config`, or the code the gateway refuses with. */
  static async join(options: LinkOptions, signal?: AbortSignal): Promise<{ link: GatewayLink; welcome: Welcome }> {
    const link = new GatewayLink(options)
    const { keepsTrying = false, onWaiting } = options
    const goesOn = (error: PosternError) => keepsTrying && !isFinal(error) && error.code !== 'bad-config'
    const welcome = await persist(() => link.#connect(signal), { goesOn, onWaiting, signal })
    link.#welcomed(welcome)
    return { link, welcome }
  }

  /** The gateway's address as it was told in the last hello. */
  get reachedAt(): string | undefined {
    return this.#reachedAt
  }

  /** False when the link is down and the message is lost. */
  send(message: FromPeer): boolean {
    if (this.#ws?.readyState !== WebSocket.OPEN) return false
    this.#ws.send(JSON.stringify(message))
    return true
  }

  async close(): Promise<void> {
    this.#over.abort(new PosternError('io', 'the peer left'))
    const ws = this.#ws
    if (!ws || ws.readyState === WebSocket.CLOSED) return
    const closed = new Promise(resolve => ws.once('close', resolve))
    ws.close(1000)
    const impatient = setTimeout(() => ws.terminate(), 500)
    await closed
    clearTimeout(impatient)
  }

  /** Throws as `join` does. */
  async #connect(signal?: AbortSignal): Promise<Welcome> {
    const { join } = this.#gateway
    if (join.protocol === 'ws:' && !this.#options.insecure) await refusePublic(join)
    signal?.throwIfAborted()
    return await this.#open(signal)
  }

  #open(signal?: AbortSignal): Promise<Welcome> {
    const { connectMs = CONNECT_MS, ca } = this.#options
    // One event at a time: a message that comes right behind the welcome must find its handler.
    const ws = new WebSocket(this.url, {
      maxPayload: ORDER_BYTES,
      perMessageDeflate: false,
      allowSynchronousEvents: false,
      ...(ca === undefined ? {} : { ca: [...getCACertificates(), ca] })
    })
    this.#ws = ws
    ws.on('upgrade', ({ socket }) => {
      this.#reachedAt = socket.remoteAddress && plainAddress(socket.remoteAddress)
    })
    return new Promise<Welcome>((resolve, reject) => {
      const over = AbortSignal.any([AbortSignal.timeout(connectMs), ...(signal ? [signal] : [])])
      const abort = () => ws.terminate()
      if (over.aborted) abort()
      over.addEventListener('abort', abort)
      let why: Error | Answer | undefined
      ws.on('unexpected-response', async (_, response) => {
        why = await answerOf(response)
        ws.terminate()
      })
      ws.on('error', error => {
        why ??= error
      })
      ws.on('close', () => {
        over.removeEventListener('abort', abort)
        if (signal?.aborted) reject(signal.reason)
        else reject(unreachable(this.#gateway.place, over.aborted ? noAnswer(connectMs) : why))
      })
      ws.on('message', data => {
        const message = understood(String(data))
        if (message?.type === 'challenge') void this.#hello(ws, message, reject)
        else if (message?.type === 'refused' && message.request === undefined) reject(refusal(message))
        else if (message?.type === 'welcome') {
          over.removeEventListener('abort', abort)
          resolve(message)
        }
      })
    })
  }

  async #hello(
    ws: WebSocket,
    { v, nonce }: Message<FromGateway, 'challenge'>,
    reject: (error: Error) => void
  ): Promise<void> {
    const { token, name, accepts, identity } = this.#options
    if (v !== PROTOCOL) {
      ws.close(1002)
      return reject(otherVersion('gateway', v))
    }
    const reached = await ipv4Of(this.#gateway.join, this.#reachedAt)
    this.#reachedAt = reached
    const { place } = this.#gateway
    const dtls = identity.fingerprint
    const hello: FromPeer = {
      type: 'hello',
      v: PROTOCOL,
      ...(name === undefined ? {} : { name }),
      token,
      certificate: identity.certificatePem,
      place,
      dtls,
      signature: identity.sign(helloProof({ place, nonce, dtls })).toString('base64'),
      accepts,
      ...(reached === undefined ? {} : { reached }),
      beacons: true
    }
    if (ws.readyState === WebSocket.OPEN) ws.send(JSON.stringify(hello))
  }

  /** From here on, a link that is lost is joined again by itself. */
  #welcomed(welcome: Welcome): void {
    const ws = this.#ws
    if (!ws) return
    let silent = setTimeout(() => ws.terminate(), SILENCE_MS)
    const alive = () => {
      clearTimeout(silent)
      silent = setTimeout(() => ws.terminate(), SILENCE_MS)
    }
    ws.removeAllListeners('message')
    ws.on('ping', alive)
    let refused: PosternError | undefined
    ws.on('message', data => {
      alive()
      const message = understood(String(data))
      if (message?.type === 'refused' && message.request === undefined) refused = refusal(message)
      else if (message) this.onMessage(message)
    })
    ws.on('close', () => {
      clearTimeout(silent)
      if (this.#over.signal.aborted) return
      this.onLost(refused ?? new PosternError('gateway-unreachable', 'the connection to the gateway was lost'), false)
      void this.#rejoin(refused && toldMs(refused))
    })
    this.onWelcome(welcome)
  }

  /** @param told how long the gateway asked for before it is tried again, in milliseconds, if it did */
  async #rejoin(told?: number): Promise<void> {
    let waitMs = told
    for (const backoffMs of backoff(AGAIN)) {
      try {
        await sleep(waitMs ?? backoffMs, undefined, { signal: this.#over.signal })
        return this.#welcomed(await this.#connect(this.#over.signal))
      } catch (thrown) {
        if (this.#over.signal.aborted) return
        const error = asPosternError(thrown)
        if (isFinal(error)) return this.onLost(error, true)
        waitMs = toldMs(error)
      }
    }
  }
}

/** Trying again does not help against these, unless the gateway says when it does. */
const isFinal = ({ code, retryMs }: PosternError): boolean =>
  retryMs === undefined &&
  ['bad-token', 'wrong-gateway', 'name-taken', 'fingerprint-mismatch', 'bad-message'].includes(code)

function understood(text: string): FromGateway | undefined {
  try {
    return parseFromGateway(text)
  } catch {
    return undefined
  }
}

function refusal({ code, reason, trace, verdict, retryMs }: Message<FromGateway, 'refused'>): PosternError {
  const known = Object.hasOwn(codes, code) ? (code as Code) : 'bad-message'
  return new PosternError(known, reason, { trace, verdict, retryMs })
}

const noAnswer = (waitedMs: number) =>
  Object.assign(new Error(`it did not answer within ${waitedMs} ms`), { code: 'ETIMEDOUT' })
