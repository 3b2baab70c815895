// Who could not be reached at all, or did not do as it was told: the gateway's own endpoints, a side's UDP, a side's orders.

import { otherRole, type Role, roles } from '../../scene.ts'
import { type Facts, latest, type PlanFacts } from '../facts.ts'
import { blame, count, type Finding, nameOf, namesOf, sideLine } from './finding.ts'

const OPEN_UDP = 'open UDP outbound to the gateway (listen.udp.ports, 3478-3479) in the firewall of that network'

/** A side showed no socket at all, or never latched at the relay though it obeyed. */
export function udpBlocked(facts: Facts): Finding | undefined {
  const silent = silentSides(facts)
  if (silent.length === 2 && facts.gateway.heard === false) return undefined
  return silent.length > 0 ? blockedFromStart(facts, silent) : blockedLater(facts)
}

function blockedFromStart(facts: Facts, silent: readonly Role[]): Finding {
  return {
    code: 'udp-blocked',
    side: blame(silent),
    sentence: `no UDP datagram of ${namesOf(facts, silent)} reached the gateway`,
    evidence: [
      ...roles.map(
        role => `${nameOf(facts, role)}: ${silent.includes(role) ? 'no mapping was seen' : 'UDP was heard'}`
      ),
      ...(facts.gateway.heard === undefined
        ? []
        : [`other peers were ${facts.gateway.heard ? '' : 'not '}heard over UDP within a minute`])
    ],
    advice: OPEN_UDP
  }
}

function blockedLater(facts: Facts): Finding | undefined {
  const relay = facts.plans.findLast(({ isRelay, isOpen }) => isRelay && !isOpen)
  if (!relay) return undefined
  const silent = roles.filter(role => {
    const { reported, steps, latched } = relay.sides[role]
    return reported && !steps.includes('latched') && latched === undefined
  })
  if (silent.length === 0) return undefined
  return {
    code: 'udp-blocked',
    side: blame(silent),
    sentence: `UDP of ${namesOf(facts, silent)} reached the gateway before, and not when it was to use the relay`,
    evidence: silent.map(role => sideLine(facts, role, relay.sides[role])),
    advice: OPEN_UDP
  }
}

/** The sides that had no socket to use, of those that were waited for. */
function silentSides({ waits, code, profiles }: Facts): Role[] {
  if (code !== 'udp-blocked') return []
  const wait = waits.findLast(({ fresh, failed }) => !fresh && failed)
  if (!wait) return roles.filter(role => profiles[role].length === 0)
  const without = wait.sides.filter(role => !wait.warm.includes(role) && profiles[role].length === 0)
  return without.length > 0 ? without : [...wait.cold]
}

const PUBLISH = 'publish every port of listen.udp.ports over UDP: container, cloud firewall and host firewall'

/** Two networks may block UDP, but hardly all of them. */
export function nobodyHeard(facts: Facts): Finding | undefined {
  if (silentSides(facts).length < 2 || facts.gateway.heard !== false) return undefined
  return {
    code: 'gateway-ports',
    side: 'gateway',
    sentence: 'no UDP datagram of either side reached the gateway, nor of anybody else',
    evidence: ['neither side showed a mapping', 'nobody else was heard over UDP within a minute'],
    advice: PUBLISH
  }
}

/** An endpoint that neither side reached. */
export function gatewayPorts(facts: Facts): Finding | undefined {
  const { endpoints } = facts.gateway
  const seen = new Set(roles.flatMap(role => facts.profiles[role].flatMap(({ vias }) => vias)))
  if (endpoints === undefined || seen.size === 0 || seen.size >= endpoints) return undefined
  return {
    code: 'gateway-ports',
    side: 'gateway',
    sentence: `neither side reached more than ${seen.size} of the gateway's ${endpoints} UDP endpoints, so mappings could not be told`,
    evidence: [`reached: ${[...seen].join(', ')}`, ...roles.map(role => viaLine(facts, role))],
    advice: PUBLISH
  }
}

const viaLine = (facts: Facts, role: Role) =>
  `${nameOf(facts, role)} was seen by ${viasOf(facts, role).size} of ${facts.gateway.endpoints ?? 'the'} endpoints`

const viasOf = (facts: Facts, role: Role) => new Set(facts.profiles[role].flatMap(({ vias }) => vias))

/** One side alone cannot reach some endpoints, so that its mapping is unknown. */
export function somePortsBlocked(facts: Facts): Finding | undefined {
  const { endpoints } = facts.gateway
  if (endpoints === undefined) return undefined
  const short = roles.filter(
    role => viasOf(facts, role).size < endpoints && viasOf(facts, otherRole(role)).size === endpoints
  )
  const [side] = short
  if (!side || latest(facts, side)?.mapping !== 'unknown') return undefined
  return {
    code: 'udp-blocked',
    side,
    sentence: `${nameOf(facts, side)} reaches ${viasOf(facts, side).size} of the gateway's ${endpoints} UDP endpoints, so its mapping could not be told`,
    evidence: roles.map(role => viaLine(facts, role)),
    advice: OPEN_UDP
  }
}

export function oneAddress(facts: Facts): Finding | undefined {
  const unknown = roles.filter(role => latest(facts, role)?.mapping === 'unknown')
  if (facts.gateway.addresses !== 1 || unknown.length === 0) return undefined
  return {
    code: 'one-address',
    side: 'gateway',
    sentence: `the gateway has one address, so how ${namesOf(facts, unknown)} ${unknown.length > 1 ? 'are' : 'is'} mapped towards others could not be told`,
    evidence: [
      `1 address and ${count(facts.gateway.endpoints ?? 1)} UDP endpoints`,
      ...unknown.map(role => `${nameOf(facts, role)}: mapping unknown`)
    ],
    advice: 'give the gateway a second address (listen.udp.addresses, and listen.udp.public in a cloud)'
  }
}

/** Of two sides that were given an order one reported, or one said that it could not. */
export function neverObeyed(facts: Facts): Finding | undefined {
  const silent = facts.plans.findLast(plan => silentIn(plan).length === 1)
  const [side] = silent ? silentIn(silent) : []
  const since = silent ? facts.plans.slice(facts.plans.indexOf(silent)) : []
  if (!silent || !side || since.some(({ sides }) => sides[side].reported)) return couldNot(facts)
  return {
    code: 'never-obeyed',
    side,
    sentence: `${nameOf(facts, side)} was joined and did nothing of what it was told`,
    evidence: roles.map(role => `${silent.plugin}: ${sideLine(facts, role, silent.sides[role])}`),
    advice: 'see whether that program hangs, is suspended, or its connection to the gateway is dead; start it again'
  }
}

const silentIn = ({ sides, cause, isOpen }: PlanFacts): Role[] =>
  isOpen || cause === 'shared-budget' || cause === 'gone' ? [] : roles.filter(role => !sides[role].reported)

function couldNot(facts: Facts): Finding | undefined {
  const plan = facts.plans.findLast(({ cause, sides }) => cause === 'failed' && roles.some(role => sides[role].failed))
  const failed = plan ? roles.filter(role => plan.sides[role].failed) : []
  if (!plan || failed.length === 0) return undefined
  return {
    code: 'never-obeyed',
    side: blame(failed),
    sentence: `${namesOf(facts, failed)} could not do what ${plan.plugin} told`,
    evidence: failed.map(role => `${nameOf(facts, role)}: ${plan.sides[role].reason ?? plan.sides[role].code}`),
    advice: 'see the error in the evidence: sockets, ports or rights of that host'
  }
}

/** The next port is told from fresh sockets alone. */
export function noSample(facts: Facts): Finding | undefined {
  const turn = facts.turns.find(({ cause }) => cause === 'no-sample')
  const wait = facts.waits.findLast(({ fresh, failed }) => fresh && failed)
  if (!turn && !wait) return undefined
  const missing = (wait?.sides ?? []).filter(role => !wait?.warm.includes(role))
  const who = missing.length > 0 ? namesOf(facts, missing) : 'a side'
  return {
    code: 'no-sample',
    side: blame(missing),
    sentence: `no mapping of a fresh socket of ${who} was seen in time, so its next port could not be predicted`,
    evidence: turn?.reason ? [`${turn.plugin}: ${turn.reason}`] : ['a fresh socket was asked for, and not seen'],
    advice: 'see whether that network loses packets, or its NAT has no room for new mappings'
  }
}
