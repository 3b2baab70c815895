// Turns spans into facts. The verdict reads attributes here and nowhere else. A trace may come from a file that is torn or
// from another version, so no attribute is taken to be there, or to be what it should be.

import type { Code } from '../../errors.ts'
import type { Cause } from '../../strategy/plan.ts'
import type { Known } from '../../strategy/remedy.ts'
import { type SideName, sideNames } from '../../wire/side.ts'
import type { ShortName, SpanName } from '../record/conventions.ts'
import { observedIn } from '../record/observed.ts'
import { eventsOf, type Reader, read } from '../record/reader.ts'
import type { SpanRecord } from '../record/record.ts'
import type { ColdFacts, Facts, PlanFacts, ProfileFacts, SideFacts, TurnFacts, Wait } from './facts.ts'

export function factsOf(spans: readonly SpanRecord[], known: readonly Known[]): Facts {
  const root = read(spans[0])
  const named = (...names: SpanName[]) => spans.filter(({ name }) => names.some(one => one === name)).toSorted(byStart)
  return {
    known,
    kind: spans[0]?.name === 'postern.join' ? 'join' : 'connect',
    outcome: root.text('outcome'),
    path: root.text('path'),
    by: root.text('plugin'),
    code: root.text('code') as Code | undefined,
    reason: root.text('reason'),
    names: {
      caller: root.text('caller') ?? root.text('peer') ?? 'the caller',
      callee: root.text('callee') ?? 'the callee'
    },
    deadPorts: { caller: root.numbers('caller.dead_ports'), callee: root.numbers('callee.dead_ports') },
    relayOnly: sideNames.filter(side => root.flag(`${side}.relay_only`)),
    side: root.side('side'),
    limit: root.text('limit'),
    begun: root.text('session') !== undefined,
    strategies: root.list('strategies'),
    relayConfigured: root.flag('relay.configured'),
    deadlineMs: root.number('deadline'),
    gateway: {
      addresses: root.number('gateway.addresses'),
      endpoints: root.number('gateway.ports'),
      heard: root.flag('gateway.heard'),
      deaf: root.of('postern.gateway.deaf') === undefined ? undefined : root.list('gateway.deaf')
    },
    waits: named('postern.observe').map(waitOf),
    profiles: profilesOf(named('postern.profile')),
    turns: named('postern.plugin').map(turnOf),
    plans: named('postern.plan', 'postern.relay').map(span => planOf(span, spans)),
    ended: endOf(named('postern.change').map(read))
  }
}

function endOf(told: readonly Reader[]): Facts['ended'] {
  const code = told.flatMap(change => change.text('code') ?? [])[0]
  const narrow = told
    .filter(change => change.number('mtu') !== undefined)
    .flatMap(change => change.text('reason') ?? [])
  return code === undefined ? undefined : { code, narrow }
}

function waitOf(span: SpanRecord): Wait {
  const said = read(span)
  const sides = said.text('sides')?.split(/[ ,]+/) ?? []
  const cold = eventsOf(span, 'cold').flatMap(event => coldOf(event) ?? [])
  return {
    fresh: said.flag('fresh') ?? false,
    failed: said.text('outcome') === 'failed' || said.text('cause') !== undefined,
    sides: sideNames.filter(side => sides.includes(side)),
    warm: sideNames.filter(side => eventsOf(span, 'warm').some(event => event.side('side') === side)),
    cold: sideNames.flatMap(side => cold.find(one => one.side === side) ?? [])
  }
}

function coldOf(event: Reader): ColdFacts | undefined {
  const side = event.side('side')
  return side && { side, code: event.text('code'), reason: event.text('reason'), told: event.text('told') }
}

function profilesOf(spans: readonly SpanRecord[]): Facts['profiles'] {
  const of = (side: SideName) => spans.filter(span => read(span).side('side') === side).map(profileOf)
  return { caller: of('caller'), callee: of('callee') }
}

function profileOf(span: SpanRecord): ProfileFacts {
  const said = read(span)
  return {
    atMs: span.startMs,
    mapping: said.behaviour('mapping'),
    filtering: said.behaviour('filtering'),
    translated: said.flag('translated'),
    remaps: said.flag('remaps'),
    hidden: said.flag('hidden') ?? false,
    reached: said.text('reached'),
    mapped: said.text('mapped'),
    port: said.number('port'),
    assignment: said.text('allocation'),
    step: said.number('step'),
    drift: said.number('drift'),
    range: said.text('range') ?? said.text('block'),
    probesLeft: said.number('probes_left'),
    forward: said.text('forward'),
    router: said.text('router'),
    routerOutside: said.text('router.outside'),
    seenBy: eventsOf(span, 'sample').length,
    observed: said.list('observed').flatMap(line => observedIn(line) ?? [])
  }
}

function turnOf(span: SpanRecord): TurnFacts {
  const said = read(span)
  return {
    plugin: said.text('plugin') ?? 'a strategy',
    outcome: said.text('outcome'),
    cause: said.text('cause') as Cause | undefined,
    reason: said.text('reason'),
    expected: said.number('expected'),
    ms: Math.max(0, span.endMs - span.startMs)
  }
}

function planOf(span: SpanRecord, spans: readonly SpanRecord[]): PlanFacts {
  const said = read(span)
  const below = spans.filter(({ parent }) => parent !== undefined && parent === span.id)
  return {
    plugin: said.text('plugin') ?? 'a strategy',
    isRelay: span.name === 'postern.relay',
    isOpen: said.text('outcome') === 'path',
    cause: said.text('cause') as Cause | undefined,
    expected: said.number('expected'),
    startMs: span.startMs,
    label: said.text('label'),
    isHairpin: said.flag('hairpin') ?? false,
    hasBeyond: said.flag('beyond_subnet') ?? false,
    sides: { caller: sideOf('caller', said, below), callee: sideOf('callee', said, below) }
  }
}

function sideOf(side: SideName, plan: Reader, below: readonly SpanRecord[]): SideFacts {
  const spans = below.filter(
    span =>
      ['postern.probe', 'postern.handover'].includes(span.name) && read(span).side('side') === side && !isSilent(span)
  )
  const own = spans.map(read)
  const most = (name: ShortName) => Math.max(0, ...own.map(said => said.number(name) ?? 0))
  const first = (name: ShortName) => own.map(said => said.text(name)).find(text => text !== undefined)
  const code = first('code')
  return {
    reported: own.length > 0,
    bound: spans.some(({ name }) => name === 'postern.handover'),
    sent: most('sent'),
    received: most('received'),
    heard: own.flatMap(said => said.list('heard')),
    steps: spans.flatMap(({ events }) => events.map(({ name }) => name)),
    code,
    reason: first('reason'),
    failed: code !== undefined && !FAULTLESS_CODES.includes(code),
    localPort: own.map(said => said.of('network.local.port')).find(port => typeof port === 'number'),
    latched: plan.text(`${side}.latched`),
    door: plan.text(`${side}.door`),
    dropped: plan.number(`${side}.dropped`) ?? 0,
    isOwn: plan.flag(`${side}.own`) ?? false,
    sockets: plan.number(`${side}.sockets`),
    probes: plan.number(`${side}.probes`),
    ports: plan.number(`${side}.ports`)
  }
}

/** True for a probe that stands for a report which never came. */
const isSilent = (span: SpanRecord): boolean => read(span).text('cause') === 'never-obeyed'

/** The codes with which a side answers an order whose time was over, here or there, or that leads back to itself. */
const FAULTLESS_CODES: readonly string[] = ['called-off', 'timeout', 'stale-socket', 'own-address']

const byStart = (a: SpanRecord, b: SpanRecord) => a.startMs - b.startMs
