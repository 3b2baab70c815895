// Obeys one order of the gateway: finds the path with the raw socket, and hands the socket over. The diary notes the steps.
// The kinds of order differ only in what comes before the handover.
//
//   ice      passive: hand over at once, the first ICE check is the punch        active: as punch, for a moment
//   punch    passive: probe until one is answered, or heard                       active: probe until the check comes
//   splice   latch at the gateway's relay, from another port if need be, then as punch with the gateway as the only target

import { setTimeout as sleep } from 'node:timers/promises'
import { timeoutSignal } from '../../clock.ts'
import { PosternError } from '../../errors.ts'
import type { Endpoint } from '../../wire/endpoint.ts'
import { checkMsOf, type Effort } from '../../wire/order.ts'
import type { SideName } from '../../wire/side.ts'
import type { FromGateway, Message } from '../../wire/signal.ts'
import type { Identity } from '../identity/identity.ts'
import type { Opener } from '../transport/transport.ts'
import { ORDER_MS, type OrderAllowance } from './allowance.ts'
import { ALONE_MS, firstAnswered } from './beside.ts'
import type { Diary } from './diary.ts'
import { handOver, type Opened } from './handover.ts'
import { findPath, type Path } from './probe.ts'
import { RawSocket } from './raw.ts'
import { prove, type WarmSocket } from './warm.ts'

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
  /** Called when the path is found and the socket is about to be handed over. */
  readonly found: () => void
  /** Aborted when the order is called off. */
  readonly signal: AbortSignal
}

/** Resolves with the open connection. Rejects with what `signal` aborts with, `timeout`, `fingerprint-mismatch` or `io`. */
export async function obey(message: Message<FromGateway, 'order'>, obeying: Obeying, diary: Diary): Promise<Opened> {
  const { identity, open, allowance, signal } = obeying
  const orderMs = Math.min(ORDER_MS, Math.ceil(message.waitMs + message.handoverMs))
  const late = AbortSignal.any([signal, timeoutSignal(orderMs)])
  const step = (name: string) => diary.step(name)
  const { raw, remote, isHeard } = await path(message, { ...obeying, signal: late }, diary)
  // The agent begins to send now: a check now and then, at one endpoint. The socket is still the ordered one.
  if (!isHeard && !allowance.take()) throw tooMuch
  obeying.found()
  await raw.quiet()
  const checkMs = isHeard ? checkMsOf(message.handoverMs) : undefined
  return await handOver(raw, open, { handover: message.handover, remote, identity, step, checkMs, signal: late })
}

async function path(
  { order, handover, session, afterMs, patienceMs }: Message<FromGateway, 'order'>,
  obeying: Obeying,
  diary: Diary
): Promise<Path> {
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
    case 'punch':
      return await punch(order, { afterMs })
    case 'splice': {
      const raw = await latch(order.target, `s:${session}:${side}`, obeying)
      diary.step('latched')
      if (raw === warm.raw) return await punch({ targets: [order.target] })
      diary.step('beside')
      try {
        return await punch({ targets: [order.target] }, {}, raw)
      } catch (error) {
        await raw.close()
        throw error
      }
    }
  }
}

/**
 * Latches at the relay: the warm socket, or another if nothing comes back to its port any more (beside.ts). The relay takes the
 * one that proved itself last, so another proves itself once more when it has won.
 */
async function latch(
  target: Endpoint,
  username: string,
  { warm, key, allowance, signal }: Obeying
): Promise<RawSocket> {
  const may = () => allowance.take()
  const candidate = (raw: RawSocket, nonce?: Buffer) => ({
    raw,
    async show(signal: AbortSignal, answered: () => void) {
      await prove(raw, target, username, { key, nonce, may, signal })
      answered()
    }
  })
  const another = async (farFrom: readonly number[]) => candidate(await RawSocket.bind(farFrom))
  const first = candidate(warm.raw, warm.nonce)
  const terms = { aloneMs: ALONE_MS + warm.rttMs }
  const { raw } = (await firstAnswered(first, another, signal, terms)).candidate
  try {
    if (raw !== warm.raw) await prove(raw, target, username, { key, may, signal })
    return raw
  } catch (error) {
    if (raw !== warm.raw) await raw.close()
    throw error
  }
}

/** The far side's endpoint, if it is known for sure. */
function onlyTarget({ targets, guesses = [], sockets = 1 }: Effort): Endpoint | undefined {
  return targets.length === 1 && guesses.length === 0 && sockets === 1 ? targets[0] : undefined
}

const tooMuch = new PosternError('timeout', 'this peer sends as much as it may for all its orders together')
