// What the gateway is told of a connection's path: real transports on loopback, and no gateway.

import test from 'ava'
import { Standings } from '../../src/peer/standing.ts'
import type { News } from '../../src/wire/news.ts'
import { parseFromPeer } from '../../src/wire/signal.ts'
import { endNative } from '../end-native.ts'
import { until } from '../until.ts'
import { connectedPair, openPair } from './loopback.ts'

test.after.always(endNative)

async function standing() {
  const { alice, bob } = await connectedPair(60_000)
  await Promise.all([alice.ping(), bob.ping()])
  const told: News[] = []
  const never = () => new Promise<never>(() => {})
  const standings = new Standings({
    ...{ another: never, renew: never, isContinued: () => false, suspected: () => {}, over: () => {} },
    send: news => {
      told.push(parseFromPeer(JSON.stringify(news)) as News)
      return true
    }
  })
  standings.add(alice, 'bob')
  const carry = async (session: string) => {
    const paths = await openPair(session)
    await Promise.all([alice.carry(paths.alice), bob.carry(paths.bob)])
    return paths
  }
  const close = () => Promise.all([alice.close(), bob.close()])
  return { alice, bob, told, standings, carry, close }
}

test('who leaves a path says how long it had heard nothing there, and who slept or changed networks says it of each connection', async t => {
  const { told, standings, carry, close, alice } = await standing()
  await carry('another')
  standings.tell('slept', 45_000.4)
  standings.tell('network')
  await close()
  const [moved, slept, network, ended] = told.filter(({ what }) => what !== 'proved')
  t.is(moved?.what, 'moved')
  t.true((moved?.quietMs ?? -1) >= 0)
  t.like(slept, { what: 'slept', ms: 45_000, session: alice.session })
  t.like(network, { what: 'network', session: alice.session })
  t.is(network?.reason, undefined, 'where a side is, is nothing for the other one to read')
  t.is(ended?.what, 'ended')
  t.is(ended?.code, undefined, 'it was closed')
})

test('a path that is heard again is told as the same one', async t => {
  const { alice, told, close } = await standing()
  alice.emit('path', {
    what: 'lost',
    path: alice.path,
    reason: 'nothing was heard',
    quietMs: 1000,
    askedMs: 600,
    isNarrow: false
  })
  alice.emit('path', { what: 'back', path: alice.path, ms: 700 })
  await until(() => told.length === 2)
  t.like(told[0], { what: 'lost', ms: 1000, askedMs: 600 })
  t.like(told[1], { what: 'resumed', back: true, ms: 700 })
  await close()
})

test('that it slept is told when the link to the gateway is there again, since it may have died meanwhile', async t => {
  const { told, standings, close } = await standing()
  standings.tell('slept', 45_000)
  t.deepEqual(told, [])
  standings.joined()
  t.deepEqual(
    told.map(({ what }) => what),
    ['slept']
  )
  await close()
})

test('what was told just before the link was lost is told again, since nobody knows whether it arrived', async t => {
  const { alice, told, standings, close } = await standing()
  const lost = { what: 'lost', reason: 'nothing was heard', quietMs: 1000, askedMs: 600, isNarrow: false } as const
  alice.emit('path', { ...lost, path: alice.path })
  const before = told.filter(({ what }) => what === 'lost')
  t.is(before.length, 1)
  told.length = 0
  standings.joined()
  t.deepEqual(
    told.filter(({ what }) => what === 'lost'),
    before,
    'of the same moment, so that the gateway knows it again'
  )
  await close()
  told.length = 0
  standings.joined()
  t.deepEqual(told, [], 'nothing of a connection that is over')
})
