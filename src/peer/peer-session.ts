// One session, on the side of a peer: orders come one after the other until a channel is open. Session, path and stream are
// three things. A session lasts as long as the path that it finds; the Connection carries the streams, and may outlive it.

import { asPosternError, type Code, codes, PosternError } from '../errors.ts'
import { formatEndpoint } from '../wire/endpoint.ts'
import { holds, keyFingerprint } from '../wire/identity/vouch.ts'
import { CALLED_OFF, STALE_SOCKET } from '../wire/obeying.ts'
import { NO_SOCKET, natureOf, OWN_ADDRESS } from '../wire/order.ts'
import { PACKET_BYTES } from '../wire/packet-size.ts'
import type { Address } from '../wire/shapes.ts'
import type { FromGateway, FromPeer, Message } from '../wire/signal.ts'
import type { Carried, OpenPath, PathReport } from './connection/path.ts'
import { type Door, nameOf } from './doors/door.ts'
import type { GatewayLink } from './gateway-link.ts'
import type { Identity } from './identity/identity.ts'
import { hearBeacon, sendBeacon } from './link/beacon.ts'
import type { Allowance, OrderAllowance } from './punch/allowance.ts'
import { firstAnswered } from './punch/beside.ts'
import { Diary } from './punch/diary.ts'
import type { Interfaces } from './punch/interfaces.ts'
import { type Obeyed, obey } from './punch/obey.ts'
import { type Membership, WarmSocket } from './punch/warm.ts'
import type { Opener } from './transport/transport.ts'

export interface SessionHooks {
  readonly link: GatewayLink
  readonly identity: Identity
  readonly interfaces: Interfaces
  /** The addresses of this host that the gateway is told, with their subnets. */
  readonly links: () => Promise<readonly Address[]>
  /** What this peer may send for the orders of all its sessions. */
  readonly allowance: Allowance
  readonly open: Opener
  /** Doors of the gateway's relay besides UDP. */
  readonly doors: () => readonly Door[]
  /** When the peer asked for the connection, or the session began, on the clock of `performance.now`. */
  readonly startMs: number
  /** Throws `fingerprint-mismatch` if the other side, which is proved by now, is not the one that had this name before. */
  readonly trust: (peer: Message<FromGateway, 'session'>['peer']) => Promise<void>
  /** Carries a connection over the path, and tells when that is over. */
  readonly opened: (path: OpenPath) => Carried
  readonly ended: (error: PosternError) => void
}

type Order = Message<FromGateway, 'order'>
type Meeting = Message<FromGateway, 'beacon' | 'watch'>

export class PeerSession {
  readonly #introduction: Message<FromGateway, 'session'>
  readonly #hooks: SessionHooks
  readonly #over = new AbortController()
  #warm: WarmSocket | undefined
  #sample: Sample | undefined
  #attempt: Attempt | undefined
  #carried: Carried | undefined
  #hasMet = false

  constructor(introduction: Message<FromGateway, 'session'>, hooks: SessionHooks) {
    this.#introduction = introduction
    this.#hooks = hooks
  }

  /** The session that made the connection for which this one finds another path. */
  get continues(): string | undefined {
    return this.#introduction.continues
  }

  get isOpen(): boolean {
    return this.#carried !== undefined
  }

  /**
   * Binds a socket that was never used, tells the gateway, and shows the socket's mappings at the same moment. From these the
   * gateway can tell which mapping the NAT makes next. Another is shown beside it if it is not answered soon. The one that is
   * ordered next is kept, and the rest are closed. Resolves with those whose ports are dead.
   */
  async sample(round: number, { nextNumber, membership, rttMs }: Sampling): Promise<readonly WarmSocket[]> {
    this.#discard()
    if (this.#over.signal.aborted || this.isOpen) return []
    const sample: Sample = { over: new AbortController(), sockets: [] }
    this.#sample = sample
    const { signal } = sample.over
    const may = () => this.#hooks.allowance.take()
    const bind = async (farFrom?: readonly number[]): Promise<WarmSocket> => {
      const socket = await WarmSocket.bind(nextNumber(), membership, farFrom, may)
      sample.sockets.push(socket)
      if (signal.aborted) await socket.raw.close()
      else this.#say({ type: 'fresh', round, socket: socket.number, port: socket.port })
      return socket
    }
    const keeps = (socket: WarmSocket) => socket === sample.taken
    try {
      return (await firstAnswered(await bind(), bind, signal, { aloneMs: ALONE_MS + rttMs, keeps })).dead
    } catch {
      // The gateway goes on without the sample when it has waited long enough. It may have seen some of the mappings.
      return []
    }
  }

  /** Sends a token on these links, or says whether it was heard there. The gateway may ask for it once. */
  async meet(message: Meeting, links: readonly Address[]): Promise<void> {
    if (this.#hasMet) return
    this.#hasMet = true
    const { signal } = this.#over
    if (message.type === 'beacon')
      return await sendBeacon(
        message,
        links.filter(() => this.#hooks.allowance.take()),
        signal
      )
    const token = await hearBeacon(message, links, signal)
    if (token !== undefined) this.#say({ type: 'beacon', token })
  }

  /**
   * Resolves when nothing more comes of the order: a connection was opened, it failed, or it was called off.
   * @param reserved the socket that the order is for, unless that is the fresh one or the one of the order before
   */
  async order(order: Order, reserved: WarmSocket | undefined): Promise<void> {
    if (this.#over.signal.aborted) return await reserved?.raw.close()
    this.#callOff()
    const allowance = this.#hooks.allowance.order()
    const controller = new AbortController()
    const attempt: Attempt = { plan: order.plan, controller, allowance, diary: new Diary(), isTold: false }
    const { signal } = attempt.controller
    this.#attempt = attempt
    const needsNone = order.socket === NO_SOCKET && order.order.kind === 'splice'
    const unshown = needsNone ? await WarmSocket.unshown(NO_SOCKET).catch(() => undefined) : undefined
    const warm = reserved ?? this.#takeFresh(order.socket) ?? unshown
    this.#discard()
    if (warm) await this.#keep(warm)
    if (signal.aborted) return
    if (order.handover.fingerprint !== this.#dtls) return await this.leave(anotherOne)
    if (this.#warm?.number !== order.socket) return this.#tell(attempt, { type: 'failed', ...staleSocket })
    const narrow = await this.#hooks.interfaces.narrow(order.order)
    if (signal.aborted) return
    if (!narrow) return this.#tell(attempt, { type: 'failed', ...ownAddress })
    try {
      const opened = await this.#obey({ ...order, order: narrow }, attempt)
      if (!(await this.#trusts(opened))) return
      // The order was called off while the fingerprint was looked up.
      if (signal.aborted) return opened.transport.close()
      const { local, remote } = opened
      const isTold = this.#hooks.interfaces.mayTell(local.address)
      this.#tell(attempt, { type: 'opened', local: isTold ? local : { ...local, address: '0.0.0.0' }, remote })
      this.#carry(order, opened)
    } catch (thrown) {
      const { code, message } = asPosternError(thrown)
      this.#tell(attempt, { type: 'failed', code, reason: message.slice(0, 500) })
    }
  }

  /** The gateway calls a plan off because it takes too long, or because the other side could not open it. */
  cancel(plan: number): void {
    if (this.#attempt?.plan !== plan) return
    this.#callOff()
    const carried = this.#carried
    // The callee waits for another plan. A caller already has the connection in its hands, and nothing may take its place.
    if (this.#introduction.role === 'callee') this.#carried = undefined
    carried?.close()
  }

  /** Ends the session. If no connection is open yet, it fails with `error`. */
  async end(error: PosternError): Promise<void> {
    this.#over.abort(error)
    this.#discard()
    this.#callOff()
    await this.#warm?.raw.close()
    this.#warm = undefined
    if (!this.#carried) this.#hooks.ended(error)
  }

  /** Leaves the session. The gateway is told first what has come of the order so far, and then that this side leaves. */
  async leave(error: PosternError): Promise<void> {
    this.#callOff()
    this.#say({ type: 'leave', code: error.code, reason: error.message.slice(0, 500) })
    await this.end(error)
  }

  /** The certificate of the far side's connections; undefined where nothing shows that it is theirs. */
  get #dtls(): string | undefined {
    const { fingerprint, vouch } = this.#introduction.peer
    if (!vouch) return fingerprint
    return keyFingerprint(vouch.key) === fingerprint && holds(vouch) ? vouch.dtls : undefined
  }

  async #obey(order: Order, { diary, allowance, controller: { signal } }: Attempt): Promise<Obeyed> {
    const warm = this.#warm
    if (!warm) throw new PosternError('internal', 'no socket was kept')
    const { role: side, key, probeKey } = this.#introduction
    return await obey(
      order,
      {
        warm,
        side,
        identity: this.#hooks.identity,
        open: this.#hooks.open,
        key: Buffer.from(key, 'base64'),
        probeKey: Buffer.from(probeKey, 'base64'),
        allowance,
        doors: this.#hooks.doors(),
        links: this.#hooks.links,
        mayTell: address => this.#hooks.interfaces.mayTell(address),
        signal,
        found: () => {
          this.#warm = undefined
          this.#say({ type: 'progress', plan: order.plan, step: 'found' })
        }
      },
      diary
    )
  }

  /** Calls the order off. If its result was told before, nothing is told again. */
  #callOff(): void {
    const attempt = this.#attempt
    attempt?.controller.abort(calledOff)
    if (attempt) this.#tell(attempt, { type: 'failed', code: CALLED_OFF, reason: calledOff.message })
  }

  /** Tells the gateway the result of a plan, with the report, and only once. */
  #tell(attempt: Attempt, result: Result): void {
    if (attempt.isTold) return
    attempt.isTold = true
    this.#say({ ...result, plan: attempt.plan, report: attempt.diary.report() })
  }

  async #trusts({ transport }: Obeyed): Promise<boolean> {
    try {
      await this.#hooks.trust(this.#introduction.peer)
      return true
    } catch (thrown) {
      transport.close()
      await this.leave(asPosternError(thrown))
      return false
    }
  }

  #carry(order: Order, { transport, control, sizing, media, local, remote, door }: Obeyed): void {
    const { session, trace } = this.#introduction
    const path: PathReport = {
      by: order.by,
      kind: natureOf(order.order).isRelayed ? 'relay' : 'direct',
      ...(natureOf(order.order).isRelayed ? { door: door?.kind ?? 'udp' } : {}),
      local: formatEndpoint(local),
      remote: door ? nameOf(door) : formatEndpoint(remote),
      ms: Math.round((performance.now() - this.#hooks.startMs) * 10) / 10,
      trace,
      mtu: order.mtu ?? PACKET_BYTES
    }
    const certificates = { local: this.#hooks.identity.fingerprint, remote: order.handover.fingerprint }
    const carried = this.#hooks.opened({ transport, control, sizing, media, path, session, certificates })
    this.#carried = carried
    this.#discard()
    void carried.over.then(() => {
      if (this.#carried !== carried) return
      // This is said only when the last word has passed, because the gateway then takes the relay away.
      this.#say({ type: 'leave', code: 'io', reason: 'the path was closed' })
      this.#hooks.ended(new PosternError('io', 'the path was closed'))
    })
  }

  async #keep(warm: WarmSocket): Promise<void> {
    const before = this.#warm
    this.#warm = warm
    await before?.raw.close()
  }

  /** Takes the fresh socket. From now on it sends only what the order says. */
  #takeFresh(number: number): WarmSocket | undefined {
    const sample = this.#sample
    const taken = sample?.sockets.find(socket => socket.number === number)
    if (!sample || !taken) return undefined
    sample.taken = taken
    this.#discard()
    return taken
  }

  /** Closes the fresh sockets that no order has taken. */
  #discard(): void {
    const { over, sockets = [], taken } = this.#sample ?? {}
    this.#sample = undefined
    over?.abort()
    for (const socket of sockets) if (socket !== taken) void socket.raw.close()
  }

  #say(message: SessionMessage): void {
    this.#hooks.link.send({ ...message, session: this.#introduction.session })
  }
}

/** How fresh sockets are made. */
export interface Sampling {
  readonly nextNumber: () => number
  readonly membership: Membership
  /** Round trip to the gateway, in milliseconds. */
  readonly rttMs: number
}

/** Fresh sockets that are there, and the one that an order has taken. */
interface Sample {
  readonly over: AbortController
  readonly sockets: WarmSocket[]
  taken?: WarmSocket
}

/**
 * How long a fresh socket is alone, besides a round trip, in milliseconds: its request is sent again after 100, and the gateway
 * waits for 400 and two round trips.
 */
const ALONE_MS = 200

/** The order that is being obeyed, or the last one that was. */
interface Attempt {
  readonly plan: number
  readonly controller: AbortController
  readonly allowance: OrderAllowance
  readonly diary: Diary
  isTold: boolean
}

type Told = 'session' | 'plan' | 'report'
type Result = Omit<Message<FromPeer, 'opened'>, Told> | Omit<Message<FromPeer, 'failed'>, Told>

type SessionMessage =
  | Omit<Message<FromPeer, 'fresh'>, 'session'>
  | Omit<Message<FromPeer, 'beacon'>, 'session'>
  | Omit<Message<FromPeer, 'progress'>, 'session'>
  | Omit<Message<FromPeer, 'opened'>, 'session'>
  | Omit<Message<FromPeer, 'failed'>, 'session'>
  | Omit<Message<FromPeer, 'leave'>, 'session'>

/**
 * The introduction is what was compared with the pinned or remembered fingerprint. So orders must be for the same
 * certificate.
 */
const anotherOne = new PosternError(
  'fingerprint-mismatch',
  'the gateway introduced the peer with one certificate and gave orders for another'
)

const staleSocket = { code: STALE_SOCKET, reason: 'the socket this order was made for is gone' }

const ownAddress = { code: OWN_ADDRESS, reason: 'it has that address itself, and the other peer is not on its host' }

const calledOff = new PosternError('timeout', 'the order was called off')

/** The error with which the gateway ended a session or refused a request. */
export function failure({
  code,
  reason,
  trace,
  verdict,
  retryMs
}: Pick<Message<FromGateway, 'refused'>, 'code' | 'reason' | 'trace' | 'verdict' | 'retryMs'>): PosternError {
  return new PosternError(Object.hasOwn(codes, code) ? (code as Code) : 'io', reason, { trace, verdict, retryMs })
}
