// Latches a side at the relay: over UDP, from another port if need be (beside.ts), or through another door (doors/enter.ts) where the
// order says that UDP is blocked. Where UDP is merely not answered soon, the doors are tried beside it, and the first proof that is
// taken counts. The relay takes who proved itself last, so a winner that was not alone proves itself once more.
//
//   UDP ───────────── 300 ms + a round trip ──┬── answered: it stays
//                                             └── doors ───────── answered: one stays, with a shim before it

import { setTimeout as sleep } from 'node:timers/promises'
import { messageOf, PosternError } from '../../errors.ts'
import type { Endpoint } from '../../wire/endpoint.ts'
import type { Order } from '../../wire/order.ts'
import { type Door, ofKinds } from '../doors/door.ts'
import { type Entered, enter } from '../doors/enter.ts'
import { Shim } from '../doors/shim.ts'
import type { OrderAllowance } from './allowance.ts'
import { ALONE_MS, firstAnswered } from './beside.ts'
import { localAddress } from './interfaces.ts'
import { RawSocket } from './raw.ts'
import { prove, type WarmSocket } from './warm.ts'

export interface Latching {
  readonly warm: WarmSocket
  /** Signs what goes to the gateway within the session. */
  readonly key: Buffer
  readonly username: string
  readonly allowance: OrderAllowance
  readonly doors: readonly Door[]
  /** Whether an address of this host may stand in a message. */
  readonly mayTell: (address: string) => boolean
  readonly signal: AbortSignal
}

export interface Latched {
  readonly raw: RawSocket
  /** Where the other side is heard from now on. */
  readonly target: Endpoint
  /** Through another door than UDP. */
  readonly shim?: Shim
}

/** Rejects with `timeout`, `udp-blocked`, or what `signal` aborts with. Only the warm socket is open then. */
export async function latch(order: Extract<Order, { kind: 'splice' }>, latching: Latching): Promise<Latched> {
  const { doors, target } = order
  const { warm, signal } = latching
  const known = doors ? ofKinds(latching.doors, doors) : latching.doors
  if (doors)
    return await behindShim(await enter(known, latching, signal), warm.raw, target, { ...latching, doors: known })
  if (known.length === 0) return { raw: await overUdp(target, latching), target }
  const udp = new AbortController()
  const other = new AbortController()
  const direct = overUdp(target, { ...latching, signal: AbortSignal.any([signal, udp.signal]) })
  const around = late(ALONE_MS + warm.rttMs, known, { ...latching, signal: AbortSignal.any([signal, other.signal]) })
  // Then the warm socket is closed.
  let isVain = false
  direct.catch(() => {
    isVain = true
  })
  const first = await either(direct, around)
  if (first instanceof RawSocket) {
    other.abort(outrun)
    void around.then(({ line }) => line.close()).catch(() => {})
    return { raw: first, target }
  }
  const raw = isVain ? await RawSocket.bind() : warm.raw
  udp.abort(outrun)
  // What was answered just then is given up.
  await direct.then(async other => void (other !== raw && (await other.close()))).catch(() => {})
  try {
    await first.line.prove(latching, signal)
    return await behindShim(first, raw, target, latching)
  } catch (error) {
    first.line.close()
    if (raw !== warm.raw) await raw.close()
    throw error
  }
}

async function either(direct: Promise<RawSocket>, around: Promise<Entered>): Promise<RawSocket | Entered> {
  try {
    return await Promise.any([direct, around])
  } catch (error) {
    const [udp, doors] = error instanceof AggregateError ? error.errors : [error]
    const { code } = udp instanceof PosternError ? udp : { code: 'timeout' as const }
    throw new PosternError(code, `${messageOf(udp)}; ${messageOf(doors)}`, { cause: error })
  }
}

async function late(waitMs: number, doors: readonly Door[], latching: Latching): Promise<Entered> {
  await sleep(waitMs, undefined, { signal: latching.signal })
  return await enter(doors, latching, latching.signal)
}

/** The agent gets the port of this socket, which talks to this host alone from now on. */
async function behindShim(
  entered: Entered,
  raw: RawSocket,
  gateway: Endpoint,
  { doors, username, key, mayTell }: Latching
): Promise<Latched> {
  const own = await localAddress(gateway)
  const address = own !== '0.0.0.0' && mayTell(own) ? own : '127.0.0.1'
  const shim = await Shim.open(entered, { address, agentPort: raw.port, doors, proof: { username, key } })
  return { raw, target: shim.endpoint, shim }
}

async function overUdp(target: Endpoint, { warm, username, key, allowance, signal }: Latching): Promise<RawSocket> {
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

const outrun = new PosternError('timeout', 'another way to the relay was answered first')
