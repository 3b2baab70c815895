// What the operator of the gateway chose or can mend: what is in front of it, the list of strategies, plugins that throw, the
// time there is, the relay.

import { keepSources } from '../../../nat/hidden.ts'
import { canMeet } from '../../../nat/profile.ts'
import type { Known } from '../../../strategy/remedy.ts'
import { parseEndpoint } from '../../../wire/endpoint.ts'
import { sideNames } from '../../../wire/side.ts'
import { direct, type Facts, hardSides, hears, latest, suited } from '../facts.ts'
import { count, type Finding, nameOf, natLine, type Rule, turnLine } from './finding.ts'

/** What is in front of the gateway rewrites sources, so nothing that it sees is a mapping of a peer's NAT. */
export function hiddenSources(facts: Facts): Finding | undefined {
  const hidden = sideNames.filter(side => latest(facts, side)?.hidden)
  if (hidden.length === 0) return undefined
  const seen = hidden.map(side => `${nameOf(facts, side)} at ${addressOf(latest(facts, side)?.mapped)}`)
  return {
    code: 'hidden-sources',
    side: 'gateway',
    sentence: `something in front of the gateway hides where peers come from: it sees ${seen.join(' and ')}`,
    evidence: hidden.map(side => {
      const { mapped, reached } = latest(facts, side) ?? {}
      return `${nameOf(facts, side)} reached the gateway at ${reached}, and is seen at ${mapped}`
    }),
    advice: keepSources
  }
}

const addressOf = (mapped = 'no address') => parseEndpoint(mapped)?.address ?? mapped

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

/** A strategy that is made for these two NATs is known and not configured, and nothing else has done what it would do. */
export function notTried(facts: Facts): Finding | undefined {
  const fitting = suited(facts)
  const [first] = fitting
  const isListed = ({ name }: Known) => facts.strategies.includes(name)
  if (!first || facts.strategies.length === 0 || isListed(first)) return undefined
  // One plan that aimed at an observed endpoint is as good as another. So is one search as another, but no search replaces a
  // plan that needs none.
  const isDone = isSure(facts) ? direct(facts).some(({ expected }) => expected === undefined) : fitting.some(isListed)
  if (isDone) return undefined
  return {
    code: 'not-tried',
    side: 'gateway',
    sentence: `${first.name}, which suits this pair of NATs, is not among the strategies`,
    evidence: [`strategies: ${facts.strategies.join(', ')}`, ...sideNames.map(side => natLine(facts, side))],
    advice: `add ${first.name} to strategies`
  }
}

/** No port has to be guessed: what was observed of one side, or is forwarded to it, is enough for both. */
const isSure = (facts: Facts): boolean => {
  const [caller, callee] = sideNames.map(side => latest(facts, side))
  if ([caller, callee].some(profile => profile?.forward === 'proved')) return true
  if (hardSides(facts).length === 0) return true
  return caller !== undefined && callee !== undefined && canMeet(caller, callee) === true
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
