// Builds the scenes that strategies were shown from the profiles of a trace, so that others can be asked about them.

import { PosternError } from '../../errors.ts'
import { fit, type Observation } from '../../nat/assignment.ts'
import type { Profile, Sample } from '../../nat/profile.ts'
import type { Scene, Side } from '../../strategy/scene.ts'
import { type Endpoint, parseEndpoint, sameEndpoint } from '../../wire/endpoint.ts'
import { forwardOrigins } from '../../wire/forward.ts'
import type { SideName } from '../../wire/side.ts'
import { observedIn } from '../record/observed.ts'
import { type Reader, read } from '../record/reader.ts'
import type { SpanRecord, TraceRecord } from '../record/record.ts'

/** The scenes of a trace: as both networks were judged at first, and as they were when fresh sockets had been shown. */
export class Moments {
  readonly first: Scene
  /** Addresses were cut to their subnets, so that two sides of one subnet look like neighbours. */
  readonly masked: boolean
  readonly #sides: Record<SideName, readonly Moment[]>

  /** Throws `bad-config` if one of the networks was not observed, or was not recorded as this version records it. */
  constructor({ spans, caller, callee, by, reason }: TraceRecord) {
    const profiles = spans.filter(({ name }) => name === 'postern.profile')
    const sideOf = (side: SideName, name: string) =>
      profiles.filter(span => read(span).side('side') === side).flatMap(span => momentOf(span, name) ?? [])
    this.#sides = { caller: sideOf('caller', caller), callee: sideOf('callee', callee) }
    const [one, other] = [this.#sides.caller[0], this.#sides.callee[0]]
    if (!one || !other) throw new PosternError('bad-config', withoutScene(profiles.length > 0, by, reason))
    const atMs = Math.max(one.atMs, other.atMs)
    this.masked = [one, other].every(({ side }) => /(?:\.0|::)$/.test(side.mapped.address))
    const neighbours = spans.some(span => span.name === 'postern.observe' && read(span).flag('near') === true)
    this.first = { caller: one.side, callee: other.side, neighbours, attempts: [], atMs, memory: {} }
  }

  /**
   * Each wish for samples is granted with those that were recorded next. If there are no more, the last ones count as if
   * they had been made just then: what a counter does next depends on how long ago it was seen, hardly on where it was.
   */
  sampler(): (sides: readonly SideName[]) => Partial<Scene> {
    const round = { caller: 0, callee: 0 }
    return sides => {
      const next = sides.map(side => this.#sides[side][++round[side]] ?? this.#sides[side].at(-1)).filter(isThere)
      const atMs = Math.max(...next.map(moment => moment.atMs))
      const shown = sides.flatMap((side, index) => (next[index] ? [[side, seenAt(next[index].side, atMs)]] : []))
      return { ...Object.fromEntries(shown), atMs }
    }
  }
}

interface Moment {
  readonly side: Side
  readonly atMs: number
}

const isThere = <T>(value: T | undefined): value is T => value !== undefined

function withoutScene(judged: boolean, by: string, reason: string): string {
  if (judged)
    return 'its profiles do not say what strategies need to know: it was read with a key, which leaves out where the callee is, or another version of postern recorded it'
  return `this request ended before both networks were observed, so no strategy was asked (${by}: ${reason})`
}

/** The same side, whose observations are moved so that the last was made just then. */
function seenAt(side: Side, atMs: number): Side {
  const laterMs = atMs - Math.max(...side.observations.map(seen => seen.atMs))
  return { ...side, observations: side.observations.map(seen => ({ ...seen, atMs: seen.atMs + laterMs })) }
}

/** Undefined if the profile lacks what a side is made of. */
function momentOf(span: SpanRecord, name: string): Moment | undefined {
  const { startMs: atMs } = span
  const said = read(span)
  const mapped = parseEndpoint(said.text('mapped') ?? '')
  const [port, rttMs, probes] = [said.number('port'), said.number('rtt'), said.number('probes_left')]
  if (!mapped || port === undefined || rttMs === undefined || probes === undefined) return undefined
  const samples = samplesOf(span, mapped)
  const observations = said.list('observed').flatMap(seen => observationOf(seen, atMs) ?? [])
  const side = {
    name,
    gateway: samples.find(({ primary }) => primary)?.via ?? mapped,
    mapped,
    port,
    addresses: said.list('links').flatMap(link => addressOf(link) ?? []),
    profile: profileOf(said, samples, observations),
    observations,
    probes,
    rttMs,
    ...openOf(said)
  }
  return { side, atMs }
}

function openOf(said: Reader): Pick<Side, 'open'> {
  const endpoint = parseEndpoint(said.text('forward.endpoint') ?? '')
  const by = forwardOrigins.find(one => one === said.text('forward.by'))
  return endpoint && by ? { open: { endpoint, by } } : {}
}

function profileOf(said: Reader, samples: readonly Sample[], observations: readonly Observation[]): Profile {
  const remaps = said.flag('remaps')
  return {
    mapping: said.behaviour('mapping'),
    filtering: said.behaviour('filtering'),
    translated: said.flag('translated') ?? true,
    addresses: [...new Set(samples.map(({ mapped }) => mapped.address))],
    samples,
    ...(remaps === undefined ? {} : { remaps }),
    ...(said.flag('hidden') ? { hidden: true } : {}),
    // It is fitted again rather than read, so that the models of today are asked.
    ...(said.text('allocation') === undefined ? {} : { assignment: fit(observations).describe() })
  }
}

/** The primary endpoint is the one whose sample equals the side's mapping. */
function samplesOf(span: SpanRecord, shown: Endpoint): Sample[] {
  const samples: Sample[] = []
  for (const event of span.events) {
    const { atMs } = event
    const said = read(event)
    const via = parseEndpoint(said.text('via') ?? '')
    const mapped = parseEndpoint(said.text('mapped') ?? '')
    if (!via || !mapped) continue
    const primary = !samples.some(sample => sample.primary) && sameEndpoint(mapped, shown)
    samples.push({ via, primary, mapped, atMs, sinceMs: atMs })
  }
  return samples
}

function observationOf(line: string, atMs: number): Observation | undefined {
  const seen = observedIn(line)
  const mapped = parseEndpoint(seen?.mapped ?? '')
  if (!seen || !mapped) return undefined
  const { agoMs, localPort, unseen } = seen
  return {
    ...mapped,
    atMs: atMs - agoMs,
    ...(localPort === undefined ? {} : { localPort }),
    ...(unseen === undefined ? {} : { unseen })
  }
}

function addressOf(link: string): { address: string; prefix: number } | undefined {
  const [, address, prefix] = /^([0-9a-fA-F.:]+)\/(\d{1,3})$/.exec(link) ?? []
  return address === undefined ? undefined : { address, prefix: Number(prefix) }
}
