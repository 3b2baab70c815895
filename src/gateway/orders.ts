// What a session adds to the two orders of a plan: who waits and who begins, what node-datachannel must know, and what
// carrying an order out costs.

import { randomBytes } from 'node:crypto'
import type { Handover, Order } from '../wire/signal.ts'
import { otherRole, type Plan, type Role } from './scene.ts'

/** The side that is the DTLS server unless the plan says otherwise: the caller waits, and the client's side opens first. */
const PASSIVE: Role = 'callee'

export const passiveOf = ({ passive = PASSIVE }: Plan): Role => passive
export const activeOf = (plan: Plan): Role => otherRole(passiveOf(plan))

/** The passive side of an `ice` order hands its socket over at once: its first check is the punch. */
export function blindOf(plan: Plan): Role | undefined {
  const passive = passiveOf(plan)
  return plan[passive].kind === 'ice' ? passive : undefined
}

/** The active side is the DTLS client and controls ICE: it hears the passive side's first check before it binds. */
export function handoversOf(plan: Plan, peers: Record<Role, { readonly fingerprint: string }>): Record<Role, Handover> {
  const passive = passiveOf(plan)
  const ice = { caller: credentials(), callee: credentials() }
  const handover = (role: Role): Handover => ({
    role: role === passive ? 'passive' : 'active',
    local: ice[role],
    remote: ice[otherRole(role)],
    fingerprint: peers[otherRole(role)].fingerprint
  })
  return { caller: handover('caller'), callee: handover('callee') }
}

/** The mappings an order makes when it is carried out to its end. */
export function flowsOf(order: Order): number {
  if (order.kind === 'splice') return 0
  const guesses = (order.guesses ?? []).reduce((sum, { ports }) => sum + ports.length, 0)
  return (order.targets.length + guesses) * (order.sockets ?? 1)
}

/** RFC 8445 section 5.3: at least 24 bits of ufrag and 128 bits of pwd, of the characters ice-char. */
const credentials = () => ({ ufrag: randomBytes(6).toString('hex'), pwd: randomBytes(16).toString('hex') })
