// The WebSocket to the gateway. A peer joins by proving that it has the key of its certificate. If the link is lost, the peer
// joins again by itself, with backoff. What the peer says while the link is down is dropped, because every message is about a
// state that the gateway has forgotten.

import { lookup } from 'node:dns/promises'
import { isIPv6 } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { WebSocket } from 'ws'
import { type Code, codes, PosternError } from '../errors.ts'
import { isPrivate, plainAddress } from '../wire/endpoint.ts'
import {
  type FromGateway,
  type FromPeer,
  helloProof,
  JOIN_PATH,
  type Message,
  ORDER_BYTES,
  PROTOCOL,
  parseFromGateway
} from '../wire/signal.ts'
import type { Identity } from './identity/identity.ts'

export interface LinkOptions {
  /** The gateway's URL, with `http:`, `https:`, `ws:` or `wss:`. */
  readonly gateway: string
  readonly token: string
  readonly name?: string | undefined
  readonly accepts: boolean
  readonly identity: Identity
  /** Allows `ws:` to addresses that are not private, where others can read the token on the way. */
  readonly insecure: boolean
  /** How long the gateway has to welcome this peer, in milliseconds; 10 s if left out. */
  readonly connectMs?: number
}

export type Welcome = Message<FromGateway, 'welcome'>

/**
 * The first wait before joining again, and the longest. A wait is twice the one before, and is shortened at random, so that
 * peers do not all come at once.
 */
const BACKOFF_MS = { first: 250, longest: 15_000 }

/** The gateway pings every 20 s. After a silence that is longer than two of these intervals the link is dead. */
const SILENCE_MS = 45_000

/** A gateway that is there answers a hello in a round trip or two. */
const CONNECT_MS = 10_000

/** The gateway's name has just been resolved, so the answer is there, or a server away. */
const RESOLVE_MS = 2000

export class GatewayLink {
  /** The gateway that this is. Known peers are kept per gateway. */
  readonly url: string
  onMessage: (message: FromGateway) => void = () => {}
  onWelcome: (welcome: Welcome) => void = () => {}
  /** Called when the link is lost. It is joined again later, unless `final` is true. */
  onLost: (error: PosternError, final: boolean) => void = () => {}
  readonly #options: LinkOptions
  readonly #over = new AbortController()
  #ws: WebSocket | undefined
  #reachedAt: string | undefined

  private constructor(url: string, options: LinkOptions) {
    this.url = url
    this.#options = options
  }

  /** Joins once. Throws `gateway-unreachable`, `bad-config`, or the code the gateway refuses with. */
  static async join(options: LinkOptions, signal?: AbortSignal): Promise<{ link: GatewayLink; welcome: Welcome }> {
    const link = new GatewayLink(await checkedUrl(options), options)
    const welcome = await link.#connect(signal)
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

  #connect(signal?: AbortSignal): Promise<Welcome> {
    // One event at a time: a message that comes right behind the welcome must find its handler.
    const ws = new WebSocket(this.url, {
      maxPayload: ORDER_BYTES,
      perMessageDeflate: false,
      allowSynchronousEvents: false
    })
    this.#ws = ws
    const { connectMs = CONNECT_MS } = this.#options
    ws.on('upgrade', ({ socket }) => {
      this.#reachedAt = socket.remoteAddress && plainAddress(socket.remoteAddress)
    })
    return new Promise<Welcome>((resolve, reject) => {
      const over = AbortSignal.any([AbortSignal.timeout(connectMs), ...(signal ? [signal] : [])])
      const abort = () => ws.terminate()
      if (over.aborted) abort()
      over.addEventListener('abort', abort)
      let failure: Error | undefined
      ws.on('error', error => {
        failure = error
      })
      ws.on('close', () => {
        over.removeEventListener('abort', abort)
        if (signal?.aborted) reject(signal.reason)
        else if (over.aborted) reject(unreachable(this.url, new Error(`it did not answer within ${connectMs} ms`)))
        else reject(unreachable(this.url, failure))
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
      return reject(
        new PosternError(
          'bad-message',
          `the gateway speaks version ${v} of the protocol, this peer version ${PROTOCOL}`
        )
      )
    }
    const reached = await ipv4Of(this.url, this.#reachedAt)
    this.#reachedAt = reached
    const hello: FromPeer = {
      type: 'hello',
      v: PROTOCOL,
      ...(name === undefined ? {} : { name }),
      token,
      certificate: identity.certificatePem,
      signature: identity.sign(helloProof(nonce)).toString('base64'),
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
      void this.#rejoin()
    })
    this.onWelcome(welcome)
  }

  async #rejoin(): Promise<void> {
    for (let waitMs = BACKOFF_MS.first; !this.#over.signal.aborted; waitMs = Math.min(2 * waitMs, BACKOFF_MS.longest)) {
      try {
        await sleep(waitMs * (0.5 + Math.random() / 2), undefined, { signal: this.#over.signal })
        return this.#welcomed(await this.#connect(this.#over.signal))
      } catch (error) {
        if (this.#over.signal.aborted) return
        if (isFinal(error)) return this.onLost(error, true)
      }
    }
  }
}

/** Trying again does not help against these. */
const isFinal = (error: unknown): error is PosternError =>
  error instanceof PosternError &&
  ['bad-token', 'name-taken', 'fingerprint-mismatch', 'bad-message'].includes(error.code)

function understood(text: string): FromGateway | undefined {
  try {
    return parseFromGateway(text)
  } catch {
    return undefined
  }
}

function refusal({ code, reason, trace, verdict }: Message<FromGateway, 'refused'>): PosternError {
  return new PosternError(Object.hasOwn(codes, code) ? (code as Code) : 'bad-message', reason, { trace, verdict })
}

function unreachable(url: string, cause: Error | undefined): PosternError {
  const why = cause ? `: ${(cause as NodeJS.ErrnoException).code ?? cause.message}` : ': it closed the connection'
  return new PosternError('gateway-unreachable', `the gateway at ${url} cannot be reached${why}`, { cause })
}

/**
 * The URL of the WebSocket. One in clear is refused for public addresses unless the user insists, because others could read
 * the token on the way.
 */
async function checkedUrl({ gateway, insecure }: LinkOptions): Promise<string> {
  if (!URL.canParse(gateway))
    throw new PosternError(
      'bad-config',
      `"${gateway}" is no address of a gateway; expected one such as https://postern.example.org`
    )
  const url = new URL(gateway)
  const scheme = { 'http:': 'ws:', 'ws:': 'ws:', 'https:': 'wss:', 'wss:': 'wss:' }[url.protocol]
  if (!scheme)
    throw new PosternError('bad-config', `${gateway} is no address of a gateway; expected http, https, ws or wss`)
  url.protocol = scheme
  url.pathname = JOIN_PATH
  if (scheme === 'ws:' && !insecure) await refusePublic(url)
  return url.href
}

/**
 * The gateway's address as UDP needs it, for UDP is IPv4 alone: where it was reached, or the IPv4 address of its name where that
 * is IPv6. Where there is none, the gateway sees to it.
 */
async function ipv4Of(url: string, reachedAt: string | undefined): Promise<string | undefined> {
  const { hostname } = new URL(url)
  if (!reachedAt || !isIPv6(reachedAt) || hostname.startsWith('[')) return reachedAt
  const known = lookup(hostname, { family: 4 }).then(({ address }) => address)
  return await Promise.race([known, sleep(RESOLVE_MS, reachedAt, { ref: false })]).catch(() => reachedAt)
}

/** Throws `bad-config` if a token that is sent to `url` in clear would leave the private networks. */
export async function refusePublic(url: URL): Promise<void> {
  if (await staysPrivate(url.hostname)) return
  throw new PosternError(
    'bad-config',
    `${url.host} would be sent the token in clear over a public network; use https, or --insecure if you accept that`
  )
}

async function staysPrivate(hostname: string): Promise<boolean> {
  try {
    const addresses = await lookup(hostname.replace(/^\[|\]$/g, ''), { all: true })
    return addresses.every(({ address }) => isPrivate(address))
  } catch (cause) {
    throw new PosternError('gateway-unreachable', `the gateway's name ${hostname} cannot be resolved`, { cause })
  }
}
