// The story of one connect request: observe both sockets, profile both NATs, walk the strategies, and tell both peers
// what became of it. Everything it starts ends with it.

import { randomBytes } from 'node:crypto'
import type { Context, Span, Tracer } from '@opentelemetry/api'
import { nowMs } from '../clock.ts'
import { asPosternError, type Code, codes, PosternError } from '../errors.ts'
import { type FromGateway, type Handover, type Message, OVER_CHARACTERS, STALE_SOCKET } from '../wire/signal.ts'
import { type Link, type Turn, walk } from './chain.ts'
import type { Joined, WarmSocket } from './joined.ts'
import type { Paths } from './paths.ts'
import type { Profile } from './profile.ts'
import type { Commander, Observer, Profiler } from './roles.ts'
import {
  type Attempt,
  otherRole,
  type Plan,
  type RelayLimits,
  type Role,
  roles,
  type Scene,
  type Side
} from './scene.ts'
import { parentOf, recordHandover, recordProfile, type Step, within } from './trace/record.ts'
import { type FromTrial, Trial, type TrialResult } from './trial.ts'

/** The relay as a session sees it. */
export interface Relay {
  /** Makes room for the session. Throws `relay-full`. */
  arm(session: Session, limits: RelayLimits): void
  disarm(session: string): void
}

/** What every session of a gateway shares. */
export interface House {
  readonly observer: Observer
  readonly profiler: Profiler
  readonly commander: Commander
  readonly relay: Relay
  readonly links: readonly Link[]
  readonly tracer: Tracer
  readonly paths: Paths
  readonly deadlineMs: number
}

export interface Connect {
  readonly caller: Joined
  readonly callee: Joined
  readonly request: number
  readonly traceparent?: string | undefined
}

export type Ended = { kind: 'direct' | 'relay'; by: string } | { kind: 'failed'; code: Code }

/** How long the sockets of both sides are waited for: a peer that just joined is still mapping its first one. */
const OBSERVE_MS = 5000

/** How long a session waits for filtering tests where their verdict matters. */
const FILTERING_MS = 1500

/** From a path to an open channel, beyond the round trips: ICE, DTLS and SCTP with one lost packet of each. */
const HANDOVER_MS = 4000

/** ICE, DTLS 1.2 and SCTP take about four round trips; twice that allows for a repetition. */
const HANDOVER_ROUND_TRIPS = 8

/**
 * How long the active side of an `ice` order listens for the passive side's first check before it starts its own. Only where
 * a packet between the peers is known to take at least twice as long: then the check neither arrives just when the socket
 * changes hands, nor is it answered later than the ClientHello arrives, for our answer to it leaves first and goes the
 * same way. The orders arrive no further apart than such a packet takes (triangle inequality, and `afterMs`), so this is
 * for their jitter. It saves most of one way between the peers.
 */
const PATIENCE_MS = 10

/** The side that is the DTLS server. The caller waits for the open channel, and the client's side opens first. */
const passive: Role = 'callee'

export class Session {
  readonly id = randomBytes(8).toString('hex')
  readonly caller: Joined
  readonly callee: Joined
  /** What each side signs its own datagrams to the gateway with. */
  readonly keys = { caller: randomBytes(20), callee: randomBytes(20) }
  readonly #probeKey = randomBytes(20)
  readonly #house: House
  readonly #request: number
  readonly #traceparent: string | undefined
  readonly #sockets: Partial<Record<Role, WarmSocket>> = {}
  readonly #over = new AbortController()
  readonly #gone: AbortSignal
  /** Over when filtering tests were waited for long enough. */
  #patience: AbortSignal | undefined
  /** The plan that is being tried. */
  #trial: Trial | undefined
  #left = false
  #plans = 0

  constructor(house: House, { caller, callee, request, traceparent }: Connect) {
    this.#house = house
    this.caller = caller
    this.callee = callee
    this.#request = request
    this.#traceparent = traceparent
    this.#gone = AbortSignal.any([caller.gone, callee.gone, this.#over.signal])
  }

  /** Runs to the end; never throws. */
  async run(): Promise<Ended> {
    const names = { 'postern.caller': this.caller.name, 'postern.callee': this.callee.name, 'postern.session': this.id }
    return await within(this.#house.tracer, parentOf(this.#traceparent), 'postern.connect', names, async root => {
      const id = root.span.spanContext().traceId
      try {
        this.#introduce(id)
        const ended = await this.#connect(root)
        return this.#conclude(root.span, ended)
      } catch (thrown) {
        const { code, message } = asPosternError(thrown)
        root.span.setAttributes({ 'postern.outcome': 'failed', 'postern.code': code, 'postern.reason': message })
        this.#tellBoth({ type: 'over', session: this.id, code, reason: message.slice(0, OVER_CHARACTERS), trace: id })
        return { kind: 'failed', code }
      } finally {
        if (this.#plans === 0) for (const role of roles) this.#giveBack(role)
      }
    })
  }

  /** What a peer says of the plan that is being tried; words about an older plan come too late to matter. */
  receive(role: Role, message: FromTrial): void {
    if (message.plan === this.#plans) this.#trial?.receive(role, message)
  }

  /** A side wants nothing more of this session. False where it goes on: the other side's word on the open path is awaited. */
  leave(role: Role, code: string, reason: string): boolean {
    if (this.#trial?.hasOpened(role)) {
      this.#left = true
      return false
    }
    const known = Object.hasOwn(codes, code) ? (code as Code) : 'io'
    this.#over.abort(new PosternError(known, `${this[role].name} left: ${reason}`))
    return true
  }

  /** A side opened the path and has left already. */
  get isLeft(): boolean {
    return this.#left
  }

  roleOf(peer: Joined): Role | undefined {
    return peer === this.caller ? 'caller' : peer === this.callee ? 'callee' : undefined
  }

  #introduce(traceId: string): void {
    const message = (role: Role): Message<FromGateway, 'session'> => ({
      type: 'session',
      session: this.id,
      ...(role === 'caller' ? { request: this.#request } : {}),
      role,
      peer: {
        name: this[otherRole(role)].name,
        fingerprint: this[otherRole(role)].fingerprint,
        named: this[otherRole(role)].named
      },
      key: this.keys[role].toString('base64'),
      probeKey: this.#probeKey.toString('base64'),
      trace: traceId
    })
    this.#house.commander.command(roles.map(role => ({ peer: this[role].id, message: message(role) })))
  }

  async #connect(root: Step): Promise<{ plan: Plan; link: Link }> {
    const deadline = AbortSignal.timeout(this.#house.deadlineMs)
    let won: { plan: Plan; link: Link } | undefined
    const attempts = await walk(this.#house.links, {
      scene: tried => this.#scene(root.context, tried),
      over: link => (link.lastResort ? this.#gone : AbortSignal.any([this.#gone, deadline])),
      sample: async () => {},
      turn: (link, run) => this.#turn(root.context, link, run),
      attempt: async (plan, link, over) => {
        const result = await this.#attempt(plan, link, over)
        this.#gone.throwIfAborted()
        if (result === true) won = { plan, link }
        else if (this.#left) throw new PosternError('io', 'a side left before the path was open on both')
        return result
      }
    })
    if (!won) throw new PosternError('no-path', `no path to ${this.callee.name}: ${summary(attempts)}`)
    return won
  }

  /** Both sockets observed and profiled; only what is missing is waited for. */
  async #scene(parent: Context, attempts: readonly Attempt[]): Promise<Scene> {
    this.#gone.throwIfAborted()
    const missing = roles.filter(role => !this.#sockets[role])
    if (missing.length > 0)
      await within(this.#house.tracer, parent, 'postern.observe', { 'postern.sides': missing.join(' ') }, () =>
        this.#observe(missing)
      )
    await this.#filteringWhereItMatters()
    const [caller, callee] = roles.map(role => this.#side(role)) as [Side, Side]
    if (missing.length > 0)
      for (const role of roles) recordProfile(this.#house.tracer, parent, role, { caller, callee }[role].profile)
    return { caller, callee, attempts, atMs: nowMs(), memory: {} }
  }

  /** All at once: a side that is waited for must not keep the other's socket from the sessions of others. */
  async #observe(missing: readonly Role[]): Promise<void> {
    const failed = new AbortController()
    const late = AbortSignal.timeout(OBSERVE_MS)
    while (!missing.every(role => this[role].isWarm))
      await Promise.all(missing.map(role => this.#warm(role, failed, late)))
    this.#gone.throwIfAborted()
    for (const role of missing) this.#sockets[role] = this[role].takeSocket()
  }

  async #warm(role: Role, failed: AbortController, late: AbortSignal): Promise<void> {
    try {
      await this[role].warm(AbortSignal.any([this.#gone, failed.signal, late]))
    } catch (cause) {
      failed.abort(cause)
      if (!late.aborted || this.#gone.aborted) throw cause
      throw new PosternError(
        'udp-blocked',
        `no UDP datagram from ${this[role].name} reached the gateway within ${OBSERVE_MS / 1000} s`,
        { cause }
      )
    }
  }

  #giveBack(role: Role): void {
    const socket = this.#sockets[role]
    if (socket) this[role].giveBack(socket)
  }

  /** Two endpoint-independent mappings meet whatever the filters do; any other pair depends on them. */
  async #filteringWhereItMatters(): Promise<void> {
    const plain = ({ mapping, translated }: Profile) => mapping === 'endpoint-independent' && translated
    if (roles.every(role => plain(this.#side(role).profile))) return
    this.#patience ??= AbortSignal.timeout(FILTERING_MS)
    const signal = AbortSignal.any([this.#gone, this.#patience])
    await Promise.all(roles.map(role => this[role].filteringKnown(signal)))
  }

  #side(role: Role): Side {
    const peer = this[role]
    const socket = this.#sockets[role]
    if (!socket) throw new PosternError('internal', `no socket of ${peer.name} was observed`)
    const samples = this.#house.observer.samples(peer.id, socket.number)
    const primary = samples.findLast(sample => sample.primary)
    if (!primary) throw new PosternError('udp-blocked', `no UDP datagram from ${peer.name} reached the gateway`)
    return {
      name: peer.name,
      gateway: peer.gateway,
      mapped: primary.mapped,
      port: socket.port,
      addresses: socket.addresses,
      rttMs: socket.rttMs,
      observations: [],
      probes: 0,
      profile: this.#house.profiler.profile(samples, socket, peer.filtering)
    }
  }

  async #turn(parent: Context, link: Link, run: () => Promise<Turn>): Promise<Turn> {
    const startMs = performance.now()
    const turn = await within(
      this.#house.tracer,
      parent,
      'postern.plugin',
      { 'postern.plugin': link.name },
      async step => {
        this.#parent = step.context
        const done = await run()
        step.span.setAttributes({ 'postern.outcome': done.outcome, 'postern.reason': done.reason })
        return done
      }
    )
    const ms = Math.round((performance.now() - startMs) * 10) / 10
    this.#tell('caller', {
      type: 'strategy',
      session: this.id,
      name: link.name,
      outcome: turn.outcome,
      reason: turn.reason.slice(0, 500),
      ms
    })
    return turn
  }

  /** The span of the strategy whose turn it is. */
  #parent: Context = parentOf(undefined)

  async #attempt(plan: Plan, link: Link, signal: AbortSignal): Promise<true | string> {
    const name = plan.limits ? 'postern.relay' : 'postern.plan'
    const attributes = { 'postern.plugin': link.name, 'postern.order': plan.caller.kind, 'postern.why': plan.why }
    return await within(this.#house.tracer, this.#parent, name, attributes, async step => {
      if (plan.limits) this.#house.relay.arm(this, plan.limits)
      const result = await this.#order(plan, link, signal)
      const settled = result.open || !(await this.#renew(step, result)) ? result : await this.#order(plan, link, signal)
      this.#record(step, settled)
      if (settled.open) return this.#learn(plan, settled)
      if (plan.limits) this.#house.relay.disarm(this.id)
      this.#callOff(settled)
      return settled.reason
    })
  }

  #learn(plan: Plan, { caller }: TrialResult): true {
    const [a, b] = roles.map(role => this.#side(role).mapped.address) as [string, string]
    if (!plan.limits && caller?.report) this.#house.paths.learn(a, b, caller.report)
    return true
  }

  /**
   * A plan may be called off at the moment a peer has handed its socket over; the next order then names a socket that is
   * gone. True when that is why a plan failed, and fresh sockets are at hand for another try.
   */
  async #renew({ context }: Step, result: TrialResult): Promise<boolean> {
    const stale = roles.filter(role => result[role]?.code === STALE_SOCKET)
    if (stale.length === 0) return false
    this.#callOff(result)
    for (const role of stale) delete this.#sockets[role]
    await this.#scene(context, [])
    return true
  }

  #callOff({ used }: TrialResult): void {
    this.#tellBoth({ type: 'cancel', session: this.id, plan: this.#plans })
    for (const role of used) delete this.#sockets[role]
  }

  async #order(plan: Plan, link: Link, signal: AbortSignal): Promise<TrialResult> {
    const rttMs = (this.#sockets.caller?.rttMs ?? 0) + (this.#sockets.callee?.rttMs ?? 0)
    const handoverMs = HANDOVER_MS + HANDOVER_ROUND_TRIPS * rttMs
    this.#plans++
    this.#trial = new Trial({ waitMs: plan.waitMs, handoverMs, signal })
    const handovers = this.#handovers()
    this.#house.commander.command(
      roles.map(role => ({
        peer: this[role].id,
        message: {
          type: 'order',
          session: this.id,
          plan: this.#plans,
          by: link.name,
          socket: this.#sockets[role]?.number ?? 0,
          order: plan[role],
          handover: handovers[role],
          afterMs: role === passive ? this.#headStartMs() : 0,
          ...(this.#farApart() ? { patienceMs: PATIENCE_MS } : {}),
          waitMs: plan.waitMs,
          handoverMs
        }
      }))
    )
    return await this.#trial.result
  }

  /** How much later than the passive side's its order reaches the active side, by half the round trips. */
  #headStartMs(): number {
    const { caller, callee } = this.#sockets
    return caller && callee ? Math.max(0, (caller.rttMs - callee.rttMs) / 2) : 0
  }

  #farApart(): boolean {
    const rttMs = this.#house.paths.rttMs(this.#side('caller').mapped.address, this.#side('callee').mapped.address)
    return rttMs !== undefined && rttMs / 2 >= 2 * PATIENCE_MS
  }

  /** The caller is the DTLS client and controls ICE: it hears the callee's first check before it binds. */
  #handovers(): Record<Role, Handover> {
    const ice = { caller: credentials(), callee: credentials() }
    const handover = (role: Role): Handover => ({
      role: role === passive ? 'passive' : 'active',
      local: ice[role],
      remote: ice[otherRole(role)],
      fingerprint: this[otherRole(role)].fingerprint
    })
    return { caller: handover('caller'), callee: handover('callee') }
  }

  #record({ span, context }: Step, result: TrialResult): void {
    span.setAttributes({ 'postern.outcome': result.open ? 'path' : 'failed', 'postern.reason': result.reason })
    for (const role of roles) {
      const side = result[role]
      if (side) recordHandover(this.#house.tracer, context, role, side, this.#sockets[role]?.rttMs ?? 0)
    }
  }

  #conclude(span: Span, { plan, link }: { plan: Plan; link: Link }): Ended {
    const kind = plan.limits ? 'relay' : 'direct'
    this.#trial = undefined
    span.setAttributes({
      'postern.outcome': 'path',
      'postern.path': kind,
      'postern.plugin': link.name,
      'postern.reason': plan.why
    })
    const limit = plan.limits ? { bitsPerSecond: plan.limits.perSession } : {}
    this.#tellBoth({ type: 'path', session: this.id, by: link.name, kind, ...limit })
    return { kind, by: link.name }
  }

  #tell(role: Role, message: FromGateway): void {
    this.#house.commander.command([{ peer: this[role].id, message }])
  }

  #tellBoth(message: FromGateway): void {
    this.#house.commander.command(roles.map(role => ({ peer: this[role].id, message })))
  }
}

/** RFC 8445 section 5.3: at least 24 bits of ufrag and 128 bits of pwd, of the characters ice-char. */
const credentials = () => ({ ufrag: randomBytes(6).toString('hex'), pwd: randomBytes(16).toString('hex') })

const summary = (attempts: readonly Attempt[]) =>
  attempts.map(({ by, outcome, reason }) => `${by} ${outcome} (${reason})`).join('; ')
