// Reads what the operator's `OTEL_*` variables say about exporting traces. They are read as a whole and checked before
// anything is opened. The packages read only some of them, and fall back without a word if one is wrong.
//
// Names, meanings and defaults: OpenTelemetry's "Environment Variable Specification" and "OTLP Exporter Configuration".

import { readFileSync } from 'node:fs'
import { validateHeaderName, validateHeaderValue } from 'node:http'
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  ParentBasedSampler,
  type Sampler,
  TraceIdRatioBasedSampler
} from '@opentelemetry/sdk-trace'
import { didYouMean } from '../../config/closest.ts'
import { PosternError } from '../../errors.ts'

export interface ExportSettings {
  readonly collector: {
    readonly url: string
    readonly headers: Readonly<Record<string, string>>
    /** For one try. */
    readonly timeoutMs: number
    readonly compression: 'none' | 'gzip'
    readonly tls: { readonly ca?: Buffer; readonly cert?: Buffer; readonly key?: Buffer }
  }
  readonly batch: {
    readonly delayMs: number
    /** Spans that wait; more are dropped. */
    readonly queue: number
    readonly size: number
  }
  /** Left out if the SDK's own limits hold. */
  readonly cut?: Cut
  readonly sampler: Sampler
  /** Attributes of the resource. */
  readonly resource: Readonly<Record<string, string>>
}

/** How much of a span is exported. */
export interface Cut {
  readonly attributes: number
  readonly characters: number
  readonly events: number
  readonly eventAttributes: number
}

/** Spans of a batch. OpenTelemetry's default is 512. That takes 20 ms to encode, in which nothing is relayed; this takes 3. */
const BATCH = 64

type Environment = Readonly<Record<string, string | undefined>>

/** Undefined if nothing is to be exported. Throws `bad-config` if a variable that matters for the export is wrong. */
export function exportSettings(env: Environment): ExportSettings | undefined {
  const read = new Reader(env)
  if (env.OTEL_SDK_DISABLED?.trim().toLowerCase() === 'true') return undefined
  const exporter = read.word('OTEL_TRACES_EXPORTER', ['otlp', 'none'])
  const url = collectorUrl(read, exporter === 'otlp')
  if (exporter === 'none' || !url) return undefined
  read.word(specific(read, 'PROTOCOL'), ['http/protobuf'])
  const timeoutMs = read.number('OTEL_BSP_EXPORT_TIMEOUT', 30_000)
  return {
    collector: {
      url,
      headers: { ...read.headers('OTEL_EXPORTER_OTLP_HEADERS'), ...read.headers('OTEL_EXPORTER_OTLP_TRACES_HEADERS') },
      timeoutMs: Math.min(timeoutMs, read.number(specific(read, 'TIMEOUT'), 10_000)),
      compression: read.word(specific(read, 'COMPRESSION'), ['none', 'gzip']) ?? 'none',
      tls: {
        ...read.file('ca', specific(read, 'CERTIFICATE')),
        ...read.file('cert', specific(read, 'CLIENT_CERTIFICATE')),
        ...read.file('key', specific(read, 'CLIENT_KEY'))
      }
    },
    batch: batchOf(read),
    ...cutOf(read),
    sampler: samplerOf(read),
    resource: resourceOf(read)
  }
}

/** A variable for traces alone takes precedence over the one for all signals. */
function specific(read: Reader, name: string): string {
  const own = `OTEL_EXPORTER_OTLP_TRACES_${name}`
  return read.text(own) === undefined ? `OTEL_EXPORTER_OTLP_${name}` : own
}

function collectorUrl(read: Reader, asked: boolean): string | undefined {
  const own = read.url('OTEL_EXPORTER_OTLP_TRACES_ENDPOINT')
  if (own) return own.href
  const base = read.url('OTEL_EXPORTER_OTLP_ENDPOINT') ?? (asked ? new URL('http://localhost:4318') : undefined)
  if (!base) return undefined
  base.pathname = `${base.pathname.replace(/\/$/, '')}/v1/traces`
  return base.href
}

function batchOf(read: Reader): ExportSettings['batch'] {
  const queue = read.number('OTEL_BSP_MAX_QUEUE_SIZE', 2048)
  const size = Math.min(queue, read.number('OTEL_BSP_MAX_EXPORT_BATCH_SIZE', BATCH))
  return { delayMs: read.number('OTEL_BSP_SCHEDULE_DELAY', 5000, 0), queue, size }
}

/** OpenTelemetry's defaults are 128 of each. The SDK keeps to them by itself, and no span of ours has as many. */
function cutOf(read: Reader): { cut?: Cut } {
  const most = Number.POSITIVE_INFINITY
  const attributes = read.number('OTEL_ATTRIBUTE_COUNT_LIMIT', most, 0)
  const characters = read.number('OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT', most, 0)
  const cut = {
    attributes: read.number('OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT', attributes, 0),
    characters: read.number('OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT', characters, 0),
    events: read.number('OTEL_SPAN_EVENT_COUNT_LIMIT', most, 0),
    eventAttributes: read.number('OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT', most, 0)
  }
  return Object.values(cut).every(limit => limit === most) ? {} : { cut }
}

const samplers: Readonly<Record<string, (ratio: () => number) => Sampler>> = {
  always_on: () => new AlwaysOnSampler(),
  always_off: () => new AlwaysOffSampler(),
  traceidratio: ratio => new TraceIdRatioBasedSampler(ratio()),
  parentbased_always_on: () => new ParentBasedSampler({ root: new AlwaysOnSampler() }),
  parentbased_always_off: () => new ParentBasedSampler({ root: new AlwaysOffSampler() }),
  parentbased_traceidratio: ratio => new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(ratio()) })
}

function samplerOf(read: Reader): Sampler {
  const name = read.word('OTEL_TRACES_SAMPLER', Object.keys(samplers)) ?? 'parentbased_always_on'
  const make = samplers[name] as NonNullable<(typeof samplers)[string]>
  return make(() => read.ratio('OTEL_TRACES_SAMPLER_ARG'))
}

function resourceOf(read: Reader): Record<string, string> {
  const name = read.text('OTEL_SERVICE_NAME')
  return { ...read.pairs('OTEL_RESOURCE_ATTRIBUTES'), ...(name ? { 'service.name': name } : {}) }
}

/** An empty variable counts as one that is not set. */
class Reader {
  readonly #env: Environment

  constructor(env: Environment) {
    this.#env = env
  }

  text(name: string): string | undefined {
    return this.#env[name]?.trim() || undefined
  }

  word<Word extends string>(name: string, known: readonly Word[]): Word | undefined {
    const text = this.text(name)
    const word = known.find(one => one === text)
    if (text === word) return word
    throw wrong(name, `got ${text}${didYouMean(String(text), known)}`, known.join(' or '))
  }

  /** A whole number. */
  number(name: string, unset: number, least = 1): number {
    const text = this.text(name)
    if (text === undefined) return unset
    if (/^\d{1,9}$/.test(text) && Number(text) >= least) return Number(text)
    throw wrong(name, `got ${text}`, `a whole number, at least ${least}`)
  }

  /** A number from 0 to 1; 1 if it is not set. */
  ratio(name: string): number {
    const text = this.text(name) ?? '1'
    if (/^(0|1|0?\.\d+|[01]\.0*|0\.\d+)$/.test(text)) return Number(text)
    throw wrong(name, `got ${text}`, 'a number from 0 to 1')
  }

  url(name: string): URL | undefined {
    const text = this.text(name)
    if (text === undefined) return undefined
    const url = URL.parse(text)
    if (url && /^https?:$/.test(url.protocol)) return url
    throw wrong(name, `got ${text.replace(/.*@/s, '…@')}`, 'a URL such as http://localhost:4318')
  }

  /** `key=value,key=value`, percent-encoded. It is never shown in a message, since headers carry keys. */
  pairs(name: string): Record<string, string> {
    const parts = (this.text(name) ?? '').split(',').filter(part => part.trim() !== '')
    try {
      return Object.fromEntries(parts.map(pairOf))
    } catch (cause) {
      throw wrong(name, 'it cannot be read', 'key=value,key=value with anything else percent-encoded', cause)
    }
  }

  /** The same, checked now. What sends the headers would put a wrong one into its error. */
  headers(name: string): Record<string, string> {
    const pairs = this.pairs(name)
    try {
      for (const [key, value] of Object.entries(pairs)) {
        validateHeaderName(key)
        validateHeaderValue(key, value)
      }
      return pairs
    } catch {
      throw wrong(name, 'it has what no header can be', 'key=value,key=value with anything else percent-encoded')
    }
  }

  file(as: 'ca' | 'cert' | 'key', name: string): { [Key in typeof as]?: Buffer } {
    const path = this.text(name)
    if (path === undefined) return {}
    try {
      return { [as]: readFileSync(path) }
    } catch (cause) {
      throw wrong(name, `${path} cannot be read`, 'a file in PEM', cause)
    }
  }
}

function pairOf(part: string): [string, string] {
  const [key = '', value = ''] = part.split(/=(.*)/s).map(text => decodeURIComponent(text.trim()))
  if (key === '' || !part.includes('=')) throw new Error('no key')
  return [key, value]
}

const wrong = (name: string, what: string, expected: string, cause?: unknown) =>
  new PosternError('bad-config', `${name}: ${what}; expected ${expected}`, { cause })
