// The only punch loop. Both sides send probes from mapped sockets; what happens then depends on the role:
//
//   passive   one of its probes was answered: the path works both ways, and node-datachannel may take the socket over
//   active    keeps the raw socket until the passive side's first ICE check arrives, answers it by hand, and only then
//             hands its own socket over
//
// So the passive side (the DTLS server) is ICE-connected before the active side's ClientHello can leave. The other way round,
// the ClientHello would be dropped, and repeated after a second (OpenSSL's first retransmission). Besides, the active side's
// ICE agent meets a path that is open and a partner that is ready, so its first check succeeds at once. Otherwise libjuice
// would pace checks by 50 ms. Measured with two port-restricted NATs without delay, it takes 5 ms from the order to the open
// channel, against 57 ms when both agents start by themselves.
//
// A socket that changes hands is closed for a moment. What arrives in that moment is refused by the system, for which some NATs
// end the flow. So nothing may be on its way to a socket that is let go. The active side answers the passive side's probe once,
// and is silent on that flow until the check, or until the answer is likely to be lost. What it answers the check with is the
// last that it sends itself.
//
// A far side that speaks ICE alone (`bindOn: checked`) knows no probes. There the passive side sends checks in their place, and hands
// over when one was answered, or one of the far side's came in. It answers none by hand, so the far side's agent is connected when ours
// is there for its ClientHello.
//
// The loop is the same for every order. `#walk` probes what was ordered, from all sockets. `#tend` keeps probing what was
// heard. `#receive` answers. The first socket with a path wins, and the others are closed.

import { setTimeout as sleep } from 'node:timers/promises'
import { type Endpoint, sameEndpoint } from '../../wire/endpoint.ts'
import type { Effort, Handover } from '../../wire/order.ts'
import { type DecodedStun, decode, transactionId } from '../../wire/stun.ts'
import type { OrderAllowance } from './allowance.ts'
import type { Diary } from './diary.ts'
import { answer, iceCheck, probe } from './packets.ts'
import { RawSocket } from './raw.ts'
import { type Purpose, Sender, type Sending } from './sender.ts'
import { endpointsOf, flowsOf, Pace } from './walk.ts'

/**
 * When a target is probed, in milliseconds since the start. The first probe opens one's own NAT. The early repeats are for a
 * probe that met a filter which the other side had not opened yet. After the last of these times, probes are repeated at
 * intervals of `REPEAT_MS` until the plan's time is over.
 */
const SCHEDULE_MS = [0, 20, 50, 100, 200] as const
const REPEAT_MS = 200

/**
 * When the active side begins to send ICE checks of its own as well, in milliseconds. If the passive side's first check was
 * lost, one of these makes libjuice repeat it within 50 ms rather than after its 500 ms.
 */
const NUDGE_AFTER_MS = 150

/**
 * How long the active side sends nothing of its own accord on a flow that it has answered, in milliseconds: until the far side
 * has bound, also where it waits for other answers first, or is busy.
 */
const SILENT_MS = 100

/**
 * How long it does not answer there either, in milliseconds. What comes within that was on its way already, or was sent by a
 * side that had not read the answer yet. If the answer was lost, the probe after 50 ms asks for it again.
 */
const ANSWERED_MS = 30

/**
 * The most flows that get such checks before they were heard. If there are more, most lead nowhere and only cost datagrams.
 */
const NUDGED = 16

/**
 * The most sources that a socket keeps probing because they were heard. A far side has one there, unless its NAT remaps it.
 */
const MAX_HEARD = 16

export interface Punch {
  readonly effort: Effort
  /** How long the loop listens before its first datagram, in milliseconds. It answers what it hears meanwhile. */
  readonly afterMs?: number
  /** Signs probes and their answers; both sides have it. */
  readonly probeKey: Buffer
  readonly handover: Handover
  /**
   * How long the active side waits for a check, in milliseconds, before it starts with its first target; if left out, until a
   * check comes.
   */
  readonly patienceMs?: number | undefined
  readonly allowance: OrderAllowance
  readonly signal: AbortSignal
}

/** The socket that should be handed over, and the far side's endpoint. */
export interface Path {
  readonly raw: RawSocket
  readonly remote: Endpoint
  /** The far side was heard on it. */
  readonly isHeard: boolean
  /** Of the far side's agents the one that was heard, where there are several (`bindOn: checked`). */
  readonly ufrag?: string
}

/**
 * Resolves when a path is found. By then every other socket is closed, also `raw` if another one won. Rejects with what
 * `signal` aborts with, or `io` if the sockets could not be bound; only `raw` is open then.
 */
export async function findPath(raw: RawSocket, punch: Punch, diary: Diary): Promise<Path> {
  const { signal } = punch
  signal.throwIfAborted()
  const loop = new Loop(raw, punch, diary)
  const abort = () => loop.fail(signal.reason)
  signal.addEventListener('abort', abort)
  try {
    return await loop.run()
  } finally {
    signal.removeEventListener('abort', abort)
    loop.stop()
  }
}

interface Own {
  readonly raw: RawSocket
  /** Proven sources, the latest last. */
  readonly heard: Heard[]
}

interface Heard {
  readonly source: Endpoint
  /** When its probe was answered last, on the clock of `performance.now`. */
  answeredMs: number
  /** What it is asked. */
  readonly probe: Buffer
  readonly ufrag?: string
}

class Loop {
  readonly #punch: Punch
  readonly #diary: Diary
  readonly #endpoints: readonly Endpoint[]
  readonly #sockets: Own[] = []
  readonly #sender: Sender
  readonly #probe: Buffer
  /** The far side speaks ICE alone. */
  readonly #isToAgent: boolean
  readonly #transaction = transactionId()
  readonly #begunMs: number
  readonly #found = Promise.withResolvers<Path>()
  readonly #over = new AbortController()
  #winner: RawSocket | undefined
  /** Set until all sockets are bound. */
  #binding: Promise<void> | undefined
  #patience: NodeJS.Timeout | undefined

  constructor(raw: RawSocket, punch: Punch, diary: Diary) {
    this.#punch = punch
    this.#diary = diary
    this.#endpoints = endpointsOf(punch.effort)
    this.#sender = new Sender(punch.effort, diary, punch.allowance)
    this.#begunMs = performance.now() + (punch.afterMs ?? 0)
    const { handover, probeKey, effort } = punch
    this.#isToAgent = effort.bindOn === 'checked'
    this.#probe = this.#isToAgent
      ? iceCheck(handover, this.#transaction)
      : probe(handover.role, this.#transaction, probeKey)
    this.#listen(raw)
  }

  /** Probes until the path is found, or patience is over. */
  async run(): Promise<Path> {
    const { effort, patienceMs } = this.#punch
    if ((effort.sockets ?? 1) > 1) this.#binding = this.#bind((effort.sockets ?? 1) - 1)
    Promise.all([this.#binding, this.#walk(), this.#tend()]).catch((error: unknown) => this.fail(error))
    const [first] = effort.targets
    const [{ raw }] = this.#sockets as [Own]
    if (first && patienceMs !== undefined)
      this.#patience = setTimeout(() => this.#finish({ raw, remote: first, isHeard: false }), patienceMs)
    return await this.#found.promise
  }

  fail(error: unknown): void {
    this.#over.abort()
    this.#found.reject(error)
  }

  stop(): void {
    this.#over.abort()
    clearTimeout(this.#patience)
    const [ordered] = this.#sockets
    for (const own of this.#sockets) {
      own.raw.onDatagram = () => {}
      const kept = this.#winner ? own.raw === this.#winner : own === ordered
      if (!kept) void own.raw.close()
    }
  }

  #finish(path: Path): void {
    if (this.#winner || this.#over.signal.aborted) return
    this.#winner = path.raw
    this.#found.resolve(path)
  }

  async #bind(count: number): Promise<void> {
    const bound = await RawSocket.bindMany(count)
    if (bound.length < count) this.#diary.sockets = 1 + bound.length
    this.#binding = undefined
    if (this.#over.signal.aborted) for (const raw of bound) void raw.close()
    else for (const raw of bound) this.#listen(raw)
  }

  #listen(raw: RawSocket): void {
    const own = { raw, heard: [] }
    this.#sockets.push(own)
    raw.onDatagram = (datagram, { address, port }) => this.#receive(datagram, own, { address, port })
  }

  /**
   * Goes over the flows again and again, as long as the budget lasts. The first datagram leaves at once, before the other
   * sockets are bound.
   */
  async #walk(): Promise<void> {
    const { effort, afterMs = 0 } = this.#punch
    const { signal } = this.#over
    const pace = new Pace(effort.perSecond)
    if (afterMs > 0) await sleep(afterMs, undefined, { signal })
    for (let round = 1; ; round++) {
      for (const { socket, to } of flowsOf(this.#endpoints, this.#sockets)) {
        if (heardFrom(socket, to)) continue
        if (!this.#sender.mayWalk) this.#diary.holds()
        while (!this.#sender.mayWalk || !pace.take()) await pace.refill(signal)
        if (this.#send(this.#probe, socket, to, 'walk') === 'spent') return
        if (this.#binding) await this.#binding
        signal.throwIfAborted()
      }
      this.#diary.step('walked')
      await sleep(effort.perSecond ? REPEAT_MS : untilRound(round, this.#elapsedMs), undefined, { signal })
    }
  }

  /** Keeps probing what was heard until something comes of it, and makes the far side's agent repeat a lost check. */
  async #tend(): Promise<void> {
    const { signal } = this.#over
    const startMs = performance.now()
    for (let round = 1; ; round++) {
      await sleep(untilRound(round, performance.now() - startMs), undefined, { signal })
      for (const socket of this.#sockets)
        for (const { source, probe } of this.#speaksTo(socket)) this.#send(probe, socket, source, 'heard')
      if (this.#punch.handover.role === 'active' && this.#elapsedMs >= NUDGE_AFTER_MS) this.#nudge()
    }
  }

  /**
   * Sends ICE checks to all sources that were heard, and to what was ordered if that makes few flows. If it makes many, only
   * the targets get checks, if they make few.
   */
  #nudge(): void {
    const { targets } = this.#punch.effort
    const nudged = [this.#endpoints, targets].find(ends => ends.length * this.#sockets.length <= NUDGED) ?? []
    const check = () => iceCheck(this.#punch.handover)
    for (const socket of this.#sockets)
      for (const { source } of this.#speaksTo(socket)) this.#send(check(), socket, source, 'heard')
    for (const { socket, to } of flowsOf(nudged, this.#sockets))
      if (!heardFrom(socket, to)) this.#send(check(), socket, to, 'walk')
  }

  /** What was heard on a socket, without the flows on which this side is silent now. */
  #speaksTo({ heard }: Own): Heard[] {
    return heard.filter(one => !this.#hasAnswered(one, SILENT_MS))
  }

  /** True if this is the active side and has answered lately: the passive side is about to let its socket go. */
  #hasAnswered({ answeredMs }: Heard, latelyMs: number): boolean {
    return this.#punch.handover.role === 'active' && performance.now() - answeredMs < latelyMs
  }

  #receive(datagram: Buffer, socket: Own, source: Endpoint): void {
    const message = decode(datagram)
    if (!message) return
    const { role, local, remote } = this.#punch.handover
    const far = role === 'active' ? 'passive' : 'active'
    if (message.class === 'success') this.#answered(message, socket, source)
    else if (message.class !== 'request') return
    else if (message.username === `probe:${far}`) this.#probed(message, socket, source)
    else if (message.username?.startsWith(`${local.ufrag}:${remote.ufrag}`)) this.#checked(message, socket, source)
  }

  /**
   * Answers a probe of the far side. The passive side probes its source at once, because that may be a port nobody predicted.
   * The active side need not: its answer goes the same way, and the passive side asks again if it was lost.
   */
  #probed(message: DecodedStun, socket: Own, source: Endpoint): void {
    if (!message.verify(this.#punch.probeKey)) return
    this.#diary.hears(source)
    this.#diary.step('heard')
    const known = heardFrom(socket, source)
    if (known && this.#hasAnswered(known, ANSWERED_MS)) return
    const reply = answer(message.transaction, source, this.#punch.probeKey)
    const isAnswered = this.#send(reply, socket, source, 'heard') === 'sent'
    const { effort, handover } = this.#punch
    if (handover.role === 'passive' && effort.bindOn === 'heard' && this.#isAim(source))
      return this.#finish({ raw: socket.raw, remote: source, isHeard: true })
    const answeredMs = isAnswered ? performance.now() : Number.NEGATIVE_INFINITY
    if (known) known.answeredMs = answeredMs
    else {
      if (handover.role === 'passive') this.#send(this.#probe, socket, source, 'heard')
      hears(socket, { source, answeredMs, probe: this.#probe })
    }
  }

  /** A probe from anywhere else does not prove that an answer finds its way there. */
  #isAim(source: Endpoint): boolean {
    return this.#endpoints.some(endpoint => sameEndpoint(endpoint, source))
  }

  #answered(message: DecodedStun, { raw, heard }: Own, remote: Endpoint): void {
    const { probeKey, handover } = this.#punch
    const key = this.#isToAgent ? handover.remote.pwd : probeKey
    if (!message.transaction.equals(this.#transaction) || !message.verify(key)) return
    this.#diary.hears(remote)
    this.#diary.step('answered')
    if (handover.role !== 'passive') return
    const { ufrag } = heard.find(({ source }) => sameEndpoint(source, remote)) ?? {}
    this.#finish({ raw, remote, isHeard: true, ...(ufrag ? { ufrag } : {}) })
  }

  /**
   * The passive side's agent has the path, and this answer makes it connected (RFC 8445 section 7.3). A check of an agent that is
   * active proves the path where this side has sent to its source: else it is asked back.
   */
  #checked(message: DecodedStun, socket: Own, source: Endpoint): void {
    const { role, local, remote } = this.#punch.handover
    const key = local.pwd
    const [, ufrag = ''] = message.username?.split(':') ?? []
    const isMeant = this.#isToAgent ? isOneOf(ufrag, remote.ufrag) : role === 'active' && ufrag === remote.ufrag
    if (!isMeant || !message.verify(key)) return
    this.#diary.hears(source)
    this.#diary.step('checked')
    if (role === 'passive' && !this.#isAim(source)) return this.#asksBack(socket, source, ufrag)
    if (role === 'active') this.#send(answer(message.transaction, source, key), socket, source, 'check')
    this.#finish({ raw: socket.raw, remote: source, isHeard: true, ...(this.#isToAgent ? { ufrag } : {}) })
  }

  /** From now on that agent is sent checks as well. */
  #asksBack(socket: Own, source: Endpoint, ufrag: string): void {
    if (heardFrom(socket, source)) return
    const { handover } = this.#punch
    const check = iceCheck({ ...handover, remote: { ...handover.remote, ufrag } }, this.#transaction)
    this.#send(check, socket, source, 'heard')
    hears(socket, { source, answeredMs: Number.NEGATIVE_INFINITY, probe: check, ufrag })
  }

  #send(datagram: Buffer, { raw }: Own, to: Endpoint, purpose: Purpose): Sending {
    const sending = this.#sender.send(datagram, raw, to, purpose)
    if (sending === 'spent') this.#diary.step('spent')
    if (sending === 'held') this.#diary.holds()
    return sending
  }

  /** Milliseconds since the first datagram was due; negative before. */
  get #elapsedMs(): number {
    return performance.now() - this.#begunMs
  }
}

function hears({ heard }: Own, one: Heard): void {
  heard.push(one)
  if (heard.length > MAX_HEARD) heard.shift()
}

/** Agents of one far side have its ufrag, and a number behind it. Nothing else becomes a line of a session description. */
const isOneOf = (ufrag: string, first: string): boolean =>
  ufrag.startsWith(first) && /^\d{0,4}$/.test(ufrag.slice(first.length))

const heardFrom = ({ heard }: Own, source: Endpoint): Heard | undefined =>
  heard.find(known => sameEndpoint(known.source, source))

/** Milliseconds to wait for a round, when so many have passed since the first round, which is round 0. */
function untilRound(round: number, elapsedMs: number): number {
  const dueMs = SCHEDULE_MS[round]
  return dueMs === undefined ? REPEAT_MS : Math.max(0, dueMs - elapsedMs)
}
