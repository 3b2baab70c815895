// The root of a connect request: what is known when it comes, and what is known of the two sides when it is judged.

import type { Attributes } from '@opentelemetry/api'
import type { Link } from '../../strategy/chain.ts'
import { formatEndpoint } from '../../wire/endpoint.ts'
import { type Role, roles } from '../../wire/role.ts'
import type { Joined } from '../peers/joined.ts'
import type { Observer } from '../peers/observer.ts'
import { clockAttributes } from './clock.ts'

type Pair = Readonly<Record<Role, Joined>> & { readonly id: string }

/** How long ago another peer's datagram shows that the gateway's UDP ports can be reached, in milliseconds. */
const HEARD_MS = 60_000

export const requestAttributes = (
  { id, caller, callee }: Pair,
  { links, deadlineMs }: { readonly links: readonly Link[]; readonly deadlineMs: number }
): Attributes => ({
  'postern.caller': caller.name,
  'postern.callee': callee.name,
  'postern.session': id,
  'postern.strategies': links.map(({ name }) => name),
  'postern.relay.configured': links.some(({ lastResort }) => lastResort),
  'postern.deadline': deadlineMs,
  'postern.gateway.addresses': new Set(callee.endpoints.map(({ address }) => address)).size,
  'postern.gateway.ports': callee.endpoints.length
})

/** Late, because a peer may have told its clock, and others may have been heard, only after the request. */
export const sidesAttributes = (pair: Pair, observer: Observer): Attributes => ({
  'postern.gateway.heard': observer.heardOthers(
    roles.map(role => pair[role].id),
    HEARD_MS
  ),
  'postern.gateway.deaf': observer.deaf(HEARD_MS).map(formatEndpoint),
  ...clockAttributes('caller', pair.caller.clock),
  ...clockAttributes('callee', pair.callee.clock)
})
