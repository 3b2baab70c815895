// Shows a verdict to people: whole, as it stands at the top of a trace, or in the few lines that stand below a path or a
// failure.

import type { TraceRecord } from '../../trace/record/record.ts'
import { lossesOf } from '../../trace/verdict/losses/judge.ts'
import type { Verdict } from '../../verdict.ts'
import { abridged, formatMoment, type Paint, unpainted, wrap } from './output.ts'

export interface Look {
  /** In columns. */
  readonly width: number
  readonly paint: Paint
}

/** Columns of a label and the gap behind it. */
const LABEL = 11

/**
 * The code and the sentence; then who is at fault, why, and what to do about it. A direct path has nothing to explain.
 * @param blamed the side at fault in words, if there is one.
 */
export function verdictText(verdict: Verdict, blamed: string, { width, paint }: Look): string {
  const { code, sentence, advice, also } = verdict
  const evidence = verdict.evidence.filter(fact => fact !== sentence)
  const rows: [string, string][] = [
    ...(blamed ? [['at fault', blamed] as [string, string]] : []),
    ...evidence.map((fact, index): [string, string] => [index === 0 ? 'evidence' : '', fact]),
    ...(advice ? [['to do', advice] as [string, string]] : []),
    ...(also.length > 0 ? [['also', also.join(', ')] as [string, string]] : [])
  ]
  return [
    wrap(`${paint(['bold', code === 'direct' ? 'green' : 'yellow'], code)}: ${sentence}`, width, 2),
    ...rows.map(([label, text]) => wrap(`  ${paint('dim', label.padEnd(LABEL - 2))}${abridged(text)}`, width, LABEL))
  ].join('\n')
}

/** `because …` with the code, and what to do about it. This stands below a relayed path, or below a failure. */
export function becauseText({ code, sentence, advice }: Verdict, { width, paint = unpainted }: Partial<Look>): string {
  const columns = width ?? 80
  return [
    wrap(`  because ${sentence} ${paint('dim', `(${code})`)}`, columns, 4),
    ...(advice ? [wrap(`  ${paint('dim', 'to do:')} ${advice}`, columns, 4)] : [])
  ].join('\n')
}

/** Why each path of a connection was lost, with when, what shows it, and what to do about it. */
export function lossesText(record: TraceRecord, { width, paint }: Look): string[] {
  return lossesOf(record).flatMap(({ atMs, code, sentence, evidence, advice }) => {
    const when = `lost ${formatMoment(atMs).slice(11, 19)}`
    return [
      wrap(`${when}  ${paint(['bold', 'yellow'], code)}: ${sentence}`, width, 2),
      ...evidence.map(fact => wrap(`  ${paint('dim', 'evidence'.padEnd(LABEL - 2))}${abridged(fact)}`, width, LABEL)),
      wrap(`  ${paint('dim', 'to do'.padEnd(LABEL - 2))}${advice}`, width, LABEL)
    ]
  })
}
