import { stripVTControlCharacters, styleText } from 'node:util'
import test from 'ava'
import { type Paint, unpainted, wrap } from '../../../src/cli/text/output.ts'
import { newsEvent, newsText, type Told } from '../../../src/cli/text/path-text.ts'
import { drawnWaiting } from '../../../src/cli/text/progress.ts'
import type { PathReport } from '../../../src/peer/connection/connection.ts'

const trace = '4bf92f3577b34da6a3ce929d0e0e4736'
const direct: PathReport = {
  ...{ by: 'stun', kind: 'direct', local: '192.168.1.2:24516', remote: '203.0.113.17:40000', ms: 80, trace, mtu: 1280 }
}
const relay: PathReport = { ...direct, by: 'relay', kind: 'relay', remote: '203.0.113.6:3478' }
const lost: Told = {
  what: 'lost',
  path: direct,
  reason: 'nothing was heard',
  quietMs: 1_000,
  askedMs: 600,
  isNarrow: false
}
const relayed: Told = {
  what: 'moved',
  path: relay,
  before: direct,
  ms: 1_100.4,
  quietMs: 1_100,
  resentBytes: 70_000
}
const again: Told = { what: 'moved', path: direct, before: relay, ms: 0, quietMs: 0, resentBytes: 0 }

const setting = { to: 'bob', resumeMs: 60_000, isGatewayAway: false, wasDirect: true, paint: unpainted }
const said = (news: Told, other = {}) => newsText(news, { ...setting, ...other })

test('a path that is lost, moved and heard again is told in the words of the first one', t => {
  t.is(said(lost), 'path to bob: lost, nothing was heard for 1 s; looking for another')
  t.is(said(relayed), 'path to bob: relayed through the gateway, after 1.1 s (192.168.1.2:24516 to 203.0.113.6:3478)')
  t.is(said(again), 'path to bob: direct again, found by stun (192.168.1.2:24516 to 203.0.113.17:40000)')
  t.regex(said(again, { wasDirect: false }), /: direct, found by stun \(/)
  const byTcp: Told = { ...relayed, path: { ...relay, door: 'tcp' } }
  t.regex(said(byTcp), /: relayed through the gateway over TCP, after 1\.1 s \(/)
  t.like(newsEvent(byTcp, 'bob'), { kind: 'relay', door: 'tcp' })
  t.is(said({ what: 'back', path: direct, ms: 3_210 }), 'path to bob: heard again, after 3.2 s')
})

test('what comes next is told: a gateway that is away is waited for, and who never resumes looks for nothing', t => {
  t.is(said({ ...lost, reason: 'it was closed', quietMs: 0 }), 'path to bob: lost, it was closed; looking for another')
  t.regex(said(lost, { isGatewayAway: true }), /; waiting for the gateway, which is away$/)
  t.regex(said(lost, { resumeMs: 0, isGatewayAway: true }), /; no other is looked for$/)
})

test('colours change nothing of what is read, and both fit 80 columns', t => {
  const paint: Paint = (style, text) => styleText(style, text, { validateStream: false })
  const long = { to: 'a-name-of-thirty-two-characters1', isGatewayAway: true }
  for (const news of [lost, relayed, again, { what: 'back', path: direct, ms: 1 } as const]) {
    const [plain, painted] = [wrap(said(news, long), 80, 2), wrap(said(news, { ...long, paint }), 80, 2)]
    t.true(painted.includes('\x1b['))
    t.is(stripVTControlCharacters(painted), plain)
    t.true(plain.split('\n').every(line => line.length <= 80))
  }
})

test('that packets do not pass is told, and that smaller ones are tried', t => {
  const reason = 'packets of 1280 bytes do not pass directly'
  t.is(said({ what: 'narrow', path: direct, reason }), `path to bob: ${reason}; trying smaller ones`)
})

test('programs are told the same by events that name the trace', t => {
  t.deepEqual(newsEvent(lost, 'bob'), {
    ...{ event: 'path-changed', what: 'lost', peer: 'bob', kind: 'direct' },
    ...{ reason: 'nothing was heard', quietMs: 1_000, trace }
  })
  t.deepEqual(newsEvent(relayed, 'bob'), {
    ...{ event: 'path-changed', what: 'moved', peer: 'bob', by: 'relay', kind: 'relay', local: '192.168.1.2:24516' },
    ...{ remote: '203.0.113.6:3478', before: 'direct', ms: 1_100, resentBytes: 70_000, trace }
  })
  t.deepEqual(newsEvent({ what: 'back', path: relay, ms: 2.6 }, 'bob'), {
    ...{ event: 'path-changed', what: 'back', peer: 'bob', kind: 'relay', ms: 3, trace }
  })
})

test('the line of a transfer says for how long a path is waited for, at any width', t => {
  const progress = { file: 'holiday.mp4', bytes: 45, total: 100 }
  t.regex(drawnWaiting(progress, 12_300, 80), /^holiday\.mp4 \[#+·+\] {2}45% {2}waiting for a path \(12 s\) +$/)
  t.regex(drawnWaiting(progress, 75_000, 80), /waiting for a path \(1 min 15 s\)/)
  for (const width of [20, 40, 80, 200]) t.true(drawnWaiting(progress, 12_300, width).length < width)
})
