// What the operator of the gateway chose or can mend: the list of strategies, plugins that throw, the time there is, the relay.

import { reaches } from '../../../nat/profile.ts'
import { roles } from '../../../wire/role.ts'
import { direct, type Facts, hardSides, hears, latest } from '../facts.ts'
import { count, type Finding, natLine, type Rule, turnLine } from './finding.ts'

export function pluginThrew({ turns }: Facts): Finding | undefined {
  const threw = turns.filter(({ cause }) => cause === 'threw')
  if (threw.length === 0) return undefined
  return {
    code: 'plugin-threw',
    side: 'gateway',
    sentence: `the plugin ${threw.map(({ plugin }) => plugin).join(', ')} threw an error`,
    evidence: threw.map(turnLine),
    advice: 'mend the plugin, or take it out of strategies; if it came with postern, report it with this trace'
  }
}

/** Nothing was heard, and some strategy had no time for what it could do: it is the time alone. */
export const outOfTime: Rule = facts => (wasHeard(facts) || ranOut(facts) ? undefined : deadline(facts))

/** Something was heard, and what might have come of it was cut short. */
export const cutShort: Rule = facts => (wasHeard(facts) ? deadline(facts) : undefined)

const wasHeard = (facts: Facts) =>
  direct(facts).some(({ isOpen, sides }) => !isOpen && roles.some(role => hears(sides[role])))

/** Every strategy had its turn, and one a whole plan in vain: more time would hardly have helped. */
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

/** The strategy that suits these two NATs was not asked. */
export function notTried(facts: Facts): Finding | undefined {
  const fitting = fittingFor(facts)
  if (fitting === undefined || facts.strategies.length === 0 || facts.strategies.includes(fitting)) return undefined
  return {
    code: 'not-tried',
    side: 'gateway',
    sentence: `${fitting}, which suits this pair of NATs, is not among the strategies`,
    evidence: [`strategies: ${facts.strategies.join(', ')}`, ...roles.map(role => natLine(facts, role))],
    advice: `add ${fitting} to strategies`
  }
}

function fittingFor(facts: Facts): 'stun' | 'predict' | 'spray' | undefined {
  const [caller, callee] = [latest(facts, 'caller'), latest(facts, 'callee')]
  if (!caller || !callee) return undefined
  // Without NATs `direct` does the same.
  const done = direct(facts).some(({ plugin }) => plugin === 'direct')
  const sure = [caller, callee].every(({ mapping }) => mapping === 'endpoint-independent')
  if (sure || reaches(caller, callee) || reaches(callee, caller)) return done ? undefined : 'stun'
  const kinds = hardSides(facts).map(role => latest(facts, role)?.allocation)
  // Two sides whose ports are not known, one of them anywhere: no search is worth it.
  if (kinds.length === 0 || (kinds.length === 2 && kinds.includes('random'))) return undefined
  return kinds.some(kind => kind === 'random' || kind === 'block') ? 'spray' : 'predict'
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
    advice: `add relay as the last of strategies${stood ? `; for a direct path: ${stood.advice}` : ''}`
  }
}
