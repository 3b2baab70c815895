import test from 'ava'
import { until } from '../../until.ts'
import { House, key } from './house.ts'

const dtls = Buffer.from([22, 254, 253, 1, 2, 3])

for (const door of ['tcp', 'webSocket'] as const) {
  const counted = door === 'tcp' ? 'tcp' : 'websocket'

  test(`${door}: a stranger is told where it comes from, as over UDP`, async t => {
    await using house = await House.open()
    const end = await house[door]()
    const { mapped } = await end.ask()
    t.deepEqual(mapped, { address: '127.0.0.1', port: end.localPort })
    t.is(house.binding.counters.plain, 1)
  })

  test(`${door}: a proof latches a side, and datagrams go to the other one over UDP and back`, async t => {
    await using house = await House.open()
    const end = await house[door]()
    await end.latch('caller')
    t.is(house.proved, 1)
    const [port] = house.udp
    const bob = { address: '198.51.100.20', port: 50_000 }
    t.true(port && (await house.relay.latch('s', 'callee', port, bob)))
    end.send(dtls)
    await until(() => house.sent.length === 1)
    t.deepEqual(house.sent[0]?.to, bob)
    t.deepEqual(house.sent[0]?.datagram, dtls)
    t.true(port && house.relay.forward(port, bob, Buffer.from('back')))
    t.is(String(await end.next()), 'back')
    t.like((await house.relay.latched('s')).caller, { door: counted, port: end.localPort })
    t.deepEqual((await house.relay.totals()).doors, { udp: 1, tcp: 0, websocket: 0, [counted]: 1 })
  })

  test(`${door}: a wrong key latches nothing and is not answered`, async t => {
    await using house = await House.open()
    const end = await house[door]()
    const asked = end.ask({ username: 's:s:caller', key: Buffer.alloc(20, 8) })
    await until(() => house.binding.counters.refused === 1)
    end.close()
    await t.throwsAsync(asked, { message: 'closed' })
    t.deepEqual(await house.relay.latched('s'), {})
  })

  test(`${door}: who sends anything else than a question first is cut off, and counted`, async t => {
    await using house = await House.open()
    const end = await house[door]()
    end.send(dtls)
    await end.closed
    t.is(house.doors.counters[counted].broken, 1)
    await until(() => house.doors.counters[counted].open === 0)
  })

  test(`${door}: who shows nothing valid is cut off in time; a latched side is not, however silent`, async t => {
    await using house = await House.open({ patienceMs: 700 })
    const [silent, asking, latched] = [await house[door](), await house[door](), await house[door]()]
    await latched.latch('caller')
    await asking.ask()
    await Promise.all([silent.closed, asking.closed])
    t.is(house.doors.counters[counted].idle, 2)
    await until(() => house.doors.counters[counted].open === 1)
    t.truthy((await latched.ask({ username: 's:s:caller', key })).nonce)
  })

  test(`${door}: the newer connection of a side takes the place of the older, which may do so again or is closed`, async t => {
    await using house = await House.open({ patienceMs: 2_000 })
    const [older, newer] = [await house[door](), await house[door]()]
    const place = async () => (await house.relay.latched('s')).caller?.port
    await older.latch('caller')
    await newer.latch('caller')
    t.is(await place(), newer.localPort)
    await older.latch('caller')
    t.is(await place(), older.localPort)
    await newer.closed
    t.is(await place(), older.localPort)
  })

  test(`${door}: when the session is over its connections are closed`, async t => {
    await using house = await House.open()
    const end = await house[door]()
    await end.latch('callee')
    await house.relay.disarm('s')
    await end.closed
    t.is(house.doors.counters[counted].idle, 0)
  })
}

test('any door leads to any other, and what came before the other side did is not lost', async t => {
  for (const [one, other] of [
    ['tcp', 'tcp'],
    ['tcp', 'webSocket'],
    ['webSocket', 'webSocket']
  ] as const) {
    await using house = await House.open()
    const [ann, bob] = [await house[one](), await house[other]()]
    await ann.latch('caller')
    for (let number = 1; number <= 9; number++) ann.send(Buffer.from(`early ${number}`))
    await until(async () => (await house.relay.counters('s'))?.caller.dropped.unlatched === 1)
    await bob.latch('callee')
    for (let number = 2; number <= 9; number++) t.is(String(await bob.next()), `early ${number}`)
    bob.send(Buffer.from('and back'))
    t.is(String(await ann.next()), 'and back')
  }
})

test('a latched side that dials again from the same port goes on at once, beginning with DTLS', async t => {
  await using house = await House.open()
  const [ann, bob] = [await house.tcp(), await house.tcp()]
  await ann.latch('caller')
  await bob.latch('callee')
  ann.close()
  await until(() => house.doors.counters.tcp.open === 1)
  const again = await house.tcp(ann.localPort)
  again.send(dtls)
  t.deepEqual(await bob.next(), dtls)
  bob.send(Buffer.from('welcome back'))
  t.is(String(await again.next()), 'welcome back')
  t.is(house.proved, 3)
})

test('a port that nobody is latched at has no memory: DTLS from there is cut off', async t => {
  await using house = await House.open()
  const end = await house.tcp()
  await end.ask()
  end.close()
  await until(() => house.doors.counters.tcp.open === 0)
  const again = await house.tcp(end.localPort)
  again.send(dtls)
  await again.closed
  t.is(house.doors.counters.tcp.broken, 1)
})

const lies: readonly [what: string, bytes: Buffer][] = [
  ['a frame of no bytes', Buffer.from([0, 0])],
  ['a frame of 65,535 bytes', Buffer.from([255, 255])],
  ['a frame of 2,049 bytes', Buffer.from([8, 1])]
]
for (const [what, bytes] of lies)
  test(`${what} is refused and counted, also of a side that is latched`, async t => {
    await using house = await House.open()
    const [stranger, latched] = [await house.tcp(), await house.tcp()]
    await latched.latch('caller')
    for (const end of [stranger, latched]) end.raw(bytes)
    await Promise.all([stranger.closed, latched.closed])
    t.is(house.doors.counters.tcp.broken, 2)
  })

test('a frame that does not end is waited for in vain no longer than a silent connection, also of a latched side', async t => {
  await using house = await House.open({ patienceMs: 300 })
  const [stranger, latched] = [await house.tcp(), await house.tcp()]
  await latched.latch('caller')
  for (const end of [stranger, latched]) end.raw(Buffer.from([0, 100, 0, 1]))
  const drip = setInterval(() => {
    for (const end of [stranger, latched]) end.raw(Buffer.from([1]))
  }, 20)
  await Promise.all([stranger.closed, latched.closed])
  clearInterval(drip)
  t.is(house.doors.counters.tcp.idle, 2)
})

test('text over a WebSocket is no datagram', async t => {
  await using house = await House.open()
  const end = await house.webSocket()
  end.raw(Buffer.from('hello'))
  await end.closed
  t.is(house.doors.counters.websocket.broken, 1)
})

test('a side that does not read has no more than a bounded queue: what is late is dropped, and counted', async t => {
  await using house = await House.open()
  const [ann, bob] = [await house.tcp(), await house.tcp()]
  await ann.latch('caller')
  await bob.latch('callee')
  bob.stop()
  const flood = setInterval(() => {
    for (let count = 0; count < 500; count++) ann.send(Buffer.alloc(1200, 23))
  }, 5)
  await until(() => house.doors.counters.tcp.dropped > 1000, 20_000)
  clearInterval(flood)
  t.pass()
})
