// Describes the mixture in words, for a person who asks about a NAT, and for the trace.

import { percent } from '../../units.ts'
import { perSecond, sum } from './drift.ts'
import type { Mixture, Weighed } from './mixture.ts'
import type { Evidence } from './observation.ts'
import type { Range } from './ranges.ts'
import type { Interval } from './scatter.ts'
import type { Stepping } from './stepping.ts'

export const kinds = ['kept', 'stepping', 'block', 'random'] as const
export type Kind = (typeof kinds)[number]

export interface Assignment {
  readonly kind: Kind
  /** Probability of the kind, 0 to 1. */
  readonly confidence: number
  /** Ports from one mapping to the next. */
  readonly step?: number
  /** What the counter is kept for. */
  readonly per?: Stepping['per']
  /** Expected mappings of others per second. */
  readonly driftPerSecond?: number
  /** The likeliest bounds, always around all ports seen. After few samples they are one guess among many. */
  readonly block?: Range
  readonly range?: Range
  /** One line for a person: what was seen and what it means. */
  readonly evidence: string
}

// A line of a trace has room for this many ports: the samples of two sockets.
const SHOWN = 8

/** Names the likeliest kind, and within it the likeliest hypothesis. */
export function describe(mixture: Mixture, seen: Evidence): Assignment {
  const { kept, steppings, intervals } = mixture
  const ofKind = (kind: Interval['kind']) => intervals.filter(interval => interval.kind === kind)
  const weights: [Kind, number][] = [
    ['kept', weightOf(kept)],
    ['stepping', weightOf(steppings)],
    ['block', weightOf(ofKind('block'))],
    ['random', weightOf(ofKind('random'))]
  ]
  const [kind, confidence] = weights.reduce((a, b) => (b[1] > a[1] ? b : a))
  const latest = seen.mappings.slice(-SHOWN).map(({ port }) => port)
  const ports = `${seen.mappings.length > SHOWN ? '… ' : ''}${latest.join(', ') || 'no port'}`
  const say = (what: string) => ({
    kind,
    confidence,
    evidence: `${ports}${repeated(seen)}: ${what}, ${sure(confidence)}`
  })
  switch (kind) {
    case 'kept':
      return say('the same port for every destination')
    case 'stepping':
      return { ...say(stepsOf(steppings)), ...steppingVerdict(steppings) }
    case 'block': {
      const block = boundsOf(ofKind('block'))
      return { ...say(`scattered over a block, perhaps ${block.low} to ${block.high}`), block }
    }
    case 'random': {
      const range = boundsOf(ofKind('random'))
      return { ...say(`scattered over a range, perhaps ${range.low} to ${range.high}`), range }
    }
  }
}

type Steppings = readonly Weighed<Stepping>[]

function stepsOf(all: Steppings): string {
  const { step, per } = steppingVerdict(all)
  const { low, high } = perSecond(all)
  const counter = per === 'nat' ? '' : `, a counter for each ${per}`
  return `steps of ${step > 0 ? '+' : ''}${step}${counter}, ${brief(low)} to ${brief(high)} mappings a second by others`
}

function steppingVerdict(all: Steppings) {
  const best = likeliest(all)
  return { step: best?.step ?? 0, per: best?.per ?? 'nat', driftPerSecond: perSecond(all).mean }
}

const brief = (perSecond: number) => (perSecond < 10 ? perSecond.toFixed(1) : perSecond.toFixed(0))
const weightOf = (all: readonly Weighed<object>[]) => sum(all.map(({ weight }) => weight))
const sure = (share: number) => `${percent(share)} sure`
const repeated = ({ repeats }: Evidence) => (repeats > 0 ? ` (seen again ${repeats} times)` : '')

function likeliest<T extends object>(all: readonly Weighed<T>[]): Weighed<T> | undefined {
  return all.reduce<Weighed<T> | undefined>((best, one) => (best && best.weight >= one.weight ? best : one), undefined)
}

function boundsOf(all: readonly Weighed<Interval>[]): Range {
  const best = likeliest(all)
  return { low: best?.low ?? 1024, high: best?.high ?? 65535 }
}
