// The root of a connect request: what is known when it comes, and what is known of the two sides when it is judged.

import { createHmac, randomBytes } from 'node:crypto'
import type { Strategy } from '../../strategy/turn.ts'
import type { SpanAttributes } from '../../trace/record/conventions.ts'
import { formatEndpoint } from '../../wire/endpoint.ts'
import { type SideName, sideNames } from '../../wire/side.ts'
import { type Member, relayOnlyOf } from '../peers/member.ts'
import type { Observer } from '../peers/observer.ts'
import { recordJoin } from './join-span.ts'
import { clockAttributes } from './on-our-clock.ts'
import type { Step } from './step.ts'

type Pair = Readonly<Record<SideName, Member>> & { readonly id: string }

/** How old another peer's datagram may be, in milliseconds, to show that the gateway's UDP ports can be reached. */
const HEARD_MS = 60_000

/** Nobody can tell an address from the word that is made of it. */
const secret = randomBytes(32)

/** Who asked, as the store of traces has to tell it (trace/store/retention.ts). */
export const sourceAttribute = (network: string): SpanAttributes => ({
  'postern.source': createHmac('sha256', secret).update(network).digest('hex').slice(0, 12)
})

export const requestAttributes = (
  { id, caller, callee }: Pair,
  { strategies, deadlineMs }: { readonly strategies: readonly Strategy[]; readonly deadlineMs: number }
): SpanAttributes => ({
  'postern.caller': caller.name,
  'postern.callee': callee.name,
  'postern.session': id,
  ...sourceAttribute(caller.account.network),
  'postern.strategies': strategies.map(({ name }) => name),
  'postern.relay.configured': strategies.some(({ lastResort }) => lastResort),
  'postern.deadline': deadlineMs,
  'postern.gateway.addresses': new Set(callee.endpoints.map(({ address }) => address)).size,
  'postern.gateway.ports': callee.endpoints.length,
  ...Object.fromEntries(relayOnlyOf({ caller, callee }).map(side => [`postern.${side}.relay_only`, true]))
})

/** Attributes of a request that ended with a path. */
export const pathAttributes = ({
  kind,
  by,
  why
}: {
  kind: 'direct' | 'relay'
  by: string
  why: string
}): SpanAttributes => ({
  'postern.outcome': 'path',
  'postern.path': kind,
  'postern.plugin': by,
  'postern.reason': why
})

/** What is known of the two sides when the request is about to be judged; `calledMs` is when the caller called. */
export function recordSides(
  root: Step,
  pair: Pair,
  { observer, calledMs }: { readonly observer: Observer; readonly calledMs: number }
): void {
  for (const side of sideNames) recordJoin(root, { side: side, peer: pair[side], calledMs })
  root.set(sidesAttributes(pair, observer))
}

/** These are asked late: a peer may have told its clock, and others may have been heard, only after the request came. */
const sidesAttributes = (pair: Pair, observer: Observer): SpanAttributes => ({
  'postern.gateway.heard': observer.heardOthers(
    sideNames.map(side => pair[side].id),
    HEARD_MS
  ),
  'postern.gateway.deaf': observer.deaf(HEARD_MS).map(formatEndpoint),
  ...deadPorts('caller', pair.caller),
  ...deadPorts('callee', pair.callee),
  ...clockAttributes('caller', pair.caller.clock),
  ...clockAttributes('callee', pair.callee.clock)
})

const deadPorts = (side: SideName, { deadPorts }: Member): SpanAttributes =>
  deadPorts.length > 0 ? { [`postern.${side}.dead_ports`]: [...deadPorts] } : {}
