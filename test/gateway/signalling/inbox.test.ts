import test from 'ava'
import { Shares } from '../../../src/gateway/shares/shares.ts'
import { Inbox } from '../../../src/gateway/signalling/inbox.ts'

/** A link whose messages may be served after so many milliseconds each, one after the other, and then at once. */
function made(rests: number[], keeps = 100) {
  const served: string[] = []
  const counts = { slowed: 0, flooded: 0 }
  const waiting = new Shares({ capacity: keeps })
  let isPaused = false
  const { promise: resumed, resolve: over } = Promise.withResolvers<void>()
  const ws = {
    pause: () => {
      isPaused = true
    },
    resume: () => {
      isPaused = false
      over()
    }
  }
  const inbox = new Inbox({
    ws,
    pace: { admit: () => rests.shift() ?? 0, untilMs: () => rests.shift() ?? 0, frame: () => {}, waiting },
    holder: { network: 'a' },
    serve: data => void served.push(String(data)),
    slowed: () => counts.slowed++,
    flooded: () => counts.flooded++
  })
  const hear = (text: string) => {
    for (const letter of text) inbox.hear(Buffer.from(letter), false)
  }
  return { inbox, hear, served, counts, waiting, resumed, paused: () => isPaused }
}

test('what comes too fast is served later, in its order, and the link is not read from meanwhile', async t => {
  const { hear, served, counts, waiting, resumed, paused } = made([0, 0, 1, 1, 0, 1])
  hear('abcdefg')
  t.deepEqual(served, ['a', 'b'])
  t.deepEqual([paused(), counts.slowed, waiting.used], [true, 1, 5])
  await resumed
  t.deepEqual(served, [...'abcdefg'])
  t.deepEqual([paused(), counts.flooded, waiting.used], [false, 0, 0])
})

test('nothing is served while a name is written, and all of it afterwards', async t => {
  const { inbox, hear, served, paused } = made([])
  const { promise, resolve } = Promise.withResolvers<void>()
  const held = inbox.hold(promise)
  hear('ab')
  t.deepEqual([served, paused()], [[], true])
  resolve()
  await held
  t.deepEqual([served, paused()], [['a', 'b'], false])
})

test('a link that says more than is kept is flooded, and one that has closed gives back what it took', t => {
  const { inbox, hear, served, counts, waiting } = made([1000], 10)
  hear('abcdefghijk')
  t.is(counts.flooded, 2, 'a tenth is kept for others')
  inbox.close()
  t.is(waiting.used, 0)
  hear('l')
  t.deepEqual(served, [])
})

test('after too many pings a link is read from later', async t => {
  const { inbox, paused, resumed } = made([0, 1])
  inbox.frame()
  t.false(paused())
  inbox.frame()
  t.true(paused())
  await resumed
  t.false(paused())
})
