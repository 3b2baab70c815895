// Rules for what became of the two sides of a path: one slept, did not hear, or was not heard of any more; and what is said
// where no rule applies.

import { roughly } from '../../../units.ts'
import { lossVerdicts } from '../../../verdict.ts'
import { otherSide, type SideName, sideNames } from '../../../wire/side.ts'
import { blame, nameOf, namesOf } from '../causes/finding.ts'
import { areWhereTheyWere, directSearch, isDeaf, type LossFacts, sidesOf, wasUnheard } from './facts.ts'
import { heardLines, type LossFinding, placeLine, searchLine } from './finding.ts'

/** A side says that it did not run for a while, in which the path was lost. */
export function slept(facts: LossFacts): LossFinding | undefined {
  const sides = sidesOf(facts.slept)
  if (sides.length === 0) return undefined
  return {
    code: 'slept',
    side: blame(sides),
    sentence: `${namesOf(facts, sides)} did not run for ${sides.map(side => roughly(facts.slept[side] ?? 0)).join(' and ')}: ${sides.length > 1 ? 'they' : 'it'} slept, or ${sides.length > 1 ? 'were' : 'was'} stopped`,
    evidence: [
      ...sides.map(side => `${nameOf(facts, side)}: did not run for ${roughly(facts.slept[side] ?? 0)}`),
      ...heardLines(facts)
    ],
    advice: 'keep that computer awake while it is connected, or let streams wait longer (resume)'
  }
}

/** A side found that full packets do not pass, where small ones do. */
export function tooNarrow(facts: LossFacts): LossFinding | undefined {
  const { found } = facts
  const sides = sideNames.filter(side => facts.lost[side]?.mtu !== undefined)
  if (sides.length === 0) return undefined
  const mtu = Math.min(...sides.map(side => facts.lost[side]?.mtu ?? Number.POSITIVE_INFINITY))
  return {
    code: 'too-narrow',
    side: 'path',
    sentence: `packets of ${mtu} bytes did not pass ${facts.kind === 'relay' ? 'through the relay' : 'on the direct path'}, while smaller ones did`,
    evidence: [
      ...sides.map(side => `${nameOf(facts, side)}: packets of ${facts.lost[side]?.mtu} bytes were not answered`),
      ...(found ? [`${found.kind === 'relay' ? 'the relay' : 'a direct path'} was gone on with`] : [])
    ],
    advice:
      'nothing, if smaller packets pass then; else give the peers a smaller mtu, or see what drops packets of that size'
  }
}

/** What one side sent arrived, and nothing of what it was sent; the path itself shows it, or the search for another one. */
export function oneWay(facts: LossFacts): LossFinding | undefined {
  if (facts.kind === 'relay') return undefined
  const deaf = sideNames.filter(side => isDeaf(facts, side))
  const side = deaf.length === 1 ? deaf[0] : sideNames.find(one => wasUnheard(facts, one))
  if (!side || deaf.length > 1) return undefined
  const [name, other] = [nameOf(facts, side), nameOf(facts, otherSide(side))]
  const search = directSearch(facts)
  return {
    code: 'one-way',
    side: 'path',
    sentence: `${name} heard nothing of ${other} any more, which still heard ${name}`,
    evidence: [
      ...heardLines(facts),
      ...(deaf.length === 1 ? [`${name}: asked for an answer, which did not come, and ${other} heard it ask`] : []),
      ...(search && wasUnheard(facts, side)
        ? [`${searchLine(facts, search)}: ${other} heard ${name}, and ${name} nothing`]
        : [])
    ],
    advice: `see what drops UDP from ${other} to ${name}: a firewall in front of ${name}, or a NAT that forgot the way in`
  }
}

/** One side waited until the end, and the other has told nothing since. */
export function vanished(facts: LossFacts): LossFinding | undefined {
  const { lost, next } = facts
  const side = sideNames.find(one => !lost[one] && !next[one])
  const left = side && otherSide(side)
  if (!left || !next[left]?.isLate) return undefined
  const offline = facts.searches.filter(({ code }) => code !== undefined && AWAY.includes(code)).length
  return {
    code: 'vanished',
    side,
    sentence: `${nameOf(facts, side)} was not heard of any more, and did not come back in time`,
    evidence: [
      `${nameOf(facts, left)}: waited until ${roughly(next[left].atMs - facts.atMs)} after the path was lost`,
      ...(offline > 0
        ? [`${nameOf(facts, side)}: not there, or silent, for ${offline} of ${facts.searches.length} searches`]
        : []),
      ...heardLines(facts)
    ],
    advice: 'see whether that computer is off, out of reach, or its program was ended'
  }
}

/** Codes of a search for which the other side was not there. */
const AWAY: readonly string[] = ['peer-offline', 'unknown-peer', 'silent-peer']

/** The path itself came back. */
export function interrupted(facts: LossFacts): LossFinding | undefined {
  const { found, atMs } = facts
  if (!found?.isBack) return undefined
  return {
    code: 'interrupted',
    side: 'path',
    sentence: `the path carried nothing for a while, and was heard again ${roughly(found.atMs - atMs)} after it was given up`,
    evidence: heardLines(facts),
    advice: 'nothing, if it is seldom; else see which line between the two drops everything for seconds'
  }
}

/** Nothing shows why. What is known is said. */
export function unexplained(facts: LossFacts): LossFinding {
  const search = directSearch(facts)
  const known = [...hearing(facts), ...(areWhereTheyWere(facts) ? ['both are where they were'] : []), ...ending(facts)]
  return {
    code: 'unexplained',
    side: 'none',
    sentence: known.length > 0 ? `nothing shows why; ${known.join('; ')}` : lossVerdicts.unexplained,
    evidence: [
      ...heardLines(facts),
      ...(search ? [searchLine(facts, search)] : []),
      ...sideNames.flatMap(side => placeLine(facts, side))
    ],
    advice: 'see the searches that followed, in the steps of this trace, for what was in the way then'
  }
}

function hearing(facts: LossFacts): string[] {
  const sides = sidesOf(facts.lost)
  if (sides.length === 0) return []
  const quiet = sides.every(side => facts.lost[side]?.quietMs)
  return [`${namesOf(facts, sides)} ${quiet ? 'heard nothing any more' : 'lost the path'}`]
}

function ending({ found, next, atMs }: LossFacts): string[] {
  if (found)
    return [
      `${found.kind === 'relay' ? 'the relay' : 'a direct path'} was found ${roughly(Math.max(0, found.atMs - atMs))} later`
    ]
  const isOver = (side: SideName) => next[side]?.what === 'ended'
  if (!sideNames.some(isOver)) return []
  return [next.caller?.isLate || next.callee?.isLate ? 'no other path was found in time' : 'it was closed then']
}
