// The one parser of both sides: what a rogue peer says to a gateway, and what a rogue gateway says to a peer. It is a message whose
// words can be shown to anybody, or a `bad-message` that says what is wrong in one printable sentence.

import { equal, ok } from 'node:assert/strict'
import { PosternError } from '../../../src/errors.ts'
import {
  type FromGateway,
  type FromPeer,
  MESSAGE_BYTES,
  ORDER_BYTES,
  parseFromGateway,
  parseFromPeer
} from '../../../src/wire/signal.ts'
import { jsonText, mutatedJson } from '../mutate.ts'
import type { Odd } from '../odd.ts'
import { isPrintable, type Subject, type Target } from '../target.ts'

const session = '00112233445566aa'
const endpoint = { address: '203.0.113.7', port: 4242 }
const secret = 'AAAAAAAAAAA='
const trace = '0af7651916cd43dd8448eb211c80319c'
const fingerprint = Array(32).fill('AB').join(':')
const report = {
  ...{ startedMs: 1_795_000_000_000.25, steps: [['found', 1.5] as [string, number]], sent: 3, received: 2, flows: 1 },
  ...{ sentMs: [0.5, 20] as [number, number], receivedMs: [10, 10] as [number, number], heard: [endpoint] }
}
const addresses = [{ address: '10.0.0.2', prefix: 24 }]

/** One of each that a peer says, with all that it may have. */
export const fromPeers: readonly FromPeer[] = [
  {
    ...{ type: 'hello' as const, v: 3, name: 'ann', token: 't', certificate: 'c', signature: 'c2ln', accepts: true },
    ...{
      place: 'https://gateway.example/',
      dtls: fingerprint,
      reached: '203.0.113.1',
      beacons: true,
      peer: '0a1b2c3d4e5f'
    }
  },
  { type: 'warm', socket: 0, port: 12_345, addresses, rttMs: 1.5 },
  { type: 'cold', socket: 0, reason: 'silence', code: 'dead-port', port: 12_345 },
  { type: 'cold', socket: 0, reason: 'silence', doors: ['tcp', 'websocket'], rttMs: 20 },
  { type: 'cold', socket: 0, reason: 'silence', doors: ['tcp'], ice: { ufrag: 'abcd', pwd: 'a'.repeat(22) } },
  { type: 'filtering', port: true, address: true, remaps: false },
  { type: 'clock', offsetMs: -3_600_000.5, uncertaintyMs: 0.75 },
  { type: 'connect', request: 0, to: 'bob', traceparent: `00-${trace}-00f067aa0ba902b7-01`, atMs: 1_795_000_000_000 },
  { type: 'connect', request: 1, to: 'bob', fingerprint },
  { type: 'connect', request: 2, to: 'bob', continues: { session, peer: '0a', only: 'direct' } },
  {
    ...{
      type: 'news' as const,
      session,
      what: 'resumed' as const,
      reason: 'nothing was heard',
      kind: 'relay' as const
    },
    ...{ door: 'udp', seen: 'there' as const, ms: 140.5, resentBytes: 65_536, atMs: 1_795_000_000_000 },
    ...{ askedMs: 600, quietMs: 900, back: true as const, code: 'path-lost' as const }
  },
  { type: 'fresh', session, round: 0, socket: 1, port: 4000 },
  { type: 'beacon', session, token: secret },
  { type: 'progress', session, plan: 1, step: 'found' },
  { type: 'opened', session, plan: 1, local: endpoint, remote: endpoint, report },
  { type: 'failed', session, plan: 1, code: 'io', reason: 'no', report },
  { type: 'leave', session, code: 'io', reason: 'no' },
  { type: 'nat', request: 0, sockets: [{ socket: 0, port: 4000 }], addresses, rttMs: 1 },
  { type: 'ping', at: 1.5 },
  { type: 'claim', socket: 0, port: 4000, endpoint, by: 'given' },
  { type: 'proof', port: 4000, nonce: secret },
  { type: 'router', answer: 'carrier', outside: '100.64.0.2' },
  { type: 'unclaim', port: 4000 }
]

const verdict = {
  ...{ code: 'both-random', sentence: 'both NATs are random', side: 'both' as const },
  ...{ evidence: ['a fact'], advice: 'do something', also: ['relay-off'] }
}
const effort = {
  targets: [endpoint],
  guesses: [{ address: '203.0.113.7', ports: [1, 2] }],
  sockets: 2,
  perSecond: 10,
  probes: 9
}
const ice = { ufrag: 'abcd', pwd: 'a'.repeat(22) }

export const orders = [
  { kind: 'ice', targets: [endpoint] },
  { kind: 'punch', ...effort, bindOn: 'heard' },
  { kind: 'splice', target: endpoint }
] as const

const fromGateways: readonly FromGateway[] = [
  { type: 'challenge', v: 1, nonce: secret },
  { type: 'welcome', peer: '0a', name: 'ann', key: secret, endpoints: [endpoint], refreshMs: 15_000 },
  { type: 'features', features: ['proofs', 'rejoin', 'doors'], tcp: [443] },
  { type: 'claimed', port: 4000, endpoint, outcome: 'proved', reason: 'it came in', retryMs: 1000 },
  { type: 'refused', code: 'no-path', reason: 'no', request: 1, trace, verdict },
  {
    ...{ type: 'session' as const, session, request: 1, role: 'caller' as const, key: secret, probeKey: secret, trace },
    peer: { id: '0a', name: 'bob', fingerprint, named: true },
    continues: session
  },
  { type: 'sample', session, round: 0 },
  { type: 'beacon', session, port: 4000, afterMs: 1, token: secret },
  { type: 'watch', session, port: 4000, ms: 100, digest: secret },
  ...orders.map(order => ({
    ...{ type: 'order' as const, session, plan: 1, by: 'stun', socket: 0, order: structuredClone(order) as never },
    ...{ handover: { role: 'active' as const, local: ice, remote: ice, fingerprint }, afterMs: 0, waitMs: 700 },
    ...{ patienceMs: 10, handoverMs: 4000 }
  })),
  { type: 'cancel', session, plan: 1 },
  { type: 'strategy', session, name: 'stun', outcome: 'failed', reason: 'no', ms: 700 },
  { type: 'path', session, by: 'relay', kind: 'relay', bitsPerSecond: 4e6, verdict },
  { type: 'over', session, code: 'no-path', reason: 'no', trace, verdict },
  { type: 'pong', at: 1.5, timeMs: 1_795_000_000_000 },
  {
    ...{ type: 'nat' as const, request: 0 },
    report: {
      ...{ mapping: 'unknown' as const, filtering: 'unknown' as const, translated: true, addresses: ['203.0.113.7'] },
      ...{ hidden: { reached: '203.0.113.1' }, certain: false, rttMs: 1, router: 'granted' as const },
      ...{ samples: [{ via: endpoint, mapped: endpoint, socket: 0 }], forward: { endpoint, by: 'upnp' as const } },
      allocation: {
        ...{ kind: 'stepping' as const, confidence: 0.9, evidence: 'seen', step: 2, per: 'x', driftPerSecond: 1 },
        ...{ block: { low: 1, high: 2 }, range: { low: 1, high: 2 } }
      },
      prospects: [
        {
          ...{ peer: 'any', probability: 1, tries: [{ by: 'stun', probability: 1, why: 'because' }] },
          passes: [{ by: 'map', reason: 'none' }]
        }
      ]
    }
  }
]

/** These are compared or decoded, and shown to nobody. */
const unshown = new Set(['token', 'certificate', 'signature', 'nonce', 'key', 'probeKey', 'digest', 'traceparent'])

export function allShown(value: unknown, name = ''): void {
  if (typeof value === 'string') ok(unshown.has(name) || isPrintable(value), `${name} is let in as it is`)
  if (typeof value !== 'object' || value === null) return
  for (const [key, one] of Object.entries(value)) allShown(one, Array.isArray(value) ? name : key)
}

interface Said {
  readonly to: 'gateway' | 'peer'
  readonly text: string
}

function check({ to, text }: Said): void {
  try {
    const message = to === 'gateway' ? parseFromPeer(text) : parseFromGateway(text)
    equal(Object.getPrototypeOf(message), Object.prototype, 'it has another prototype')
    allShown(message)
  } catch (error) {
    ok(error instanceof PosternError, error as Error)
    equal(error.code, 'bad-message')
    ok(isPrintable(error.message) && error.message.length <= 300, 'the reason is no printable sentence')
  }
}

export const messages: Target = {
  name: 'messages',
  about: 'messages of a rogue peer or gateway: printable, or one sentence that says what is wrong',
  open: (odd: Odd): Subject<Said> => ({
    input(random) {
      const to = random.chance(0.5) ? 'gateway' : 'peer'
      const specimen = random.pick<unknown>(to === 'gateway' ? fromPeers : fromGateways)
      return {
        to,
        text: jsonText(random, mutatedJson(random, specimen, odd), odd, to === 'gateway' ? MESSAGE_BYTES : ORDER_BYTES)
      }
    },
    check
  })
}
