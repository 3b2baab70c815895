import test from 'ava'
import { remember } from '../../../src/gateway/memory/remember.ts'

test('so many are remembered, and what was set longest ago goes first', t => {
  const map = new Map<string, number>()
  for (const [value, key] of [...'abcab'].entries()) remember(map, key, value, 3)
  t.deepEqual(
    [...map],
    [
      ['c', 2],
      ['a', 3],
      ['b', 4]
    ]
  )
  remember(map, 'd', 5, 3)
  t.deepEqual([...map.keys()], ['a', 'b', 'd'])
})

test('one that is set again and again is one', t => {
  const map = new Map<string, number>()
  for (let value = 0; value < 3; value++) remember(map, 'a', value, 1)
  t.deepEqual([...map], [['a', 2]])
  remember(map, 'b', 3, 1)
  t.deepEqual([...map], [['b', 3]])
})
