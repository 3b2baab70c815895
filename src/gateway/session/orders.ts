// The two orders of a plan as they leave: what the planner wants, and what a session adds. The session adds who waits and
// who begins, what node-datachannel must know, and how long all of it may take.

import { randomBytes } from 'node:crypto'
import type { Plan } from '../../strategy/plan.ts'
import { headStartMs } from '../../strategy/scene.ts'
import { type Handover, handoverMsOf, type IceCredentials, natureOf, type Order } from '../../wire/order.ts'
import { otherSide, type SideName, sideNames } from '../../wire/side.ts'
import type { FromGateway, Message } from '../../wire/signal.ts'
import type { Member } from '../peers/member.ts'

/**
 * How long the active side of an `ice` order listens for the passive side's first check before it starts its own. It starts
 * its own only where a packet between the peers is known to take at least twice as long. Then the passive side's check does
 * not arrive just when the socket changes hands. Nor is that check answered later than the ClientHello arrives, because our
 * answer to it leaves first and goes the same way. The orders arrive no further apart than such a packet takes (triangle
 * inequality, and `afterMs`), so this time is only for their jitter. It saves most of one way between the peers.
 */
const PATIENCE_MS = 10

/**
 * The side that is the DTLS server unless the plan says otherwise. The channel opens first on the client's side, and it is
 * the caller who waits for it.
 */
const PASSIVE: SideName = 'callee'

export interface Ordering {
  readonly session: string
  /** Number of the plan within its session. */
  readonly number: number
  /** Name of the strategy. */
  readonly by: string
  readonly sockets: Record<SideName, number>
  /** Round trips to the gateway, in milliseconds. */
  readonly rttMs: Record<SideName, number>
  /** Round trip between the two networks in milliseconds, where it is known. */
  readonly betweenMs: number | undefined
  /** The credentials of both ICE agents (`agentsOf`). */
  readonly ice: Readonly<Record<SideName, IceCredentials>>
  /** The largest IP packet of the path, in bytes. */
  readonly mtu: number
}

type Pair = Readonly<Record<SideName, Member>>

export function ordersOf(plan: Plan, peers: Pair, ordering: Ordering): { peer: string; message: FromGateway }[] {
  const { session, number, by, sockets, rttMs, betweenMs, ice, mtu } = ordering
  const handovers = handoversOf(plan, peers, ice)
  // No two sides are further apart than their ways by the gateway: what was measured beyond that, a busy host has added.
  const apartMs = Math.min(betweenMs ?? 0, rttMs.caller + rttMs.callee)
  const isFar = apartMs / 2 >= 2 * PATIENCE_MS
  const message = (side: SideName): Message<FromGateway, 'order'> => ({
    ...{ type: 'order', session, plan: number, by },
    socket: sockets[side],
    order: plan[side],
    handover: handovers[side],
    afterMs: (plan.afterMs?.[side] ?? 0) + aheadMs(plan, side, rttMs),
    ...(isFar ? { patienceMs: PATIENCE_MS } : {}),
    waitMs: plan.waitMs,
    handoverMs: handoverMsOf(rttMs.caller + rttMs.callee),
    mtu
  })
  return sideNames.map(side => ({ peer: peers[side].id, message: message(side) }))
}

/** By how many milliseconds an `ice` order reaches the passive side before the active side, by half the round trips. */
function aheadMs(plan: Plan, side: SideName, rttMs: Record<SideName, number>): number {
  if (!natureOf(plan[side]).isBlind || side === activeOf(plan)) return 0
  return headStartMs({ rttMs: rttMs[side] }, { rttMs: rttMs[otherSide(side)] })
}

const passiveOf = ({ passive = PASSIVE }: Plan): SideName => passive
export const activeOf = (plan: Plan): SideName => otherSide(passiveOf(plan))

/** The passive side of an `ice` order hands its socket over at once: its first check is the punch. */
export function blindOf(plan: Plan): SideName | undefined {
  const passive = passiveOf(plan)
  return natureOf(plan[passive]).isBlind ? passive : undefined
}

/** The active side is the DTLS client and controls ICE: it hears the passive side's first check before it binds. */
function handoversOf(plan: Plan, peers: Pair, ice: Ordering['ice']): Record<SideName, Handover> {
  const passive = passiveOf(plan)
  const handover = (side: SideName): Handover => ({
    role: side === passive ? 'passive' : 'active',
    local: ice[side],
    remote: ice[otherSide(side)],
    fingerprint: peers[otherSide(side)].dtls
  })
  return { caller: handover('caller'), callee: handover('callee') }
}

/** The mappings an order makes when it is carried out to its end. */
export function flowsOf(order: Order): number {
  const { effort } = natureOf(order)
  if (!effort) return 0
  const guesses = (effort.guesses ?? []).reduce((sum, { ports }) => sum + ports.length, 0)
  return (effort.targets.length + guesses) * (effort.sockets ?? 1)
}

/** What ICE agents have chosen themselves, and what the gateway chooses for the others. */
export const agentsOf = (chosen: (side: SideName) => IceCredentials | undefined): Ordering['ice'] => ({
  caller: chosen('caller') ?? credentials(),
  callee: chosen('callee') ?? credentials()
})

/** RFC 8445 section 5.3: ufrag has at least 24 bits and pwd at least 128, both of the characters ice-char. */
const credentials = () => ({ ufrag: randomBytes(6).toString('hex'), pwd: randomBytes(16).toString('hex') })
