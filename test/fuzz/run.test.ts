// The fuzzer itself: what it calls a fault, and that a seed and a number show it again. It runs targets made up here, for a moment.

import { setTimeout as sleep } from 'node:timers/promises'
import test from 'ava'
import { mutatedBytes, mutatedJson, mutatedText } from './mutate.ts'
import { Odd } from './odd.ts'
import { Random } from './random.ts'
import { type Fault, run, shown } from './run.ts'
import type { Subject, Target } from './target.ts'

const target = (check: Subject<number>['check'], more: Pick<Subject, 'rest'> = {}): Target => ({
  name: 'made-up',
  about: '',
  open: (): Subject<number> => ({ input: random => random.below(1000), check, ...more })
})

async function faultsOf(made: Target, spec: object = {}) {
  const faults: Fault[] = []
  const result = await run(made, { seed: 7, ms: 5000, operations: 200, tell: fault => faults.push(fault), ...spec })
  return { faults, result }
}

test.serial('what is thrown is a fault, at once or later, and the same operation shows it again', async t => {
  const wrong = (input: number) => {
    if (input < 10) throw new Error(`${input} is wrong`)
  }
  for (const check of [wrong, async (input: number) => wrong(input)]) {
    const { faults, result } = await faultsOf(target(check))
    t.true(faults.length > 0 && faults.length < 20)
    t.is(result.faults, faults.length)
    for (const { operation, input, what } of faults.slice(0, 2)) {
      t.regex(what, new RegExp(`^Error: ${input} is wrong`))
      const again = await faultsOf(target(check), { first: operation, operations: 1 })
      t.deepEqual(
        again.faults.map(({ input }) => input),
        [input]
      )
    }
  }
})

test.serial('an operation that waits or computes for too long is a fault, and a quick one is none', async t => {
  const compute = (ms: number) => {
    for (const { user } = process.threadCpuUsage(); process.threadCpuUsage().user < user + ms * 1000; );
  }
  const hangMs = 60
  for (const slow of [() => sleep(80), () => compute(80)]) {
    const { faults } = await faultsOf(target(slow), { operations: 1, hangMs })
    t.regex(faults[0]?.what ?? '', /^Error: it took \d+ ms/)
  }
  t.deepEqual(
    (
      await faultsOf(
        target(() => sleep(1)),
        { operations: 3 }
      )
    ).faults,
    []
  )
})

test.serial('memory that grows is a fault, and what is let go of before a look is none', async t => {
  const kept: Buffer[] = []
  const keep = async () => {
    kept.push(Buffer.alloc(500_000))
    await sleep(4)
  }
  const spec = { operations: 80, growthBytes: 2_000_000 }
  t.regex((await faultsOf(target(keep), spec)).faults[0]?.what ?? '', /^Error: the heap grew by \d+ KiB/)
  const rest = async () => void kept.splice(0)
  t.deepEqual((await faultsOf(target(keep, { rest }), spec)).faults, [])
})

test('a seed makes the same inputs, and another one makes others', t => {
  const made = (seed: number) => {
    const odd = new Odd(seed)
    return Array.from({ length: 50 }, (_, at) => {
      const random = new Random(seed, at)
      const json = mutatedJson(random, { a: [1, 'two', { three: true }], b: 'x' }, odd)
      return [mutatedBytes(random, Buffer.from('bytes'), []), mutatedText(random, 'a text\nof lines', odd), json]
    })
  }
  t.deepEqual(made(1), made(1))
  t.notDeepEqual(made(1), made(2))
})

test('an input is told in characters that no terminal takes for a command', t => {
  t.is(shown('a\x1b[2J\u202e\ud800'), 'a\\u{1b}[2J\\u{202e}\\u{d800}')
  t.true(shown('x'.repeat(1e6)).length < 3000)
})
