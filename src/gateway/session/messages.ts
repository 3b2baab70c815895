// What a session says to its peers, but for the orders (orders.ts).

import { PosternError } from '../../errors.ts'
import type { Attempt } from '../../strategy/scene.ts'
import type { Strategy, Turn } from '../../strategy/turn.ts'
import type { Verdict } from '../../verdict.ts'
import { otherSide, type SideName } from '../../wire/side.ts'
import { type FromGateway, type Message, OVER_CHARACTERS } from '../../wire/signal.ts'
import type { Member } from '../peers/member.ts'

/** Longest reason of a strategy that its message has room for. */
const REASON_CHARACTERS = 500

/** A session as its messages tell of it. */
export interface Told extends Readonly<Record<SideName, Member>> {
  readonly id: string
  /** What each side signs its own datagrams to the gateway with. */
  readonly keys: Readonly<Record<SideName, Buffer>>
  /** What both sides sign their probes to each other with. */
  readonly probeKey: Buffer
}

/** @param request the caller's own number for it */
export function introduction(
  { id, keys, probeKey, ...sides }: Told,
  side: SideName,
  { request, trace }: { readonly request: number; readonly trace: string }
): Message<FromGateway, 'session'> {
  const { name, fingerprint, named } = sides[otherSide(side)]
  return {
    type: 'session',
    session: id,
    ...(side === 'caller' ? { request } : {}),
    role: side,
    peer: { name, fingerprint, named },
    key: keys[side].toString('base64'),
    probeKey: probeKey.toString('base64'),
    trace
  }
}

/** @param ms how long the turn took */
export const turnMessage = (
  { id }: Pick<Told, 'id'>,
  { name }: Pick<Strategy, 'name'>,
  { outcome, reason }: Turn,
  ms: number
): Message<FromGateway, 'strategy'> => ({
  type: 'strategy',
  session: id,
  name,
  outcome,
  reason: reason.slice(0, REASON_CHARACTERS),
  ms: Math.round(ms * 10) / 10
})

/** @param bitsPerSecond the relay's limit; left out on a direct path */
export const pathMessage = (
  { id }: Pick<Told, 'id'>,
  { by, bitsPerSecond, verdict }: { by: string; bitsPerSecond: number | undefined; verdict: Verdict | undefined }
): Message<FromGateway, 'path'> => ({
  type: 'path',
  session: id,
  by,
  kind: bitsPerSecond === undefined ? 'direct' : 'relay',
  ...(bitsPerSecond === undefined ? {} : { bitsPerSecond }),
  ...(verdict ? { verdict } : {})
})

/** What a request ends with when every strategy has passed or failed, and what each of them said. */
export const noPath = ({ name }: Pick<Member, 'name'>, attempts: readonly Attempt[]): PosternError => {
  const tried = attempts.map(({ by, outcome, reason }) => `${by} ${outcome} (${reason})`)
  return new PosternError('no-path', `no path to ${name}: ${tried.join('; ')}`)
}

export const overMessage = (
  { id }: Pick<Told, 'id'>,
  { code, message }: PosternError,
  { trace, verdict }: { trace: string; verdict: Verdict | undefined }
): Message<FromGateway, 'over'> => ({
  type: 'over',
  session: id,
  code,
  reason: message.slice(0, OVER_CHARACTERS),
  trace,
  ...(verdict ? { verdict } : {})
})
