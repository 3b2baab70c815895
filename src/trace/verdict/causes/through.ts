// What happened to packets between the two sides: who heard whom, from which mapping, and how far the handover came.

import { percent } from '../../../units.ts'
import { otherSide, type SideName, sideNames } from '../../../wire/side.ts'
import { REFRESH_MS } from '../../../wire/signal.ts'
import {
  deafIn,
  direct,
  type Facts,
  hardSides,
  hasHard,
  hears,
  isNoBadLuck,
  latest,
  type PlanFacts,
  type ProfileFacts
} from '../facts.ts'
import { blame, counted, type Finding, nameOf, namesOf, natLine, natsOf, sideLine } from './finding.ts'
import { forwardAdvice } from './forwarding.ts'

/** Somebody is in the middle, or a peer lied about its certificate. */
export function otherCertificate(facts: Facts): Finding | undefined {
  const plan = facts.plans.findLast(({ sides }) => sideNames.some(side => isMismatch(sides[side].code)))
  const seen = sideNames.filter(side => isMismatch(plan?.sides[side].code))
  if (!plan || seen.length === 0) return undefined
  const shown = seen.map(otherSide)
  return {
    code: 'dtls-fingerprint',
    side: blame(shown),
    sentence: `the certificate that ${namesOf(facts, shown)} showed on the path is not the one the gateway announced`,
    evidence: seen.map(side => `${nameOf(facts, side)}: ${plan.sides[side].reason ?? plan.sides[side].code}`),
    advice:
      'somebody may stand between the two; if not, a peer uses two certificates: start it again with one state folder'
  }
}

const isMismatch = (code: string | undefined) => code === 'fingerprint-mismatch'

/** One side is deaf, and nothing that the NATs are known to do makes it so. */
export function oneWay(facts: Facts): Finding | undefined {
  const plan = facts.plans.findLast(one => !one.isOpen && !one.isRelay && deafSide(facts, one) !== undefined)
  const deaf = plan && deafSide(facts, plan)
  if (!plan || !deaf) return undefined
  const other = otherSide(deaf)
  return {
    code: 'one-way',
    side: deaf,
    sentence: `${nameOf(facts, other)} heard ${nameOf(facts, deaf)}, but nothing of ${nameOf(facts, other)} reached ${nameOf(facts, deaf)}`,
    evidence: [
      ...sideNames.map(side => `${plan.plugin}: ${sideLine(facts, side, plan.sides[side])}`),
      ...plan.sides[other].heard.slice(0, 2).map(from => `${nameOf(facts, deaf)} was heard from ${from}`)
    ],
    advice: `let UDP from the other side's address in at the firewall of ${nameOf(facts, deaf)}, or out at that of ${nameOf(facts, other)}`
  }
}

/**
 * The side that is deaf, unless the other's NAT explains it. A side whose NAT maps by port and lets in more than it sent to
 * hears probes at mappings that its answers do not leave from. Then the other side is deaf by no fault of its own.
 */
function deafSide(facts: Facts, plan: PlanFacts): SideName | undefined {
  const [deaf] = deafIn(plan)
  const hearing = deaf && otherSide(deaf)
  const strays =
    hearing && hasHard(facts, hearing) && latest(facts, hearing)?.filtering !== 'address-and-port-dependent'
  return strays ? undefined : deaf
}

/**
 * A side let its port go for the handover, the host refused a datagram in that moment, and then nothing of the side got
 * through. Its own report tells of the refusal.
 */
export function handoverGap(facts: Facts): Finding | undefined {
  const plan = facts.plans.findLast(one => !one.isOpen && one.cause === 'handover-lost' && gapSides(one).length > 0)
  if (!plan) return undefined
  const sides = gapSides(plan)
  return {
    code: 'handover-gap',
    side: blame(sides),
    sentence: `the port of ${namesOf(facts, sides)} was closed for a moment as it changed hands, a datagram was refused, and the path was dead`,
    evidence: [
      ...sides.map(side => `${nameOf(facts, side)}: its host refused a datagram while the port was closed`),
      ...sideNames.map(side => `${plan.plugin}: ${sideLine(facts, side, plan.sides[side])}`)
    ],
    advice: `let the firewall of ${namesOf(facts, sides)} drop outgoing ICMP "port unreachable", for which its NAT seems to end flows; or try again`
  }
}

const gapSides = ({ sides }: PlanFacts): SideName[] => sideNames.filter(side => sides[side].steps.includes('refused'))

/** The path was there, and ICE, DTLS or SCTP did not complete on it. */
export function handoverLost(facts: Facts): Finding | undefined {
  const plan = facts.plans.findLast(
    one => one.cause === 'handover-lost' && sideNames.some(side => hears(one.sides[side]))
  )
  if (!plan || (!plan.isRelay && deafSide(facts, plan))) return undefined
  return {
    code: 'handover-lost',
    side: 'path',
    sentence: `${plan.isRelay ? 'the relay' : plan.plugin} found the path, and ${phaseIn(plan)} did not come to an end on it`,
    evidence: sideNames.map(side => `${plan.plugin}: ${sideLine(facts, side, plan.sides[side])}`),
    advice: adviceOn(plan)
  }
}

/** What was lost says something of its size: an ICE check is no larger than the probes that got through. */
const adviceOn = (plan: PlanFacts): string =>
  phaseIn(plan) === 'ICE'
    ? 'try again; if it stays so, see whether a NAT ends flows that are idle for a moment, or a host is very busy'
    : 'see whether the network drops large or many packets (DTLS sends some of 700 bytes), or a host is very busy'

/** Both came to the relay, and heard nothing of each other there. */
export function relayMute(facts: Facts): Finding | undefined {
  const plan = facts.plans.findLast(({ isRelay, isOpen, cause }) => isRelay && !isOpen && cause === 'unheard')
  if (!plan || !sideNames.every(side => plan.sides[side].reported && plan.sides[side].latched !== undefined))
    return undefined
  const dropped = sideNames.reduce((sum, side) => sum + plan.sides[side].dropped, 0)
  return {
    code: 'handover-lost',
    side: dropped > 0 ? 'gateway' : 'path',
    sentence: `${namesOf(facts, sideNames)} came to the relay, and did not hear each other through it`,
    evidence: [
      ...sideNames.map(side => sideLine(facts, side, plan.sides[side])),
      `the relay dropped ${counted(dropped, 'datagram')}`
    ],
    advice:
      dropped > 0
        ? 'raise perSession, perPeer, perNetwork and total of relay'
        : 'raise waitMs of relay, or see what drops UDP'
  }
}

/** The first phase that not both sides got through. */
function phaseIn({ sides }: PlanFacts): string {
  const done = (step: string) => sideNames.every(side => sides[side].steps.includes(step))
  return !done('ice') ? 'ICE' : !done('dtls') ? 'DTLS' : 'SCTP'
}

/** The NAT gives a flow another port once it has dropped something from its far end. */
export function remapped(facts: Facts): Finding | undefined {
  const tried = unheard(facts)
  const sides = sideNames.filter(side => !hasHard(facts, side) && latest(facts, side)?.remaps === true)
  if (tried.length === 0 || sides.length === 0) return undefined
  return {
    code: 'remapped',
    side: blame(sides),
    sentence: `${natsOf(facts, sides, ['gives', 'give'])} a flow another port once a packet came that nobody had asked for`,
    evidence: [
      ...sides.map(side => `${nameOf(facts, side)}: a test of its NAT showed it`),
      ...sideNames.flatMap(side => elsewhere(facts, side)),
      ...tried.map(plan => `${plan.plugin}: neither heard the other`).slice(0, 2)
    ],
    advice: `${forwardAdvice(facts, sides)}; or let the router drop what is unasked for before it tracks it`
  }
}

/** Where the other side heard this one, if that is not the mapping that the gateway saw. */
function elsewhere(facts: Facts, side: SideName): string[] {
  const profile = latest(facts, side)
  if (!profile?.mapped || profile.mapping !== 'endpoint-independent') return []
  const heard = direct(facts).flatMap(({ sides }) => sides[otherSide(side)].heard)
  return [...new Set(heard)]
    .filter(from => from !== profile.mapped)
    .slice(0, 1)
    .map(from => `${nameOf(facts, side)} was heard from ${from}, and ${profile.mapped} is what the gateway saw`)
}

/** One socket was seen with two ports: the first mapping was forgotten in between. */
export function mappingTimedOut(facts: Facts): Finding | undefined {
  const shown = sideNames.map(side => ({ side, lines: forgotten(facts, side) })).filter(({ lines }) => lines.length > 0)
  const [first] = shown
  if (!first) return undefined
  const sides = shown.map(({ side }) => side)
  return {
    code: 'mapping-timed-out',
    side: blame(sides),
    sentence: `${natsOf(facts, sides, ['forgot', 'forgot'])} a mapping before it was used`,
    evidence: shown.flatMap(({ lines }) => lines).slice(0, 4),
    advice:
      'raise the UDP timeout of that router to 30 s or more (RFC 4787 asks for 2 min); mappings are refreshed every 15 s'
  }
}

function forgotten(facts: Facts, side: SideName): string[] {
  const profile = latest(facts, side)
  // A NAT that maps by destination shows several mappings of one socket at any time, and so does what hides a source.
  if (!profile || profile.hidden || profile.translated === false || dependent.includes(profile.mapping)) return []
  return [...atRelay(facts, side), ...between(facts, side, profile)]
}

const dependent: readonly string[] = ['address-dependent', 'address-and-port-dependent']

/** The relay saw the socket that was profiled, at another port. */
function atRelay(facts: Facts, side: SideName): string[] {
  const relay = facts.plans.findLast(({ isRelay, sides }) => isRelay && sides[side].latched !== undefined)
  const { latched, localPort, door } = relay?.sides[side] ?? {}
  const before = facts.profiles[side].findLast(({ atMs }) => relay !== undefined && atMs <= relay.startMs)
  if (latched === undefined || before?.mapped === undefined || latched === before.mapped) return []
  // Through another door it is another port, whatever the NAT does.
  if (localPort === undefined || localPort !== before.port || (door ?? 'udp') !== 'udp') return []
  return [`${nameOf(facts, side)}: ${before.mapped} was seen of its socket, and ${latched} when it came to the relay`]
}

// Mappings of one burst of requests are not further apart. A difference within a burst is not a question of time.
const BURST_MS = 2000

// A mapping that dies between two refreshes is made again by the next one. So an older change has another reason.
const LATELY_MS = 2 * REFRESH_MS

/** The same socket was seen with another port of the same address a while before, and the change was not long ago. */
function between(facts: Facts, side: SideName, { port, observed }: ProfileFacts): string[] {
  const own = observed.filter(({ localPort }) => localPort === port)
  const last = own.at(-1)
  const before = own.findLast(
    ({ mapped, agoMs }) =>
      last !== undefined &&
      mapped !== last.mapped &&
      addressOf(mapped) === addressOf(last.mapped) &&
      agoMs - last.agoMs > BURST_MS
  )
  if (!last || !before || last.agoMs > LATELY_MS) return []
  const apart = ((before.agoMs - last.agoMs) / 1000).toFixed(0)
  return [`${nameOf(facts, side)}: ${before.mapped} of its socket became ${last.mapped} ${apart} s later`]
}

const addressOf = (endpoint: string) => endpoint.slice(0, endpoint.lastIndexOf(':'))

/** Both ports were known, or as good as known, both sides sent, and nothing arrived. */
export function nothingThrough(facts: Facts): Finding | undefined {
  const tried = unheard(facts)
  const last = tried.at(-1)
  const isGuess = hardSides(facts).length > 0
  // Behind one address there is an explanation: see hairpin in beside.ts.
  if (!last || (isGuess && !isNoBadLuck(facts)) || tried.some(plan => plan.isHairpin)) return undefined
  const ports = isGuess ? 'ports that could hardly miss' : 'the right ports'
  return {
    code: 'nothing-through',
    side: 'path',
    sentence: `both sides sent to ${ports}, and neither ${nameOf(facts, 'caller')} nor ${nameOf(facts, 'callee')} heard the other`,
    evidence: [
      ...sideNames.map(side => `${last.plugin}: ${sideLine(facts, side, last.sides[side])}`),
      ...sideNames.map(side => natLine(facts, side)),
      ...(last.expected === undefined ? [] : [`expected with ${percent(last.expected)}`])
    ],
    advice: `see whether a firewall drops UDP between the two networks; or ${forwardAdvice(facts, sideNames)}`
  }
}

/** Plans that were tried to their end, and on which neither side heard anything. */
const unheard = (facts: Facts): PlanFacts[] =>
  direct(facts).filter(({ cause, sides }) => cause === 'unheard' && !sideNames.some(side => hears(sides[side])))
