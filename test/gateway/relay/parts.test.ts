import test from 'ava'
import fc from 'fast-check'
import { type Direction, Parts } from '../../../src/gateway/relay/parts.ts'

const plenty = { perPeer: 1e9, total: 1e9 }

const from = (peer: string, bitsPerSecond: number, network = 'a', certificate = peer): Direction => ({
  peer,
  bitsPerSecond,
  holder: { network, certificate }
})

function parts(directions: readonly Direction[], limits: { perPeer: number; total: number }): Parts {
  const made = new Parts()
  for (const direction of directions) made.add(direction, limits)
  return made
}

test('one direction has its own limit, or that of its sender, or the total, whichever is the least', t => {
  const one = from('ann', 500)
  t.is(parts([one], plenty).of(one), 500)
  t.is(parts([one], { ...plenty, perPeer: 300 }).of(one), 300)
  t.is(parts([one], { perPeer: 300, total: 200 }).of(one), 200)
})

test('the sessions of one sender share its limit, and one that ends gives its part back', t => {
  const [one, other, another] = [from('ann', 500), from('ann', 500), from('bob', 500)]
  const made = parts([one, other, another], { ...plenty, perPeer: 500 })
  t.deepEqual(
    [one, other, another].map(direction => made.of(direction)),
    [250, 250, 500]
  )
  made.delete(other)
  t.deepEqual(
    [one, other, another].map(direction => made.of(direction)),
    [500, 0, 500]
  )
})

test('what one needs less of than its part is the others', t => {
  const [slow, fast] = [from('ann', 100), from('ann', 500)]
  const made = parts([slow, fast], { ...plenty, perPeer: 500 })
  t.deepEqual([made.of(slow), made.of(fast)], [100, 400])
})

test('a short total is dealt by networks, certificates and directions, as turns are', t => {
  const alone = from('ann', 500, 'a')
  const two = [from('bob', 500, 'b'), from('carol', 500, 'b')]
  const many = [from('dave', 500, 'b', 'carol')]
  const made = parts([alone, ...two, ...many], { ...plenty, total: 800 })
  t.deepEqual(
    [alone, ...two, ...many].map(direction => made.of(direction)),
    [400, 200, 100, 100]
  )
  made.delete(alone)
  t.deepEqual(
    two.map(direction => made.of(direction)),
    [400, 200]
  )
})

test('no sender and no total is ever promised twice, and nobody is left with less than an even part', t => {
  const direction = fc.record({
    peer: fc.constantFrom('ann', 'bob', 'carol'),
    bitsPerSecond: fc.integer({ min: 1, max: 1000 }),
    holder: fc.record({ network: fc.constantFrom('a', 'b'), certificate: fc.constantFrom('x', 'y') })
  })
  const limit = fc.integer({ min: 100, max: 3000 })
  fc.assert(
    fc.property(fc.array(direction, { minLength: 1, maxLength: 8 }), limit, limit, (directions, perPeer, total) => {
      const made = parts(directions, { perPeer, total })
      const sum = (some: readonly Direction[]) => some.reduce((all, one) => all + made.of(one), 0)
      if (sum(directions) > total) return false
      for (const of of Map.groupBy(directions, ({ peer }) => peer).values()) if (sum(of) > perPeer) return false
      // Two networks, two certificates, and all the rest in one of them.
      const least = Math.min(perPeer, total) / (4 * directions.length)
      return directions.every(one => made.of(one) >= Math.floor(Math.min(one.bitsPerSecond, least)))
    })
  )
  t.pass()
})
