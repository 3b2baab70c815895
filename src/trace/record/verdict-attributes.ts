// Writes a verdict as the attributes of a span, and reads it again.

import { blamed, type Verdict } from '../../verdict.ts'
import type { SpanAttributes } from './conventions.ts'
import { read } from './reader.ts'
import type { SpanRecord } from './record.ts'

export const verdictAttributes = ({ code, sentence, side, evidence, advice, also }: Verdict): SpanAttributes => ({
  'postern.verdict': code,
  'postern.verdict.sentence': sentence,
  'postern.verdict.side': side,
  'postern.verdict.evidence': [...evidence],
  'postern.verdict.advice': advice,
  'postern.verdict.also': [...also]
})

/** Undefined if a span carries no verdict. */
export function verdictOf(span: Pick<SpanRecord, 'attributes'> | undefined): Verdict | undefined {
  const said = read(span)
  const code = said.text('verdict')
  if (code === undefined) return undefined
  return {
    code,
    sentence: said.shown('verdict.sentence'),
    side: blamed.find(side => side === said.text('verdict.side')) ?? 'none',
    evidence: said.list('verdict.evidence'),
    advice: said.shown('verdict.advice'),
    also: said.list('verdict.also')
  }
}
