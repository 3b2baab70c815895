// A finding is one thing that stood in the way of a path. A rule is a question to the facts: it answers with a finding, or
// with nothing. Rules share what is here to put a finding into words.

import type { Blamed, VerdictCode } from '../../../verdict.ts'
import type { SideName } from '../../../wire/side.ts'
import { type Facts, latest, type SideFacts, type TurnFacts } from '../facts.ts'

export interface Finding<Code extends string = VerdictCode> {
  readonly code: Code
  readonly side: Blamed
  /** A clause that could follow "because". */
  readonly sentence: string
  /** One fact a line, with its numbers; one that begins with a side's name is about that side. */
  readonly evidence: readonly string[]
  /** What an operator or a user can do. */
  readonly advice: string
}

export type Rule = (facts: Facts) => Finding | undefined

/** Most characters of a name in a sentence. */
const NAME = 32

/** Whom the facts are about. */
type Named = Pick<Facts, 'names'>

export const nameOf = ({ names }: Named, side: SideName): string =>
  names[side].length > NAME ? `${names[side].slice(0, NAME - 1)}…` : names[side]

/** `alice`, or `alice and bob`. */
export const namesOf = (facts: Named, sides: readonly SideName[]): string =>
  sides.map(side => nameOf(facts, side)).join(' and ')

export const blame = (sides: readonly SideName[]): Blamed => (sides.length > 1 ? 'both' : (sides[0] ?? 'path'))

export const count = (number: number): string => Math.round(number).toLocaleString('en-US')

/** `1 port`, `2,032 ports`. */
export const counted = (number: number, what: string): string =>
  `${count(number)} ${what}${Math.round(number) === 1 ? '' : 's'}`

/** `the NAT of alice`, or `the NATs of alice and bob`, and a verb for it. */
export const natsOf = (facts: Facts, sides: readonly SideName[], [one, several]: readonly [string, string]): string =>
  `the ${sides.length === 1 ? 'NAT' : 'NATs'} of ${namesOf(facts, sides)} ${sides.length === 1 ? one : several}`

/** What a side's NAT does, in one line. */
export function natLine(facts: Facts, side: SideName): string {
  const profile = latest(facts, side)
  if (!profile) return `${nameOf(facts, side)}: no mapping was seen`
  if (profile.translated === false) return `${nameOf(facts, side)}: no NAT, filtering ${profile.filtering}`
  return `${nameOf(facts, side)}: mapping ${profile.mapping}, filtering ${profile.filtering}${portsOf(profile)}`
}

function portsOf({ assignment, range, step, drift }: NonNullable<ReturnType<typeof latest>>): string {
  if (assignment === undefined) return ''
  const where = range === undefined ? '' : ` in ${range}`
  const by = step === undefined ? '' : ` by ${step}`
  const others = drift === undefined ? '' : `, ${drift.toFixed(1)} mappings per second by others`
  return `, ports ${assignment}${where}${by}${others}`
}

/** What a side did on a plan, in one line. */
export function sideLine(facts: Facts, side: SideName, { reported, bound, sent, received, steps }: SideFacts): string {
  const name = nameOf(facts, side)
  if (!reported) return `${name} reported nothing`
  const did =
    bound && sent === 0 ? 'left the search to ICE' : `sent ${counted(sent, 'datagram')} and received ${count(received)}`
  const reached = phases.filter(phase => steps.includes(phase))
  const how = reached.length > 0 ? `, reached ${reached.join(', ')}` : ''
  return `${name} ${did}${how}`
}

/** The steps of a handover, as they follow each other. */
const phases = ['latched', 'ice', 'dtls', 'sctp', 'open'] as const

/** What a strategy said when it passed or failed. */
export const turnLine = ({ plugin, outcome, reason }: TurnFacts): string =>
  `${plugin} ${outcome ?? 'ended'}: ${reason ?? 'no reason'}`

/** Advice to whose network blocks UDP, and to an operator whose ports nobody reaches. */
export const OPEN_UDP = 'open UDP outbound to the gateway (listen.udp.ports, 3478-3480) in the firewall of that network'
export const PUBLISH = 'publish every port of listen.udp.ports over UDP: container, cloud firewall and host firewall'
