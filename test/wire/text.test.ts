import test from 'ava'
import { printableJson } from '../../src/wire/text.ts'

test('whatever JSON says is printable, and otherwise as it was', t => {
  const odd = 'a\u001b[2J\u0007\u009b\u202e\nb'
  t.deepEqual(printableJson(JSON.parse(JSON.stringify({ [odd]: [odd, { x: odd }, 1, true, null] }))), {
    'a [2J b': ['a [2J b', { x: 'a [2J b' }, 1, true, null]
  })
  const own = printableJson(JSON.parse('{"__proto__":{"x":1}}')) as { x?: number }
  t.is(own.x, undefined)
  t.deepEqual(Object.keys(own), ['__proto__'])
})

test('JSON that is nested without end is read as far as anything of ours could be', t => {
  const deep = (levels: number) => JSON.parse(`${'['.repeat(levels)}"x"${']'.repeat(levels)}`)
  t.deepEqual(printableJson(deep(20)), deep(20))
  t.true(JSON.stringify(printableJson(deep(50_000))).length < 200)
})
