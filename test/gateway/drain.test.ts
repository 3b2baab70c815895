// A gateway that is told to stop: nothing new is taken, and what is relayed has some time.

import { join } from 'node:path'
import test from 'ava'
import { checkText, configIn } from '../../src/config/config.ts'
import type { PosternError } from '../../src/errors.ts'
import { endNative } from '../end-native.ts'
import { until } from '../until.ts'
import { World } from '../world.ts'

test.after.always(endNative)

const readiness = async (world: World) => {
  const answer = await fetch(`${world.url}/readyz`)
  return [answer.status, ((await answer.json()) as { reason?: string }).reason]
}

const health = async (world: World) => (await fetch(`${world.url}/healthz`)).status

test('what is relayed goes on while nothing new is taken, and the end comes with its end', async t => {
  await using world = await World.open({ strategies: '[relay]', more: 'drain: 10m' })
  const told: number[] = []
  const [ann] = [await world.join('ann', { onDraining: ms => void told.push(ms) }), await world.join('bob')]
  const relayed = await ann.connect({ name: 'bob' })
  t.deepEqual(await readiness(world), [200, undefined])

  let isOver = false
  const draining = world.gateway.drain().finally(() => {
    isOver = true
  })
  t.deepEqual([await readiness(world), await health(world)], [[503, 'draining'], 200])
  await until(() => told.length > 0)
  t.deepEqual(told, [600_000])
  const refused = await t.throwsAsync<PosternError>(ann.connect({ name: 'bob' }))
  t.is(refused?.code, 'gateway-unreachable')
  t.regex(refused?.message ?? '', /the gateway is about to stop; ask again in 60\d s/)
  const carol = world.join('carol', {
    onWaiting: error => {
      throw error
    }
  })
  await t.throwsAsync(carol, { message: /the gateway is about to stop/ })
  t.true((await relayed.ping()) < 10_000)
  t.like((await world.gateway.status()).drain, { begun: 1, refused: 2 })
  t.false(isOver)

  await relayed.close()
  t.is(await draining, 0)
})

test('a gateway that relays nothing is over at once', async t => {
  await using world = await World.open({ strategies: '[direct]', more: 'drain: 10m' })
  const [ann] = [await world.join('ann'), await world.join('bob')]
  await ann.connect({ name: 'bob' })
  t.is(await world.gateway.drain(), 0)
})

test('what is left when the time is over, or when somebody does not want to wait, is counted', async t => {
  for (const more of ['drain: 50ms', 'drain: 0s', 'drain: 10m']) {
    await using world = await World.open({ strategies: '[relay]', more })
    const [ann] = [await world.join('ann'), await world.join('bob')]
    await ann.connect({ name: 'bob' })
    const impatient = more.endsWith('10m') ? AbortSignal.abort() : undefined
    t.is(await world.gateway.drain(impatient), 1, more)
  }
})

test('what is relayed finds a direct path meanwhile, and outlives the gateway', async t => {
  await using world = await World.open({ strategies: '[relay]', more: 'drain: 10m' })
  const [ann] = [await world.join('ann'), await world.join('bob')]
  const connection = await ann.connect({ name: 'bob' })
  t.is(connection.path.kind, 'relay')
  const text = 'strategies: [direct, relay]\ndrain: 10m\nlog: { level: silent }'
  await world.gateway.reload(configIn(checkText(text, join(world.folder, 'next.yaml'), { env: {} }), 'next.yaml'))
  t.is(await world.gateway.drain(), 0)
  t.is(connection.path.kind, 'direct')
  await world.gateway.close()
  t.true((await connection.ping()) < 10_000)
  await world.start()
})
