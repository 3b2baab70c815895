// The WebSocket to the gateway. A peer joins by proving that it has the key of its certificate, to the gateway at the place that
// it dialled. If the link is lost, the peer joins again by itself under the id that it had, with backoff, which begins anew, at
// once, whenever the network has changed. What the peer says while the link is down is dropped, because every message is about a
// state that the gateway has forgotten.

import { WebSocket } from 'ws'
import { until } from '../clock.ts'
import { asPosternError, type Code, codes, PosternError } from '../errors.ts'
import { isLoopback, plainAddress } from '../wire/endpoint.ts'
import { helloProof, otherVersion, PROTOCOL, type Proof } from '../wire/identity/proof.ts'
import { type FromGateway, type FromPeer, type Message, ORDER_BYTES, parseFromGateway } from '../wire/signal.ts'
import { diallingOf, proxyOf } from './doors/proxy.ts'
import { trustedWith } from './doors/trust.ts'
import { type GatewayUrl, gatewayUrl, ipv4Of, refusePublic } from './gateway-url.ts'
import { Heartbeat } from './heartbeat.ts'
import type { Identity } from './identity/identity.ts'
import type { Network } from './network.ts'
import { AGAIN, backoff, outcasts, persist, toldMs, wait } from './patience.ts'
import type { RoomEntry } from './room/entry.ts'
import { type Answer, answerOf, unreachable } from './unreachable.ts'

export interface LinkOptions {
  /** The gateway's URL, with `http:`, `https:`, `ws:` or `wss:`. */
  readonly gateway: string
  /** The join token; a guest of a room has none. */
  readonly token?: string | undefined
  /** The room that it is a guest of. */
  readonly entry?: RoomEntry | undefined
  readonly name?: string | undefined
  readonly accepts: boolean
  /** The largest IP packet that this peer's connections send or are sent, in bytes: 800 to 1,280, which it is if left out. */
  readonly mtu?: number | undefined
  /**
   * Shows this peer's address to no other: its connections go through the gateway's relay alone, and a gateway that is too old for that
   * is not joined. False if left out.
   */
  readonly relayOnly?: boolean | undefined
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

/** What a link asks of the watch over this host's network. */
export type Watch = Pick<Network, 'isUp' | 'has' | 'on'>

interface Joined {
  readonly link: GatewayLink
  readonly welcome: Welcome
}

export type Welcome = Message<FromGateway, 'welcome'>

/** A gateway that is there answers a hello in a round trip or two. */
const CONNECT_MS = 10_000

/** The same when it is joined again, the first time, and twice as long each time after: a route may be dead at first. */
const AGAIN_MS = 3000

/** Probes within so many milliseconds are one: whoever loses a path loses several. */
const TOGETHER_MS = 200

/** What a gateway says that it can do, if it gives a peer the id again that it had. */
const KEEPS_IDS = 'rejoin'

export class GatewayLink {
  /** The gateway that this is. Known peers are kept per gateway. */
  readonly url: string
  onMessage: (message: FromGateway) => void = () => {}
  onWelcome: (welcome: Welcome) => void = () => {}
  /** Called when the link is lost. It is joined again later, unless `final` is true. */
  onLost: (error: PosternError, final: boolean) => void = () => {}
  readonly #gateway: GatewayUrl
  readonly #options: LinkOptions
  /** All certificates that are trusted; undefined: those of Node. */
  readonly trusted: readonly string[] | undefined
  readonly #over = new AbortController()
  #ws: WebSocket | undefined
  #reachedAt: string | undefined
  /** The address of this host that the WebSocket leaves from. */
  #localAddress: string | undefined
  #heartbeat: Heartbeat | undefined
  #network: Watch | undefined
  /** Aborted when the network has changed while the link is down. */
  #moved = new AbortController()
  /** Ends the wait before the next try, if that is our own choice. */
  #hurry: () => void = () => {}
  #isDropped = false
  #probedMs = Number.NEGATIVE_INFINITY
  /** The id to ask for when it joins again. */
  #id: string | undefined

  private constructor(options: LinkOptions) {
    this.#gateway = gatewayUrl(options.gateway)
    this.url = this.#gateway.join.href
    this.#options = options
    this.trusted = trustedWith(options.ca)
  }

  /**
   * Joins for the first time. A link that stands is checked whenever this host's network has changed, or the host slept, and one
   * that does not is tried anew. Throws `gateway-unreachable`, `bad-config`, or the code the gateway refuses with.
   */
  static async join(options: LinkOptions, signal?: AbortSignal, network?: Watch): Promise<Joined> {
    const link = new GatewayLink(options)
    const { keepsTrying = false, onWaiting } = options
    const goesOn = (error: PosternError) => keepsTrying && !isFinal(error) && error.code !== 'bad-config'
    const welcome = await persist(() => link.#connect(signal), {
      ...{ goesOn, onWaiting, signal },
      sooner: wake => network?.on('changed', wake)
    })
    link.#welcomed(welcome)
    if (network) link.#watch(network)
    return { link, welcome }
  }

  /** Where the gateway is dialled (wire/place.ts). */
  get place(): string {
    return this.#gateway.place
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

  /**
   * Asks the gateway for a sign of life. If it does not come within a second or three round trips, the link is made anew. A link that
   * is down is tried at once, unless the gateway has asked to wait, or there is no network.
   */
  probeLink(): void {
    const nowMs = performance.now()
    if (nowMs - this.#probedMs < TOGETHER_MS) return
    this.#probedMs = nowMs
    if (this.#heartbeat) this.#heartbeat.probe()
    else if (this.#network?.isUp !== false) this.#hurry()
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

  #watch(network: Watch): void {
    this.#network = network
    network.on('changed', () => this.#check())
    network.on('woke', () => this.#check())
  }

  /** The network is another one, or was away: a WebSocket from an address that is gone is dead, and any other may be. */
  #check(): void {
    const isGone = this.#localAddress !== undefined && this.#network?.has(this.#localAddress) === false
    if (!this.#heartbeat) return this.#moved.abort(new PosternError('io', 'the network changed'))
    if (!isGone) return this.#heartbeat.probe({ isStrict: true })
    this.#isDropped = true
    this.#ws?.terminate()
  }

  /** Throws as `join` does. */
  async #connect(signal?: AbortSignal, connectMs = this.#options.connectMs ?? CONNECT_MS): Promise<Welcome> {
    const { join } = this.#gateway
    if (join.protocol === 'ws:' && !this.#options.insecure) await until(refusePublic(join), signal)
    signal?.throwIfAborted()
    return await this.#open(signal, connectMs)
  }

  #open(signal: AbortSignal | undefined, connectMs: number): Promise<Welcome> {
    const dialling = diallingOf(this.url)
    // One event at a time: a message that comes right behind the welcome must find its handler.
    const ws = new WebSocket(this.url, {
      maxPayload: ORDER_BYTES,
      perMessageDeflate: false,
      allowSynchronousEvents: false,
      ...dialling,
      ...(this.trusted ? { ca: [...this.trusted] } : {})
    })
    this.#ws = ws
    ws.on('upgrade', ({ socket }) => {
      // Through a proxy nobody knows at which address the gateway was reached.
      this.#reachedAt = dialling.agent ? undefined : socket.remoteAddress && plainAddress(socket.remoteAddress)
      this.#localAddress = socket.localAddress && plainAddress(socket.localAddress)
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
        else reject(unreachable(this.#gateway.place, over.aborted ? noAnswer(connectMs) : why, proxyOf(this.url)))
      })
      ws.on('message', data => {
        const message = understood(String(data))
        if (message?.type === 'challenge') void this.#hello(ws, message, reject)
        else if (message?.type === 'refused' && message.request === undefined) reject(this.#refusal(message))
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
    const { name, accepts, identity, mtu, relayOnly } = this.#options
    if (v !== PROTOCOL) {
      ws.close(1002)
      return reject(otherVersion('gateway', v))
    }
    const reached = await ipv4Of(this.#gateway.join, this.#reachedAt)
    this.#reachedAt = reached
    const { place } = this.#gateway
    const dtls = identity.fingerprint
    const pass = await this.#pass({ place, nonce, dtls })
    const hello: FromPeer = {
      type: 'hello',
      v: PROTOCOL,
      ...(name === undefined ? {} : { name }),
      ...pass,
      certificate: identity.certificatePem,
      place,
      dtls,
      signature: identity.sign(helloProof({ place, nonce, dtls })).toString('base64'),
      accepts,
      ...(reached === undefined ? {} : { reached }),
      beacons: true,
      ...(mtu === undefined ? {} : { mtu }),
      ...(relayOnly ? { relayOnly } : {}),
      ...(this.#id === undefined ? {} : { peer: this.#id })
    }
    if (ws.readyState === WebSocket.OPEN) ws.send(JSON.stringify(hello))
  }

  /** An older gateway refuses a hello with a field that it does not know. */
  #refusal(message: Message<FromGateway, 'refused'>): PosternError {
    const error = refusal(message)
    if (!this.#options.relayOnly || error.code !== 'bad-message' || !error.message.includes('relayOnly')) return error
    const { place } = this.#gateway
    return new PosternError(
      'bad-message',
      `the gateway at ${place} is too old for "relay only": it would show this peer's address to others; update it, or join without`
    )
  }

  /** By what it is let in: the token, or the proof that it has the secret of a room. */
  async #pass(proof: Proof): Promise<Pick<Message<FromPeer, 'hello'>, 'token' | 'room'>> {
    const { token, entry, identity } = this.#options
    if (!entry) return { token }
    const proved = await entry.prove({ ...proof, fingerprint: identity.fingerprint })
    return { room: { name: entry.room, proof: proved } }
  }

  /** From here on, a link that is lost is joined again by itself. */
  #welcomed(welcome: Welcome): void {
    const ws = this.#ws
    if (!ws) return
    this.#isDropped = false
    this.#id = undefined
    this.#heartbeat = new Heartbeat(ws, {
      dead: () => {
        this.#isDropped = true
      }
    })
    ws.removeAllListeners('message')
    let refused: PosternError | undefined
    ws.on('message', data => {
      this.#heartbeat?.heard()
      const message = understood(String(data))
      if (message?.type === 'features' && message.features.includes(KEEPS_IDS)) this.#id = welcome.peer
      if (message?.type === 'refused' && message.request === undefined) refused = refusal(message)
      else if (message) this.onMessage(message)
    })
    ws.on('close', () => {
      this.#heartbeat = undefined
      if (this.#over.signal.aborted) return
      // Who is thrown out does not come back as the same one: another may have that id by now.
      if (refused) this.#id = undefined
      const isOut = refused !== undefined && outcasts.includes(refused.code)
      this.onLost(refused ?? new PosternError('gateway-unreachable', 'the connection to the gateway was lost'), isOut)
      if (!isOut) void this.#rejoin(refused ? toldMs(refused) : this.#isDropped ? 0 : undefined)
    })
    this.onWelcome(welcome)
  }

  /** @param firstMs the wait before it is tried for the first time; a short one at random if left out */
  async #rejoin(firstMs?: number): Promise<void> {
    let waitMs = firstMs
    let [waits, tries] = [backoff(AGAIN), 0]
    for (;;) {
      this.#moved = new AbortController()
      const signal = AbortSignal.any([this.#over.signal, this.#moved.signal])
      try {
        await this.#wait(waitMs, () => waits.next().value, signal)
        return this.#welcomed(await this.#connect(signal, this.#patienceMs(tries++)))
      } catch (thrown) {
        if (this.#over.signal.aborted) return
        const error = asPosternError(thrown)
        waitMs = toldMs(error)
        if (this.#moved.signal.aborted) [waits, tries, waitMs] = [backoff(AGAIN), 0, 0]
        // An older gateway takes no id, and one that was there before did.
        else if (error.code === 'bad-message' && this.#id !== undefined) this.#id = undefined
        else if (isFinal(error)) return this.onLost(error, true)
      }
    }
  }

  /** @param told how long the gateway asked for; otherwise the wait is our own, and may be cut short */
  async #wait(told: number | undefined, own: () => number, signal: AbortSignal): Promise<void> {
    const sooner = (wake: () => void) => {
      this.#hurry = wake
      return () => {
        this.#hurry = () => {}
      }
    }
    await wait(this.#pauseMs(told ?? own()), { signal, sooner: told === undefined ? sooner : undefined })
  }

  /** Where there is no network, nobody is reached. It is tried now and then, in case it is not seen. */
  #pauseMs(waitMs: number): number {
    const mayReach = this.#network?.isUp !== false || isLoopback(this.#reachedAt ?? '')
    return mayReach ? waitMs : Math.max(waitMs, AGAIN.longestMs)
  }

  #patienceMs(tries: number): number {
    return Math.min(this.#options.connectMs ?? CONNECT_MS, AGAIN_MS * 2 ** tries)
  }
}

/** Trying again does not help against these, unless the gateway says when it does. */
const isFinal = ({ code, retryMs }: PosternError): boolean =>
  retryMs === undefined &&
  ['bad-token', 'wrong-gateway', 'name-taken', 'fingerprint-mismatch', 'bad-message', ...outcasts].includes(code)

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
