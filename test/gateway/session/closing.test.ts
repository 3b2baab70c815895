import { mock } from 'node:test'
import test from 'ava'
import { Closing } from '../../../src/gateway/session/closing.ts'

// All tests of this file share the clock, which stands still but for them.
mock.timers.enable({ apis: ['setTimeout'] })

const pass = async (ms: number) => {
  mock.timers.tick(ms)
  // What the relay is asked for comes in turns of its own.
  for (let turn = 0; turn < 5; turn++) await undefined
}

function begun(isRelaying: () => Promise<boolean>) {
  const closing = new Closing(10_000, isRelaying)
  closing.begin()
  return { closing, over: () => [closing.strategies.aborted, closing.all.aborted] }
}

test.serial('the strategies have the deadline, and the last resort four seconds more, whatever peers say', async t => {
  const { closing, over } = begun(async () => false)
  await pass(9999)
  t.deepEqual(over(), [false, false])
  await pass(1)
  t.deepEqual(over(), [true, false])
  await pass(3999)
  t.deepEqual(over(), [true, false])
  await pass(1)
  t.deepEqual(over(), [true, true])
  t.is(closing.all.reason.name, 'TimeoutError')
})

test.serial('two sides that the gateway sees at its relay have ten seconds more, and no others', async t => {
  let isRelaying = true
  const { over } = begun(async () => isRelaying)
  await pass(10_000)
  await pass(4000)
  isRelaying = false
  await pass(9999)
  t.deepEqual(over(), [true, false])
  await pass(1)
  t.deepEqual(over(), [true, true])
})

test.serial('a relay that cannot be asked extends nothing', async t => {
  const { over } = begun(async () => {
    throw new Error('gone')
  })
  await pass(10_000)
  await pass(4000)
  t.deepEqual(over(), [true, true])
})

test.serial('a request that was decided in time is not closed', async t => {
  const { closing, over } = begun(async () => false)
  closing[Symbol.dispose]()
  await pass(60_000)
  t.deepEqual(over(), [false, false])
})
