// A connect request that is under way, from the call to the connection or the error, and what its caller hears meanwhile.

import { PosternError } from '../errors.ts'
import type { Verdict } from '../verdict.ts'
import type { PeerName } from '../wire/name.ts'
import { isSameName } from '../wire/name.ts'
import type { FromGateway, Message, Outcome } from '../wire/signal.ts'

export interface StrategyReport {
  readonly name: string
  readonly outcome: Outcome
  readonly reason: string
  readonly ms: number
}

/** What the gateway says about a path once both sides have opened it. */
export interface PathNotice {
  /** What the relay lets through of what this side sends, in bits per second; undefined on a direct path. */
  readonly bitsPerSecond?: number | undefined
  /** The gateway's verdict: why the path is relayed, or `direct`. Undefined if the gateway does not record the request. */
  readonly verdict?: Verdict | undefined
  /** By this key the caller may read the trace at the gateway, for an hour. Undefined as the verdict, or at an older gateway. */
  readonly traceKey?: string | undefined
}

export interface ConnectOptions {
  /** Called with what became of each strategy. The one that won is told a round trip after the connection is there. */
  readonly onStrategy?: (report: StrategyReport) => void
  /** Called after the last strategy was told, unless the gateway is lost before that. */
  readonly onPath?: (notice: PathNotice) => void
  /**
   * A W3C traceparent that the gateway's trace continues. If left out, the application's own active span is used, if there is
   * one.
   */
  readonly traceparent?: string
  readonly signal?: AbortSignal
}

/** A connect request that is under way. */
export class Connecting<Connection> {
  readonly connection: Promise<Connection>
  readonly to: PeerName
  readonly options: ConnectOptions
  readonly done: (connection: Connection) => void
  readonly startMs = performance.now()
  /** The gateway's id for the session, once it has begun. */
  session = ''
  readonly #reject: (error: PosternError) => void
  #trace: string | undefined
  #key: string | undefined

  constructor(to: PeerName, options: ConnectOptions) {
    const { promise, resolve, reject } = Promise.withResolvers<Connection>()
    this.connection = promise
    this.done = resolve
    this.#reject = reject
    this.to = to
    this.options = options
  }

  begins({ session, trace }: Message<FromGateway, 'session'>): void {
    this.session = session
    this.#trace = trace
  }

  /** By this key the caller may read the trace. */
  get traceKey(): string | undefined {
    return this.#key
  }

  mayRead({ trace, key }: Message<FromGateway, 'trace'>): void {
    this.#trace = trace
    this.#key = key
  }

  /** Fails with an error that names the trace, which says what was tried before, and the key to it. */
  fail(error: PosternError): void {
    const { code, message, verdict, retryMs } = error
    const trace = error.trace ?? this.#trace
    const traceKey = trace === this.#trace ? this.#key : undefined
    const isWhole = trace === error.trace && traceKey === error.traceKey
    this.#reject(isWhole ? error : new PosternError(code, message, { cause: error, trace, verdict, traceKey, retryMs }))
  }
}

/** The error if the gateway introduces a peer that was not asked for or, where a fingerprint is pinned, one without it. */
export function doubtful(
  { name, fingerprint, named }: Message<FromGateway, 'session'>['peer'],
  to: PeerName,
  isGuest = false
): PosternError | undefined {
  if (named === isGuest || !isSameName(name, to.name))
    return new PosternError(
      'bad-message',
      `the gateway was asked for ${to.name} and introduced ${named ? name : 'a guest'}`
    )
  if (!to.pin || to.pin === fingerprint) return undefined
  return new PosternError('fingerprint-mismatch', `${name} has the fingerprint ${fingerprint}, but ${to.pin} is pinned`)
}

/** A traceparent for what belongs to a trace whose spans are not known here: a gateway that knows them takes its own. */
export const traceparentOf = (trace: string): string =>
  `00-${trace}-${crypto.randomUUID().replaceAll('-', '').slice(-16)}-01`
