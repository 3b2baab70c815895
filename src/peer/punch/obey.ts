// Obeys one order of the gateway: finds the path with the raw socket, and hands the socket over. The diary notes the steps.
// The kinds of order differ only in what comes before the handover.
//
//   ice      passive: hand over at once, the first ICE check is the punch        active: as punch, for a moment
//   punch    passive: probe until one is answered, or heard                       active: probe until the check comes
//   splice   latch at the gateway's relay, from another port or through another door if need be, then as punch with the gateway as
//            the only target, or with the shim before that door

import { setTimeout as sleep } from 'node:timers/promises'
import { timeoutSignal } from '../../clock.ts'
import { PosternError } from '../../errors.ts'
import { checkMsOf, type Effort, onlyTarget } from '../../wire/order.ts'
import { PACKET_BYTES } from '../../wire/packet-size.ts'
import type { Address } from '../../wire/shapes.ts'
import type { SideName } from '../../wire/side.ts'
import type { FromGateway, Message } from '../../wire/signal.ts'
import type { Door } from '../doors/door.ts'
import type { Shim } from '../doors/shim.ts'
import type { Identity } from '../identity/identity.ts'
import { found } from '../link/names.ts'
import type { Opener, Transport } from '../transport/transport.ts'
import { ORDER_MS, type OrderAllowance } from './allowance.ts'
import type { Diary } from './diary.ts'
import { handOver, type Opened } from './handover.ts'
import { latch } from './latch.ts'
import { findPath, type Path } from './probe.ts'
import type { RawSocket } from './raw.ts'
import type { WarmSocket } from './warm.ts'

export interface Obeying {
  readonly warm: WarmSocket
  readonly identity: Identity
  /** What the socket is handed over to. */
  readonly open: Opener
  readonly side: SideName
  /** Signs what goes to the gateway within the session. */
  readonly key: Buffer
  /** Signs what goes to the other side. */
  readonly probeKey: Buffer
  /** What may be sent for this order. */
  readonly allowance: OrderAllowance
  /** Doors of the gateway's relay besides UDP. */
  readonly doors: readonly Door[]
  /** The addresses of this host that the gateway is told, with their subnets. */
  readonly links: () => Promise<readonly Address[]>
  /** Whether an address of this host may stand in a message. */
  readonly mayTell: (address: string) => boolean
  /** Called when the path is found and the socket is about to be handed over. */
  readonly found: () => void
  /** Aborted when the order is called off. */
  readonly signal: AbortSignal
}

/** What an order came to: an open connection, and the door of the relay that it goes through. */
export interface Obeyed extends Opened {
  /** Left out: UDP, or no relay. */
  readonly door?: Door
}

/**
 * Resolves with the open connection. Rejects with what `signal` aborts with, `timeout`, `udp-blocked`, `fingerprint-mismatch` or
 * `io`.
 */
export async function obey(message: Message<FromGateway, 'order'>, obeying: Obeying, diary: Diary): Promise<Obeyed> {
  const { identity, open, allowance, signal } = obeying
  const orderMs = Math.min(ORDER_MS, Math.ceil(message.waitMs + message.handoverMs))
  const late = AbortSignal.any([signal, timeoutSignal(orderMs)])
  const step = (name: string) => diary.step(name)
  const { raw, remote, isHeard, ufrag, shim } = await path(message, { ...obeying, signal: late }, diary)
  try {
    // The agent begins to send now: a check now and then, at one endpoint. The socket is still the ordered one.
    if (!isHeard && !allowance.take()) throw tooMuch
    obeying.found()
    await raw.quiet()
    const { mtu = PACKET_BYTES } = message
    const { remote: far } = message.handover
    const handover = { ...message.handover, remote: ufrag ? { ...far, ufrag } : far }
    const handing = { handover, mtu, remote, identity, step }
    const checkMs = isHeard ? checkMsOf(message.handoverMs) : undefined
    const opened = await handOver(raw, open, { ...handing, checkMs, signal: late })
    if (!shim || message.order.kind !== 'splice') return opened
    // The shim is nobody's far end but the agent's.
    return { ...opened, remote: message.order.target, door: shim.door, transport: closing(opened.transport, shim) }
  } catch (error) {
    shim?.close()
    throw error
  }
}

/** The transport, with which the shim before its door goes. */
const closing = (transport: Transport, shim: Shim): Transport => ({
  state: () => transport.state(),
  createDataChannel: (label, options) => transport.createDataChannel(label, options),
  bytesSent: () => transport.bytesSent(),
  bytesReceived: () => transport.bytesReceived(),
  onStateChange: handle => transport.onStateChange(handle),
  onDataChannel: handle => transport.onDataChannel(handle),
  close() {
    transport.close()
    shim.closeSoon()
  }
})

async function path(
  { order, handover, session, afterMs, patienceMs }: Message<FromGateway, 'order'>,
  obeying: Obeying,
  diary: Diary
): Promise<Path & { readonly shim?: Shim }> {
  const { warm, probeKey, side, allowance, signal } = obeying
  const punch = (
    effort: Effort,
    timing: { afterMs?: number; patienceMs?: number | undefined } = {},
    raw: RawSocket = warm.raw
  ) => findPath(raw, { effort, ...timing, probeKey, handover, allowance, signal }, diary)
  switch (order.kind) {
    case 'ice': {
      const remote = onlyTarget(order)
      if (!remote) return await punch(order, { afterMs })
      if (handover.role === 'active') return await punch(order, { afterMs, patienceMs })
      if (afterMs > 0) await sleep(afterMs, undefined, { signal })
      diary.flows = 1
      return { raw: warm.raw, remote, isHeard: false }
    }
    case 'punch': {
      const { hosts } = order
      if (!hosts) return await punch(order, { afterMs })
      const targets = await found(hosts, await obeying.links(), signal)
      if (targets.length === 0)
        throw new PosternError('io', 'nobody on a link of this host answers to the names of the other side')
      return await punch({ ...order, targets })
    }
    case 'splice': {
      const { raw, target, shim } = await latch(order, { ...obeying, username: `s:${session}:${side}` })
      diary.step('latched')
      if (raw !== warm.raw) diary.step('beside')
      try {
        const blind = { raw, remote: target, isHeard: false }
        const found = order.blind ? blind : await punch({ targets: [target] }, {}, raw)
        return shim ? { ...found, shim } : found
      } catch (error) {
        shim?.close()
        if (raw !== warm.raw) await raw.close()
        throw error
      }
    }
  }
}

const tooMuch = new PosternError('timeout', 'this peer sends as much as it may for all its orders together')
