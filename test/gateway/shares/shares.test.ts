import test from 'ava'
import { Shares } from '../../../src/gateway/shares/shares.ts'

const from = (network: string) => ({ network })

function takeAll(shares: Shares, holder: Readonly<Record<string, string>>): number {
  let count = 0
  while (shares.take(holder)) count++
  return count
}

test('one that nobody else competes with has nine tenths, and the rest is kept', t => {
  const shares = new Shares({ capacity: 100 })
  t.is(takeAll(shares, from('a')), 90)
  t.is(takeAll(shares, from('b')), 2)
  t.is(takeAll(shares, from('c')), 2)
  t.is(shares.used, 94)
})

test('a small table keeps no part of a place, and is full when all of its places are taken', t => {
  t.is(takeAll(new Shares({ capacity: 1 }), from('a')), 1)
  t.is(takeAll(new Shares({ capacity: 3 }), from('a')), 3)
  t.is(takeAll(new Shares({ capacity: 19 }), from('a')), 17)
})

test('below three quarters nobody has a share', t => {
  const shares = new Shares({ capacity: 100 })
  for (const other of ['b', 'c', 'd', 'e']) shares.take(from(other))
  t.is(takeAll(shares, from('a')), 71)
})

test('above three quarters a holder has at most its share', t => {
  const shares = new Shares({ capacity: 100 })
  for (let count = 0; count < 40; count++) shares.take(from('a'))
  for (let count = 0; count < 35; count++) shares.take(from('b'))
  t.is(takeAll(shares, from('a')), 10, 'half of all')
  t.is(takeAll(shares, from('b')), 5, 'to nine tenths of all')
})

test('certificates cost nothing, so sixty-four of them from one network have no more than one', t => {
  const shares = new Shares({ capacity: 100 })
  for (let index = 0; index < 64; index++) takeAll(shares, { network: 'a', certificate: `${index}` })
  t.is(shares.held('network', 'a'), 90)
  t.true(shares.take({ network: 'b', certificate: 'honest' }))
})

test('many certificates of one network make nobody else’s share small', t => {
  const shares = new Shares({ capacity: 100 })
  for (let index = 0; index < 64; index++) shares.take({ network: 'a', certificate: `${index}` })
  const honest = { network: 'b', certificate: 'honest' }
  t.is(takeAll(shares, honest), 26)
})

test('nor does one certificate from many networks have more than a certificate', t => {
  const shares = new Shares({ capacity: 100 })
  for (let index = 0; index < 90; index++) takeAll(shares, { network: `${index}`, certificate: 'a' })
  t.is(shares.held('certificate', 'a'), 90)
  t.true(shares.take({ network: 'b', certificate: 'honest' }))
})

test('what is given back can be taken by others', t => {
  const shares = new Shares({ capacity: 10 })
  takeAll(shares, from('a'))
  shares.giveBack(from('a'), 9)
  t.is(shares.used, 0)
  t.is(takeAll(shares, from('b')), 9)
  t.is(shares.held('network', 'a'), 0)
})

test('what was refused is counted', t => {
  const shares = new Shares({ capacity: 10 })
  takeAll(shares, from('a'))
  t.is(shares.refused, 1)
})

test('a holder may be bounded although nobody else wants the room', t => {
  const shares = new Shares({ capacity: 100, most: 1 / 4 })
  t.is(takeAll(shares, from('a')), 25)
  t.is(takeAll(shares, from('b')), 25)
})

test('holders of a kind may be bounded and others not', t => {
  const shares = new Shares({ capacity: 100, most: { certificate: 1 / 4 } })
  t.is(takeAll(shares, { network: 'a', certificate: '1' }), 25)
  t.is(takeAll(shares, { network: 'a', certificate: '2' }), 25)
  t.is(takeAll(shares, from('a')), 40, 'a network is no certificate')
})

test('of a rate as much comes back as its time constant says', t => {
  let now = 0
  const shares = new Shares({ capacity: 1000, fadeMs: 1000, now: () => now })
  shares.charge(from('a'), 1000)
  now += 1000
  t.true(Math.abs(shares.used - 1000 / Math.E) < 1e-6)
  t.false(shares.hasRoom(from('a'), 600))
  t.true(shares.hasRoom(from('a'), 500))
})

test('beside one that takes all it can of a rate, another has nearly as much within a few time constants', t => {
  let now = 0
  const shares = new Shares({ capacity: 1000, fadeMs: 1000, now: () => now })
  const got = { a: 0, b: 0 }
  for (; now < 20_000; now += 10) {
    for (let count = 0; count < 100; count++) if (shares.take(from('a')) && now > 10_000) got.a++
    for (let count = 0; count < 100; count++) if (shares.take(from('b')) && now > 10_000) got.b++
  }
  t.true(got.b > 0.75 * got.a, `${got.b} beside ${got.a}`)
})

test('holders of a rate that have nothing any more are forgotten', t => {
  let now = 0
  const shares = new Shares({ capacity: 100, fadeMs: 1000, now: () => now })
  for (let index = 0; index < 50; index++) shares.charge(from(`${index}`))
  now += 10_000
  for (let count = 0; count < 80; count++) shares.charge(from('a'))
  t.true(shares.hasRoom(from('a'), 9), 'fifty holders would leave two for each')
})

test('more holders of a rate than are remembered make nothing grow', t => {
  const shares = new Shares({ capacity: 1e9, fadeMs: 1e9, now: () => 0 })
  for (let index = 0; index < 10_050; index++) shares.charge(from(`${index}`), 10)
  t.is(shares.held('network', '0'), 0)
  t.is(shares.held('network', '10049'), 10)
})

test('who is told to wait is told another time than the one before', t => {
  const shares = new Shares({ capacity: 10 })
  const times = Array.from({ length: 100 }, () => shares.retryMs())
  t.true(times.every(ms => ms >= 1000 && ms <= 3000))
  t.true(new Set(times).size > 50)
})
