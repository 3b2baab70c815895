// `preserve`: for a NAT that gives a socket its own port as the public port whenever that port is free (RFC 4787
// section 4.2.1 calls this port preservation), and that has a separate mapping for each destination. The port that such
// a socket has towards the other peer is then very likely its own port. docs/plugins.md explains each part.

import type { Pass, Plan, Plugin, Scene, Side } from 'postern'

interface Options {
  /** Milliseconds for the probes, on top of the round trips to the gateway. */
  readonly waitMs: number
  /** The strategy passes where its plan would meet with a smaller probability than this. */
  readonly atLeast: number
}

const preserve: Plugin<Options> = {
  name: 'preserve',
  defaults: { waitMs: '700ms', atLeast: 0.2 },
  start: options => ({
    *plan(scene) {
      yield decide(scene, options)
    }
  })
}

export default preserve

/** Datagrams that a side may send: two ports to try, repetitions in case of loss, and answers. */
const PROBES = 64

function decide({ caller, callee }: Scene, { waitMs, atLeast }: Options): Plan | Pass {
  if (hasOneMapping(caller) && hasOneMapping(callee))
    return { kind: 'pass', reason: 'both mappings are endpoint-independent: the observed ports are the right ones' }
  const expected = chance(caller) * chance(callee)
  const share = `the port was preserved with a chance of ${expected.toFixed(2)}`
  if (expected < atLeast) return { kind: 'pass', cause: 'unlikely', expected, reason: share }
  if (caller.probes < PROBES || callee.probes < PROBES)
    return { kind: 'pass', cause: 'budget-shared-out', reason: 'the probes for these addresses are used up' }
  return {
    kind: 'plan',
    caller: { kind: 'punch', ...towards(callee) },
    callee: { kind: 'punch', ...towards(caller) },
    waitMs: waitMs + 3 * (caller.rttMs + callee.rttMs),
    expected,
    why: `${share}: ports ${caller.port} and ${callee.port}`
  }
}

const hasOneMapping = ({ profile }: Side) => profile.mapping === 'endpoint-independent'

/** The share of this side's observed mappings that kept the socket's own port. */
function chance({ profile, observations }: Side): number {
  if (profile.mapping === 'endpoint-independent') return 1
  const kept = observations.filter(({ port, localPort }) => port === localPort)
  return observations.length === 0 ? 0 : kept.length / observations.length
}

/** The observed endpoint first, then the side's own port at the same public address. */
const towards = ({ mapped, port }: Side) => ({
  targets: [mapped],
  guesses: [{ address: mapped.address, ports: [port] }],
  probes: PROBES
})
