import test from 'ava'
import { PosternError } from '../../../src/errors.ts'
import { RefusalLog } from '../../../src/gateway/signalling/refusal-log.ts'

const wrong = new PosternError('bad-token', 'the join token is wrong')

interface Line {
  readonly fields: object
  readonly message: string
}

test('of one network a few refusals of a kind are logged in a minute, of all together some more, and then how many were left out', t => {
  const lines: Line[] = []
  const log = { info: (fields: object, message: string) => void lines.push({ fields, message }) }
  const refusals = new RefusalLog({ log })
  for (let count = 0; count < 100; count++) refusals.tell(wrong, `203.0.113.${count}`, undefined)
  t.is(lines.length, 5)
  t.deepEqual(lines[0], {
    fields: { code: 'bad-token', from: '203.0.113.0', peer: undefined },
    message: 'refused: the join token is wrong'
  })
  refusals.tell(new PosternError('timeout', 'no hello came'), '203.0.113.1', 'ann')
  t.is(lines.length, 6, 'another kind is logged')
  for (let count = 0; count < 1000; count++) refusals.tell(wrong, `10.0.${count % 250}.1`, undefined)
  const told = lines.length
  t.true(told <= 70, `${told} lines`)
  refusals[Symbol.dispose]()
  t.is(lines.at(-1)?.message, `… and ${1101 - told} more refusals in the last minute`)
})

test('what was left out is said after a minute by itself', async t => {
  const { promise: said, resolve } = Promise.withResolvers<string>()
  const log = { info: (fields: object, message: string) => ('leftOut' in fields ? resolve(message) : undefined) }
  using refusals = new RefusalLog({ log, minuteMs: 20 })
  for (let count = 0; count < 1000; count++) refusals.tell(wrong, '203.0.113.1', undefined)
  t.regex(await said, /^… and \d+ more refusals in the last minute$/)
})
