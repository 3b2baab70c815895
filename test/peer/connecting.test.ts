// The gateway's verdict, and the id of the trace it is about, where a caller finds them: on the error, or with the path.

import * as api from '@opentelemetry/api'
import test from 'ava'
import { PosternError } from '../../src/errors.ts'
import { type ConnectOptions, doubtful } from '../../src/peer/connecting.ts'
import type { Peer } from '../../src/peer/peer.ts'
import type { Verdict } from '../../src/verdict.ts'
import { endNative } from '../end-native.ts'
import { until } from '../until.ts'
import { HandMadeGateway, session } from './hand-made-gateway.ts'

test.after.always(endNative)

const verdict: Verdict = {
  code: 'both-random',
  sentence: 'Both NATs give out ports at random.',
  side: 'both',
  evidence: ['ann: 1, 5, 2', 'bob: 7, 3, 9'],
  advice: 'Let the relay carry it.',
  also: ['gateway-one-address']
}
const trace = 'ab'.repeat(16)

test.serial('a request that the gateway gave up fails with its verdict', async t => {
  await using gateway = await HandMadeGateway.open()
  const { peer, guest } = await gateway.join('ann')
  const failed = failure(peer)
  const { request } = await guest.heard('connect')
  guest.begin({ fingerprint }, { request })
  guest.say({ type: 'over', session, code: 'no-path', reason: 'nothing worked', trace, verdict })
  t.like(await failed, { code: 'no-path', message: 'nothing worked', trace, verdict })
})

test.serial("a request goes on from the application's active span, unless it is told from which", async t => {
  await using gateway = await HandMadeGateway.open()
  const { peer, guest } = await gateway.join('ann')
  const [traceId, spanId] = ['4bf92f3577b34da6a3ce929d0e0e4736', '00f067aa0ba902b7']
  const active = api.trace.setSpanContext(api.ROOT_CONTEXT, { traceId, spanId, traceFlags: 1 })
  const asked = async (traceparent?: string) => {
    const failed = failure(peer, traceparent === undefined ? {} : { traceparent })
    const { request, traceparent: said } = await guest.heard('connect')
    guest.say({ type: 'refused', code: 'peer-offline', reason: 'gone', request })
    await failed
    return said
  }
  t.is(await asked(), undefined)
  api.context.setGlobalContextManager(fixed(active))
  try {
    t.is(await asked(), `00-${traceId}-${spanId}-01`)
    t.is(await asked(`00-${'1'.repeat(32)}-${spanId}-00`), `00-${'1'.repeat(32)}-${spanId}-00`)
  } finally {
    api.context.disable()
  }
})

/** A manager to which one context is active wherever it is asked. */
function fixed(active: api.Context): api.ContextManager {
  const manager: api.ContextManager = {
    active: () => active,
    with: (_, work, self, ...given) => work.apply(self as never, given),
    bind: (_, target) => target,
    enable: () => manager,
    disable: () => manager
  }
  return manager
}

test.serial('a request that was refused fails with the verdict, and with the trace where there is one', async t => {
  await using gateway = await HandMadeGateway.open()
  const { peer, guest } = await gateway.join('ann')
  for (const more of [{ trace, verdict }, { trace }, {}]) {
    const failed = failure(peer)
    const { request } = await guest.heard('connect')
    guest.say({ type: 'refused', code: 'peer-offline', reason: 'gone', request, ...more })
    const { code, trace: told, verdict: judged } = await failed
    t.deepEqual({ code, told, judged }, { code: 'peer-offline', told: more.trace, judged: more.verdict })
  }
})

test.serial('a join that was refused fails with the verdict', async t => {
  await using gateway = await HandMadeGateway.open()
  gateway.refuses = { type: 'refused', code: 'bad-token', reason: 'the join token is wrong', trace, verdict }
  const error = await t.throwsAsync(gateway.join('ann'), { instanceOf: PosternError, code: 'bad-token' })
  t.like(error, { trace, verdict })
})

test.serial('a caller that gives up keeps the trace that had begun', async t => {
  await using gateway = await HandMadeGateway.open()
  const { peer, guest } = await gateway.join('ann')
  const over = new AbortController()
  const failed = failure(peer, { signal: over.signal })
  const { request } = await guest.heard('connect')
  guest.begin({ fingerprint }, { request })
  guest.sample(0)
  await guest.heard('fresh')
  over.abort(new PosternError('timeout', 'long enough'))
  t.like(await failed, { code: 'timeout', trace: '0'.repeat(32), verdict: undefined })
})

test.serial('the verdict on a relayed path comes with the notice of it', async t => {
  await using gateway = await HandMadeGateway.open()
  const { peer, guest } = await gateway.join('ann')
  const notices: unknown[] = []
  const connecting = peer.connect({ name: 'somebody' }, { onPath: notice => notices.push(notice) })
  connecting.catch(() => {})
  const { request } = await guest.heard('connect')
  guest.begin({ fingerprint }, { request })
  guest.say({ type: 'path', session, by: 'relay', kind: 'relay', bitsPerSecond: 4_000_000, verdict })
  t.like(await until(() => notices[0]), { bitsPerSecond: 4_000_000, verdict })
})

const fingerprint = 'AA:'.repeat(31).concat('AA')

/** What a call to somebody fails with. */
async function failure(peer: Peer, options: ConnectOptions = {}): Promise<PosternError> {
  try {
    await peer.connect({ name: 'somebody' }, options)
  } catch (thrown) {
    return thrown as PosternError
  }
  throw new Error('somebody was met')
}

test('whom a gateway introduces has the name that was asked for, and is a guest in a room alone', t => {
  const fingerprint = 'AA'
  const to = { name: 'bob' }
  const of = (named: boolean, name: string, isGuest?: boolean) =>
    doubtful({ id: '1', name, named, fingerprint }, to, isGuest)?.code
  t.is(of(true, 'Bob'), undefined)
  t.is(of(true, 'eve'), 'bad-message')
  t.is(of(false, 'bob'), 'bad-message', 'of a guest no fingerprint would be remembered')
  t.is(of(false, 'bob', true), undefined)
  t.is(of(true, 'bob', true), 'bad-message')
  t.is(
    doubtful({ id: '1', name: 'bob', named: false, fingerprint }, { name: 'bob', pin: 'BB' }, true)?.code,
    'fingerprint-mismatch'
  )
})
