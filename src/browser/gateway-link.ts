// The WebSocket to the gateway, as src/peer/gateway-link.ts has it in Node. If it is lost, the peer joins again by itself under the id
// that it had. A browser tells no page why a WebSocket did not open, and sends no pings for it, so this asks by messages of ours.

import { sleep } from '../clock.ts'
import { asPosternError, type Code, codes, PosternError } from '../errors.ts'
import { AGAIN, backoff, persist, toldMs, wait } from '../peer/patience.ts'
import { helloProof, otherVersion, PROTOCOL } from '../wire/identity/proof.ts'
import { JOIN_PATH, placeOf, urlAt } from '../wire/place.ts'
import type { FromGateway, FromPeer, Message } from '../wire/signal.ts'
import { agentPace } from './abilities.ts'
import type { Identity } from './identity.ts'

export interface LinkOptions {
  readonly gateway: string
  readonly token: string
  /** None for a guest. */
  readonly name: string | undefined
  readonly accepts: boolean
  readonly identity: Identity
}

export type Welcome = Message<FromGateway, 'welcome'>

/** A gateway that is there answers a hello in a round trip or two. */
const CONNECT_MS = 10_000

/** Between two questions whether it is still there, and how long an answer may take; when one is suspected to be gone. */
const BEAT_MS = { every: 10_000, patience: 5_000, probed: 1_500 } as const

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
    if (this.#ws?.readyState === WebSocket.OPEN) void this.#ask(this.#ws, BEAT_MS.probed)
  }

  close(): void {
    this.#over.abort(new PosternError('io', 'the peer left'))
    this.#ws?.close(1000)
  }

  async #connect(signal?: AbortSignal): Promise<Welcome> {
    signal?.throwIfAborted()
    const ws = dialled(this.place)
    this.#ws = ws
    const { promise, resolve, reject } = Promise.withResolvers<Welcome>()
    const over = AbortSignal.any([AbortSignal.timeout(CONNECT_MS), ...(signal ? [signal] : [])])
    over.addEventListener('abort', () =>
      reject(signal?.aborted ? signal.reason : unreachable(this.place, 'it does not answer'))
    )
    ws.onclose = () => reject(unreachable(this.place, 'it closed the connection, or there is none'))
    ws.onmessage = ({ data }) => {
      const message = understood(data)
      if (message?.type === 'challenge') this.#hello(ws, message).catch(reject)
      else if (message?.type === 'refused' && message.request === undefined) reject(refusal(message))
      else if (message?.type === 'welcome') {
        // What comes right behind it finds its handler: `#welcomed` runs before the next event.
        resolve(message)
      }
    }
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
    const { token, name, accepts, identity } = this.#options
    const { place } = this
    const { key, dtls } = identity
    const hello: FromPeer = {
      type: 'hello',
      v: PROTOCOL,
      ...(name === undefined ? {} : { name }),
      ...{ token, key, iceOnly: agentPace(), place, dtls, accepts },
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
      await sleep(BEAT_MS.every, this.#over.signal).catch(() => {})
      await this.#ask(ws, BEAT_MS.patience)
    }
  }

  /** The link is given up unless something is heard in time. */
  async #ask(ws: WebSocket, patienceMs: number): Promise<void> {
    if (ws !== this.#ws || ws.readyState !== WebSocket.OPEN) return
    const askedMs = performance.now()
    this.send({ type: 'ping', at: askedMs })
    await sleep(patienceMs, this.#over.signal).catch(() => {})
    if (this.#heardMs < askedMs && ws === this.#ws && !this.#over.signal.aborted) this.#lost(ws, undefined)
  }

  /** A WebSocket that is dead takes long to be closed. */
  #lost(ws: WebSocket, refused: PosternError | undefined): void {
    ws.onclose = ws.onmessage = null
    ws.close()
    if (ws !== this.#ws || this.#over.signal.aborted) return
    this.#ws = undefined
    // Who is thrown out does not come back as the same one: another may have that id by now.
    if (refused) this.#id = undefined
    this.onLost(refused ?? new PosternError('gateway-unreachable', 'the connection to the gateway was lost'), false)
    void this.#rejoin(refused ? toldMs(refused) : undefined)
  }

  /** @param firstMs the wait before it is tried for the first time; a short one at random if left out */
  async #rejoin(firstMs: number | undefined): Promise<void> {
    const { signal } = this.#over
    const waits = backoff(AGAIN)
    let told = firstMs
    for (;;) {
      try {
        const sooner = (wake: () => void) => {
          this.#hurry = wake
          return () => {
            this.#hurry = () => {}
          }
        }
        await wait(told ?? waits.next().value, { signal, sooner: told === undefined ? sooner : undefined })
        return this.#welcomed(await this.#connect(signal))
      } catch (thrown) {
        if (signal.aborted) return
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
  ['bad-token', 'wrong-gateway', 'name-taken', 'fingerprint-mismatch', 'bad-message'].includes(code)

/** What it says is taken as it is: it is the page's own gateway. */
function understood(data: unknown): FromGateway | undefined {
  try {
    const message = JSON.parse(String(data))
    return typeof message?.type === 'string' ? message : undefined
  } catch {
    return undefined
  }
}

/** The error with which the gateway refuses, or ended a session. */
export function refusal(
  {
    code,
    reason,
    trace,
    verdict,
    retryMs
  }: Pick<Message<FromGateway, 'refused'>, 'code' | 'reason' | 'trace' | 'verdict' | 'retryMs'>,
  otherwise: Code = 'bad-message'
): PosternError {
  const known = Object.hasOwn(codes, code) ? (code as Code) : otherwise
  return new PosternError(known, reason, { trace, verdict, retryMs })
}
