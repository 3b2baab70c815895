// A configuration that is read again while the gateway runs.

import { join } from 'node:path'
import test from 'ava'
import { type Config, checkText, configIn } from '../../src/config/config.ts'
import type { PosternError } from '../../src/errors.ts'
import type { PeerOptions } from '../../src/peer/peer.ts'
import { endNative } from '../end-native.ts'
import { World } from '../world.ts'

test.after.always(endNative)

/** The configuration of a world with something else in it. */
const changed = (world: World, text: string): Config =>
  configIn(checkText(text, join(world.folder, 'next.yaml'), { env: {} }), 'next.yaml')

/** What the world's own configuration has, which stays. */
const same = `state: ./state\nlog: { level: silent }\nlisten: { http: '127.0.0.1:0', udp: { addresses: [127.0.0.1, 127.0.0.2], ports: [0, 0] } }\n`

/** Why a join is refused at first: a peer would wait where the gateway says that it may come again. */
const refused = (world: World, name: string, options: Partial<PeerOptions> = {}): Promise<PosternError> =>
  world
    .join(name, {
      ...options,
      onWaiting: error => {
        throw error
      }
    })
    .then(
      () => Promise.reject(new Error('it was not refused')),
      (error: PosternError) => error
    )

test('strategies are others for the next request, and a connection that stands goes on', async t => {
  await using world = await World.open({ strategies: '[direct]' })
  const [ann] = [await world.join('ann'), await world.join('bob')]
  const first = await ann.connect({ name: 'bob' })
  t.is(first.path.by, 'direct')
  t.deepEqual(await world.gateway.reload(changed(world, `${same}strategies: [relay]`)), [])
  const second = await ann.connect({ name: 'bob' })
  t.is(second.path.by, 'relay')
  t.false(first.closed.aborted)
  t.like((await world.gateway.status()).reloads, { applied: 1, refused: 0 })
})

/** What the plugin in slow.js does, and is told. */
interface Slow {
  asked: PromiseWithResolvers<void>
  answer: PromiseWithResolvers<void>
  closed: PromiseWithResolvers<void>
  isClosed: boolean
}

const slowPlugin = `export default { name: 'slow', defaults: {}, start: () => ({
  async *plan() {
    const slow = globalThis.slowPlugin
    slow.asked.resolve()
    await slow.answer.promise
    yield { kind: 'pass', reason: slow.isClosed ? 'it is closed' : 'it is open' }
  },
  close() {
    globalThis.slowPlugin.isClosed = true
    globalThis.slowPlugin.closed.resolve()
  }
}) }`

test('a strategy of before is closed once no request goes by it any more', async t => {
  const gate = () => Promise.withResolvers<void>()
  const slow: Slow = { asked: gate(), answer: gate(), closed: gate(), isClosed: false }
  Object.assign(globalThis, { slowPlugin: slow })
  await using world = await World.open({ strategies: '[./slow.js, direct]', files: { 'slow.js': slowPlugin } })
  const [ann] = [await world.join('ann'), await world.join('bob')]
  const reasons: (string | undefined)[] = []
  const connecting = ann.connect({ name: 'bob' }, { onStrategy: ({ reason }) => void reasons.push(reason) })
  await slow.asked.promise
  await world.gateway.reload(changed(world, `${same}strategies: [relay]`))
  t.false(slow.isClosed)
  slow.answer.resolve()
  t.is((await connecting).path.by, 'direct')
  t.is(reasons[0], 'it is open')
  await slow.closed.promise
  t.is((await ann.connect({ name: 'bob' })).path.by, 'relay')
})

test('a strategy of before that cannot be closed ends nothing', async t => {
  const files = {
    'stuck.js': `export default { name: 'stuck', defaults: {}, start: () => ({
      async *plan() { yield { kind: 'pass', reason: 'never' } },
      close() { throw new Error('it is stuck') }
    }) }`
  }
  await using world = await World.open({ strategies: '[./stuck.js, direct]', files })
  await world.gateway.reload(changed(world, `${same}strategies: [direct]`))
  const [ann] = [await world.join('ann'), await world.join('bob')]
  t.is((await ann.connect({ name: 'bob' })).path.by, 'direct')
})

test('limits hold from now on, and who is in stays', async t => {
  await using world = await World.open()
  await world.join('ann')
  await world.join('bob')
  await world.gateway.reload(changed(world, `${same}limits: { peers: 1 }`))
  t.is((await refused(world, 'carol')).code, 'relay-full')
  t.is((await world.gateway.status()).peers, 2)
  await world.gateway.reload(changed(world, `${same}limits: { peers: 50 }`))
  await t.notThrowsAsync(world.join('carol'))
})

test('tokens are others from now on: for who joins, and for who has logged in', async t => {
  await using world = await World.open()
  await world.join('ann')
  const [before, admin] = [world.gateway.joinToken, world.gateway.adminToken]
  const { session } = (await logIn(world, admin)) ?? {}
  t.is(await readsAs(world, session), 200)
  const [next, nextAdmin] = ['n'.repeat(20), 'm'.repeat(20)]
  await world.gateway.reload(changed(world, `${same}join: { token: ${next} }\nadmin: { token: ${nextAdmin} }`))
  t.is((await refused(world, 'bob', { token: before })).code, 'bad-token')
  await t.notThrowsAsync(world.join('bob', { token: next }))
  t.is((await world.gateway.status()).peers, 2)
  t.is((await world.api('/api/status', { token: admin })).status, 401)
  t.is((await world.api('/api/status', { token: nextAdmin })).status, 200)
  t.is(await readsAs(world, session), 401)
})

test('what is opened at the start takes a restart, and is named', async t => {
  await using world = await World.open()
  const text = `state: ./other\nlog: { level: silent }\nlisten: { http: '127.0.0.1:1', tcp: [1], trustProxy: [127.0.0.1], proxyProtocol: true, udp: { addresses: [127.0.0.1, 127.0.0.2], ports: [0, 0] } }
call: { enabled: true }\ntraces: { memory: 1 MiB }\nrelay: { threads: 2 }\nlimits: { peers: 1 }`
  const lasting = [
    'listen.http',
    'listen.tcp',
    'listen.trustProxy',
    'listen.proxyProtocol',
    'call.enabled',
    'state',
    'relay',
    'traces'
  ]
  t.deepEqual(await world.gateway.reload(changed(world, text)), lasting)
  t.deepEqual(await world.gateway.reload(changed(world, text)), lasting, 'it is as it was at the start')
  await world.join('ann')
  t.is((await refused(world, 'bob')).code, 'relay-full')
})

test('what is as it was at the start again takes no restart', async t => {
  await using world = await World.open()
  const other = changed(world, `${same}test: { enabled: true }`)
  t.deepEqual(await world.gateway.reload(other), ['test.enabled'])
  t.deepEqual(await world.gateway.reload(changed(world, same)), [])
})

test('a plugin that cannot be started changes nothing', async t => {
  await using world = await World.open()
  const next = changed(world, `${same}strategies: [./none.js]\nlimits: { peers: 1 }`)
  await t.throwsAsync(world.gateway.reload(next), { code: 'bad-config', message: /none\.js; expected a plugin/ })
  await world.join('ann')
  await t.notThrowsAsync(world.join('bob'))
})

async function logIn(world: World, token: string): Promise<{ session: string } | undefined> {
  const body = new URLSearchParams({ token })
  const { headers } = await fetch(`${world.url}/login`, { method: 'POST', body, redirect: 'manual' })
  const [session] = headers.getSetCookie().map(cookie => cookie.split(';')[0] ?? '')
  return session ? { session } : undefined
}

async function readsAs(world: World, cookie = ''): Promise<number> {
  return (await fetch(`${world.url}/api/status`, { headers: { cookie } })).status
}
