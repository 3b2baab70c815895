// What a forwarded port could mend, in words that can be followed: the options and the address are those to be typed. And the
// rule for a port that no home router can forward, because a carrier's NAT lies above it.

import { parseEndpoint } from '../../../wire/endpoint.ts'
import { type SideName, sideNames } from '../../../wire/side.ts'
import { type Facts, hardSides, hasHard, latest } from '../facts.ts'
import { blame, type Finding, nameOf, namesOf, natLine } from './finding.ts'

/** A port that is no well-known one and that no system gives to others by itself. */
const PORT = 4000

/** @param sides one of which needs a forward; one is enough */
export function forwardAdvice(facts: Facts, sides: readonly SideName[]): string {
  const [broken] = sides.filter(side => forwardOf(facts, side) === 'unheard' && !isBelowCarrier(facts, side))
  if (broken)
    return `see where the forward to ${nameOf(facts, broken)} leads: its router must send the port to that host, and the host's firewall let it in`
  const free = sides.filter(side => !isBelowCarrier(facts, side))
  if (free.length === 0)
    return `ask the carrier of ${namesOf(facts, sides)} for a public address, or for a forwarded port`
  const who = free.map(side => nameOf(facts, side)).join(' or ')
  const byHand = `forward a UDP port to ${who}: --port ${PORT} --public ${addressOf(facts, free)}:${PORT}`
  return free.some(side => couldAsk(facts, side)) ? `${byHand}; or enable UPnP on the router` : byHand
}

/**
 * A peer asks its router by itself, but only where its NAT is hard or remaps. Where it finds no router, or the router has said
 * no, or gives ports already, there is nothing to enable.
 */
function couldAsk(facts: Facts, side: SideName): boolean {
  const { router, remaps } = latest(facts, side) ?? {}
  const isWanted = hasHard(facts, side) || remaps === true
  return isWanted && (router === undefined || router === 'silent')
}

/** What became of the side's forward, of whichever socket it was: one leads to one port, and a session may use several. */
const forwardOf = ({ profiles }: Facts, side: SideName): string | undefined =>
  profiles[side].findLast(({ forward }) => forward !== undefined)?.forward

/** The outside address of the router, unless either will do, or addresses were cut to their subnets. */
function addressOf(facts: Facts, [side, ...more]: readonly SideName[]): string {
  const mapped = side && more.length === 0 ? parseEndpoint(latest(facts, side)?.mapped ?? '') : undefined
  return mapped && !/(\.0|::)$/.test(mapped.address) ? mapped.address : 'ADDRESS'
}

/** What became of forwards, and what routers said, one line each. */
export const forwardLines = (facts: Facts, sides: readonly SideName[]): string[] =>
  sides.flatMap(side => {
    const { router } = latest(facts, side) ?? {}
    const lines = [ofForwards[forwardOf(facts, side) ?? ''], ofRouters[router ?? '']]
    return lines.flatMap(line => (line === undefined ? [] : [`${nameOf(facts, side)}: ${line}`]))
  })

const ofForwards: Readonly<Record<string, string>> = {
  proved: 'a forward leads to it, as the gateway has tested',
  proving: 'its forward was not proved in time',
  unheard: 'its forward leads nowhere: what the gateway sent there did not come in',
  refused: 'its forward was refused'
}

const ofRouters: Readonly<Record<string, string>> = {
  'no-router': 'no router was found that could be asked for a port',
  silent: 'its router answers neither PCP, NAT-PMP nor UPnP',
  nonsense: 'its router answers with what cannot be understood',
  refused: 'its router refuses to forward a port',
  carrier: 'its router has no public address of its own'
}

/** The router has no public address, or not the one that the gateway sees, and what was sent to its own came in nowhere. */
function isBelowCarrier(facts: Facts, side: SideName): boolean {
  const { router, routerOutside, mapped } = latest(facts, side) ?? {}
  if (router === 'carrier') return true
  const seen = parseEndpoint(mapped ?? '')?.address
  return (
    router === 'granted' &&
    forwardOf(facts, side) === 'unheard' &&
    routerOutside !== undefined &&
    routerOutside !== seen
  )
}

/** The router would forward a port, but its own outside address is not the one that others see. */
export function carrierAboveHome(facts: Facts): Finding | undefined {
  const sides = hardSides(facts).filter(side => isBelowCarrier(facts, side))
  if (sides.length === 0) return undefined
  const others = sideNames.filter(side => !sides.includes(side))
  return {
    code: 'carrier-above-home',
    side: blame(sides),
    sentence: `a carrier's NAT lies above the ${sides.length > 1 ? 'routers' : 'router'} of ${namesOf(facts, sides)}, so no port forwarded there leads in`,
    evidence: [
      ...sides.map(side => outsideLine(facts, side)),
      ...sideNames.map(side => natLine(facts, side)),
      ...forwardLines(facts, others)
    ],
    advice: forwardAdvice(facts, others.length > 0 ? others : sides)
  }
}

function outsideLine(facts: Facts, side: SideName): string {
  const { routerOutside, mapped } = latest(facts, side) ?? {}
  const own = routerOutside === undefined ? 'no public address' : `the outside address ${routerOutside}`
  return `${nameOf(facts, side)}: its router has ${own}, and the gateway sees ${mapped}`
}
