// Why was the path of this connection lost? One pure function turns a record into a verdict on each loss: a code, a sentence, the
// side that it comes from, the evidence and what to do about it. It claims no more than was told and seen; where nothing shows
// the reason, it says what is known.

import { printable } from '../../../wire/text.ts'
import type { Loss, TraceRecord } from '../../record/record.ts'
import type { LossFacts } from './facts.ts'
import type { LossFinding, LossRule } from './finding.ts'
import { addressChanged, gatewayAway, natForgot, pathCut, udpBlocked } from './networks.ts'
import { lossesIn } from './reading.ts'
import { interrupted, oneWay, slept, tooNarrow, unexplained, vanished } from './sides.ts'

type Recorded = Parameters<typeof lossesIn>[0]

/** @param record of a request, or of a search that has a record of its own */
export function judgeLosses(record: Recorded): Loss[] {
  try {
    return lossesIn(record).map(judged)
  } catch {
    // A fault in the explanation must not cost the record.
    return []
  }
}

/** What the gateway has judged, or what the spans tell of a record that was kept before it did. */
export const lossesOf = (record: TraceRecord): readonly Loss[] => record.losses ?? judgeLosses(record)

/**
 * The weightiest come first: what a side or the gateway did, then what is known of addresses and mappings, then what packets
 * showed.
 */
const rules: readonly LossRule[] = [
  slept,
  gatewayAway,
  addressChanged,
  natForgot,
  udpBlocked,
  tooNarrow,
  oneWay,
  vanished,
  interrupted,
  pathCut
]

function judged(facts: LossFacts): Loss {
  const [first = unexplained(facts), ...others] = rules.flatMap(rule => rule(facts) ?? [])
  return said(facts, first, others)
}

/** Characters that a page has room for. */
const SENTENCE = 200

const LIST = 8

function said({ atMs, kind, settled }: LossFacts, first: LossFinding, others: readonly LossFinding[]): Loss {
  const { code, side, sentence, evidence, advice } = first
  return {
    ...{ atMs, ...(kind ? { path: kind } : {}), settled },
    ...{ code, sentence: line(sentence), side },
    evidence: [...new Set(evidence.map(line))].slice(0, LIST),
    advice: line(advice),
    also: others.map(other => other.code).slice(0, LIST)
  }
}

function line(text: string): string {
  const plain = printable(text, Number.POSITIVE_INFINITY)
  return plain.length > SENTENCE ? `${plain.slice(0, SENTENCE - 1)}…` : plain
}
