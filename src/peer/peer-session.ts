// One session as a peer lives it: orders come one after the other until a channel is open. Session, path and stream are
// three things: the session ends with the path it found, the Connection carries the streams.

import { asPosternError, type Code, codes, PosternError } from '../errors.ts'
import { formatEndpoint } from '../wire/endpoint.ts'
import { CALLED_OFF, natureOf, STALE_SOCKET } from '../wire/order.ts'
import type { FromGateway, FromPeer, Message } from '../wire/signal.ts'
import { Connection, type PathReport } from './connection/connection.ts'
import type { GatewayLink } from './gateway-link.ts'
import type { Identity } from './identity/identity.ts'
import { Diary } from './punch/diary.ts'
import type { Opened } from './punch/handover.ts'
import { obey } from './punch/obey.ts'
import { type Membership, WarmSocket } from './punch/warm.ts'

export interface SessionHooks {
  readonly link: GatewayLink
  readonly identity: Identity
  /** When the peer asked for the connection, or the session began, on the clock of `performance.now`. */
  readonly startMs: number
  /** Throws `fingerprint-mismatch` where the other side, proved by now, is not who it was before. */
  readonly trust: (peer: Message<FromGateway, 'session'>['peer']) => Promise<void>
  readonly opened: (connection: Connection) => void
  readonly ended: (error: PosternError) => void
}

type Order = Message<FromGateway, 'order'>

export class PeerSession {
  readonly #introduction: Message<FromGateway, 'session'>
  readonly #hooks: SessionHooks
  readonly #over = new AbortController()
  #warm: WarmSocket | undefined
  #sample: Sample | undefined
  #attempt: Attempt | undefined
  #connection: Connection | undefined

  constructor(introduction: Message<FromGateway, 'session'>, hooks: SessionHooks) {
    this.#introduction = introduction
    this.#hooks = hooks
  }

  get isOpen(): boolean {
    return this.#connection !== undefined
  }

  /**
   * Binds a socket that was never used, says so, and shows its mappings at the same moment, so that the gateway can tell
   * which one the NAT makes next. It is kept for the next order, and closed where that is made for another.
   */
  async sample(round: number, number: number, membership: Membership): Promise<void> {
    this.#discard()
    if (this.#over.signal.aborted || this.isOpen) return
    const sample: Sample = { over: new AbortController() }
    this.#sample = sample
    try {
      const socket = await WarmSocket.bind(number, membership)
      if (sample.over.signal.aborted) return await socket.raw.close()
      sample.socket = socket
      this.#say({ type: 'fresh', round, socket: number, port: socket.port })
      await socket.show(sample.over.signal)
    } catch {
      // The gateway goes on without the sample when it has waited long enough, and perhaps saw some of the mappings.
    }
  }

  /**
   * Resolves when nothing more comes of the order: a connection was opened, it failed, or it was called off.
   * @param reserved the socket the order was made for, unless it is the fresh one, or that of the order before
   */
  async order(order: Order, reserved: WarmSocket | undefined): Promise<void> {
    if (this.#over.signal.aborted) return await reserved?.raw.close()
    this.#callOff()
    const attempt: Attempt = { plan: order.plan, controller: new AbortController(), diary: new Diary(), isTold: false }
    const { signal } = attempt.controller
    this.#attempt = attempt
    const warm = reserved ?? this.#takeFresh(order.socket)
    this.#discard()
    if (warm) await this.#keep(warm)
    if (signal.aborted) return
    if (order.handover.fingerprint !== this.#introduction.peer.fingerprint) return await this.leave(anotherOne)
    if (this.#warm?.number !== order.socket) return this.#tell(attempt, { type: 'failed', ...staleSocket })
    try {
      const opened = await this.#obey(order, attempt)
      if (!(await this.#trusts(opened))) return
      // Called off while the fingerprint was looked up.
      if (signal.aborted) return opened.transport.close()
      const { local, remote } = opened
      this.#tell(attempt, { type: 'opened', local, remote })
      this.#carry(order, opened)
    } catch (thrown) {
      const { code, message } = asPosternError(thrown)
      this.#tell(attempt, { type: 'failed', code, reason: message.slice(0, 500) })
    }
  }

  /** The gateway calls a plan off: it takes too long, or the other side could not open it. */
  cancel(plan: number): void {
    if (this.#attempt?.plan !== plan) return
    this.#callOff()
    const connection = this.#connection
    // The callee waits for another plan; a caller has the connection in its hands already, and nothing may take its place.
    if (this.#introduction.role === 'callee') this.#connection = undefined
    void connection?.close()
  }

  /** Nothing more will come of this session: what is not open yet fails with `error`. */
  async end(error: PosternError): Promise<void> {
    this.#over.abort(error)
    this.#discard()
    this.#callOff()
    await this.#warm?.raw.close()
    this.#warm = undefined
    if (!this.#connection) this.#hooks.ended(error)
  }

  /** This side wants nothing more of it, and says so, after what has come of it so far. */
  async leave(error: PosternError): Promise<void> {
    this.#callOff()
    this.#say({ type: 'leave', code: error.code, reason: error.message.slice(0, 500) })
    await this.end(error)
  }

  async #obey(order: Order, { diary, controller: { signal } }: Attempt): Promise<Opened> {
    const warm = this.#warm
    if (!warm) throw new PosternError('internal', 'no socket was kept')
    const { role: side, key, probeKey } = this.#introduction
    return await obey(
      order,
      {
        warm,
        side,
        identity: this.#hooks.identity,
        key: Buffer.from(key, 'base64'),
        probeKey: Buffer.from(probeKey, 'base64'),
        signal,
        found: () => {
          this.#warm = undefined
          this.#say({ type: 'progress', plan: order.plan, step: 'found' })
        }
      },
      diary
    )
  }

  /** Nothing happens twice: where the order has come to something, that was told. */
  #callOff(): void {
    const attempt = this.#attempt
    attempt?.controller.abort(calledOff)
    if (attempt) this.#tell(attempt, { type: 'failed', code: CALLED_OFF, reason: calledOff.message })
  }

  /** The one word on a plan, with the report. */
  #tell(attempt: Attempt, result: Result): void {
    if (attempt.isTold) return
    attempt.isTold = true
    this.#say({ ...result, plan: attempt.plan, report: attempt.diary.report() })
  }

  async #trusts({ transport }: Opened): Promise<boolean> {
    try {
      await this.#hooks.trust(this.#introduction.peer)
      return true
    } catch (thrown) {
      transport.close()
      await this.leave(asPosternError(thrown))
      return false
    }
  }

  #carry(order: Order, { transport, control, local, remote }: Opened): void {
    const { peer, trace } = this.#introduction
    const path: PathReport = {
      by: order.by,
      kind: natureOf(order.order).isRelayed ? 'relay' : 'direct',
      local: formatEndpoint(local),
      remote: formatEndpoint(remote),
      ms: Math.round((performance.now() - this.#hooks.startMs) * 10) / 10,
      trace
    }
    const connection = new Connection({ transport, control, peer, path })
    this.#connection = connection
    this.#discard()
    connection.closed.addEventListener('abort', () => {
      if (this.#connection !== connection) return
      // Not before the last word has passed: the gateway takes the relay away.
      void connection.close().then(() => this.#say({ type: 'leave', code: 'io', reason: 'the connection was closed' }))
      this.#hooks.ended(asPosternError(connection.closed.reason))
    })
    this.#hooks.opened(connection)
  }

  async #keep(warm: WarmSocket): Promise<void> {
    const before = this.#warm
    this.#warm = warm
    await before?.raw.close()
  }

  /** From now on nothing is sent from it but what the order says. */
  #takeFresh(number: number): WarmSocket | undefined {
    const sample = this.#sample
    if (sample?.socket?.number !== number) return undefined
    this.#sample = undefined
    sample.over.abort()
    return sample.socket
  }

  #discard(): void {
    this.#sample?.over.abort()
    void this.#sample?.socket?.raw.close()
    this.#sample = undefined
  }

  #say(message: SessionMessage): void {
    this.#hooks.link.send({ ...message, session: this.#introduction.session })
  }
}

/** A fresh socket that no order has taken yet; it is there once it is bound. */
interface Sample {
  readonly over: AbortController
  socket?: WarmSocket
}

/** An order that is being obeyed, or was the last. */
interface Attempt {
  readonly plan: number
  readonly controller: AbortController
  readonly diary: Diary
  isTold: boolean
}

type Told = 'session' | 'plan' | 'report'
type Result = Omit<Message<FromPeer, 'opened'>, Told> | Omit<Message<FromPeer, 'failed'>, Told>

type SessionMessage =
  | Omit<Message<FromPeer, 'fresh'>, 'session'>
  | Omit<Message<FromPeer, 'progress'>, 'session'>
  | Omit<Message<FromPeer, 'opened'>, 'session'>
  | Omit<Message<FromPeer, 'failed'>, 'session'>
  | Omit<Message<FromPeer, 'leave'>, 'session'>

/** What is pinned and remembered is held against the introduction, so the connection must be made with the same one. */
const anotherOne = new PosternError(
  'fingerprint-mismatch',
  'the gateway introduced the peer with one certificate and gave orders for another'
)

const staleSocket = { code: STALE_SOCKET, reason: 'the socket this order was made for is gone' }

const calledOff = new PosternError('timeout', 'the order was called off')

/** What the gateway ended a session or refused a request with. */
export function failure({
  code,
  reason,
  trace,
  verdict
}: Pick<Message<FromGateway, 'refused'>, 'code' | 'reason' | 'trace' | 'verdict'>): PosternError {
  return new PosternError(Object.hasOwn(codes, code) ? (code as Code) : 'io', reason, { trace, verdict })
}
