// A finding is one thing that ended a path. A rule is a question to the facts of a loss: it answers with a finding, or with
// nothing. Rules share what is here to put a finding into words.

import { roughly } from '../../../units.ts'
import type { LossCode } from '../../../verdict.ts'
import { type SideName, sideNames } from '../../../wire/side.ts'
import { type Finding, nameOf } from '../causes/finding.ts'
import { isElsewhere, type LossFacts, type Search } from './facts.ts'

export type LossFinding = Finding<LossCode>

export type LossRule = (facts: LossFacts) => LossFinding | undefined

/** For how long each side had heard nothing when it gave the path up, or left it. */
export const heardLines = (facts: LossFacts): string[] =>
  sideNames.flatMap(side => {
    const [lost, next] = [facts.lost[side], facts.next[side]]
    if (lost)
      return [`${nameOf(facts, side)}: ${lost.quietMs ? `heard nothing for ${roughly(lost.quietMs)}` : 'lost it'}`]
    if (next?.quietMs === undefined) return []
    return [`${nameOf(facts, side)}: left it when it had heard nothing for ${roughly(next.quietMs)}`]
  })

/** Where a side was before, and is still. */
export const placeLine = (facts: LossFacts, side: SideName): string[] =>
  isElsewhere(facts, side) === false
    ? [`${nameOf(facts, side)}: seen at ${facts.after[side]?.address} before and after`]
    : []

export const searchLine = ({ atMs }: LossFacts, { only, found, startMs }: Search): string =>
  `a search for ${only === 'relay' ? 'the relay' : 'a direct path'}, ${roughly(Math.max(0, startMs - atMs))} later, ${found ? 'found one' : 'was in vain'}`
