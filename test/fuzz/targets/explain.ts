// A trace from a file that somebody wrote: read as `postern explain` reads it, judged again, and told on a terminal and on a page. It
// is no trace, or its request cannot be asked again, or there is a text without a control character and within the width.

import { equal, ok } from 'node:assert/strict'
import { pino } from 'pino'
import { explanationText } from '../../../src/cli/text/explain-text.ts'
import { unpainted } from '../../../src/cli/text/output.ts'
import { renderTrace } from '../../../src/cli/text/trace-text.ts'
import { tracesTable } from '../../../src/cli/text/traces-table.ts'
import { parseConfig } from '../../../src/config/config.ts'
import { defaultStrategies } from '../../../src/config/strategies.ts'
import { PosternError } from '../../../src/errors.ts'
import { listPage } from '../../../src/gateway/http/pages/list.ts'
import { overviewPage } from '../../../src/gateway/http/pages/overview.ts'
import { tracePage } from '../../../src/gateway/http/pages/trace.ts'
import { knownStrategies, type Started, startPlugins } from '../../../src/plugins/built-in.ts'
import type { TraceRecord } from '../../../src/trace/record/record.ts'
import { asRecord, readRecord } from '../../../src/trace/record/schema.ts'
import { FAULT } from '../../../src/trace/verdict/judge.ts'
import { replay } from '../../../src/trace/verdict/replay.ts'
import { printableJson } from '../../../src/wire/text.ts'
import { failed, relayed } from '../../cli/text/traces-made.ts'
import { failedRecord, relayedRecord } from '../../gateway/http/pages/records.ts'
import { jsonText, mutatedJson } from '../mutate.ts'
import type { Odd } from '../odd.ts'
import type { Random } from '../random.ts'
import { isPrintable, type Subject, type Target } from '../target.ts'

const specimens: readonly TraceRecord[] = [failed, relayed, relayedRecord(), failedRecord()]
const widths = [60, 80, 132, 200] as const

/** Of a file, at most. */
const CHARACTERS = 1e6

interface File {
  readonly text: string
  readonly width: number
}

/** Traces as a gateway records them, changed; now and then with spans far beneath each other. */
class Reading implements Subject<File> {
  readonly #started: Started
  readonly #odd: Odd

  constructor(started: Started, odd: Odd) {
    this.#started = started
    this.#odd = odd
  }

  input(random: Random): File {
    const record = mutatedJson(random, random.pick(specimens), this.#odd)
    const chained = random.chance(0.02) ? deepened(record, random.size(3000)) : record
    return { text: jsonText(random, chained, this.#odd, CHARACTERS), width: random.pick(widths) }
  }

  async check({ text, width }: File): Promise<void> {
    const stored = readRecord(text)
    if (stored) pagesOf(stored)
    const record = asRecord(printableJson(jsonIn(text)))
    if (!record) return
    pagesOf(record)
    isText(renderTrace(record, { width }), width)
    // A code that there is none of may be of any length, and codes are not cut.
    isText(tracesTable([record], { width }).join('\n'), Number.POSITIVE_INFINITY)
    await this.#explain(record, width)
  }

  async #explain(record: TraceRecord, width: number): Promise<void> {
    const { strategies } = this.#started
    try {
      const found = await replay(record, strategies, knownStrategies(strategies))
      ok(!found.verdict.evidence.some(fact => fact.startsWith(FAULT)), found.verdict.evidence.join('; '))
      for (const { now } of found.strategies) ok(!now.passes?.startsWith('the plugin threw'), now.passes)
      isText(explanationText(record, found, { width, paint: unpainted }), width)
    } catch (error) {
      ok(error instanceof PosternError, error as Error)
      equal(error.code, 'bad-config')
      ok(isPrintable(error.message), 'the reason is not printable')
    }
  }

  async close(): Promise<void> {
    await this.#started[Symbol.asyncDispose]()
  }
}

/** Each span beneath the one before. */
function deepened(record: unknown, depth: number): unknown {
  const { spans } = (record ?? {}) as Partial<TraceRecord>
  const span = Array.isArray(spans) ? spans.at(-1) : undefined
  if (!Array.isArray(spans) || typeof span !== 'object') return record
  const chain = Array.from({ length: depth }, (_, at) => ({ ...span, id: `s${at}`, parent: `s${at - 1}` }))
  return { ...(record as object), spans: [...spans, ...chain] }
}

function jsonIn(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function pagesOf(record: TraceRecord): void {
  const { spans: _, ...summary } = record
  const status = { peers: 1 }
  const present = { peers: [], relayed: [] }
  const pages = [
    tracePage([record, record], false),
    listPage({ found: [summary], rows: 1, query: {}, session: false }),
    overviewPage({ traces: [summary], status, warnings: [], nowMs: Date.now(), session: false, present })
  ]
  for (const page of pages) {
    const html = page.toString()
    ok(!/q7[<>"'`]x7/.test(html), 'a page has what nobody has escaped')
    ok(!/\b(?:[xy][12]?|c[xy]|width|height)="[^"]*(?:NaN|Infinity)/.test(html), 'a picture has no number')
  }
}

/** A line may be longer only where a single word is. */
function isText(text: string, width: number): void {
  for (const line of text.split('\n')) {
    ok(isPrintable(line), `not printable: ${JSON.stringify(line)}`)
    ok(line.length <= width || !line.trim().includes(' '), `${line.length} of ${width} columns: ${line.slice(0, 200)}`)
  }
}

const zones = ['UTC', 'Asia/Kolkata', 'America/St_Johns', 'Pacific/Kiritimati', 'Pacific/Pago_Pago']

export const explain: Target = {
  name: 'explain',
  about: 'traces from a file: none, or told on a terminal and on pages as any other',
  async open(odd) {
    // Times are told in the zone of who reads them, and only some are beyond what a date can be.
    process.env.TZ = zones[odd.seed % zones.length]
    const { strategies } = parseConfig(`strategies: [${defaultStrategies.join(', ')}]`, 'fuzz.yaml', {})
    return new Reading(await startPlugins(strategies, pino({ level: 'silent' })), odd)
  }
}
