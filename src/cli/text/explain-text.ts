// Shows a trace that was judged again as plain text: the verdict, what each strategy did and what it would do, and whether
// that would have helped.
//
//   alice → bob  relayed  in 823.0 ms
//   2026-11-23 12:40:27 UTC  trace 4bf92f3577b34da6a3ce929d0e0e4736
//
//   not-tried: …
//
//   stun    then  had no turn
//           now   tries, 100 %: …
//   relay   then  path in 45.0 ms
//           now   the last resort
//
//   would stun, relay have helped?
//     yes: …

import type { TraceRecord } from '../../trace/record/record.ts'
import type { Replay, Replayed } from '../../trace/verdict/replay.ts'
import { percent } from '../../units.ts'
import { fit, formatMs, wrap } from './output.ts'
import { blamedIn, header, outcomeOf } from './trace-text.ts'
import { type Look, lossesText, verdictText } from './verdict-text.ts'

/** Columns for a strategy's name. Longer names, which plugins by others may have, are shortened. */
const NAME = { least: 7, most: 16 }

/** Columns of `then  ` and `now   `. */
const WHEN = 6

export function explanationText(record: TraceRecord, replay: Replay, look: Look): string {
  const { width, paint } = look
  const { verdict, strategies, masked } = replay
  const column = Math.min(NAME.most, Math.max(NAME.least, ...strategies.map(({ name }) => name.length)))
  return [
    ...header(record, width, paint),
    '',
    verdictText(verdict, blamedIn({ ...record, verdict }), look),
    ...(verdict.code === record.verdict.code ? [] : [wrap(`  judged as ${record.verdict.code} then`, width, 4)]),
    ...lossesText(record, look),
    '',
    ...strategies.flatMap(strategy => strategyLines(strategy, column, look)),
    '',
    paint('bold', wrap(`would ${strategies.map(({ name }) => name).join(', ')} have helped?`, width, 2)),
    ...[answerOf(record, replay), happened(record, replay), ...(masked ? [MASKED] : [])].map(text =>
      wrap(`  ${text}`, width, 2)
    )
  ].join('\n')
}

function strategyLines(strategy: Replayed, column: number, { width, paint }: Look): string[] {
  const { name } = strategy
  const line = (first: string, when: string, text: string) =>
    wrap(`${first} ${paint('dim', when.padEnd(WHEN))}${text}`, width, column + 1 + WHEN)
  return [
    line(paint('bold', fit(name, column)), 'then', thenOf(strategy)),
    line(' '.repeat(column), 'now', nowOf(strategy))
  ]
}

function thenOf({ before }: Replayed): string {
  if (!before) return 'had no turn'
  const { outcome, reason, ms } = before
  return `${outcome} in ${formatMs(ms)}${reason ? `: ${reason}` : ''}`
}

function nowOf({ lastResort, now: { tries, passes }, before, probability }: Replayed): string {
  if (lastResort) return 'the last resort'
  const [first] = tries
  if (!first && passes !== undefined && passes === before?.reason) return 'passes, for the same reason'
  if (!first) return `passes: ${passes ?? 'has no plan'}`
  const again = before?.outcome === 'failed' && probability === 0 ? 'the same, which was in vain' : percent(probability)
  return `tries, ${again}${tries.length > 1 ? ` in ${tries.length} plans` : ''}: ${first.why}`
}

function answerOf({ by, path }: TraceRecord, { answer, probability, probabilityThen }: Replay): string {
  const chance = `the chance of a direct path is ${percent(probability)} with these`
  const before = `${percent(probabilityThen)} with what was tried`
  switch (answer.helps) {
    case 'yes':
    case 'perhaps':
      return `${answer.helps}: ${chance}, by ${answer.by.join(', ')}; it was ${before}`
    case 'sooner':
      return `yes, by ${formatMs(answer.ms)}: what was in vain before ${by} comes after it`
    case 'missing':
      return `no: ${answer.winner}, which found the direct path, is not among them; ${chance}`
    case 'no':
      if (path === 'direct') return `no: it was direct already, by ${by}, and little time was lost before`
      return noHelp[probability < NEGLIGIBLE ? 'hopeless' : 'same'](`${chance}, and was ${before}`)
  }
}

const noHelp = {
  hopeless: () => 'no: none of these strategies has a plan for this pair that was not tried in vain',
  same: (chances: string) => `no: ${chances}`
}

function happened(record: TraceRecord, { inVain, inVainMs }: Replay): string {
  const { word } = outcomeOf(record)
  const how = word === 'failed' ? 'it failed' : `it was ${word}, by ${record.by},`
  const parts = inVain.filter(({ ms }) => ms >= NOTABLE_MS).map(({ name, ms }) => `${name} ${formatMs(ms)}`)
  const vain = parts.length > 0 ? `, ${formatMs(inVainMs)} of them in vain (${parts.join(', ')})` : ''
  return `what happened: ${how} after ${formatMs(record.ms)}${vain}`
}

const MASKED = 'addresses were recorded up to their subnets alone: who shares one looks like a neighbour here'

/** A strategy that passes at once has a shorter turn than this, in milliseconds. */
const NOTABLE_MS = 1

const NEGLIGIBLE = 0.005
