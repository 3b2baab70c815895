// Rules for a side that is not heard over UDP: a firewall of its network is in the way, and it comes through another door; there is
// no IPv4 between it and the gateway; it gives no sign of life at all; or some of its ports are dead.

import { streams } from '../../../wire/doors/door.ts'
import { type SideName, sideNames } from '../../../wire/side.ts'
import { type ColdFacts, coldAs, type Facts, latest, unsampled } from '../facts.ts'
import { blame, type Finding, nameOf, namesOf, OPEN_UDP, PUBLISH } from './finding.ts'

/** A side comes through a door besides UDP, or was to: nothing can be aimed at it. */
export function behindDoor(facts: Facts): Finding | undefined {
  const sides = doored(facts).filter(side => !coldAs(facts, 'wrong-family').some(one => one.side === side))
  if (sides.length === 0) return undefined
  const relay = facts.plans.findLast(({ isRelay }) => isRelay)
  const evidence = sides.map(side => {
    const { door, reason } = { ...relay?.sides[side], reason: coldReason(facts, side) }
    return `${nameOf(facts, side)}: ${reason ?? (door ? `it came to the relay by ${door}` : 'UDP is not answered')}`
  })
  const { heard, deaf = [] } = facts.gateway
  // Two networks may block UDP, but hardly everybody's, and hardly one all of a sudden when the other does.
  const isDeaf = heard === false || deaf.length > 0 || sides.some(side => latest(facts, side))
  if (sides.length === 2 && isDeaf)
    return {
      code: 'gateway-ports',
      side: 'gateway',
      sentence: 'no UDP datagram of either side reaches the gateway now, and both come by another door',
      evidence,
      advice: PUBLISH
    }
  return {
    code: 'udp-blocked',
    side: blame(sides),
    sentence: `no UDP datagram of ${namesOf(facts, sides)} reaches the gateway, so there is nothing to aim at`,
    evidence,
    advice: OPEN_UDP
  }
}

/** The sides whose UDP was known to be blocked, or that came by another door. */
export function doored({ waits, plans }: Facts): SideName[] {
  const wait = waits.findLast(({ fresh, failed }) => !fresh && !failed)
  const relay = plans.findLast(({ isRelay }) => isRelay)
  const cameByStream = (side: SideName) => streams.some(door => door === relay?.sides[side].door)
  return sideNames.filter(side => wait?.cold.some(one => one.side === side) || cameByStream(side))
}

const coldReason = ({ waits }: Facts, which: SideName): string | undefined =>
  waits.flatMap(({ cold }) => cold).findLast(({ side }) => side === which)?.reason

/** A side has no IPv4, or was told an IPv4 address that is not the gateway's for it. */
export function wrongFamily(facts: Facts): Finding | undefined {
  const cold = coldAs(facts, 'wrong-family')
  const told = cold.filter(one => one.told !== undefined)
  const [other] = told
  if (cold.length === 0) return undefined
  const evidence = cold.map(({ side, reason }) => `${nameOf(facts, side)}: ${reason ?? 'no IPv4 path to the gateway'}`)
  if (other)
    return {
      code: 'wrong-family',
      side: 'gateway',
      sentence: `${namesOf(facts, sidesOf(told))} came to the gateway by IPv6, UDP is IPv4 alone, and ${other.told}, the IPv4 address that the gateway told, does not answer`,
      evidence,
      advice: "set listen.udp.public to the gateway's public IPv4 address, or give its name an A record"
    }
  return {
    code: 'wrong-family',
    side: blame(sidesOf(cold)),
    sentence: `${namesOf(facts, sidesOf(cold))} ${cold.length > 1 ? 'have' : 'has'} no IPv4 path to the gateway, and UDP is IPv4 alone`,
    evidence,
    advice: 'give that network IPv4, its own or by translation (464XLAT), or use postern from another network'
  }
}

const sidesOf = (cold: readonly ColdFacts[]): SideName[] => cold.map(({ side }) => side)

export const SILENT_ADVICE =
  'see whether that computer sleeps, has changed networks, or its program is stopped; it joins again within some seconds of being back'

/** A side is joined and gives no sign of life: the network cannot be judged by what it does not say. */
export function silentPeer(facts: Facts): Finding | undefined {
  const cold = coldAs(facts, 'silent-peer')
  if (cold.length === 0) return undefined
  const names = namesOf(facts, sidesOf(cold))
  return {
    code: 'silent-peer',
    side: blame(sidesOf(cold)),
    sentence: `${names} ${cold.length > 1 ? 'are' : 'is'} joined and answers nothing now, neither over UDP nor over the connection to the gateway`,
    evidence: cold.map(({ side, reason }) => `${nameOf(facts, side)}: ${reason ?? 'nothing was heard'}`),
    advice: SILENT_ADVICE
  }
}

/** Fresh ports were not answered, as others of the same host were not before: the network is not at fault. */
export function deadPort(facts: Facts): Finding | undefined {
  const missing = unsampled(facts).filter(side => facts.deadPorts[side].length > 0)
  if (missing.length === 0) return undefined
  return {
    code: 'dead-port',
    side: blame(missing),
    sentence: `UDP ports of ${namesOf(facts, missing)} are dead, and no mapping of a fresh one was seen in time, so the next could not be predicted`,
    evidence: missing.map(
      side =>
        `${nameOf(facts, side)}: nothing came back to its local ports ${facts.deadPorts[side].join(', ')}, while others were answered`
    ),
    advice: 'see which local UDP ports a firewall of that host drops, or other programs of it hold'
  }
}
