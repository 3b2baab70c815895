// Sides that speak ICE alone, and dial a passive TCP candidate: their checks (RFC 8445 section 7) come in frames.

import { randomBytes } from 'node:crypto'
import test from 'ava'
import { until } from '../../until.ts'
import { agents } from '../relay/ice-agent.ts'
import { read } from '../stun-by-hand.ts'
import { type End, House } from './house.ts'

const dtls = Buffer.from([22, 254, 253, 1, 2, 3])

/** A house whose session `s` expects agents on both sides. */
async function expecting({ patienceMs = 10_000 } = {}) {
  const house = await House.open({ patienceMs })
  const sides = agents()
  await house.relay.expect('s', sides)
  const latched = async () => Object.fromEntries(Object.entries(await house.relay.latched('s')).map(doorAndPort))
  /** A check, and the answer to what the gateway asks then. */
  const latch = async (end: End, side: 'caller' | 'callee') => {
    end.send(sides[side].check())
    end.send(sides[side].answer(await end.next()))
    await until(async () => (await house.relay.latched('s'))[side]?.port === end.localPort)
  }
  return { house, ...sides, latched, latch, counters: async () => (await house.relay.totals()).checks }
}

const doorAndPort = ([side, { door, port }]: [string, { door: string; port: number }]) => [side, [door, port]]

test('a check in a frame is asked back over the same connection, and whoever answers is latched there', async t => {
  const { house, caller, callee, latched } = await expecting()
  await using _house = house
  const [ann, bob] = [await house.tcp(), await house.tcp()]
  const check = caller.check()
  ann.send(check)
  const asked = await ann.next()
  t.true(caller.accepts(asked))
  t.deepEqual(await latched(), {})
  ann.send(caller.answer(asked))
  await until(async () => 'caller' in (await latched()))
  t.deepEqual(await latched(), { caller: ['tcp', ann.localPort] })
  t.is(house.proved, 1)
  bob.send(callee.check())
  bob.send(callee.answer(await bob.next()))
  t.deepEqual(await bob.next(), check, 'what was sent once was held for who is late')
  t.true(read(await ann.next()).attributes.has(0x0006), 'the check of the other side')
  ann.send(dtls)
  t.deepEqual(await bob.next(), dtls)
})

test('a check with a wrong key is not asked back, and its connection is cut off as any stranger’s', async t => {
  const { house, caller, callee, latched, counters } = await expecting({ patienceMs: 400 })
  await using _house = house
  const [ann, bob] = [await house.tcp(), await house.tcp()]
  ann.send(caller.check({ pwd: caller.local.pwd }))
  bob.send(callee.check())
  bob.send(callee.answer(await bob.next(), { pwd: callee.remote.pwd }))
  await Promise.all([ann.closed, bob.closed])
  t.deepEqual(await latched(), {})
  t.like(await counters(), { asked: 1, latched: 0, refused: 2 })
  t.is(house.doors.counters.tcp.idle, 2)
  const answers = ann.came.map(datagram => read(datagram).attributes.has(0x0008))
  t.deepEqual(answers, [false], 'as whoever is unknown it was told where it comes from, and nothing more')
})

test('frames that are no checks cut the connection off before it is latched, and change nothing afterwards', async t => {
  const { house, latched, latch } = await expecting()
  await using _house = house
  for (const bytes of [dtls, randomBytes(60), Buffer.from('GET / HTTP/1.1')]) {
    const end = await house.tcp()
    end.send(bytes)
    await end.closed
  }
  t.is(house.doors.counters.tcp.broken, 3)
  const end = await house.tcp()
  await latch(end, 'caller')
  end.send(randomBytes(60))
  const other = await house.tcp()
  await latch(other, 'callee')
  t.deepEqual(await latched(), { caller: ['tcp', end.localPort], callee: ['tcp', other.localPort] })
})

test('after a cut, another connection of an agent is latched at once by its check, and one from the same port without', async t => {
  const { house, latch } = await expecting()
  await using _house = house
  const [first, bob] = [await house.tcp(), await house.tcp()]
  await latch(first, 'caller')
  await latch(bob, 'callee')
  first.close()
  await until(() => house.doors.counters.tcp.open === 1)
  const second = await house.tcp()
  const atMs = performance.now()
  await latch(second, 'caller')
  t.true(performance.now() - atMs < 1000, 'as where the side was heard it is not heard any more')
  second.close()
  await until(() => house.doors.counters.tcp.open === 1)
  bob.came.length = 0
  const third = await house.tcp(second.localPort)
  third.send(dtls)
  t.deepEqual(await bob.next(), dtls)
})

test('of two connections of one agent the first that answers is latched, and the other is not closed', async t => {
  const { house, caller, latch, latched, counters } = await expecting({ patienceMs: 400 })
  await using _house = house
  const [one, other] = [await house.tcp(), await house.tcp()]
  await latch(one, 'caller')
  const beat = setInterval(() => {
    for (const end of [one, other]) end.send(caller.check())
  }, 50)
  const silent = await house.tcp()
  await silent.closed
  await until(() => house.doors.counters.tcp.open === 2)
  clearInterval(beat)
  t.like(house.doors.counters.tcp, { open: 2, idle: 1, broken: 0 })
  t.is((await counters()).asked, 1)
  t.deepEqual(await latched(), { caller: ['tcp', one.localPort] })
})

test('a host may dial two ports from one of its own, as Firefox does: these are two ways', async t => {
  const { house, caller, latched, latch } = await expecting()
  await using _house = house
  const [one, other] = [await house.tcp(), await house.webSocket()]
  await latch(one, 'caller')
  const again = await house.secondTcp(one.localPort)
  again.send(caller.check())
  await until(() => house.doors.counters.tcp.open === 2)
  t.deepEqual(await latched(), { caller: ['tcp', one.localPort] })
  await latch(other, 'callee')
  one.send(dtls)
  await until(() => other.came.some(datagram => datagram.equals(dtls)))
  t.pass()
})
