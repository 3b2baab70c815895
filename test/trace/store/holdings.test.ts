import test from 'ava'
import fc from 'fast-check'
import { Holdings } from '../../../src/trace/store/holdings.ts'

test('the oldest item of the owner that has most goes first, on each level', t => {
  const holdings = new Holdings<string>()
  holdings.add('b1', ['b', 'x'], 100)
  for (const item of ['1', '2', '3', '4', '5', '6']) holdings.add(`a${item}`, ['a', Number(item) > 1 ? 'y' : 'z'], 100)
  t.is(holdings.oldestOfMost(), 'a2')
  holdings.remove('a2', ['a', 'y'], 100)
  t.is(holdings.oldestOfMost(), 'a3')
  holdings.add('b2', ['b', 'x'], 10_000)
  t.is(holdings.oldestOfMost(), 'b1')
  t.is(holdings.weight, 10_600)
})

const action = fc.record({
  owner: fc.constantFrom('a', 'b', 'c'),
  part: fc.constantFrom('x', 'y', 'z'),
  weight: fc.integer({ min: 1, max: 5000 })
})

test('whatever was added, nobody has twice as much as the one that is asked to give', t => {
  fc.assert(
    fc.property(fc.array(action, { minLength: 1, maxLength: 60, size: 'max' }), actions => {
      const holdings = new Holdings<number>()
      const left = new Map(actions.map((one, item) => [item, one]))
      for (const [item, { owner, part, weight }] of left) holdings.add(item, [owner, part], weight)
      const weightOf = (owner: string) =>
        [...left.values()].filter(one => one.owner === owner).reduce((sum, { weight }) => sum + weight, 0)
      while (left.size > 0) {
        const item = holdings.oldestOfMost()
        const one = item === undefined ? undefined : left.get(item)
        if (item === undefined || one === undefined) return false
        if (['a', 'b', 'c'].some(owner => weightOf(owner) >= 2 * weightOf(one.owner))) return false
        holdings.remove(item, [one.owner, one.part], one.weight)
        left.delete(item)
      }
      return holdings.isEmpty && holdings.weight === 0 && holdings.oldestOfMost() === undefined
    }),
    { numRuns: 100 }
  )
  t.pass()
})
