// Two sides that are too close to each other: on one host's address, or behind one NAT that does not let them meet there.

import { sideNames } from '../../../wire/side.ts'
import { direct, type Facts, hardSides, hears, isNoBadLuck, type PlanFacts } from '../facts.ts'
import { blame, type Finding, nameOf, namesOf, natLine, sideLine } from './finding.ts'

/**
 * Both are behind one public address, sent there, and nothing came. A NAT that supports hairpinning (RFC 4787 section 6)
 * would have turned these packets round.
 */
export function hairpin(facts: Facts): Finding | undefined {
  const plan = direct(facts).findLast(one => one.isHairpin && isUnheard(one))
  if (!plan || (hardSides(facts).length > 0 && !isNoBadLuck(facts))) return undefined
  const beyond = direct(facts).find(({ label }) => label === BEYOND_SUBNET)
  const isAllowed = beyond || !plan.hasBeyond
  const router = isAllowed
    ? ''
    : '; if that router forwards between their two networks: direct with beyondSubnet: true in the list of strategies'
  return {
    code: 'hairpin',
    side: 'path',
    sentence: `${namesOf(facts, sideNames)} are behind one public address, and what they sent to it did not come back in: its NAT does no hairpinning`,
    evidence: [
      ...sideNames.map(side => `${plan.plugin}: ${sideLine(facts, side, plan.sides[side])}`),
      ...sideNames.map(side => natLine(facts, side)),
      ...(beyond ? [`${beyond.plugin}: neither answered at its private address, beyond the subnet of the other`] : [])
    ],
    advice: `turn on hairpinning (NAT loopback) there, or put both on one network${router}`
  }
}

/** The label of plans of `direct` that aim beyond the own subnets. */
const BEYOND_SUBNET = 'beyond-subnet'

const isUnheard = ({ cause, sides }: PlanFacts) => cause === 'unheard' && !sideNames.some(side => hears(sides[side]))

/** What a side was to send to is its own address: the packets do not leave its host. */
export function ownAddress(facts: Facts): Finding | undefined {
  const sides = sideNames.filter(side => facts.plans.some(plan => !plan.isOpen && plan.sides[side].isOwn))
  if (sides.length === 0) return undefined
  return {
    code: 'own-address',
    side: blame(sides),
    sentence: `${sides.map(side => nameOf(facts, side)).join(' and ')} ${sides.length > 1 ? 'each have' : 'has'} on an interface the very address at which to reach the other, so nothing sent there leaves the host`,
    evidence: [
      ...facts.turns.filter(({ cause }) => cause === 'own-address').map(({ plugin, reason }) => `${plugin}: ${reason}`),
      ...sideNames.map(side => natLine(facts, side))
    ],
    advice: 'give one of the two guests an address of its own (pasta: --address), or put both on one network'
  }
}
