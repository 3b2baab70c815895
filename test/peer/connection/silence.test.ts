import test from 'ava'
import { type Act, Silence, TICK_MS } from '../../../src/peer/connection/silence.ts'

/** Lets so many milliseconds pass in which nothing is heard; what is to be done meanwhile, and when, in milliseconds. */
function quiet(silence: Silence, said: number, heard: number, ms: number, rttMs = 0): [number, Act][] {
  const acts: [number, Act][] = []
  for (let atMs = TICK_MS; atMs <= ms; atMs += TICK_MS) {
    const act = silence.tick(said, heard, rttMs)
    if (act) acts.push([atMs, act])
  }
  return acts
}

test('who has sent something asks after 400 ms of quiet, and the path is silent after a second', t => {
  const silence = new Silence()
  silence.tick(10, 10, 0)
  t.deepEqual(quiet(silence, 500, 10, 1000).slice(0, 2), [
    [400, 'ask'],
    [1000, 'silent']
  ])
})

test('who was sent much and hears no more of it asks after 400 ms too, but not again once it was answered', t => {
  const silence = new Silence()
  silence.tick(10, 100_000, 0)
  const [asked, silent] = quiet(silence, 10, 100_000, 1000)
  t.deepEqual(
    [asked, silent],
    [
      [400, 'ask'],
      [1000, 'silent']
    ]
  )
  t.is(silence.tick(60, 100_050, 0), 'heard')
  t.deepEqual(quiet(silence, 60, 100_050, 8_800), [])
})

test('an idle path is asked after nine seconds, and that long quiet makes nobody patient later', t => {
  const silence = new Silence()
  silence.tick(10, 10, 0)
  t.deepEqual(quiet(silence, 10, 10, 9_000), [[9_000, 'ask']])
  t.is(silence.tick(20, 30, 5), 'heard')
  t.deepEqual(quiet(silence, 500, 30, 1000, 5)[1], [1000, 'silent'])
})

test('a far side that was slow to answer is waited for longer, five seconds at most', t => {
  const silence = new Silence()
  silence.tick(10, 10, 0)
  quiet(silence, 500, 10, 800)
  t.is(silence.tick(500, 11, 0), 'heard')
  t.deepEqual(quiet(silence, 900, 11, 2000)[1], [1600, 'silent'], 'three times the 400 ms that the answer took')
  const slow = new Silence()
  slow.tick(10, 10, 0)
  t.deepEqual(quiet(slow, 500, 10, 8_000, 4_000)[1], [5_400, 'silent'])
})

test('what is heard, however little, begins anew', t => {
  const silence = new Silence()
  for (let bytes = 1; bytes < 50; bytes++) t.not(silence.tick(bytes * 100, bytes, 0), 'silent')
  t.is(silence.quietMs, 0)
})

test('who is kept from sending still notices that nothing is heard', t => {
  const silence = new Silence()
  silence.tick(10, 10, 0)
  t.deepEqual(
    quiet(silence, 500, 10, 7_000, 3_500).map(([, act]) => act),
    ['ask', ...Array(9).fill('silent')]
  )
  t.deepEqual([silence.isMute(), silence.isMute()], [true, false])
})
