import test from 'ava'
import { PosternError } from '../../../src/errors.ts'
import type { PathNotice } from '../../../src/peer/peer.ts'
import type { TraceRecord } from '../../../src/trace/record/record.ts'
import { endNative } from '../../end-native.ts'
import { HandMade } from '../../hand-made.ts'
import { World } from '../../world.ts'

test.after.always(endNative)

/** The answer to whoever has a key, and no token. */
const asked = (world: World, path: string, key: string, method = 'GET') =>
  fetch(`${world.url}${path}`, { method, headers: { authorization: `Trace ${key}` } })

async function handMade(world: World, name: string): Promise<HandMade> {
  return HandMade.join(world.url, { identity: await world.identity(name), token: world.gateway.joinToken, name })
}

test('the caller of a request that failed reads its record with the key that came with the error, and nothing else', async t => {
  await using world = await World.open()
  const ann = await world.join('ann')
  const error = await t.throwsAsync(ann.connect({ name: 'nobody' }), { instanceOf: PosternError, code: 'unknown-peer' })
  const { trace = '', traceKey = '' } = error ?? {}
  const answer = await asked(world, `/api/traces/${trace}`, traceKey)
  t.is(answer.status, 200)
  t.is(answer.headers.get('cache-control'), 'no-store')
  const [record, ...others] = (await answer.json()) as TraceRecord[]
  t.deepEqual(others, [])
  t.like(record, { id: trace, caller: 'ann', callee: 'nobody', outcome: 'failed' })
  const other = await t.throwsAsync(ann.connect({ name: 'nobody' }), { instanceOf: PosternError })
  t.is((await asked(world, `/api/traces/${other?.trace}`, traceKey)).status, 401)
  for (const path of ['/api/traces', '/api/status', '/metrics', '/api/names', '/traces', '/'])
    t.is((await asked(world, path, traceKey)).status, 401, path)
  t.is((await asked(world, `/api/traces/${trace}`, traceKey, 'DELETE')).status, 401)
  const { access } = await world.gateway.status()
  t.like(access, { keys: 1, wrongKeys: 1, wrongTokens: 0, limited: 0 })
})

test('a path has its key too, and a caller is not told where the callee is', async t => {
  await using world = await World.open({ strategies: '[relay]' })
  const bob = await world.join('bob')
  const ann = await world.join('ann')
  const { promise, resolve } = Promise.withResolvers<PathNotice>()
  const connection = await ann.connect({ name: 'bob' }, { onPath: resolve })
  const { traceKey = '' } = await promise
  const { trace } = connection.path
  const whole = await world.trace(trace)
  const [record] = (await (await asked(world, `/api/traces/${trace}`, traceKey)).json()) as TraceRecord[]
  t.is(record?.verdict.code, whole.verdict.code)
  const mapped = ({ spans }: TraceRecord, side: string) =>
    spans.find(span => span.name === 'postern.profile' && span.attributes['postern.side'] === side)?.attributes[
      'postern.mapped'
    ]
  t.truthy(mapped(whole, 'callee'))
  t.is(record && mapped(record, 'callee'), undefined)
  t.is(record && mapped(record, 'caller'), mapped(whole, 'caller'))
  await connection.close()
  await bob.close()
})

test('a key reads one request, even where somebody else made one within the same trace', async t => {
  await using world = await World.open()
  await using ann = await handMade(world, 'ann')
  await using eve = await handMade(world, 'eve')
  const traceparent = `00-${'ab'.repeat(16)}-${'cd'.repeat(8)}-01`
  const keyOf = async (peer: HandMade, to: string) => {
    peer.say({ type: 'connect', request: 7, to, traceparent })
    const { request, trace, key } = await peer.hears('trace')
    t.is(request, 7)
    t.is(trace, 'ab'.repeat(16))
    await peer.hears('refused')
    return key
  }
  const secret = await keyOf(ann, 'her-secret-friend')
  const key = await keyOf(eve, 'nobody')
  const seen = async (by: string) =>
    ((await (await asked(world, `/api/traces/${'ab'.repeat(16)}`, by)).json()) as TraceRecord[]).map(
      ({ callee }) => callee
    )
  t.deepEqual(await seen(secret), ['her-secret-friend'])
  t.deepEqual(await seen(key), ['nobody'])
})

test('the callee is told no key, nor is a stranger whose join is refused', async t => {
  await using world = await World.open({ strategies: '[relay]' })
  await using bob = await handMade(world, 'bob')
  await using ann = await handMade(world, 'ann')
  ann.say({ type: 'connect', request: 0, to: 'bob' })
  await ann.hears('trace')
  await bob.hears('session')
  await using stranger = new HandMade(world.url)
  await stranger.hello({ identity: await world.identity('eve'), token: 'wrong' })
  await stranger.hears('refused')
  const told = [...bob.heard, ...stranger.heard].map(({ type }) => type)
  t.false(told.includes('trace'), told.join())
})
