// Traces as a gateway records them, made up: for what pages show, whatever a real run happens to show.

import type { SpanRecord, TraceRecord } from '../../../../src/trace/record/record.ts'

const startMs = Date.UTC(2026, 10, 23, 14, 3, 22, 413)

interface Made {
  readonly at: number
  readonly ms: number
  readonly attributes?: Record<string, unknown>
  readonly events?: readonly (readonly [string, number, Record<string, unknown>?])[]
  readonly beneath?: SpanRecord
}

let spans = 0

/** @param at, and times of events: milliseconds since the call. */
function span(name: string, { at, ms, attributes = {}, events = [], beneath }: Made): SpanRecord {
  return {
    id: (++spans).toString(16).padStart(16, '0'),
    ...(beneath ? { parent: beneath.id } : {}),
    name: `postern.${name}`,
    startMs: startMs + at,
    endMs: startMs + at + ms,
    attributes: Object.fromEntries(
      Object.entries(attributes).map(([key, value]) => [key.startsWith('network.') ? key : `postern.${key}`, value])
    ),
    events: events.map(([event, atMs, more = {}]) => ({ name: event, atMs: startMs + atMs, attributes: more }))
  }
}

/** A pair of counting and scattering NATs that ended on the relay: a prediction missed, and a spray had too few probes. */
export function relayedRecord(names: { caller?: string; callee?: string } = {}): TraceRecord {
  const { caller = 'alice-laptop', callee = 'workshop.printer-7' } = names
  const verdict = {
    code: 'prediction-missed',
    sentence: `the next port of ${callee} could not be predicted: others behind its NAT use up about 210 ports a second`,
    side: 'callee' as const,
    evidence: [
      'its NAT counts ports up by 2 (16 of 16 mappings)',
      'foreign mappings were seen at 210 a second',
      'predict tried 64 ports from 41012 to 41138, and met none of them',
      'spray passed: 0.11 is less than the 0.15 it asks for'
    ],
    advice: 'let the callee’s router map one UDP port to it, or give spray more probes: its option probes is 2048',
    also: ['spray-too-small']
  }
  const root = span('connect', {
    at: 0,
    ms: 2263.4,
    attributes: {
      caller,
      callee,
      session: '8f2a77c01b3d9e64',
      strategies: ['direct', 'stun', 'predict', 'spray', 'relay'],
      deadline: 10_000,
      'relay.configured': true,
      'gateway.addresses': 2,
      'gateway.ports': 4,
      'caller.clock.offset': -312.41,
      'caller.clock.uncertainty': 11.2,
      'callee.clock.offset': 4.07,
      'callee.clock.uncertainty': 20.9,
      outcome: 'path',
      path: 'relay',
      plugin: 'relay',
      reason: 'both sides reach the gateway',
      verdict: verdict.code
    },
    events: [['asked', 11.3]]
  })
  const turn = (plugin: string, at: number, ms: number, outcome: string, reason: string, more = {}) =>
    span('plugin', { at, ms, beneath: root, attributes: { plugin, outcome, reason, ...more } })
  const predict = turn('predict', 812.4, 640.2, 'failed', 'no probe met the other side within 640 ms', {
    cause: 'unheard'
  })
  const relay = turn('relay', 1460, 801, 'path', 'both sides reach the gateway')
  const plan = span('plan', {
    at: 868,
    ms: 584,
    beneath: predict,
    attributes: {
      plugin: 'predict',
      order: 'punch',
      label: 'one',
      why: 'the next ports of workshop.printer-7 are known but for what others use',
      expected: 0.42,
      wait: 700,
      'caller.sockets': 1,
      'caller.probes': 256,
      'caller.ports': 64,
      'caller.first_ports': Array.from({ length: 32 }, (_, index) => 41_012 + index * 2),
      'caller.low_port': 41_012,
      'caller.high_port': 41_138,
      'callee.sockets': 1,
      'callee.probes': 24,
      'callee.ports': 0,
      outcome: 'failed',
      cause: 'unheard',
      reason: 'no probe met the other side within 640 ms'
    }
  })
  const latched = span('relay', {
    at: 1461,
    ms: 799,
    beneath: relay,
    attributes: {
      plugin: 'relay',
      order: 'splice',
      why: 'both sides reach the gateway',
      wait: 2000,
      outcome: 'path',
      'caller.latched': '198.51.100.23:50214',
      'callee.latched': '192.0.2.140:41322',
      'relay.per_session': 4e6
    }
  })
  const observed = Array.from(
    { length: 16 },
    (_, index) => `192.0.2.140:${40_806 + index * 13} ${1400 - index * 80} ${50_100 + index}`
  )
  const profile = (side: string, at: number, attributes: Record<string, unknown>) =>
    span('profile', { at, ms: 0.2, beneath: root, attributes: { side, translated: true, ...attributes } })
  const probe = (side: string, beneath: SpanRecord, at: number, ms: number, more: Partial<Made> = {}) =>
    span('probe', { at, ms, beneath, ...more, attributes: { side, outcome: 'failed', ...more.attributes } })
  const handover = (side: string, at: number, ms: number, local: number, peer: number) =>
    span('handover', {
      at,
      ms,
      beneath: latched,
      attributes: {
        side,
        outcome: 'path',
        'network.local.address': side === 'caller' ? '10.0.0.17' : '192.168.178.40',
        'network.local.port': local,
        'network.peer.address': '203.0.113.1',
        'network.peer.port': peer
      },
      events: [
        ['ice', at + ms * 0.3],
        ['dtls', at + ms * 0.8],
        ['sctp', at + ms]
      ]
    })
  const later = span('change', {
    at: 62_000,
    ms: 0,
    beneath: root,
    attributes: { change: 'idle', side: 'callee', 'caller.bytes': 184_220, 'callee.bytes': 92_114, 'callee.dropped': 3 }
  })
  return {
    id: '4bf92f3577b34da6a3ce929d0e0e4736',
    startMs,
    ms: 2263.4,
    caller,
    callee,
    outcome: 'path',
    by: 'relay',
    reason: 'both sides reach the gateway',
    path: 'relay',
    verdict,
    spans: [
      root,
      span('join', { at: -3202, ms: 61, beneath: root, attributes: { side: 'caller', outcome: 'path', peer: caller } }),
      span('observe', {
        at: 12,
        ms: 41.3,
        beneath: root,
        attributes: { sides: 'caller', outcome: 'path' },
        events: [['warm', 53, { 'postern.side': 'caller' }]]
      }),
      profile('caller', 54, {
        mapping: 'endpoint-independent',
        filtering: 'address-and-port-dependent',
        mapped: '198.51.100.23:50214',
        port: 50_214,
        links: ['10.0.0.17/24', '172.17.0.1/16'],
        rtt: 22.4,
        probes_left: 8192,
        observed: ['198.51.100.23:50214 1200 50214', '198.51.100.23:50214 40 50214']
      }),
      profile('callee', 54.3, {
        mapping: 'address-and-port-dependent',
        filtering: 'unknown',
        mapped: '192.0.2.140:40806'
      }),
      turn('direct', 55, 0.4, 'passed', 'both are behind NATs of their own', { cause: 'unsuited' }),
      turn('stun', 56, 0.3, 'passed', `${callee} gets another port for each destination`, { cause: 'unsuited' }),
      predict,
      span('observe', {
        at: 813,
        ms: 54,
        beneath: plan,
        attributes: { sides: 'callee', fresh: true, outcome: 'path' }
      }),
      profile('callee', 867, {
        mapping: 'address-and-port-dependent',
        filtering: 'address-and-port-dependent',
        remaps: true,
        mapped: '192.0.2.140:41001',
        port: 50_116,
        links: ['192.168.178.40/24'],
        rtt: 41.8,
        probes_left: 7936,
        allocation: 'stepping',
        confidence: 0.93,
        evidence: '16 of 16 gaps are multiples of 2',
        step: 2,
        drift: 210.4,
        range: '1024-65535',
        observed
      }),
      plan,
      probe('callee', plan, 889, 560, {
        attributes: { sent: 12, received: 0, flows: 1 },
        events: [
          ['first_sent', 890],
          ['last_sent', 1440]
        ]
      }),
      probe('caller', plan, 880, 566, {
        attributes: { sent: 256, received: 1, flows: 64, heard: ['192.0.2.140:41262'] },
        events: [
          ['first_sent', 881],
          ['walked', 946],
          ['spent', 1320],
          ['first_received', 1330]
        ]
      }),
      turn('spray', 1453, 4, 'passed', 'its best plan would meet with 0.11, less than 0.15', {
        cause: 'unlikely',
        expected: 0.11
      }),
      relay,
      latched,
      probe('caller', latched, 1473, 96, {
        attributes: { outcome: 'path', sent: 3, received: 2 },
        events: [
          ['latched', 1495],
          ['heard', 1540],
          ['checked', 1569]
        ]
      }),
      probe('callee', latched, 1482, 60, {
        attributes: { outcome: 'path', sent: 2, received: 2 },
        events: [
          ['latched', 1524],
          ['answered', 1541]
        ]
      }),
      handover('callee', 1543, 702, 50_116, 3478),
      handover('caller', 1570, 690, 50_214, 3478),
      later
    ]
  }
}

/** The same, but the ports of the caller had to be guessed as well, among far more. */
export function bothHardRecord(): TraceRecord {
  const { spans, ...record } = relayedRecord()
  const random = [51_234, 3_071, 60_112, 22_890, 41_777, 8_402, 33_333, 64_001]
  const more = (span: SpanRecord): Record<string, unknown> => {
    if (span.name === 'postern.profile' && span.attributes['postern.side'] === 'caller')
      return {
        'postern.mapping': 'address-and-port-dependent',
        'postern.allocation': 'random',
        'postern.confidence': 0.9941,
        'postern.evidence': `${random.join(', ')}: scattered over a range, perhaps 1024 to 65535, 99.4 % sure`,
        'postern.range': '1024-65535',
        'postern.observed': random.map((port, at) => `198.51.100.23:${port} ${(8 - at) * 40} ${50_000 + at}`)
      }
    return span.name === 'postern.plan'
      ? {
          'postern.callee.ports': 512,
          'postern.callee.first_ports': random.map(port => port - 20),
          'postern.callee.low_port': 1030,
          'postern.callee.high_port': 65_500,
          'postern.callee.sockets': 16
        }
      : {}
  }
  const id = '5bf92f3577b34da6a3ce929d0e0e4736'
  return { ...record, id, spans: spans.map(span => ({ ...span, attributes: { ...span.attributes, ...more(span) } })) }
}

/** A request that came to nothing before any side was judged. */
export function failedRecord(reason = 'bob is not joined now'): TraceRecord {
  const root = span('connect', {
    at: 0,
    ms: 0.8,
    attributes: { caller: 'ann', callee: 'bob', outcome: 'failed', code: 'peer-offline', reason }
  })
  return {
    id: '0af7651916cd43dd8448eb211c80319c',
    startMs,
    ms: 0.8,
    caller: 'ann',
    callee: 'bob',
    outcome: 'failed',
    by: 'peer-offline',
    reason,
    verdict: {
      code: 'peer-offline',
      sentence: 'bob was not joined when it was asked for',
      side: 'callee',
      evidence: [],
      advice: 'start postern up on bob',
      also: []
    },
    spans: [root]
  }
}

/** The same path, lost later: the relay is found again, and a search for a direct path is in vain. */
export function movedRecord(): TraceRecord {
  const { spans, ...record } = relayedRecord()
  const overMs = record.startMs + record.ms
  const told = (change: string, afterMs: number, more: object) => ({
    ...{ id: `told ${afterMs}`, parent: spans[0]?.id ?? '', name: 'postern.change', events: [] },
    ...{ startMs: overMs + afterMs, endMs: overMs + afterMs },
    attributes: { 'postern.change': change, 'postern.told_by': 'callee', 'postern.side': 'callee', ...more }
  })
  const search = {
    ...{ id: 'search', parent: spans[0]?.id ?? '', name: 'postern.again', events: [] },
    ...{ startMs: overMs + 20_000, endMs: overMs + 21_000 },
    attributes: { 'postern.only': 'direct', 'postern.asker': 'callee', 'postern.outcome': 'failed' }
  }
  const profile = spans.find(({ name }) => name === 'postern.profile')
  const below = {
    ...{ id: 'below', parent: 'search', name: 'postern.profile', events: [] },
    ...{ startMs: overMs + 20_001, endMs: overMs + 20_001 },
    attributes: { ...profile?.attributes, 'postern.side': 'caller', 'postern.mapped': '198.51.100.99:999' }
  }
  const lost = told('lost', 12_000, { 'postern.reason': 'nothing was heard', 'postern.silence': 1200 })
  const resumed = told('resumed', 12_140, { 'postern.path': 'relay', 'postern.pause': 140, 'postern.resent': 2048 })
  return { ...record, spans: [...spans, lost, resumed, search, below] }
}
