// Two traces as a gateway records them, for tests of what people see: one that failed, and one that was relayed.

import type { SpanRecord, TraceRecord } from '../../../src/trace/record/record.ts'

const startMs = Date.UTC(2026, 10, 23, 12, 40, 27)

/** A span at `at` milliseconds of the trace, of `ms`. */
const span = (
  id: string,
  parent: string | undefined,
  name: string,
  [at, ms]: readonly [number, number],
  attributes: Record<string, unknown>,
  events: readonly (readonly [string, number, Record<string, unknown>?])[] = []
): SpanRecord => ({
  id,
  ...(parent ? { parent } : {}),
  name: `postern.${name}`,
  startMs: startMs + at,
  endMs: startMs + at + ms,
  attributes: Object.fromEntries(
    Object.entries(attributes).map(([key, value]) => [key.startsWith('network.') ? key : `postern.${key}`, value])
  ),
  events: events.map(([name, atMs, said = {}]) => ({
    name,
    atMs: startMs + atMs,
    attributes: Object.fromEntries(Object.entries(said).map(([key, value]) => [`postern.${key}`, value]))
  }))
})

const profile = (id: string, side: string, mapped: string, port: number) =>
  span(
    id,
    'root',
    'profile',
    [14, 0.2],
    {
      side,
      mapping: 'endpoint-independent',
      filtering: 'address-and-port-dependent',
      translated: true,
      remaps: false,
      mapped,
      port,
      links: ['192.168.1.7/24'],
      rtt: 10.25,
      probes_left: 8192,
      observed: [`${mapped} 12.5 ${port}`]
    },
    [
      ['sample', -2000, { via: '203.0.113.6:3478', mapped }],
      ['sample', -1990, { via: '203.0.113.7:3479', mapped }]
    ]
  )

/** A filter on the way lets alice's datagrams through, and none of bob's. */
export const failed: TraceRecord = {
  id: '0af7651916cd43dd8448eb211c80319c',
  startMs,
  ms: 744.5,
  caller: 'alice',
  callee: 'bob',
  outcome: 'failed',
  by: 'no-path',
  reason: 'no path to bob: direct passed (…); stun failed (…)',
  verdict: {
    code: 'one-way',
    sentence: 'bob heard alice, and alice heard nothing of bob',
    side: 'caller',
    evidence: ['stun: bob received 14 of the datagrams alice sent', 'stun: alice received none of the 15 bob sent'],
    advice: 'look for a firewall before alice that drops UDP from 198.51.100.9',
    also: ['relay-off']
  },
  spans: [
    span('root', undefined, 'connect', [0, 744.5], {
      caller: 'alice',
      callee: 'bob',
      session: 'c7bbe127a5ec1239',
      strategies: ['direct', 'stun'],
      'relay.configured': false,
      deadline: 10_000,
      'gateway.addresses': 2,
      'gateway.ports': 4,
      'caller.clock.offset': 12.34,
      'caller.clock.uncertainty': 0.4,
      'callee.clock.offset': -0.2,
      'callee.clock.uncertainty': 0.3,
      outcome: 'failed',
      code: 'no-path',
      reason: 'no path to bob: direct passed (…); stun failed (…)',
      verdict: 'one-way',
      'verdict.sentence': 'bob heard alice, and alice heard nothing of bob'
    }),
    span('join', 'root', 'join', [-2200, 31.5], { side: 'caller', peer: 'alice', outcome: 'path' }),
    profile('profile-a', 'caller', '192.0.2.5:4000', 50_000),
    profile('profile-b', 'callee', '198.51.100.9:41000', 50_001),
    span('direct', 'root', 'plugin', [15, 0.4], {
      plugin: 'direct',
      outcome: 'passed',
      reason: 'both are behind a NAT, and share no network',
      cause: 'unsuited'
    }),
    span('stun', 'root', 'plugin', [16, 728], {
      plugin: 'stun',
      outcome: 'failed',
      reason: 'no answer to any probe within 720 ms',
      cause: 'unheard'
    }),
    span('plan', 'stun', 'plan', [16.5, 727], {
      plugin: 'stun',
      order: 'punch',
      why: 'both mappings are endpoint-independent',
      label: 'together',
      wait: 720,
      outcome: 'failed',
      reason: 'no answer to any probe within 720 ms',
      cause: 'unheard'
    }),
    span(
      'probe-a',
      'plan',
      'probe',
      [22, 716],
      { side: 'caller', outcome: 'failed', sent: 15, received: 0, flows: 1, reason: 'it was called off' },
      [
        ['first_sent', 22.1],
        ['last_sent', 722]
      ]
    ),
    span(
      'probe-b',
      'plan',
      'probe',
      [27, 711],
      { side: 'callee', outcome: 'failed', sent: 15, received: 14, flows: 1, heard: ['192.0.2.5:4000'] },
      [
        ['first_sent', 27.1],
        ['last_sent', 727],
        ['first_received', 72.4],
        ['heard', 72.5],
        ['last_received', 722.9]
      ]
    )
  ]
}

/** Two random NATs, and later a change of the relayed path. */
export const relayed: TraceRecord = {
  id: '4bf92f3577b34da6a3ce929d0e0e4736',
  startMs,
  ms: 61,
  caller: 'carol',
  callee: 'dave',
  outcome: 'path',
  by: 'relay',
  path: 'relay',
  reason: 'every other strategy passed or failed',
  verdict: {
    code: 'both-random',
    sentence: 'both NATs choose their ports at random',
    side: 'both',
    evidence: [
      'carol: random, 9 ports over 1024-65535',
      'dave: random, 9 ports over 1024-65535',
      'spray would have met with probability 0.001'
    ],
    advice: 'one side needs a NAT that keeps its ports, or a port that is forwarded to it',
    also: []
  },
  spans: [
    span('root', undefined, 'connect', [0, 61], {
      outcome: 'path',
      path: 'relay',
      plugin: 'relay',
      verdict: 'both-random',
      strategies: ['spray', 'relay'],
      'relay.configured': true
    }),
    span('spray', 'root', 'plugin', [20, 0.5], {
      plugin: 'spray',
      outcome: 'passed',
      reason: 'both random: 0.1 % in budget',
      cause: 'unlikely',
      expected: 0.001
    }),
    span('relay', 'root', 'plugin', [21, 40], { plugin: 'relay', outcome: 'path', reason: 'every other …' }),
    span('splice', 'relay', 'relay', [21.5, 39.5], {
      plugin: 'relay',
      order: 'splice',
      why: 'every other strategy passed or failed',
      wait: 2000,
      outcome: 'path',
      'relay.per_session': 4_000_000,
      'relay.per_peer': 8_000_000,
      'relay.total': 100_000_000,
      'caller.latched': '192.0.2.5:4000',
      'callee.latched': '198.51.100.9:41000'
    }),
    span(
      'handover-a',
      'splice',
      'handover',
      [36, 25],
      {
        side: 'caller',
        outcome: 'path',
        'network.local.address': '192.168.1.7',
        'network.local.port': 50_000,
        'network.peer.address': '203.0.113.6',
        'network.peer.port': 3478
      },
      [
        ['ice', 45],
        ['dtls', 57],
        ['sctp', 61]
      ]
    ),
    span('change', 'root', 'change', [90_000, 0], {
      change: 'ended',
      'caller.bytes': 123_456,
      'caller.dropped': 0,
      'callee.bytes': 1_048_576,
      'callee.dropped': 3
    })
  ]
}
