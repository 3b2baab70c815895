// The only punch loop. Both sides send probes from the mapped socket; what happens then depends on the role:
//
//   passive   one of its probes was answered: the path works both ways, and node-datachannel may take the socket over
//   active    keeps the raw socket until the passive side's first ICE check arrives, answers it by hand, and only then
//             hands its own socket over
//
// So the passive (DTLS server) side is ICE-connected before the active side's ClientHello can leave. Were it the other way
// round, the ClientHello would be dropped and repeated after a second (OpenSSL's first retransmission). And since the
// active side's ICE agent meets a path that is open and a partner that is ready, its first check succeeds at once, where
// libjuice would otherwise pace checks by 50 ms. Measured, two port-restricted NATs without delay: 5 ms from the order to the
// open channel, against 57 ms when both agents start by themselves.

import { type Endpoint, sameEndpoint } from '../wire/endpoint.ts'
import type { Handover } from '../wire/signal.ts'
import { BINDING, type DecodedStun, decode, encode, transactionId } from '../wire/stun.ts'
import type { RawSocket } from './raw.ts'

/**
 * When a target is probed, in milliseconds since the start. The first opens one's own NAT; early repeats are for a probe
 * that met a filter the other side had not opened yet; the last interval repeats until the plan's time is over.
 */
const SCHEDULE_MS = [0, 20, 50, 100, 200] as const
const REPEAT_MS = 200

/**
 * From when on the active side also sends ICE checks of its own, in milliseconds: if the passive side's first check was
 * lost, one of these makes libjuice repeat it within 50 ms rather than after its 500 ms.
 */
const NUDGE_AFTER_MS = 150

export interface Punch {
  readonly targets: readonly Endpoint[]
  /** Signs probes and their answers; both sides have it. */
  readonly probeKey: Buffer
  readonly handover: Handover
  /** Called with the name of each step as it happens. */
  readonly step: (name: string) => void
  /** After this long without a check the active side starts with its first target; left out: it waits. */
  readonly patienceMs?: number | undefined
  readonly signal: AbortSignal
}

export interface Counts {
  sent: number
  received: number
}

/** Resolves with the far side's endpoint when the socket should be handed over. Rejects with what `signal` aborts with. */
export function findPath(raw: RawSocket, punch: Punch, counts: Counts): Promise<Endpoint> {
  return new Promise((resolve, reject) => {
    const loop = new Loop(raw, punch, counts, path => {
      loop.stop()
      punch.signal.removeEventListener('abort', abort)
      resolve(path)
    })
    const abort = () => {
      loop.stop()
      reject(punch.signal.reason)
    }
    if (punch.signal.aborted) return abort()
    punch.signal.addEventListener('abort', abort)
    loop.start()
  })
}

class Loop {
  readonly #raw: RawSocket
  readonly #punch: Punch
  readonly #counts: Counts
  readonly #found: (path: Endpoint) => void
  readonly #targets: Endpoint[]
  readonly #probe: Buffer
  readonly #transaction = transactionId()
  readonly #startMs = performance.now()
  #timer: NodeJS.Timeout | undefined
  #patience: NodeJS.Timeout | undefined
  #heard = false

  constructor(raw: RawSocket, punch: Punch, counts: Counts, found: (path: Endpoint) => void) {
    this.#raw = raw
    this.#punch = punch
    this.#counts = counts
    this.#found = found
    this.#targets = [...punch.targets]
    const { role } = punch.handover
    const message = {
      class: 'request',
      method: BINDING,
      transaction: this.#transaction,
      username: `probe:${role}`
    } as const
    this.#probe = encode(message, { key: punch.probeKey })
  }

  /** Probes until the path is found, or patience is over. */
  start(): void {
    this.#raw.onDatagram = (datagram, source) => this.#receive(datagram, { address: source.address, port: source.port })
    this.#round(0)
    const [first] = this.#targets
    if (first && this.#punch.patienceMs !== undefined)
      this.#patience = setTimeout(() => this.#found(first), this.#punch.patienceMs)
  }

  stop(): void {
    clearTimeout(this.#timer)
    clearTimeout(this.#patience)
    this.#raw.onDatagram = () => {}
  }

  #round(count: number): void {
    const atMs = performance.now() - this.#startMs
    for (const target of this.#targets) {
      this.#send(this.#probe, target)
      if (this.#punch.handover.role === 'active' && atMs >= NUDGE_AFTER_MS)
        this.#send(iceCheck(this.#punch.handover), target)
    }
    const next = SCHEDULE_MS[count + 1]
    const waitMs = next === undefined ? REPEAT_MS : Math.max(0, next - atMs)
    this.#timer = setTimeout(() => this.#round(count + 1), waitMs)
  }

  #receive(datagram: Buffer, source: Endpoint): void {
    const message = decode(datagram)
    if (!message) return
    const { role, local, remote } = this.#punch.handover
    const far = role === 'active' ? 'passive' : 'active'
    if (message.class === 'success') this.#answered(message, source)
    else if (message.class !== 'request') return
    else if (message.username === `probe:${far}`) this.#probed(message, source)
    else if (message.username === `${local.ufrag}:${remote.ufrag}`) this.#checked(message, source)
  }

  /** The far side's probe: answered, and its source probed at once, for it may be a port nobody predicted. */
  #probed(message: DecodedStun, source: Endpoint): void {
    if (!message.verify(this.#punch.probeKey)) return
    this.#counts.received++
    if (!this.#heard) this.#punch.step('heard')
    this.#answer(message, source, this.#punch.probeKey)
    if (!this.#heard || !this.#targets.some(target => sameEndpoint(target, source))) this.#send(this.#probe, source)
    this.#heard = true
    if (!this.#targets.some(target => sameEndpoint(target, source))) this.#targets.push(source)
    if (this.#targets.length > MAX_TARGETS) this.#targets.shift()
  }

  #answered(message: DecodedStun, source: Endpoint): void {
    if (!message.transaction.equals(this.#transaction) || !message.verify(this.#punch.probeKey)) return
    this.#counts.received++
    this.#punch.step('answered')
    if (this.#punch.handover.role === 'passive') this.#found(source)
  }

  /** The passive side's agent has the path: this answer makes it connected (RFC 8445 section 7.3). */
  #checked(message: DecodedStun, source: Endpoint): void {
    const key = this.#punch.handover.local.pwd
    if (this.#punch.handover.role !== 'active' || !message.verify(key)) return
    this.#counts.received++
    this.#punch.step('checked')
    this.#answer(message, source, key)
    this.#found(source)
  }

  #answer({ transaction }: DecodedStun, to: Endpoint, key: Buffer | string): void {
    this.#send(encode({ class: 'success', method: BINDING, transaction, mapped: to }, { key, fingerprint: true }), to)
  }

  #send(datagram: Buffer, to: Endpoint): void {
    this.#counts.sent++
    this.#raw.send(datagram, to)
  }
}

/** Endpoints probed at once: those of the order, and those the far side turned out to use. */
const MAX_TARGETS = 16

/** An ICE connectivity check (RFC 8445 section 7.2.2) as the far side's agent expects it. */
function iceCheck({ local, remote }: Handover): Buffer {
  return encode(
    {
      class: 'request',
      method: BINDING,
      transaction: transactionId(),
      username: `${remote.ufrag}:${local.ufrag}`,
      // Peer-reflexive type preference (RFC 8445 section 5.1.2.1), highest local preference, component 1.
      priority: (110 << 24) | (65535 << 8) | 255,
      controlling: 1n
    },
    { key: remote.pwd, fingerprint: true }
  )
}
