// Rules for what could not be reached at all, and for who did not do as it was told: the gateway's own endpoints, a side's
// UDP, a side's orders.

import { otherSide, type SideName, sideNames } from '../../../wire/side.ts'
import { type Facts, latest, type PlanFacts, unsampled } from '../facts.ts'
import { doored } from './absent.ts'
import { blame, count, type Finding, nameOf, namesOf, OPEN_UDP, PUBLISH, sideLine, turnLine } from './finding.ts'

/** A side showed no socket at all, or never latched at the relay though it obeyed. */
export function udpBlocked(facts: Facts): Finding | undefined {
  const silent = silentSides(facts)
  if (silent.length === 0) return blockedLater(facts)
  if (isDeaf(facts)) return undefined
  return {
    code: 'udp-blocked',
    side: blame(silent),
    sentence: `no UDP datagram of ${namesOf(facts, silent)} reached the gateway`,
    evidence: [
      ...sideNames.map(
        side => `${nameOf(facts, side)}: ${silent.includes(side) ? 'no mapping was seen' : 'UDP was heard'}`
      ),
      ...(facts.gateway.heard === undefined
        ? []
        : [`other peers were ${facts.gateway.heard ? '' : 'not '}heard over UDP within a minute`])
    ],
    advice: OPEN_UDP
  }
}

function blockedLater(facts: Facts): Finding | undefined {
  const [side, ...more] = neverLatched(facts)
  const relay = lastRelay(facts)
  if (!relay || !side || more.length > 0) return undefined
  return {
    code: 'udp-blocked',
    side,
    sentence: `UDP of ${nameOf(facts, side)} reached the gateway before, and not when it was to use the relay`,
    evidence: [sideLine(facts, side, relay.sides[side])],
    advice: OPEN_UDP
  }
}

const lastRelay = ({ plans }: Facts) => plans.findLast(({ isRelay, isOpen }) => isRelay && !isOpen)

/** The sides that did as they were told, and were not heard at the relay. */
function neverLatched(facts: Facts): SideName[] {
  const relay = lastRelay(facts)
  if (!relay) return []
  // What is wrong with these is told by behindDoor.
  const known = doored(facts)
  return sideNames.filter(side => {
    if (known.includes(side)) return false
    const { reported, steps, latched } = relay.sides[side]
    return reported && !steps.includes('latched') && latched === undefined
  })
}

/** The sides that were waited for, and had no socket to use. */
function silentSides({ waits, code, profiles }: Facts): SideName[] {
  if (code !== 'udp-blocked') return []
  const wait = waits.findLast(({ fresh, failed }) => !fresh && failed)
  if (!wait) return sideNames.filter(side => profiles[side].length === 0)
  const known = wait.cold
    .filter(({ code }) => code === 'wrong-family' || code === 'silent-peer')
    .map(({ side }) => side)
  const without = wait.sides.filter(side => !wait.warm.includes(side) && profiles[side].length === 0)
  const silent = without.length > 0 ? without : wait.cold.map(({ side }) => side)
  return silent.filter(side => !known.includes(side))
}

/** Sides that were heard before, and were not when they were asked again because of the other side. */
const lapsed = ({ waits, code }: Facts): SideName[] =>
  code === 'udp-blocked'
    ? sideNames.filter(side => waits.some(({ fresh, cold }) => fresh && cold.some(one => one.side === side)))
    : []

/** True if the gateway is deaf. Two networks may block UDP, but hardly everybody's, and hardly both all of a sudden. */
function isDeaf(facts: Facts): boolean {
  const silent = silentSides(facts)
  const { heard, deaf = [] } = facts.gateway
  if (silent.length === 2) return heard === false || deaf.length > 0
  return silent.length + lapsed(facts).length === 2
}

/** Neither side is heard, and the reason is not theirs. */
export function nobodyHeard(facts: Facts): Finding | undefined {
  const found = (sentence: string, evidence: string[]): Finding => {
    return { code: 'gateway-ports', side: 'gateway', sentence, evidence, advice: PUBLISH }
  }
  const relay = lastRelay(facts)
  if (relay && neverLatched(facts).length === 2)
    return found(
      'UDP of both sides reached the gateway before, and of neither when they were to use the relay',
      sideNames.map(side => sideLine(facts, side, relay.sides[side]))
    )
  if (!isDeaf(facts)) return undefined
  const { heard, deaf = [] } = facts.gateway
  const [before] = lapsed(facts)
  if (before)
    return found(`UDP of ${nameOf(facts, before)} reached the gateway before, and nobody's does now`, [
      `${nameOf(facts, otherSide(before))}: no mapping was seen`,
      `${nameOf(facts, before)}: a mapping was seen, and no other when it was asked for one`
    ])
  if (heard === false)
    return found('no UDP datagram of either side reached the gateway, nor of anybody else', [
      'neither side showed a mapping',
      ...deafLines(facts)
    ])
  return found(
    `neither side could show a mapping, and nobody reaches the gateway at ${deaf.slice(0, 2).join(' and ')}`,
    ['neither side showed a mapping', ...deafLines(facts)]
  )
}

function deafLines({ gateway: { heard, deaf = [] } }: Facts): string[] {
  const at = deaf.map(endpoint => `nobody was heard at ${endpoint} within a minute`)
  return [...(heard === false ? ['nobody else was heard over UDP within a minute'] : []), ...at]
}

/** There is an endpoint that neither side reached, nor anybody else. */
export function gatewayPorts(facts: Facts): Finding | undefined {
  const { endpoints, deaf } = facts.gateway
  const most = Math.max(...sideNames.map(side => seenBy(facts, side)))
  if (endpoints === undefined || most === 0 || most >= endpoints || deaf?.length === 0) return undefined
  return {
    code: 'gateway-ports',
    side: 'gateway',
    sentence: `neither side reached more than ${most} of the gateway's ${endpoints} UDP endpoints, so mappings could not be told`,
    evidence: [...sideNames.map(side => seenLine(facts, side)), ...deafLines(facts)],
    advice: PUBLISH
  }
}

const seenLine = (facts: Facts, side: SideName) =>
  `${nameOf(facts, side)} was seen by ${seenBy(facts, side)} of ${facts.gateway.endpoints ?? 'the'} endpoints`

const seenBy = (facts: Facts, side: SideName) => Math.max(0, ...facts.profiles[side].map(profile => profile.seenBy))

/** One side alone cannot reach some endpoints, so that its mapping is unknown. */
export function somePortsBlocked(facts: Facts): Finding | undefined {
  const { endpoints } = facts.gateway
  if (endpoints === undefined) return undefined
  const side = sideNames.find(which => seenBy(facts, which) < endpoints && seenBy(facts, otherSide(which)) >= endpoints)
  if (!side || !isUntold(facts, side)) return undefined
  return {
    code: 'udp-blocked',
    side,
    sentence: `${nameOf(facts, side)} reaches ${seenBy(facts, side)} of the gateway's ${endpoints} UDP endpoints, so its mapping could not be told`,
    evidence: sideNames.map(which => seenLine(facts, which)),
    advice: OPEN_UDP
  }
}

/** Its mapping could not be told, though the gateway saw it. */
function isUntold(facts: Facts, side: SideName): boolean {
  const profile = latest(facts, side)
  return profile?.mapping === 'unknown' && !profile.hidden
}

export function oneAddress(facts: Facts): Finding | undefined {
  const unknown = sideNames.filter(side => isUntold(facts, side))
  if (facts.gateway.addresses !== 1 || unknown.length === 0) return undefined
  return {
    code: 'one-address',
    side: 'gateway',
    sentence: `the gateway has one address, so how ${namesOf(facts, unknown)} ${unknown.length > 1 ? 'are' : 'is'} mapped towards others could not be told`,
    evidence: [
      `1 address and ${count(facts.gateway.endpoints ?? 1)} UDP endpoints`,
      ...unknown.map(side => `${nameOf(facts, side)}: mapping unknown`)
    ],
    advice: 'give the gateway a second address (listen.udp.addresses, and listen.udp.public in a cloud)'
  }
}

/** Two sides were given an order, and only one reported; or a side said that it could not obey. */
export function neverObeyed(facts: Facts): Finding | undefined {
  const silent = facts.plans.findLast(plan => silentIn(plan).length === 1)
  const [side] = silent ? silentIn(silent) : []
  const since = silent ? facts.plans.slice(facts.plans.indexOf(silent)) : []
  if (!silent || !side || since.some(({ sides }) => sides[side].reported)) return couldNot(facts)
  return {
    code: 'never-obeyed',
    side,
    sentence: `${nameOf(facts, side)} was joined and did nothing of what it was told`,
    evidence: sideNames.map(which => `${silent.plugin}: ${sideLine(facts, which, silent.sides[which])}`),
    advice: 'see whether that program hangs, is suspended, or its connection to the gateway is dead; start it again'
  }
}

const silentIn = ({ sides, cause, isOpen }: PlanFacts): SideName[] =>
  isOpen || cause === 'budget-shared-out' || cause === 'peer-left' || cause === 'peer-lost'
    ? []
    : sideNames.filter(side => !sides[side].reported)

function couldNot(facts: Facts): Finding | undefined {
  const plan = facts.plans.findLast(
    ({ cause, sides }) => cause === 'never-obeyed' && sideNames.some(side => sides[side].failed)
  )
  const failed = plan ? sideNames.filter(side => plan.sides[side].failed) : []
  if (!plan || failed.length === 0) return undefined
  return {
    code: 'never-obeyed',
    side: blame(failed),
    sentence: `${namesOf(facts, failed)} could not do what ${plan.plugin} told`,
    evidence: failed.map(side => `${nameOf(facts, side)}: ${plan.sides[side].reason ?? plan.sides[side].code}`),
    advice: 'see the error in the evidence: sockets, ports or rights of that host'
  }
}

/** Only fresh sockets tell the next port, and one was not seen. */
export function noSample(facts: Facts): Finding | undefined {
  const turn = facts.turns.find(({ cause }) => cause === 'no-sample')
  if (facts.code === 'udp-blocked' || !turn) return undefined
  const missing = unsampled(facts)
  if (missing.some(side => facts.deadPorts[side].length > 0)) return undefined
  const who = missing.length > 0 ? namesOf(facts, missing) : 'a side'
  return {
    code: 'no-sample',
    side: blame(missing),
    sentence: `no mapping of a fresh socket of ${who} was seen in time, so its next port could not be predicted`,
    evidence: [turnLine(turn)],
    advice: 'see whether that network loses packets, or its NAT has no room for new mappings'
  }
}
