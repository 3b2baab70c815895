// What the operator of the gateway chose or can mend: the list of strategies, plugins that throw, the time there is, the relay.

import { sideNames } from '../../../wire/side.ts'
import { direct, type Facts, hardSides, hears, suited } from '../facts.ts'
import { count, type Finding, natLine, type Rule, turnLine } from './finding.ts'

export function pluginThrew({ turns }: Facts): Finding | undefined {
  const threw = turns.filter(({ cause }) => cause === 'plugin-threw')
  if (threw.length === 0) return undefined
  return {
    code: 'plugin-threw',
    side: 'gateway',
    sentence: `the plugin ${threw.map(({ plugin }) => plugin).join(', ')} threw an error`,
    evidence: threw.map(turnLine),
    advice: 'mend the plugin, or take it out of strategies; if it came with postern, report it with this trace'
  }
}

/** Nothing was heard, and some strategy had no time for what it could do: the deadline alone is the reason. */
export const outOfTime: Rule = facts => (wasHeard(facts) || ranOut(facts) ? undefined : deadline(facts))

/** Something was heard, and the deadline cut short what might have come of it. */
export const cutShort: Rule = facts => (wasHeard(facts) ? deadline(facts) : undefined)

const wasHeard = (facts: Facts) =>
  direct(facts).some(({ isOpen, sides }) => !isOpen && sideNames.some(side => hears(sides[side])))

/** True if every strategy had its turn, and one tried a whole plan in vain: more time would hardly have helped. */
const ranOut = (facts: Facts) =>
  facts.turns.every(({ cause, outcome }) => cause !== 'deadline' || outcome !== 'passed') &&
  direct(facts).some(({ cause }) => cause === 'unheard')

export function deadline({ turns, deadlineMs }: Facts): Finding | undefined {
  const cut = turns.filter(({ cause }) => cause === 'deadline')
  if (cut.length === 0) return undefined
  const time = deadlineMs === undefined ? 'the deadline' : `the deadline of ${count(deadlineMs)} ms`
  const late = cut.filter(({ outcome }) => outcome === 'passed').map(({ plugin }) => plugin)
  const names = (late.length > 0 ? late : cut.map(({ plugin }) => plugin)).join(', ')
  return {
    code: 'deadline',
    side: 'gateway',
    sentence: late.length > 0 ? `${time} was over before ${names} had a turn` : `${time} ended the turn of ${names}`,
    evidence: turns.map(({ plugin, ms, cause }) => `${plugin} took ${count(ms)} ms${cause ? ` (${cause})` : ''}`),
    advice: 'raise deadline, or put strategies first in the list that suit more pairs'
  }
}

/** A strategy that is made for these two NATs is known, and no strategy of that kind was asked. */
export function notTried(facts: Facts): Finding | undefined {
  const fitting = suited(facts)
  const [first] = fitting
  if (!first || facts.strategies.length === 0 || fitting.some(({ name }) => facts.strategies.includes(name)))
    return undefined
  // If no port has to be guessed, a strategy that aimed at an observed endpoint has done what another would do.
  if (hardSides(facts).length === 0 && direct(facts).some(({ expected }) => expected === undefined)) return undefined
  return {
    code: 'not-tried',
    side: 'gateway',
    sentence: `${first.name}, which suits this pair of NATs, is not among the strategies`,
    evidence: [`strategies: ${facts.strategies.join(', ')}`, ...sideNames.map(side => natLine(facts, side))],
    advice: `add ${first.name} to strategies`
  }
}

/** @param stood what stood in the way of a direct path, weightiest first. */
export function relayOff(facts: Facts, [stood]: readonly Finding[]): Finding | undefined {
  if (facts.outcome === 'path' || facts.code !== 'no-path' || facts.relayConfigured !== false) return undefined
  const why = stood ? `: ${stood.sentence}` : ''
  return {
    code: 'relay-off',
    side: 'gateway',
    sentence: `the relay is not among the strategies, and there was no direct path${why}`,
    evidence: [`strategies: ${facts.strategies.join(', ')}`, ...(stood?.evidence ?? facts.turns.map(turnLine))],
    advice: `add ${facts.known.find(({ lastResort }) => lastResort)?.name ?? 'a relay'} as the last of strategies${stood ? `; for a direct path: ${stood.advice}` : ''}`
  }
}
