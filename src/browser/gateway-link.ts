// The WebSocket to the gateway, as src/peer/gateway-link.ts has it in Node. If it is lost, the peer joins again by itself under the id
// that it had. A browser tells no page why a WebSocket did not open, and sends no pings for it, so this asks by messages of ours.

import { sleep, within } from '../clock.ts'
import { asPosternError, type Code, PosternError } from '../errors.ts'
import { AGAIN, backoff, outcasts, persist, toldMs, wait } from '../peer/patience.ts'
import type { RoomEntry } from '../peer/room/entry.ts'
import { helloProof, otherVersion, PROTOCOL } from '../wire/identity/proof.ts'
import { JOIN_PATH, placeOf, urlAt } from '../wire/place.ts'
import type { FromGateway, FromPeer, Message } from '../wire/signal.ts'
import { agentPace } from './abilities.ts'
import type { Identity } from './identity.ts'

export interface LinkOptions {
  readonly gateway: string
  /** A guest of a room has none. */
  readonly token?: string | undefined
  /** The room that it is a guest of. */
  readonly entry: RoomEntry | undefined
  /** None for a guest. */
  readonly name: string | undefined
  readonly accepts: boolean
  /** Its address is shown to no other peer. */
  readonly relayOnly?: boolean
  readonly identity: Identity
}

/** A WebSocket, and what the gateway has said on it already. */
interface Made {
  readonly ws: WebSocket
  greeting?: MessageEvent
}

export type Welcome = Message<FromGateway, 'welcome'>

/** A gateway that is there answers a hello in a round trip or two. */
const CONNECT_MS = 10_000

/** Between two questions whether it is still there, in milliseconds. */
const EVERY_MS = 10_000

/**
 * How long an answer may take, and where it is suspected to be gone, in milliseconds. After a quarter of that another WebSocket is made
 * beside it, and whichever is heard first goes on: a page is not told that its address has changed.
 */
const PATIENCE_MS = 5_000
const PROBED_MS = 1_500

/** What a gateway says that it can do, if it gives a peer the id again that it had. */
const KEEPS_IDS = 'rejoin'

export class GatewayLink {
  /** Where the gateway is dialled (src/wire/place.ts). */
  readonly place: string
  onMessage: (message: FromGateway) => void = () => {}
  onWelcome: (welcome: Welcome) => void = () => {}
  /** Called when the link is lost. It is joined again later, unless `final` is true. */
  onLost: (error: PosternError, final: boolean) => void = () => {}
  readonly #options: LinkOptions
  readonly #over = new AbortController()
  #ws: WebSocket | undefined
  #id: string | undefined
  #heardMs = 0
  #hurry: () => void = () => {}

  private constructor(place: string, options: LinkOptions) {
    this.place = place
    this.#options = options
  }

  /** Throws `gateway-unreachable`, `bad-config`, or the code the gateway refuses with. */
  static async join(options: LinkOptions, signal?: AbortSignal): Promise<{ link: GatewayLink; welcome: Welcome }> {
    const place = placeOf(options.gateway)
    if (place === undefined)
      throw new PosternError(
        'bad-config',
        `"${options.gateway}" is no address of a gateway; expected a URL such as https://postern.example.org`
      )
    const link = new GatewayLink(place, options)
    const welcome = await persist(() => link.#connect(signal), { signal })
    link.#welcomed(welcome)
    addEventListener('online', () => link.probeLink(), { signal: link.#over.signal })
    return { link, welcome }
  }

  /** False when the link is down and the message is lost. */
  send(message: FromPeer): boolean {
    if (this.#ws?.readyState !== WebSocket.OPEN) return false
    this.#ws.send(JSON.stringify(message))
    return true
  }

  /** Asks the gateway for a sign of life, and joins again if there is none. A link that is down is tried at once. */
  probeLink(): void {
    this.#hurry()
    if (this.#ws?.readyState === WebSocket.OPEN) void this.#ask(this.#ws, PROBED_MS)
  }

  close(): void {
    this.#over.abort(new PosternError('io', 'the peer left'))
    this.#ws?.close(1000)
  }

  async #connect(signal?: AbortSignal, { ws, greeting }: Made = { ws: dialled(this.place) }): Promise<Welcome> {
    signal?.throwIfAborted()
    const { promise, resolve, reject } = Promise.withResolvers<Welcome>()
    const over = AbortSignal.any([AbortSignal.timeout(CONNECT_MS), ...(signal ? [signal] : [])])
    over.addEventListener('abort', () =>
      reject(signal?.aborted ? signal.reason : unreachable(this.place, 'it does not answer'))
    )
    ws.onclose = () => reject(unreachable(this.place, 'it closed the connection, or there is none'))
    const hear = ({ data }: MessageEvent) => {
      const message = understood(data)
      if (message?.type === 'challenge') this.#hello(ws, message).catch(reject)
      else if (message?.type === 'refused' && message.request === undefined) reject(refusal(message))
      else if (message?.type === 'welcome') {
        // What comes right behind it finds its handler: `#welcomed` runs before the next event. Nothing is said on it before.
        this.#ws = ws
        resolve(message)
      }
    }
    ws.onmessage = hear
    if (greeting) hear(greeting)
    try {
      return await promise
    } catch (error) {
      ws.onclose = ws.onmessage = null
      ws.close()
      throw error
    }
  }

  async #hello(ws: WebSocket, { v, nonce }: Message<FromGateway, 'challenge'>): Promise<void> {
    if (v !== PROTOCOL) throw otherVersion('gateway', v)
    const { token, entry, name, accepts, relayOnly, identity } = this.#options
    const { place } = this
    const { key, dtls, fingerprint } = identity
    const hello: FromPeer = {
      type: 'hello',
      v: PROTOCOL,
      ...(name === undefined ? {} : { name }),
      ...(entry
        ? { room: { name: entry.room, proof: await entry.prove({ place, nonce, fingerprint, dtls }) } }
        : { token }),
      // A gateway that does not know the last one, and so would not keep to it, refuses the hello.
      ...{ key, iceOnly: agentPace(), place, dtls, accepts, relayOnly: relayOnly || undefined },
      signature: await identity.sign(helloProof({ place, nonce, dtls })),
      ...(this.#id === undefined ? {} : { peer: this.#id })
    }
    if (ws.readyState === WebSocket.OPEN) ws.send(JSON.stringify(hello))
  }

  /** From here on, a link that is lost is joined again by itself. */
  #welcomed(welcome: Welcome): void {
    const ws = this.#ws
    if (!ws) return
    this.#id = undefined
    let refused: PosternError | undefined
    ws.onmessage = ({ data }) => {
      this.#heardMs = performance.now()
      const message = understood(data)
      if (message?.type === 'features' && message.features.includes(KEEPS_IDS)) this.#id = welcome.peer
      if (message?.type === 'refused' && message.request === undefined) refused = refusal(message)
      else if (message) this.onMessage(message)
    }
    ws.onclose = () => this.#lost(ws, refused)
    void this.#beat(ws)
    this.onWelcome(welcome)
  }

  async #beat(ws: WebSocket): Promise<void> {
    while (ws === this.#ws && ws.readyState === WebSocket.OPEN) {
      await sleep(EVERY_MS, this.#over.signal).catch(() => {})
      await this.#ask(ws, PATIENCE_MS)
    }
  }

  /** The link is given up unless something is heard in time, or before another one is. */
  async #ask(ws: WebSocket, patienceMs: number): Promise<void> {
    if (ws !== this.#ws || ws.readyState !== WebSocket.OPEN) return
    const { signal } = this.#over
    const askedMs = performance.now()
    const isDead = () => this.#heardMs < askedMs && ws === this.#ws && !signal.aborted
    this.send({ type: 'ping', at: askedMs })
    await sleep(patienceMs / 4, signal).catch(() => {})
    if (!isDead()) return
    const made: Made = { ws: dialled(this.place) }
    const greeted = new Promise<void>(resolve => {
      made.ws.onmessage = greeting => {
        made.greeting = greeting
        resolve()
      }
    })
    await within((patienceMs * 3) / 4, greeted, signal)
    const isOver = isDead()
    if (!isOver || !made.greeting) made.ws.close()
    if (isOver) this.#lost(ws, undefined, made.greeting && made)
  }

  /** A WebSocket that is dead takes long to be closed. */
  #lost(ws: WebSocket, refused: PosternError | undefined, made?: Made): void {
    ws.onclose = ws.onmessage = null
    ws.close()
    if (ws !== this.#ws || this.#over.signal.aborted) return
    this.#ws = undefined
    // Who is thrown out does not come back as the same one: another may have that id by now.
    if (refused) this.#id = undefined
    const error = refused ?? new PosternError('gateway-unreachable', 'the connection to the gateway was lost')
    const isOut = outcasts.includes(error.code)
    this.onLost(error, isOut)
    if (!isOut) void this.#rejoin(refused ? toldMs(refused) : undefined, made)
  }

  /**
   * @param firstMs the wait before it is tried for the first time; a short one at random if left out
   * @param made what it is tried by at once
   */
  async #rejoin(firstMs: number | undefined, made?: Made): Promise<void> {
    const { signal } = this.#over
    const waits = backoff(AGAIN)
    let told = firstMs
    for (;;) {
      try {
        const sooner = (wake: () => void) => {
          this.#hurry = wake
          return undefined
        }
        if (!made) await wait(told ?? waits.next().value, { signal, sooner: told === undefined ? sooner : undefined })
        return this.#welcomed(await this.#connect(signal, made))
      } catch (thrown) {
        if (signal.aborted) return
        made = undefined
        const error = asPosternError(thrown)
        told = toldMs(error)
        if (isFinal(error)) return this.onLost(error, true)
      }
    }
  }
}

function dialled(place: string): WebSocket {
  const url = urlAt(place, JOIN_PATH)
  url.protocol = place.startsWith('https:') ? 'wss:' : 'ws:'
  try {
    return new WebSocket(url)
  } catch (cause) {
    throw new PosternError(
      'bad-config',
      `this page came by https, and may join a gateway by https alone, not at ${place}`,
      { cause }
    )
  }
}

const unreachable = (place: string, what: string) =>
  new PosternError(
    'gateway-unreachable',
    `the gateway at ${place} cannot be reached: ${what}; is it running, is its certificate trusted here, and does the Content-Security-Policy of this page let it connect there?`
  )

/** Trying again does not help against these, unless the gateway says when it does. */
const isFinal = ({ code, retryMs }: PosternError): boolean =>
  retryMs === undefined &&
  ['bad-token', 'wrong-gateway', 'name-taken', 'fingerprint-mismatch', 'bad-message', ...outcasts].includes(code)

/** What it says is taken as it is: it is the page's own gateway. */
function understood(data: unknown): FromGateway | undefined {
  try {
    const message = JSON.parse(String(data))
    return typeof message?.type === 'string' ? message : undefined
  } catch {
    return undefined
  }
}

/** The error with which the gateway refuses, or ended a session. A later gateway may have a code that is not known here. */
export const refusal = ({
  code,
  reason,
  trace,
  verdict,
  retryMs
}: Pick<Message<FromGateway, 'refused'>, 'code' | 'reason' | 'trace' | 'verdict' | 'retryMs'>): PosternError =>
  new PosternError(code as Code, reason, { trace, verdict, retryMs })
