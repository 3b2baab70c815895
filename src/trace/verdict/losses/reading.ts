// Turns a record into facts about each loss of its connection's path. What both peers tell of one loss is put together; then what
// was seen about the time of it: profiles and cold sockets of the searches that followed, joins, sleeps, other networks.
//
//   change: lost (caller), lost (callee), resumed (callee), resumed (caller)     one loss
//   again ── observe, profile, plan …                                            what it was like then

import { type SideName, sideNames } from '../../../wire/side.ts'
import { eventsOf, type Reader, read } from '../../record/reader.ts'
import type { SpanRecord, TraceRecord } from '../../record/record.ts'
import { direct, hears } from '../facts.ts'
import { factsOf as requestFacts } from '../reading.ts'
import {
  hostOf,
  type Kind,
  type LossFacts,
  type OfSides,
  type Place,
  type Remapping,
  type Search,
  type Told
} from './facts.ts'

type Recorded = Pick<TraceRecord, 'spans' | 'startMs' | 'ms' | 'path' | 'caller' | 'callee'>

/** What happens so close to a loss may explain it, in milliseconds: news wait while the gateway is away. */
const ABOUT_MS = 15_000

/** What was noticed before the loss was may have been the reason, in milliseconds: a quiet path is looked at every nine seconds. */
const SHORTLY_MS = 5_000

/** Streams wait as long for another path, if they are not told otherwise: who asks by then had a path when the gateway began. */
const RESTARTED_MS = 60_000

/** A link that is lost so long before the path fell silent was lost with it, in milliseconds. */
const AT_ONCE_MS = 1_000

/** Losses of one record; peers can tell of as many (gateway/session/again/standing.ts). */
const MOST = 32

interface Draft {
  readonly atMs: number
  readonly kind: Kind
  readonly lost: Partial<Record<SideName, Told>>
  readonly next: Partial<Record<SideName, Told>>
}

export function lossesIn(record: Recorded): LossFacts[] {
  const drafts = draftsOf(record)
  return drafts.slice(0, MOST).map((draft, at) => factsOf(record, draft, drafts[at + 1]?.atMs ?? Infinity))
}

const named = (spans: readonly SpanRecord[], name: string) =>
  spans.filter(span => span.name === name).toSorted((a, b) => a.startMs - b.startMs)

/** A search for the relay that is a record of its own stands for a loss: its gateway knew nothing of the connection. */
function draftsOf({ spans, startMs, path }: Recorded): Draft[] {
  const root = spans[0]
  const isOwn = root?.name === 'postern.again' && read(root).text('only') === 'relay'
  const drafts: Draft[] = isOwn ? [{ atMs: startMs, kind: undefined, lost: {}, next: {} }] : []
  let kind: Kind = root?.name === 'postern.again' ? undefined : path
  let isClosed = false
  for (const span of named(spans, 'postern.change')) {
    const said = read(span)
    const side = said.side('told_by')
    const told = toldIn(span, said)
    if (!side || !told) continue
    // A side that closes the connection takes the path away from the other one.
    if (told.what === 'lost' && isClosed) continue
    isClosed ||= told.what === 'ended' && !told.isLate
    if (told.what === 'lost' && !isSame(drafts.at(-1), side, told))
      drafts.push({ atMs: told.atMs, kind: told.kind ?? kind, lost: {}, next: {} })
    const draft = drafts.at(-1)
    if (draft && told.what === 'lost') draft.lost[side] = told
    else if (draft) draft.next[side] ??= told
    if (told.what !== 'lost') kind = told.kind ?? kind
  }
  return drafts
}

/** The other side has told of this loss already. */
function isSame(draft: Draft | undefined, side: SideName, { atMs }: Told): boolean {
  if (!draft || draft.lost[side] || draft.next[side]) return false
  return atMs - draft.atMs <= ABOUT_MS || sideNames.every(one => !draft.next[one])
}

function toldIn(span: SpanRecord, said: Reader): Told | undefined {
  const what = (['lost', 'moved', 'resumed', 'ended'] as const).find(one => one === said.text('change'))
  if (!what) return undefined
  return {
    ...{ what, atMs: span.startMs, kind: kindIn(said) },
    ...{ quietMs: said.number('silence'), unansweredMs: said.number('unanswered') },
    mtu: what === 'lost' ? said.number('mtu') : undefined,
    ...{ isBack: said.flag('back') ?? false, isLate: said.text('code') === 'path-lost' }
  }
}

const kindIn = (said: Reader): Kind => (['direct', 'relay'] as const).find(kind => kind === said.text('path'))

function factsOf({ spans, startMs, ms, caller, callee }: Recorded, draft: Draft, nextMs: number): LossFacts {
  const { atMs, lost, next } = draft
  const told = sideNames.flatMap(side => next[side] ?? []).toSorted((a, b) => a.atMs - b.atMs)
  const found = told.find(({ what }) => what !== 'ended')
  const untilMs = Math.min(nextMs, (found?.atMs ?? Infinity) + ABOUT_MS)
  const quietMs = Math.max(0, ...sideNames.map(side => lost[side]?.quietMs ?? 0))
  const sinceMs = atMs - quietMs - SHORTLY_MS
  // Whoever joined in order to call has not joined anew.
  const calledMs = spans[0]?.name === 'postern.connect' ? startMs + ms : -Infinity
  const anewMs = Math.max(calledMs, atMs - quietMs - AT_ONCE_MS)
  const later = spans.filter(({ startMs }) => startMs >= atMs && startMs < untilMs)
  const searches = named(later, 'postern.again')
  const changes = named(spans, 'postern.change').filter(span => Math.abs(span.startMs - atMs) <= ABOUT_MS)
  const of = <Fact>(fact: (side: SideName) => Fact | undefined) => ofSides(fact)
  return {
    ...{ names: { caller: caller || 'the caller', callee: callee || 'the callee' }, ...draft, found },
    slept: of(side => sleepOf(spans, side, atMs)),
    changed: of(side => changes.some(span => isTold(span, side, 'network')) || undefined),
    before: of(side =>
      placeOf(
        spans.filter(span => span.startMs < atMs),
        side
      )
    ),
    after: of(side => placeOf(later, side)),
    remapped: of(side => remappingOf(later, side, sinceMs) ?? relatchOf(spans, side, [sinceMs, untilMs])),
    rejoined: of(side => searches.map(search => joinedMs(search, side)).find(ms => ms >= anewMs)),
    blocked: of(side => blockedIn(later, side)),
    restarted: searches.some(search => beganMs(search) > atMs - (search === spans[0] ? RESTARTED_MS : quietMs)),
    searches: searches.map(search => searchOf(search, spans)),
    settled: isSettled({ next, found, kind: draft.kind, isLast: nextMs === Infinity }, searches)
  }
}

function ofSides<Fact>(fact: (side: SideName) => Fact | undefined): OfSides<Fact> {
  const facts: Partial<Record<SideName, Fact>> = {}
  for (const side of sideNames) {
    const one = fact(side)
    if (one !== undefined) facts[side] = one
  }
  return facts
}

const isTold = (span: SpanRecord, by: SideName, what: string): boolean => {
  const said = read(span)
  return said.text('change') === what && said.side('told_by') === by
}

/** The far side loses the path while one sleeps, and the one that slept when it wakes. */
function sleepOf(spans: readonly SpanRecord[], side: SideName, atMs: number): number | undefined {
  const slept = spans
    .filter(span => span.name === 'postern.change' && isTold(span, side, 'slept'))
    .map(span => ({ endMs: span.startMs, ms: read(span).number('slept') ?? 0 }))
  return slept.find(({ endMs, ms }) => atMs >= endMs - ms - ABOUT_MS && atMs <= endMs + ABOUT_MS)?.ms
}

function placeOf(spans: readonly SpanRecord[], side: SideName): Place | undefined {
  const profile = named(spans, 'postern.profile').findLast(span => read(span).side('side') === side)
  const said = read(profile)
  const mapped = said.text('mapped')
  if (!profile || mapped === undefined || said.flag('hidden')) return undefined
  const seen = eventsOf(profile, 'sample').flatMap(sample => sample.text('mapped') ?? [])
  return {
    ...{ atMs: profile.startMs, address: hostOf(mapped), isForgetful: said.text('remapped') !== undefined },
    hasMore: new Set([mapped, ...seen].map(hostOf)).size > 1,
    own: said.list('links')[0]?.replace(/\/\d+$/, '')
  }
}

/** `before after milliseconds-ago`, as a profile has it. */
function remappingOf(spans: readonly SpanRecord[], side: SideName, sinceMs: number): Remapping | undefined {
  for (const span of named(spans, 'postern.profile')) {
    const said = read(span)
    const [was, is, ago] = said.text('remapped')?.split(' ') ?? []
    if (said.side('side') !== side || was === undefined || is === undefined) continue
    if (span.startMs - Number(ago) >= sinceMs) return { was, is }
  }
  return undefined
}

/** The relay saw it at another source than it was latched from. */
function relatchOf(
  spans: readonly SpanRecord[],
  side: SideName,
  [sinceMs, untilMs]: readonly [number, number]
): Remapping | undefined {
  const relatched = named(spans, 'postern.change').find(
    span => read(span).text('change') === 'relatched' && read(span).side('side') === side && within(span)
  )
  function within({ startMs }: SpanRecord) {
    return startMs >= sinceMs && startMs < untilMs
  }
  const relay = named(spans, 'postern.relay').findLast(({ endMs }) => relatched && endMs <= relatched.startMs)
  const was = read(relay).text(`${side}.latched`)
  const [address, port] = ['address', 'port'].map(what => relatched?.attributes[`network.peer.${what}`])
  return was !== undefined && typeof address === 'string' ? { was, is: `${address}:${port}` } : undefined
}

const joinedMs = (search: SpanRecord, side: SideName): number =>
  search.startMs - (read(search).number(`${side}.joined`) ?? Infinity)

const beganMs = (search: SpanRecord): number => search.startMs - (read(search).number('gateway.up') ?? Infinity)

function blockedIn(spans: readonly SpanRecord[], side: SideName): string | undefined {
  const cold = named(spans, 'postern.observe')
    .flatMap(({ events }) => events.filter(({ name }) => name === 'cold'))
    .map(read)
    .find(event => event.side('side') === side && event.text('code') === 'udp-blocked')
  return cold && (cold.text('reason') ?? 'no UDP of it reached the gateway')
}

function searchOf(span: SpanRecord, spans: readonly SpanRecord[]): Search {
  const said = read(span)
  const during = spans.filter(({ startMs }) => startMs >= span.startMs && startMs <= span.endMs)
  const plans = direct(requestFacts([span, ...during.filter(one => one !== span)], []))
  const isVain = plans.length > 0 && plans.every(({ isOpen, cause }) => !isOpen && VAIN.includes(cause ?? ''))
  return {
    only: said.text('only'),
    found: said.text('outcome') === 'path',
    code: said.text('code'),
    startMs: span.startMs,
    unheard: isVain,
    heard: sideNames.filter(side => plans.some(({ sides }) => hears(sides[side])))
  }
}

/** Causes of plans through which nothing came. */
const VAIN: readonly string[] = ['unheard', 'handover-lost', 'deadline']

type Known = Pick<LossFacts, 'next' | 'found' | 'kind'> & { readonly isLast: boolean }

/** A direct path is looked for once more when one was lost; what that shows is waited for. */
function isSettled({ next, found, kind, isLast }: Known, searches: readonly SpanRecord[]): boolean {
  const told = sideNames.flatMap(side => next[side] ?? [])
  if (!isLast || told.some(({ what }) => what === 'ended')) return true
  if (!found) return false
  const isLookedFor = kind !== 'relay' && found.kind === 'relay'
  if (isLookedFor && !found.isBack) return searches.some(search => read(search).text('only') === 'direct')
  return told.length === sideNames.length
}
