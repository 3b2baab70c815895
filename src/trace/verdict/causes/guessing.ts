// Ports that have to be found: what the NATs do with them, and what the search was worth.

import { type Role, roles } from '../../../wire/role.ts'
import { direct, type Facts, hardSides, isNoBadLuck, latest, type ProfileFacts, type TurnFacts } from '../facts.ts'
import { blame, count, counted, type Finding, nameOf, namesOf, natLine, percent, turnLines } from './finding.ts'

const scatters = (profile: ProfileFacts | undefined): boolean =>
  profile?.allocation === 'random' || profile?.allocation === 'block'

const scattering = (facts: Facts): Role[] => hardSides(facts).filter(role => scatters(latest(facts, role)))

const MORE = 'raise sockets and probes of spray, and limits.probesPerAddress'
const FORWARD = 'forward a UDP port to one of the two peers, or enable UPnP on its router'

export function bothRandom(facts: Facts): Finding | undefined {
  if (scattering(facts).length < 2) return undefined
  return {
    code: 'both-random',
    side: 'both',
    sentence: `the NATs of ${namesOf(facts, roles)} both choose their ports at random${chance(facts)}`,
    evidence: [...roles.map(role => natLine(facts, role)), ...effort(facts), ...turnLines(facts, 'spray')],
    advice: FORWARD
  }
}

export function sprayTooSmall(facts: Facts): Finding | undefined {
  const [side, ...more] = scattering(facts)
  const isAlone = hardSides(facts).length < 2
  if (!side || more.length > 0 || (isAlone && !turnOf(facts, 'spray')) || isNoBadLuck(facts)) return undefined
  return {
    code: 'spray-too-small',
    side,
    sentence: `the NAT of ${nameOf(facts, side)} chooses its ports at random${chance(facts)}`,
    evidence: [...hardSides(facts).map(role => natLine(facts, role)), ...effort(facts), ...turnLines(facts, 'spray')],
    advice: `${MORE}; or ${FORWARD.replace('one of the two peers', nameOf(facts, side))}`
  }
}

/** What the search was worth, where somebody said so. */
function chance(facts: Facts): string {
  const turn = turnOf(facts, 'spray')
  const expected = turn?.expected
  if (expected === undefined) return ''
  return turn?.outcome === 'passed'
    ? `; with all its probes spray would have met with a chance of ${percent(expected)}`
    : `; spray searched with a chance of ${percent(expected)}, and missed`
}

/** How much was tried. */
const effort = (facts: Facts): string[] =>
  direct(facts)
    .filter(({ plugin, isOpen }) => plugin === 'spray' && !isOpen)
    .flatMap(({ sides }) => roles.map(role => ({ role, ...sides[role] })))
    .filter(({ probes }) => probes !== undefined)
    .map(
      ({ role, sockets = 1, ports = 0, probes = 0, sent, received }) =>
        `${nameOf(facts, role)}: ${counted(sockets, 'socket')}, ${counted(ports, 'port')}, ${count(sent)} of ${counted(probes, 'probe')} sent, ${count(received)} received`
    )

export function predictionMissed(facts: Facts): Finding | undefined {
  const turn = turnOf(facts, 'predict')
  const sides = hardSides(facts).filter(role => !scatters(latest(facts, role)))
  if (!turn || sides.length === 0 || scattering(facts).length > 0) return undefined
  if (!['unlikely', 'unheard', 'handover', 'deadline'].includes(turn.cause ?? '')) return undefined
  // Where others use up ports, what was expected is not worth much.
  if (isNoBadLuck(facts) && !sides.some(role => (latest(facts, role)?.drift ?? 0) >= SOME_DRIFT)) return undefined
  return {
    code: 'prediction-missed',
    side: blame(sides),
    sentence: `the next port of ${namesOf(facts, sides)} could not be told${drift(facts, sides)}`,
    evidence: [
      ...sides.map(role => natLine(facts, role)),
      ...windows(facts).slice(0, 4),
      ...(turn.expected === undefined ? [] : [`predict expected ${percent(turn.expected)}`])
    ],
    advice: `let the peers stay joined, so that the rate of others is known; raise window and rounds of predict; or ${FORWARD}`
  }
}

function drift(facts: Facts, sides: readonly Role[]): string {
  const rates = sides.flatMap(role => latest(facts, role)?.drift ?? [])
  const most = Math.max(...rates)
  return rates.length > 0 ? `: others behind that NAT use up ${most.toFixed(most < 10 ? 1 : 0)} ports per second` : ''
}

/** The ports each round tried. */
const windows = (facts: Facts): string[] =>
  direct(facts)
    .filter(({ plugin, isOpen }) => plugin === 'predict' && !isOpen)
    .map(({ expected, sides }) => {
      const ports = Math.max(...roles.map(role => sides[role].ports ?? 0))
      const sockets = Math.max(...roles.map(role => sides[role].sockets ?? 1))
      const worth = expected === undefined ? '' : `, ${percent(expected)} expected`
      return `tried ${counted(ports, 'port')} with ${counted(sockets, 'socket')}${worth}, and nothing was heard`
    })

/** Mappings of others, per second: fewer can hardly spoil a prediction. */
const SOME_DRIFT = 1

export function budgetSharedOut(facts: Facts): Finding | undefined {
  const turn = facts.turns.find(({ cause }) => cause === 'shared-budget')
  const plan = facts.plans.find(({ cause }) => cause === 'shared-budget')
  const plugin = turn?.plugin ?? plan?.plugin
  if (plugin === undefined) return undefined
  const [poor] = roles
    .map(role => ({ role, left: latest(facts, role)?.probesLeft ?? Number.POSITIVE_INFINITY }))
    .toSorted((a, b) => a.left - b.left)
  const known = poor !== undefined && Number.isFinite(poor.left) ? poor : undefined
  return {
    code: 'budget-shared-out',
    side: 'gateway',
    sentence: known
      ? `other sessions use up the probes that may be aimed at ${nameOf(facts, known.role)}: ${count(known.left)} were left`
      : 'other sessions use up the probes that may be aimed at one of the two',
    evidence: [
      ...turnLines(facts, plugin),
      ...(known ? [`${counted(known.left, 'probe')} left for the address of ${nameOf(facts, known.role)}`] : [])
    ],
    advice: 'raise limits.probesPerAddress or limits.probesInAll, or try again in a minute'
  }
}

const turnOf = ({ turns }: Facts, plugin: string): TurnFacts | undefined => turns.find(turn => turn.plugin === plugin)
