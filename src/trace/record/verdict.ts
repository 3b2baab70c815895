// A verdict as a span carries it, and read again.

import type { Attributes } from '@opentelemetry/api'
import type { Verdict } from '../../verdict.ts'

/** As a span has it. */
export const verdictAttributes = ({ code, sentence, side, evidence, advice, also }: Verdict): Attributes => ({
  'postern.verdict': code,
  'postern.verdict.sentence': sentence,
  'postern.verdict.side': side,
  'postern.verdict.evidence': evidence,
  'postern.verdict.advice': advice,
  'postern.verdict.also': also
})

/** The inverse; undefined where a span carries no verdict. */
export function saidVerdict(attributes: Readonly<Record<string, unknown>>): Verdict | undefined {
  const code = attributes['postern.verdict']
  if (typeof code !== 'string') return undefined
  const text = (name: string) => String(attributes[`postern.verdict.${name}`] ?? '')
  const list = (name: string) => (attributes[`postern.verdict.${name}`] ?? []) as string[]
  return {
    code,
    sentence: text('sentence'),
    side: text('side') as Verdict['side'],
    evidence: list('evidence'),
    advice: text('advice'),
    also: list('also')
  }
}
