// One session, on the side of a browser: orders come one after the other until a channel is open. A browser has no raw socket, so an
// order is obeyed by its ICE agent, which gets the far side's description and its candidates. It lasts as long as the path.

import { nowMs, sleep } from '../clock.ts'
import { asPosternError, PosternError } from '../errors.ts'
import type { Carried, OpenPath, PathReport } from '../peer/connection/path.ts'
import { description } from '../peer/transport/description.ts'
import type { Endpoint } from '../wire/endpoint.ts'
import { ASTRAY, CALLED_OFF, STALE_SOCKET } from '../wire/obeying.ts'
import { PACKET_BYTES } from '../wire/packet-size.ts'
import type { Report } from '../wire/report.ts'
import type { FromGateway, FromPeer, Message } from '../wire/signal.ts'
import { agentPace } from './abilities.ts'
import { tcpCandidate } from './doors.ts'
import { vouchedBy } from './identity.ts'
import { PageMedia } from './media.ts'
import type { Prepared } from './warm.ts'

export interface SessionHooks {
  readonly send: (message: FromPeer) => void
  /** Another prepared connection that nobody uses, which shows the gateway its mappings unless it is told not to. */
  readonly prepare: (isShown?: boolean) => Prepared
  /** TCP ports of the relay, for where UDP is blocked. */
  readonly doors: () => readonly Endpoint[]
  /** For how long an answer over UDP is waited for by now, in milliseconds. */
  readonly silentMs: () => number
  /** The fingerprint of this side's certificate. */
  readonly certificate: string
  /** When the peer asked for the connection, or the session began, on the clock of `performance.now`. */
  readonly startMs: number
  /** Throws `fingerprint-mismatch` if the other side is not the one that had this name before. */
  readonly trust: (peer: Introduction['peer']) => Promise<void>
  /** Carries a connection over the path, and tells when that is over. */
  readonly opened: (path: OpenPath) => Carried
  readonly ended: (error: PosternError) => void
}

type Introduction = Message<FromGateway, 'session'>
type Order = Message<FromGateway, 'order'>

interface Attempt {
  readonly plan: number
  readonly controller: AbortController
  readonly report: Report & { steps: [string, number][] }
  readonly originMs: number
  isTold: boolean
}

export class Session {
  readonly #introduction: Introduction
  readonly #hooks: SessionHooks
  readonly #over = new AbortController()
  #prepared: Prepared | undefined
  #fresh: Prepared | undefined
  #attempt: Attempt | undefined
  #carried: Carried | undefined

  constructor(introduction: Introduction, hooks: SessionHooks) {
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

  /** Prepares a connection whose socket was never used, and tells the gateway, which sees its mappings then. */
  async sample(round: number): Promise<void> {
    this.#discard()
    if (this.#over.signal.aborted || this.isOpen) return
    const fresh = this.#hooks.prepare()
    this.#fresh = fresh
    try {
      await fresh.bind()
      const { number: socket, port, ice } = fresh
      if (this.#fresh === fresh) this.#say({ type: 'fresh', round, socket, port, ice })
    } catch {
      // The gateway goes on without the sample when it has waited long enough.
    }
  }

  /**
   * Resolves when nothing more comes of the order.
   * @param reserved what the order is for, unless that is the fresh one or the one of the order before
   */
  async order(order: Order, reserved: Prepared | undefined): Promise<void> {
    if (this.#over.signal.aborted) return reserved?.close()
    this.#callOff()
    const attempt: Attempt = {
      plan: order.plan,
      controller: new AbortController(),
      report: { startedMs: nowMs(), steps: [], sent: 0, received: 0 },
      originMs: performance.now(),
      isTold: false
    }
    this.#attempt = attempt
    const { signal } = attempt.controller
    const taken = reserved ?? (this.#fresh?.number === order.socket ? this.#fresh : undefined)
    if (taken) {
      this.#prepared?.close()
      this.#prepared = taken
      if (taken === this.#fresh) this.#fresh = undefined
    }
    this.#discard()
    const dtls = await this.#dtls()
    if (signal.aborted) return
    if (order.handover.fingerprint !== dtls) return this.leave(anotherOne)
    const prepared = this.#prepared
    if (prepared?.number !== order.socket) return this.#tell(attempt, { type: 'failed', ...staleSocket })
    this.#prepared = undefined
    let open = prepared
    try {
      const { winner, remote } = await this.#obey(order, prepared, attempt)
      open = winner
      await this.#hooks.trust(this.#introduction.peer).catch(thrown => {
        this.leave(asPosternError(thrown))
        throw thrown
      })
      signal.throwIfAborted()
      const local = { address: '0.0.0.0', port: winner.port || DISCARD }
      const { address, port } = remote
      // Whom a name led to is for the browser to know.
      const told = { address: isAddress(address) ? address : '0.0.0.0', port }
      this.#tell(attempt, { type: 'opened', local, remote: told })
      this.#carry(order, winner, remote)
    } catch (thrown) {
      open.close()
      const { code, message } = asPosternError(thrown)
      this.#tell(attempt, { type: 'failed', code, reason: message.slice(0, REASON_CHARACTERS) })
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
  end(error: PosternError): void {
    this.#over.abort(error)
    this.#discard()
    this.#callOff()
    this.#prepared?.close()
    this.#prepared = undefined
    if (!this.#carried) this.#hooks.ended(error)
  }

  /** Leaves the session. The gateway is told first what has come of the order so far, and then that this side leaves. */
  leave(error: PosternError): void {
    this.#callOff()
    this.#say({ type: 'leave', code: error.code, reason: error.message.slice(0, REASON_CHARACTERS) })
    this.end(error)
  }

  /** The certificate of the far side's connections; undefined where nothing shows that it is theirs. */
  async #dtls(): Promise<string | undefined> {
    const { fingerprint, vouch } = this.#introduction.peer
    if (!vouch) return fingerprint
    return (await vouchedBy(vouch)) === fingerprint ? vouch.dtls : undefined
  }

  /** Resolves with the endpoint of the far side, and the connection that has reached it, when its control channel is open. */
  async #obey(message: Order, prepared: Prepared, attempt: Attempt): Promise<{ winner: Prepared; remote: Reached }> {
    const { order, handover, waitMs, handoverMs, afterMs } = message
    const over = new AbortController()
    const signal = AbortSignal.any([attempt.controller.signal, AbortSignal.timeout(waitMs + handoverMs)])
    const doors = order.kind === 'splice' ? this.#hooks.doors() : []
    const protocol = isTcp(message) ? 'tcp' : 'udp'
    const targets = protocol === 'tcp' ? doors : targetsOf(message)
    const [first] = targets
    if (!first) throw new PosternError('io', ASTRAY)
    if (afterMs > 0) await sleep(afterMs, signal)
    const crowd = [prepared, ...(await this.#alike(order, handover))]
    if (this.#isToAgent && handover.role === 'passive') await prepared.offers({ isLed: true }).catch(() => {})
    if (signal.aborted) {
      for (const one of crowd) one.close()
      throw signal.reason
    }
    attempt.report.flows = targets.length * crowd.length
    const candidates = targets.map(protocol === 'tcp' ? tcpCandidate : candidate)
    const sdp = description(handover, { candidates })
    const aloneMs = Math.max(0, UDP_ALONE_MS - this.#hooks.silentMs()) + Math.max(0, handoverMs - HANDOVER_MS) / 4
    const late = setTimeout(() => isFound(prepared.pc) || goAround(prepared.pc, doors), aloneMs)
    const failed = Promise.withResolvers<never>()
    const abort = () => failed.reject(signal.reason)
    signal.addEventListener('abort', abort, { once: true })
    let isFirst = true
    const reached = (one: Prepared, step: 'ice' | 'dtls') => {
      if (isFirst) this.#say({ type: 'progress', plan: message.plan, step: 'found' })
      isFirst = false
      this.#step(attempt, step)
      // One goes on alone: the first that has found a way, or, opposite a side that chooses so, the one that was chosen.
      if (handover.role === 'active' || step === 'dtls') for (const other of crowd) if (other !== one) other.close()
    }
    const opening = crowd.map(one => opens(one, sdp, step => reached(one, step), over.signal))
    try {
      const winner = await Promise.race([failed.promise, Promise.any(opening)])
      this.#step(attempt, 'open')
      return { winner, remote: (await selected(winner.pc)) ?? { ...first, protocol } }
    } catch (thrown) {
      for (const other of crowd) if (other !== prepared) other.close()
      signal.throwIfAborted()
      throw thrown instanceof AggregateError ? thrown.errors[0] : thrown
    } finally {
      clearTimeout(late)
      over.abort()
      signal.removeEventListener('abort', abort)
    }
  }

  /** The far side is a browser too. */
  get #isToAgent(): boolean {
    return this.#introduction.peer.vouch !== undefined
  }

  /**
   * More connections, as many as the order asks for, whose mappings are made by their checks alone. They have the credentials that the
   * far side knows. A peer in Node tells them apart by what follows in the ufrag, and answers one of them alone: two that it finds at
   * once would begin two handshakes with it. Another browser cannot, and finds them one after the other. A browser that lets nobody
   * choose them has the first one only.
   */
  async #alike(
    { sockets = 1 }: Order['order'] & { sockets?: number | undefined },
    { local }: Order['handover']
  ): Promise<Prepared[]> {
    const isToAgent = this.#isToAgent
    const ufragOf = (at: number) => (isToAgent ? local.ufrag : `${local.ufrag}${at}`)
    // A gateway asks for no more than this browser said that it makes.
    const count = Math.min(sockets, agentPace().connections) - 1
    const others = Array.from({ length: count }, (_, at) => this.#another({ ice: { ...local, ufrag: ufragOf(at) } }))
    return (await Promise.all(others)).filter(other => other !== undefined)
  }

  async #another(how: Parameters<Prepared['offers']>[0]): Promise<Prepared | undefined> {
    let other: Prepared | undefined
    try {
      other = this.#hooks.prepare(false)
      await other.offers(how)
      return other
    } catch {
      other?.close()
      return undefined
    }
  }

  #carry(order: Order, { pc, transport, control, sizing, port }: Prepared, remote: Reached): void {
    const { session, trace } = this.#introduction
    const isRelayed = order.order.kind === 'splice'
    const door = remote.protocol
    const path: PathReport = {
      by: order.by,
      kind: isRelayed ? 'relay' : 'direct',
      ...(isRelayed ? { door } : {}),
      local: `0.0.0.0:${port}`,
      remote: `${door === 'tcp' ? 'TCP ' : ''}${remote.address}:${remote.port}`,
      ms: Math.round((performance.now() - this.#hooks.startMs) * 10) / 10,
      trace,
      mtu: order.mtu ?? PACKET_BYTES
    }
    const media = new PageMedia(pc, order.handover)
    const certificates = { local: this.#hooks.certificate, remote: order.handover.fingerprint }
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

  #step({ report, originMs }: Attempt, name: string): void {
    report.steps.push([name, Math.round((performance.now() - originMs) * 100) / 100])
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
    this.#say({ ...result, plan: attempt.plan, report: attempt.report })
  }

  #discard(): void {
    this.#fresh?.close()
    this.#fresh = undefined
  }

  #say(message: Said): void {
    this.#hooks.send({ ...message, session: this.#introduction.session } as FromPeer)
  }
}

type Unnamed<Type extends FromPeer['type'], Left extends string> = Omit<Message<FromPeer, Type>, 'session' | Left>
type Result = Unnamed<'opened', 'plan' | 'report'> | Unnamed<'failed', 'plan' | 'report'>
type Said = { [Type in 'fresh' | 'progress' | 'opened' | 'failed' | 'leave']: Unnamed<Type, never> }[
  | 'fresh'
  | 'progress'
  | 'opened'
  | 'failed'
  | 'leave']

/** Whether the order leads to a TCP door of the relay, since UDP is blocked. */
const isTcp = ({ order }: Order): boolean => order.kind === 'splice' && order.doors !== undefined

/** Where the far side turned out to be, or the relay, and over what. */
interface Reached extends Endpoint {
  readonly protocol: 'udp' | 'tcp'
}

/** The port of an agent that dials, RFC 6544 section 4.5. */
const DISCARD = 9

/** Resolves when its control channel is open. Throws `io` if it never will be. */
async function opens(
  one: Prepared,
  sdp: string,
  reached: (step: 'ice' | 'dtls') => void,
  signal: AbortSignal
): Promise<Prepared> {
  const { pc } = one
  const failed = Promise.withResolvers<never>()
  const ice = () => {
    if (!isFound(pc)) return
    pc.removeEventListener('iceconnectionstatechange', ice)
    reached('ice')
  }
  const dtls = () => {
    if (pc.connectionState === 'connected') reached('dtls')
    if (pc.connectionState === 'failed') failed.reject(broken)
  }
  pc.addEventListener('iceconnectionstatechange', ice, { signal })
  pc.addEventListener('connectionstatechange', dtls, { signal })
  const opened = pc.setRemoteDescription({ type: 'answer', sdp }).then(() => one.opened)
  await Promise.race([failed.promise, opened])
  return one
}

const isFound = ({ iceConnectionState }: RTCPeerConnection): boolean =>
  ['connected', 'completed'].includes(iceConnectionState)

/**
 * How long the relay is tried over UDP alone, in milliseconds, besides two round trips: it may have been blocked meanwhile. It is shorter
 * where UDP brings no answer already.
 */
const UDP_ALONE_MS = 600

/** What an order gives for the handover besides eight round trips, in milliseconds (src/wire/order.ts). */
const HANDOVER_MS = 4000

function goAround(pc: RTCPeerConnection, doors: readonly Endpoint[]): void {
  for (const candidate of doors.map(tcpCandidate)) pc.addIceCandidate({ candidate, sdpMid: '0' }).catch(() => {})
}

/** Where the order says that the far side is, the likeliest first. */
function targetsOf({ order }: Order): readonly Endpoint[] {
  // The gateway has made targets of what it guesses (src/strategy/ice-only.ts).
  if (order.kind === 'splice') return [order.target]
  return [...((order.kind === 'ice' && order.hosts) || []), ...order.targets]
}

/**
 * RFC 8839 section 5.1. A `host` candidate of the far side would pin the path; one of another type lets a changed port win. The first
 * is checked first. All have one priority: of two that are nominated within a moment an agent goes over to the better one, and then
 * half of its handshake has gone to each.
 */
const candidate = ({ address, port }: Endpoint, index: number): string =>
  `candidate:${index + 1} 1 udp ${PRIORITY} ${address} ${port} typ ${isAddress(address) ? 'srflx raddr 0.0.0.0 rport 9' : 'host'}`

/** Below that of any candidate that an agent finds by itself. */
const PRIORITY = 1_000_000

const isAddress = (text: string): boolean => /^[\d.]+$/.test(text)

/** Where the far side turned out to be; undefined where the browser hides it. */
async function selected(pc: RTCPeerConnection): Promise<Reached | undefined> {
  const stats = new Map<string, Stats>((await pc.getStats()) as unknown as Map<string, Stats>)
  const transport = [...stats.values()].find(({ type }) => type === 'transport')
  const pairs = [...stats.values()].filter(({ type }) => type === 'candidate-pair')
  const pair = stats.get(transport?.selectedCandidatePairId ?? '') ?? pairs.find(one => one.selected)
  const { address, port, protocol } = stats.get(pair?.remoteCandidateId ?? '') ?? {}
  return address && port && protocol && isAddress(address) ? { address, port, protocol } : undefined
}

interface Stats {
  readonly type: string
  readonly selectedCandidatePairId?: string
  readonly selected?: boolean
  readonly remoteCandidateId?: string
  readonly address?: string
  readonly port?: number
  readonly protocol?: 'udp' | 'tcp'
}

/** The longest reason that the gateway takes, in characters. */
const REASON_CHARACTERS = 500

const calledOff = new PosternError('timeout', 'the order was called off')
const staleSocket = { code: STALE_SOCKET, reason: 'the socket this order was made for is gone' }
const broken = new PosternError(
  'io',
  'the path was lost, or the encrypted handshake broken off, before the connection was made'
)
const anotherOne = new PosternError(
  'fingerprint-mismatch',
  'the gateway introduced the peer with one certificate and gave orders for another'
)
