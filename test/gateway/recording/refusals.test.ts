import test from 'ava'
import { PosternError } from '../../../src/errors.ts'
import { Full } from '../../../src/gateway/peers/full.ts'
import type { Member } from '../../../src/gateway/peers/member.ts'
import { Refusals } from '../../../src/gateway/recording/refusals.ts'
import { sourceAttribute } from '../../../src/gateway/recording/request-span.ts'
import type { Verdict } from '../../../src/verdict.ts'
import { recorder } from '../../trace/recorder.ts'

const verdict: Verdict = { code: 'join-refused', sentence: 'no', side: 'caller', evidence: [], advice: '', also: [] }

const cameMs = 1_700_000_000_005

function desk() {
  const { tracer, spans } = recorder()
  const counters = { unrecorded: 0 }
  return { refusals: new Refusals({ tracer, judge: () => verdict, keyOf: () => undefined }, counters), spans, counters }
}

const wrong = new PosternError('bad-token', 'the join token is wrong')

test('a refused join is a trace of its own, with its code, the name that was claimed, and the verdict', t => {
  const { refusals, spans } = desk()
  const told = refusals.join({ from: '192.0.2.1', cameMs, name: `an\u001bn${'x'.repeat(99)}` }, wrong)
  const [span] = spans
  t.is(span?.name, 'postern.join')
  t.is(span?.parent, undefined)
  t.is(span?.startMs, cameMs)
  t.like(span?.attributes, {
    'postern.outcome': 'failed',
    'postern.code': 'bad-token',
    'postern.verdict': verdict.code
  })
  t.is(span?.attributes['postern.peer'], `an n${'x'.repeat(59)}`)
  t.regex(told?.trace ?? '', /^[0-9a-f]{32}$/)
  t.deepEqual(told?.verdict, verdict)
})

test('the bound that was reached is told', t => {
  const { refusals, spans } = desk()
  refusals.join({ from: '192.0.2.1', cameMs }, new Full('names', 'full', { code: 'name-taken' }))
  t.like(spans[0]?.attributes, { 'postern.code': 'name-taken', 'postern.limit': 'names' })
})

test('of one network a few refused joins in a minute are recorded, and of all together some more; the rest is counted', t => {
  const { refusals, spans, counters } = desk()
  for (let join = 0; join < 100; join++) refusals.join({ from: '192.0.2.1', cameMs }, wrong)
  t.deepEqual([spans.length, counters.unrecorded], [5, 95])
  for (let source = 0; source < 5000; source++)
    refusals.join({ from: `2001:db8:${source.toString(16)}::1`, cameMs }, wrong)
  t.deepEqual([spans.length, counters.unrecorded], [60, 5040])
})

test('of the refused requests of one peer a few in a second are recorded, whoever else asks has some too, and the rest is counted', t => {
  const { refusals, spans, counters } = desk()
  const peer = (network: string, certificate: string) =>
    ({ name: 'ann', account: { network, certificate } }) as unknown as Member
  const refuse = (caller: Member) => refusals.request(caller, { type: 'connect', request: 1, to: 'nobody' }, wrong)
  t.regex(refuse(peer('a', 'x'))?.refusal.trace ?? '', /^[0-9a-f]{32}$/)
  for (let request = 0; request < 400; request++) refuse(peer('a', `x${request % 40}`))
  t.true(spans.length >= 10 && spans.length < 50, `${spans.length}: ten, and ten more for each second that this takes`)
  t.truthy(refuse(peer('b', 'y')))
  t.is(spans.length + counters.unrecorded, 402)
})

test('of what a stranger said and an error quotes, one line of words is recorded', t => {
  const { refusals, spans } = desk()
  const quoting = new PosternError('bad-message', `it says \u001b]0;x\u0007\u009b\u202e${'x'.repeat(99_999)}`)
  refusals.join({ from: '192.0.2.1', cameMs }, quoting)
  const reason = String(spans[0]?.attributes['postern.reason'])
  t.regex(reason, /^it says {2}\]0;x x+$/)
  t.is(reason.length, 2000)
})

test('who asked is told by a word that is one for a network, and says nothing of its address', t => {
  const word = (network: string) => sourceAttribute(network)['postern.source']
  t.is(word('203.0.113'), word('203.0.113'))
  t.not(word('203.0.113'), word('203.0.114'))
  t.regex(String(word('203.0.113')), /^[0-9a-f]{12}$/)
})
