// `map` has the other side send to an endpoint from where a router leads to this side's socket: a port that the router gave on
// request, or a forward made by hand. It works whatever the two NATs do: anybody may send to that endpoint.
//
// A forward does not change the port of what the socket sends of its own accord. So the mapped side is silent until it is
// heard, and then answers: the router knows that flow, and sends its answers from the forwarded port.

import { type Plan, type Proposal, pass } from '../strategy/plan.ts'
import type { Plugin } from '../strategy/plugin.ts'
import type { Open, Scene, Side } from '../strategy/scene.ts'
import { formatEndpoint } from '../wire/endpoint.ts'
import type { ForwardOrigin } from '../wire/forward.ts'
import type { Order } from '../wire/order.ts'
import { otherSide, type SideName } from '../wire/side.ts'
import { bySide, waitMsOf } from './hard.ts'
import { waitRange } from './reach.ts'

interface Options {
  /** Milliseconds for the probes, on top of the round trips: room for two lost ones. */
  readonly waitMs: number
}

export const map: Plugin<Options> = {
  name: 'map',
  defaults: { waitMs: '700ms' },
  ranges: waitRange,
  remedies: { suits: ({ caller, callee }) => caller.isOpen === true || callee.isOpen === true },
  start: ({ waitMs }) => ({ plan: scene => plans(scene, waitMs) })
}

/** The callee comes first, since it is the passive side of most plans. */
function* plans(scene: Scene, waitMs: number): Iterable<Proposal> {
  let tried = 0
  for (const side of ['callee', 'caller'] as const) {
    const { open } = scene[side]
    if (!open) continue
    tried++
    yield toOpen(scene, side, { open, waitMs })
  }
  if (tried === 0) yield pass(`no port is forwarded to ${reasonOf(scene.caller)}, nor to ${reasonOf(scene.callee)}`)
}

function toOpen(scene: Scene, side: SideName, { open, waitMs }: { open: Open; waitMs: number }): Plan {
  const sends: Order = { kind: 'punch', targets: [open.endpoint] }
  const listens: Order = { kind: 'punch', targets: [] }
  return {
    kind: 'plan',
    ...bySide(side, listens, sends),
    passive: side,
    waitMs: waitMsOf(scene, waitMs),
    why: `${scene[otherSide(side)].name} to ${formatEndpoint(open.endpoint)}, which ${origins[open.by]} leads to ${scene[side].name}`,
    label: side
  }
}

const origins: Readonly<Record<ForwardOrigin, string>> = {
  given: 'a forward made by hand',
  pcp: "a router's port (PCP)",
  'nat-pmp': "a router's port (NAT-PMP)",
  upnp: "a router's port (UPnP)"
}

function reasonOf({ name, claim }: Side): string {
  switch (claim?.state) {
    case undefined:
      return name
    case 'proving':
      return `${name} (its forward was not proved in time)`
    case 'unheard':
      return `${name} (its forward leads nowhere)`
    case 'refused':
      return `${name} (its forward was refused)`
  }
}
