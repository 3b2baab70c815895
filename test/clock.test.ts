import { setImmediate, setTimeout as sleep } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import test from 'ava'
import { nowMs, timeoutSignal } from '../src/clock.ts'

test('the clock follows the time of day', t => {
  t.true(Math.abs(nowMs() - Date.now()) <= 3)
})

test('a timeout aborts as the one of the platform does', async t => {
  const signal = timeoutSignal(1)
  // Its timer keeps no process alive, and another test may not either.
  await Promise.race([new Promise(resolve => signal.addEventListener('abort', resolve)), sleep(5_000)])
  t.is((signal.reason as DOMException).name, 'TimeoutError')
})

test('a timeout that was disposed of does not abort', async t => {
  const signal = timeoutSignal(1)
  signal[Symbol.dispose]()
  await sleep(10)
  t.false(signal.aborted)
})

test('a signal made of a timeout is let go although it was made part of another', async t => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const { signal } = new AbortController()
  const made = () => {
    const either = AbortSignal.any([signal, timeoutSignal(60_000)])
    AbortSignal.any([either, signal])
    return new WeakRef(either)
  }
  const references = Array.from({ length: 10 }, made)
  // What a WeakRef was made of lives on until the turn of the event loop is over.
  await setImmediate()
  collect()
  t.true(references.every(reference => reference.deref() === undefined))
})
