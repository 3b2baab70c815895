// The messages of a session to its peers, except the orders (orders.ts).

import { PosternError } from '../../errors.ts'
import type { Attempt } from '../../strategy/scene.ts'
import type { Strategy, Turn } from '../../strategy/turn.ts'
import { withoutAddresses } from '../../trace/record/addresses.ts'
import type { Verdict } from '../../verdict.ts'
import { otherSide, type SideName } from '../../wire/side.ts'
import { type FromGateway, type Message, OVER_CHARACTERS } from '../../wire/signal.ts'
import type { Member } from '../peers/member.ts'
import type { Passing } from '../relay/splice.ts'

/** The longest reason of a strategy that fits into its message. */
const REASON_CHARACTERS = 500

/** What messages tell of a session. */
export interface Told extends Readonly<Record<SideName, Member>> {
  readonly id: string
  /** The key with which each side signs its datagrams to the gateway. */
  readonly keys: Readonly<Record<SideName, Buffer>>
  /** The key with which both sides sign their probes to each other. */
  readonly probeKey: Buffer
}

/** @param request the caller's own number for it; `continues` the session that made the connection, if it stands already */
export function introduction(
  { id, keys, probeKey, ...sides }: Told,
  side: SideName,
  { request, trace, continues }: Introduced
): Message<FromGateway, 'session'> {
  const { id: peer, name, fingerprint, named, vouch } = sides[otherSide(side)]
  return {
    type: 'session',
    session: id,
    ...(side === 'caller' ? { request } : {}),
    role: side,
    peer: { id: peer, name, fingerprint, named, ...(vouch ? { vouch } : {}) },
    key: keys[side].toString('base64'),
    probeKey: probeKey.toString('base64'),
    trace,
    ...(continues === undefined ? {} : { continues })
  }
}

interface Introduced {
  readonly request: number
  readonly trace: string
  readonly continues?: string | undefined
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

/** @param bitsPerSecond what the relay lets through of what this side sends; left out on a direct path */
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

export const limitMessage = (
  { id }: Pick<Told, 'id'>,
  side: SideName,
  passing: Passing
): Message<FromGateway, 'limit'> => ({
  type: 'limit',
  session: id,
  bitsPerSecond: passing[side],
  incomingBitsPerSecond: passing[otherSide(side)]
})

/** The error that ends a request when every strategy has passed or failed. It tells what each of them said. */
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

/** The message without addresses in what it tells in words, which may be a peer's own: for a pair of which a side shows its address to nobody. */
export const discreet = (message: FromGateway): FromGateway =>
  message.type === 'strategy' || message.type === 'path' || message.type === 'over'
    ? withoutAddresses(message)
    : message
