import test from 'ava'
import type { TraceSummary } from '../../../src/trace/record/record.ts'
import { verdicts } from '../../../src/verdict.ts'
import { HandMade } from '../../hand-made.ts'
import { until } from '../../until.ts'
import { World } from '../../world.ts'

const never = `export default {
  name: 'never',
  defaults: {},
  start: () => ({ plan: () => [{ kind: 'pass', reason: 'not today' }] })
}`

/** A gateway at which ann has asked for bob, in vain, so many times, one after the other. */
async function afterFailures(times: number, more = '') {
  const world = await World.open({ strategies: '[./never.mjs]', files: { 'never.mjs': never }, more })
  const join = async (name: string) =>
    HandMade.join(world.url, { identity: await world.identity(name), token: world.gateway.joinToken, name })
  const [ann, bob] = [await join('ann'), await join('bob')]
  const firstMs = Date.now() - 1000
  for (const peer of [ann, bob]) {
    peer.say({ type: 'filtering', port: true, address: true })
    peer.say({ type: 'clock', offsetMs: 0, uncertaintyMs: 1 })
    await peer.warm(0)
  }
  const ids: string[] = []
  for (let request = 0; request < times; request++) {
    // Asked for at times that are some milliseconds apart.
    ann.say({ type: 'connect', request, to: 'bob', atMs: firstMs + 10 * request })
    ids.push((await ann.hears('over')).trace ?? '')
    await world.trace(ids.at(-1) ?? '')
  }
  await Promise.all([ann.close(), bob.close()])
  return { world, ids }
}

test('the list has filters: how it ended, whose it was, verdict, time and number', async t => {
  const { world, ids } = await afterFailures(3)
  await using _ = world
  const list = async (query: string) => {
    const answer = await world.api(`/api/traces?${query}`)
    t.is(answer.status, 200, query)
    return (await answer.json()) as TraceSummary[]
  }
  const listed = async (query: string) => (await list(query)).map(({ id }) => ids.indexOf(id))
  t.deepEqual(await listed(''), [2, 1, 0])
  t.deepEqual(await listed('failed'), [2, 1, 0])
  t.deepEqual(await listed('failed=true&peer=&verdict=&since='), [2, 1, 0], 'as a form sends it')
  t.deepEqual(await listed('relayed'), [])
  t.deepEqual(await listed('failed=false&limit=2'), [2, 1])
  t.deepEqual(await listed('peer=ann'), [2, 1, 0])
  t.deepEqual(await listed('peer=bob&failed'), [2, 1, 0])
  t.deepEqual(await listed('peer=an'), [])
  const [newest, middle] = await list('')
  t.deepEqual(await listed(`verdict=${newest?.verdict.code}`), [2, 1, 0])
  t.deepEqual(await listed('verdict=direct'), [])
  t.deepEqual(await listed(`before=${middle?.startMs}`), [0], 'the next page')
  t.deepEqual(await listed(`since=${middle?.startMs}`), [2, 1])
  t.deepEqual(await listed('since=1h'), [2, 1, 0])
  t.deepEqual(await listed('since=2999-01-01T00:00:00Z'), [])
  t.deepEqual(await listed(`since=${new Date(0).toISOString()}`), [2, 1, 0])
})

test('a filter that makes no sense is a 400, with a sentence that says what does', async t => {
  await using world = await World.open()
  const cases: [string, RegExp][] = [
    ['since=yesterday', /^since is "yesterday"; expected a duration/],
    ['before=x', /^before is "x"/],
    ['limit=0', /^limit is "0"; expected a whole number from 1 to 1000$/],
    ['limit=1e9', /^limit is/],
    ['failed=maybe', /^failed is "maybe"; expected it without a value$/],
    ['verdict=bad-luck', /^there is no verdict "bad-luck"; expected one of direct, /],
    ['peer=a&peer=b', /^peer is given 2 times/]
  ]
  for (const [query, message] of cases) {
    const answer = await world.api(`/api/traces?${query}`)
    t.is(answer.status, 400, query)
    const { code, reason } = (await answer.json()) as { code: string; reason: string }
    t.is(code, 'bad-config')
    t.regex(reason, message)
  }
  for (const code of Object.keys(verdicts)) t.is((await world.api(`/api/traces?verdict=${code}`)).status, 200)
})

test('a trace can be downloaded under a name of its own', async t => {
  const { world, ids } = await afterFailures(1)
  await using _ = world
  const shown = await world.api(`/api/traces/${ids[0]}`)
  t.is(shown.headers.get('content-disposition'), null)
  const saved = await world.api(`/api/traces/${ids[0]}?download`)
  t.is(saved.headers.get('content-disposition'), `attachment; filename="postern-trace-${ids[0]}.json"`)
  t.deepEqual(await saved.json(), await shown.json())
})

test('the status counts what is kept of traces, and what had to go', async t => {
  const { world } = await afterFailures(6, 'traces: { memory: 16 KiB }')
  await using _ = world
  const { traces } = await until(async () => world.gateway.status())
  t.true(traces.bytes > 0 && traces.bytes <= 16 * 1024)
  t.is(traces.kept + traces.evicted, 6)
  const told = (await (await world.api('/api/status')).json()) as { traces: object }
  t.deepEqual(told.traces, { ...traces })
})

test('a gateway that starts again has the traces of the one before', async t => {
  const { world, ids } = await afterFailures(2, 'traces: { file: ./kept/traces.jsonl }')
  await using _ = world
  const before = await (await world.api('/api/traces')).json()
  await world.gateway.close()
  await world.start()
  t.deepEqual(await (await world.api('/api/traces')).json(), before)
  t.is((await world.api(`/api/traces/${ids[0]}`)).status, 200)
})

test('a file without memory, and a file that cannot be opened, are said at the start', async t => {
  await t.throwsAsync(World.open({ more: 'traces: { memory: 0 B, file: ./x }' }), {
    code: 'bad-config',
    message: /:\d+:\d+: traces\.file: .*expected traces\.memory above 0 B/
  })
  await t.throwsAsync(World.open({ more: 'traces: { file: /dev/null }' }), {
    code: 'bad-config',
    message: /^traces\.file: \/dev\/null cannot be opened: it is not a file$/
  })
})
