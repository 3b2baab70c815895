// Rules for ports that have to be guessed: what the NATs do with them, and what the search was worth.

import { type Known, scatters } from '../../../strategy/remedy.ts'
import { percent } from '../../../units.ts'
import { type SideName, sideNames } from '../../../wire/side.ts'
import { direct, type Facts, hardSides, isNoBadLuck, latest, natOf, suited, type TurnFacts } from '../facts.ts'
import { blame, count, counted, type Finding, nameOf, namesOf, natLine, turnLine } from './finding.ts'
import { forwardAdvice, forwardLines } from './forwarding.ts'

/** The sides whose ports are scattered. */
const scattering = (facts: Facts): SideName[] =>
  hardSides(facts).filter(side => {
    const profile = latest(facts, side)
    return profile !== undefined && scatters(natOf(profile))
  })

export function bothRandom(facts: Facts): Finding | undefined {
  if (scattering(facts).length < 2) return undefined
  const search = searchOf(facts)
  return {
    code: 'both-random',
    side: 'both',
    sentence: `the NATs of ${namesOf(facts, sideNames)} both choose their ports at random${chance(search)}`,
    evidence: [
      ...sideNames.map(side => natLine(facts, side)),
      ...forwardLines(facts, sideNames),
      ...searchLines(facts, search)
    ],
    advice: forwardAdvice(facts, sideNames)
  }
}

export function sprayTooSmall(facts: Facts): Finding | undefined {
  const [side, ...more] = scattering(facts)
  const isAlone = hardSides(facts).length < 2
  const search = searchOf(facts)
  if (!side || more.length > 0 || (isAlone && !search) || isNoBadLuck(facts)) return undefined
  return {
    code: 'spray-too-small',
    side,
    sentence: `the NAT of ${nameOf(facts, side)} chooses its ports at random${chance(search)}`,
    evidence: [
      ...hardSides(facts).map(which => natLine(facts, which)),
      ...forwardLines(facts, sideNames),
      ...searchLines(facts, search)
    ],
    advice: advised(facts, search, forwardAdvice(facts, hardSides(facts)))
  }
}

/**
 * The turn of a strategy that searches for ports, and is made for this pair. If there is none, any turn that says what it
 * was worth. Of several, the one that was worth most.
 */
function searchOf(facts: Facts): TurnFacts | undefined {
  // A strategy with nothing to raise, such as `stun`, aims at what was observed and searches for nothing.
  const made = suited(facts).flatMap(({ name, remedies }) => (remedies?.advice === undefined ? [] : [name]))
  const searches = facts.turns.filter(({ plugin }) => made.includes(plugin))
  const worth = searches.length > 0 ? searches : facts.turns.filter(({ expected }) => expected !== undefined)
  return worth.toSorted((a, b) => (b.expected ?? 0) - (a.expected ?? 0)).at(0)
}

/** What can be changed, as the strategy itself says, and what helps in any case. */
function advised({ known }: Facts, search: TurnFacts | undefined, otherwise: string): string {
  const own = known.find(({ name }: Known) => name === search?.plugin)?.remedies?.advice
  return own === undefined ? otherwise : `${own}; or ${otherwise}`
}

/** What the search was worth, if it says so. */
function chance(search: TurnFacts | undefined): string {
  if (search?.expected === undefined) return ''
  const { plugin, outcome, expected } = search
  return outcome === 'passed'
    ? `; with all its probes ${plugin} would have met with a chance of ${percent(expected)}`
    : `; ${plugin} searched with a chance of ${percent(expected)}, and missed`
}

/** How much was tried, and what the strategy itself said of it. */
const searchLines = (facts: Facts, search: TurnFacts | undefined): string[] =>
  search ? [...effort(facts, search.plugin), turnLine(search)] : []

const effort = (facts: Facts, by: string): string[] =>
  direct(facts)
    .filter(({ plugin, isOpen }) => plugin === by && !isOpen)
    .flatMap(({ sides }) => sideNames.map(side => ({ side, ...sides[side] })))
    .filter(({ probes }) => probes !== undefined)
    .map(
      ({ side, sockets = 1, ports = 0, probes = 0, sent, received }) =>
        `${nameOf(facts, side)}: ${counted(sockets, 'socket')}, ${counted(ports, 'port')}, ${count(sent)} of ${counted(probes, 'probe')} sent, ${count(received)} received`
    )

export function predictionMissed(facts: Facts): Finding | undefined {
  const sides = hardSides(facts)
  const search = searchOf(facts)
  if (!search || sides.length === 0 || scattering(facts).length > 0) return undefined
  if (!['unlikely', 'unheard', 'handover-lost', 'deadline'].includes(search.cause ?? '')) return undefined
  // If others use up ports, what was expected is not worth much.
  if (isNoBadLuck(facts) && !sides.some(side => (latest(facts, side)?.drift ?? 0) >= SOME_DRIFT)) return undefined
  return {
    code: 'prediction-missed',
    side: blame(sides),
    sentence: `the next port of ${namesOf(facts, sides)} could not be told${drift(facts, sides)}`,
    evidence: [
      ...sides.map(side => natLine(facts, side)),
      ...forwardLines(facts, sides),
      ...windows(facts, search.plugin).slice(0, 4),
      ...(search.expected === undefined ? [] : [`${search.plugin} expected ${percent(search.expected)}`])
    ],
    advice: advised(facts, search, forwardAdvice(facts, sides))
  }
}

function drift(facts: Facts, sides: readonly SideName[]): string {
  const rates = sides.flatMap(side => latest(facts, side)?.drift ?? [])
  const most = Math.max(...rates)
  return rates.length > 0 ? `: others behind that NAT use up ${most.toFixed(most < 10 ? 1 : 0)} ports per second` : ''
}

/** The ports each round tried. */
const windows = (facts: Facts, by: string): string[] =>
  direct(facts)
    .filter(({ plugin, isOpen }) => plugin === by && !isOpen)
    .map(({ expected, sides }) => {
      const ports = Math.max(...sideNames.map(side => sides[side].ports ?? 0))
      const sockets = Math.max(...sideNames.map(side => sides[side].sockets ?? 1))
      const worth = expected === undefined ? '' : `, ${percent(expected)} expected`
      return `tried ${counted(ports, 'port')} with ${counted(sockets, 'socket')}${worth}, and nothing was heard`
    })

/** Mappings of others, per second: fewer can hardly spoil a prediction. */
const SOME_DRIFT = 1

export function budgetSharedOut(facts: Facts): Finding | undefined {
  const turn = facts.turns.find(({ cause }) => cause === 'budget-shared-out')
  const plan = facts.plans.find(({ cause }) => cause === 'budget-shared-out')
  const plugin = turn?.plugin ?? plan?.plugin
  if (plugin === undefined) return undefined
  const [poor] = sideNames
    .map(side => ({ side, left: latest(facts, side)?.probesLeft ?? Number.POSITIVE_INFINITY }))
    .toSorted((a, b) => a.left - b.left)
  const known = poor !== undefined && Number.isFinite(poor.left) ? poor : undefined
  return {
    code: 'budget-shared-out',
    side: 'gateway',
    sentence: known
      ? `the probes that may be aimed at ${nameOf(facts, known.side)} are used up: ${count(known.left)} were left for these two`
      : 'the probes that may be aimed at one of the two are used up',
    evidence: [
      ...facts.turns.filter(one => one.plugin === plugin).map(turnLine),
      ...(known ? [`${counted(known.left, 'probe')} left for the address of ${nameOf(facts, known.side)}`] : [])
    ],
    advice:
      'try again in a minute, or raise limits.probesPerAddress, of which one caller has a quarter, or limits.probesInAll'
  }
}
