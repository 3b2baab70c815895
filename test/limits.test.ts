// What the relay lets through is told to both sides of a connection, and again when another session takes a part of it.

import test from 'ava'
import type { Connection } from '../src/peer/connection/connection.ts'
import type { Peer } from '../src/peer/peer.ts'
import { endNative } from './end-native.ts'
import { until } from './until.ts'
import { World } from './world.ts'

test.after.always(endNative)

const K = 1000

/** A joined peer, with the connections that others have made to it. */
async function joined(world: World, name: string): Promise<{ peer: Peer; accepted: Connection[] }> {
  const accepted: Connection[] = []
  return { peer: await world.join(name, { onConnection: connection => void accepted.push(connection) }), accepted }
}

/** When the gateway has told that so much passes to the far side, and from it. */
const passes = (connection: Connection | undefined, out: number, back: number) =>
  until(() => {
    const { bitsPerSecond, incomingBitsPerSecond } = connection?.notice ?? {}
    return bitsPerSecond === out && incomingBitsPerSecond === back
  }, 2000)

test('two relayed sessions of one peer halve what it may send on the first, and the end of one gives it back', async t => {
  await using world = await World.open({
    strategies: '[relay: { perSession: 500 kbit/s, perPeer: 600 kbit/s, total: 10 Mbit/s }]'
  })
  const [ann, bob, carol] = [await joined(world, 'ann'), await joined(world, 'bob'), await joined(world, 'carol')]
  const told: (number | undefined)[] = []
  const first = await ann.peer.connect(
    { name: 'bob' },
    { onPath: ({ bitsPerSecond }) => void told.push(bitsPerSecond) }
  )
  await passes(first, 500 * K, 500 * K)
  await passes(bob.accepted[0], 500 * K, 500 * K)
  t.deepEqual(told, [500 * K])
  t.is(bob.accepted[0]?.notice.verdict?.code, first.notice.verdict?.code)
  t.truthy(first.notice.verdict, 'the callee hears the verdict as well')

  const heard: (number | undefined)[] = []
  first.on('notice', ({ bitsPerSecond }) => void heard.push(bitsPerSecond))
  const second = await ann.peer.connect(
    { name: 'carol' },
    { onPath: ({ bitsPerSecond }) => void told.push(bitsPerSecond) }
  )
  await passes(first, 300 * K, 500 * K)
  await passes(bob.accepted[0], 500 * K, 300 * K)
  await passes(second, 300 * K, 500 * K)
  await passes(carol.accepted[0], 500 * K, 300 * K)
  t.deepEqual(told, [500 * K, 300 * K], 'the first word on a path is what passes there')

  await second.close()
  await passes(first, 500 * K, 500 * K)
  await passes(bob.accepted[0], 500 * K, 500 * K)
  t.deepEqual(heard, [300 * K, 500 * K], 'each change is told once')
  const { sessions } = await world.gateway.status()
  t.is(sessions.limits, 2 + 4 + 2)
})

test('a direct path has no limit, and its verdict is told to both', async t => {
  await using world = await World.open({ strategies: '[direct, relay]' })
  const [ann, bob] = [await joined(world, 'ann'), await joined(world, 'bob')]
  const connection = await ann.peer.connect({ name: 'bob' })
  const far = await until(() => bob.accepted[0])
  for (const one of [connection, far]) {
    t.is((await until(() => one.notice.verdict)).code, 'direct')
    t.is(one.notice.bitsPerSecond, undefined)
  }
})
