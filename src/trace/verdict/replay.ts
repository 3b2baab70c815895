// Asks a recorded request again: would other strategies, or another order of them, have helped? The verdict is judged anew
// from the spans. The scene of that moment is built again from its profiles, and each strategy says what it would do in it.
// Nothing is sent. A trace does not tell what worked between these networks before, so no strategy remembers it here.
//
//   spans → profiles → scene (moments.ts) → dry run of each strategy → beside what happened → the answer

import { type DryRun, dryRun, together } from '../../strategy/dry-run.ts'
import type { Known } from '../../strategy/remedy.ts'
import type { Strategy } from '../../strategy/turn.ts'
import type { Verdict } from '../../verdict.ts'
import type { ShortName } from '../record/conventions.ts'
import { read } from '../record/reader.ts'
import type { SpanRecord, TraceRecord } from '../record/record.ts'
import { ofRequest } from '../record/searches.ts'
import { judge } from './judge.ts'
import { Moments } from './moments.ts'

/** A strategy's turn in the trace. */
export interface TurnThen {
  readonly outcome: string
  readonly reason: string
  readonly ms: number
}

export interface Replayed {
  readonly name: string
  readonly lastResort: boolean
  /** Undefined if it had no turn. */
  readonly before?: TurnThen
  readonly now: DryRun
  /** Probability that it finds a direct path, 0 to 1. Plans without a figure do not count if the strategy failed then. */
  readonly probability: number
}

export interface Replay {
  readonly verdict: Verdict
  /** Names, in the order in which they were tried then. */
  readonly order: readonly string[]
  /** Addresses were recorded up to their subnets only. If two are alike, what follows from that is uncertain. */
  readonly masked: boolean
  readonly strategies: readonly Replayed[]
  /** Probability of a direct path: by these strategies, and by the plans that were tried then. */
  readonly probability: number
  readonly probabilityThen: number
  /** What was tried in vain before the path or the end, each by its strategy, and how long it took in all. */
  readonly inVain: readonly { readonly name: string; readonly ms: number }[]
  readonly inVainMs: number
  readonly answer: Answer
}

/** Would it have helped? */
export type Answer =
  | { readonly helps: 'yes' | 'perhaps'; readonly by: readonly string[] }
  /** The path was direct, and would have been found so much earlier. */
  | { readonly helps: 'sooner'; readonly ms: number }
  /** The path was direct, and the strategy that found it is not among these. */
  | { readonly helps: 'missing'; readonly winner: string }
  | { readonly helps: 'no' }

/** From this probability on, a direct path is likelier than none. */
const PROBABLE = 0.5

/** A smaller difference in probability would not be noticed. */
const NOTICEABLE = 0.05

/** Nobody changes an order to save fewer milliseconds than these. */
const WORTH_MS = 20

/**
 * @param known the strategies that the verdict can recommend; if left out, the ones that are asked
 * @throws PosternError `bad-config` if the request failed before both networks were observed
 */
export async function replay(
  whole: TraceRecord,
  strategies: readonly Strategy[],
  known: readonly Known[] = strategies
): Promise<Replay> {
  const record = { ...whole, spans: ofRequest(whole.spans) }
  const moments = new Moments(record)
  const turns = record.spans
    .filter(({ name }) => name === 'postern.plugin')
    .map(span => turnOf(span, moments.first.atMs))
  const replayed: Replayed[] = []
  for (const strategy of strategies) replayed.push(await again(strategy, moments, turns))
  const inVain = turns.filter(({ outcome }) => outcome !== 'path').map(({ name, ms }) => ({ name, ms }))
  const told = {
    verdict: judge(record.spans, known),
    order: turns.map(({ name }) => name),
    masked: moments.masked,
    strategies: replayed,
    probability: together(replayed.map(({ probability }) => probability)),
    probabilityThen: together(record.spans.flatMap(expectedOf)),
    inVain,
    inVainMs: inVain.reduce((sum, { ms }) => sum + ms, 0)
  }
  return { ...told, answer: record.path === 'direct' ? sooner(record, told) : answerOf(told) }
}

async function again(strategy: Strategy, moments: Moments, turns: readonly Turn[]): Promise<Replayed> {
  const { name, lastResort } = strategy
  const turn = turns.find(one => one.name === name)
  const now = lastResort ? { tries: [] } : await dryRun(strategy, moments.first, moments.sampler())
  const failed = turn?.outcome === 'failed'
  const worth = now.tries.filter(({ judged }) => judged || !failed).map(({ probability }) => probability)
  const before = turn ? { before: { outcome: turn.outcome, reason: turn.reason, ms: turn.ms } } : {}
  return { name, lastResort, ...before, now, probability: together(worth) }
}

type Told = Omit<Replay, 'answer'>

function answerOf({ strategies, probability, probabilityThen }: Told): Answer {
  if (probability < NOTICEABLE || probability - probabilityThen < NOTICEABLE) return { helps: 'no' }
  const by = strategies.filter(one => one.probability >= NOTICEABLE).map(({ name }) => name)
  return { helps: probability >= PROBABLE ? 'yes' : 'perhaps', by }
}

/** A strategy that was in vain then is not waited for if it now comes after the winner, or not at all. */
function sooner({ by: winner }: TraceRecord, { strategies, inVain }: Told): Answer {
  const place = strategies.findIndex(({ name }) => name === winner)
  if (place < 0) return { helps: 'missing', winner }
  const still = strategies.slice(0, place).map(({ name }) => name)
  const ms = inVain.filter(({ name }) => !still.includes(name)).reduce((sum, one) => sum + one.ms, 0)
  return ms >= WORTH_MS ? { helps: 'sooner', ms } : { helps: 'no' }
}

interface Turn extends TurnThen {
  readonly name: string
}

/** The time until both networks were known is not counted: it was not the first strategy's. */
function turnOf(span: SpanRecord, knownMs: number): Turn {
  const said = read(span)
  const text = (name: ShortName) => said.text(name) ?? ''
  const ms = Math.max(0, span.endMs - Math.max(span.startMs, knownMs))
  return { name: text('plugin'), outcome: text('outcome'), reason: text('reason'), ms }
}

/** The probability of a plan, if the models gave it a figure. */
function expectedOf(span: SpanRecord): number[] {
  const expected = read(span).number('expected')
  return span.name === 'postern.plan' && expected !== undefined ? [Math.min(1, Math.max(0, expected))] : []
}
