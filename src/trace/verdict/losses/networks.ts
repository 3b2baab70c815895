// Rules for what became of the networks under a path: an address, a NAT, the gateway, what lies between the two sides.

import { otherSide, type SideName, sideNames } from '../../../wire/side.ts'
import { blame, nameOf, namesOf } from '../causes/finding.ts'
import { areWhereTheyWere, directSearch, hasOtherPort, isElsewhere, type LossFacts, sidesOf } from './facts.ts'
import { heardLines, type LossFinding, placeLine, searchLine } from './finding.ts'

/** The relay went with the gateway: both sides had to join anew, or the gateway has begun since. */
export function gatewayAway(facts: LossFacts): LossFinding | undefined {
  const { kind, restarted, rejoined } = facts
  const back = sidesOf(rejoined)
  // Networks of both sides that changed at once would have both join anew as well.
  const isBoth =
    back.length === sideNames.length && !back.some(side => isMoved(facts, side) || hasForgotten(facts, side))
  if (kind === 'direct' || !(restarted || isBoth)) return undefined
  return {
    code: 'gateway-away',
    side: 'gateway',
    sentence: restarted
      ? `the gateway was started anew, and ${kind ? 'the path through its relay was lost with the one before' : 'another path was asked for then: one through its relay ends with it'}`
      : 'both sides lost the gateway and the path through its relay, and had to join anew',
    evidence: [
      ...(restarted ? ['the gateway has begun since'] : []),
      ...back.map(side => `${nameOf(facts, side)}: joined anew`),
      ...heardLines(facts)
    ],
    advice: 'see the log of the gateway for why it ended or was not reached; a direct path would not have noticed'
  }
}

/** A side is seen at another address, has another one of its own, or says that its network changed. */
export function addressChanged(facts: LossFacts): LossFinding | undefined {
  const sides = sideNames.filter(side => isMoved(facts, side))
  if (sides.length === 0) return undefined
  return {
    code: 'address-changed',
    side: blame(sides),
    sentence: sides.some(side => isElsewhere(facts, side))
      ? `${namesOf(facts, sides)} changed ${sides.length > 1 ? 'their networks, and the path led to the addresses' : 'its network, and the path led to the address'} before`
      : `${namesOf(facts, sides)} told of other addresses, or another default route, when the path was lost`,
    evidence: sides.flatMap(side => movesOf(facts, side)),
    advice:
      'nothing, if it was meant to; a computer that changes networks often gets on best where the gateway has a relay'
  }
}

const isMoved = (facts: LossFacts, side: SideName): boolean =>
  isElsewhere(facts, side) === true || (facts.changed[side] === true && isElsewhere(facts, side) === undefined)

function movesOf(facts: LossFacts, side: SideName): string[] {
  const [was, is, name] = [facts.before[side], facts.after[side], nameOf(facts, side)]
  return [
    ...(was && is && was.address !== is.address
      ? [`${name}: seen at ${was.address} before, and at ${is.address} after`]
      : []),
    ...(was?.own && is?.own && was.own !== is.own ? [`${name}: its own address was ${was.own}, and is ${is.own}`] : []),
    ...(facts.changed[side] ? [`${name}: told that its network changed`] : [])
  ]
}

/**
 * A side is where it was, and its sockets have other ports than before; or its link to the gateway, which is TCP, did not
 * outlive that moment either, while that of the other side did.
 */
export function natForgot(facts: LossFacts): LossFinding | undefined {
  const remapped = sideNames.filter(side => hasForgotten(facts, side))
  const sides = remapped.length > 0 ? remapped : sideNames.filter(side => lostAll(facts, side))
  if (sides.length === 0) return undefined
  return {
    code: 'nat-forgot',
    side: blame(sides),
    sentence:
      remapped.length > 0
        ? `the NAT of ${namesOf(facts, sides)} forgot its mappings and gave other ports, so the path led nowhere`
        : `${namesOf(facts, sides)} lost the path and its link to the gateway at once, at the same address: its NAT or line began anew`,
    evidence: sides.flatMap(side => [
      ...portsOf(facts, side),
      ...(facts.rejoined[side] !== undefined
        ? [`${nameOf(facts, side)}: joined anew, so its TCP connection was lost as well`]
        : []),
      ...placeLine(facts, side)
    ]),
    advice: 'see whether that router restarts, or drops what it knows when its line comes back'
  }
}

function hasForgotten(facts: LossFacts, side: SideName): boolean {
  const remapping = facts.remapped[side]
  const isUsual = facts.before[side]?.isForgetful === true
  return remapping !== undefined && !isUsual && hasOtherPort(remapping) && isElsewhere(facts, side) !== true
}

/** A link that is lost with the path is made anew so soon, in milliseconds. */
const AT_ONCE_MS = 15_000

function lostAll(facts: LossFacts, side: SideName): boolean {
  const { kind, rejoined, changed, atMs } = facts
  const isAtOnce = (rejoined[side] ?? Infinity) <= atMs + AT_ONCE_MS && rejoined[otherSide(side)] === undefined
  return kind === 'direct' && isAtOnce && isElsewhere(facts, side) === false && !changed[side]
}

function portsOf(facts: LossFacts, side: SideName): string[] {
  const remapping = facts.remapped[side]
  return remapping ? [`${nameOf(facts, side)}: a socket seen at ${remapping.was} was seen at ${remapping.is} then`] : []
}

/** No UDP of a side reaches the gateway any more. */
export function udpBlocked(facts: LossFacts): LossFinding | undefined {
  const sides = sidesOf(facts.blocked)
  if (sides.length === 0) return undefined
  return {
    code: 'udp-blocked',
    side: blame(sides),
    sentence: `no UDP of ${namesOf(facts, sides)} reaches the gateway any more, which is still reached by TCP`,
    evidence: [...sides.map(side => `${nameOf(facts, side)}: ${facts.blocked[side]}`), ...heardLines(facts)],
    advice: 'see which firewall in front of that computer, or on it, has begun to drop UDP'
  }
}

/** Both are where they were and reach the gateway, and what worked between them before finds no answer now. */
export function pathCut(facts: LossFacts): LossFinding | undefined {
  const search = directSearch(facts)
  const isTried = search && !search.found && search.unheard && search.heard.length === 0
  if (facts.kind !== 'direct' || !isTried || !areWhereTheyWere(facts)) return undefined
  return {
    code: 'path-cut',
    side: 'path',
    sentence: 'nothing passes between the two any more, although both are where they were and reach the gateway',
    evidence: [...heardLines(facts), searchLine(facts, search), ...sideNames.flatMap(side => placeLine(facts, side))],
    advice: 'see what changed between the two networks: a route, a firewall, or a filter of one of their providers'
  }
}
