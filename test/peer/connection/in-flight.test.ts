// How much may be on its way, on paths whose rate and round trip are given, in a time that is counted here.

import test from 'ava'
import { InFlight } from '../../../src/peer/connection/streams/in-flight.ts'
import { MESSAGE_BYTES } from '../../../src/peer/connection/streams/kept.ts'

interface Path {
  /** Bytes a millisecond. */
  readonly rate: number
  readonly roundTripMs: number
}

/** The far side tells after so many bytes, or so many milliseconds: less often where messages are long. */
const TOLD = { short: { bytes: 65_536, ms: 2 }, long: { bytes: 262_144, ms: 6 } } as const

/** A sender that always has something, on a path that may change. */
class Pour {
  readonly #inFlight = new InFlight()
  #nowMs = 1_000
  #sentBytes = 0
  #knownBytes = 0
  #arrivedBytes = 0
  #told = { bytes: 0, ms: 0 }
  /** When each message leaves the narrowest part of the path. */
  readonly #queue: number[] = []
  readonly #marks: { ms: number; bytes: number }[] = []
  readonly #isShared: boolean

  /** @param isShared another stream always has something on its way */
  constructor(isShared = false) {
    this.#isShared = isShared
  }

  /** Returns the share of the rate that arrived, and how long a message waits at most. */
  lasts(ms: number, { rate, roundTripMs }: Path): { share: number; longestWaitMs: number } {
    const begin = this.#arrivedBytes
    let longestWaitMs = 0
    for (const until = this.#nowMs + ms; this.#nowMs < until; this.#nowMs++) {
      this.#hears()
      longestWaitMs = Math.max(longestWaitMs, this.#sends(rate))
      this.#tells(roundTripMs)
    }
    return { share: (this.#arrivedBytes - begin) / ms / rate, longestWaitMs }
  }

  #hears(): void {
    for (let mark = this.#marks[0]; mark && mark.ms <= this.#nowMs; mark = this.#marks[0]) {
      this.#knownBytes = mark.bytes
      this.#marks.shift()
      this.#inFlight.flies(this.#sentBytes - this.#knownBytes, this.#nowMs)
    }
  }

  #sends(rate: number): number {
    this.#inFlight.shares(this.#isShared, this.#nowMs)
    while (this.#sentBytes - this.#knownBytes < this.#inFlight.limitBytes) {
      this.#inFlight.sent(MESSAGE_BYTES, this.#nowMs)
      this.#sentBytes += MESSAGE_BYTES
      this.#queue.push(Math.max(this.#queue.at(-1) ?? 0, this.#nowMs) + MESSAGE_BYTES / rate)
    }
    this.#inFlight.fills()
    return (this.#queue.at(-1) ?? this.#nowMs) - this.#nowMs
  }

  #tells(roundTripMs: number): void {
    for (; (this.#queue[0] ?? Number.POSITIVE_INFINITY) <= this.#nowMs; this.#queue.shift())
      this.#arrivedBytes += MESSAGE_BYTES
    const fresh = this.#arrivedBytes - this.#told.bytes
    const { bytes, ms } = this.#inFlight.messageBytes > MESSAGE_BYTES ? TOLD.long : TOLD.short
    if (fresh === 0 || (fresh < bytes && this.#nowMs - this.#told.ms < ms)) return
    this.#told = { bytes: this.#arrivedBytes, ms: this.#nowMs }
    this.#marks.push({ ms: this.#nowMs + roundTripMs, bytes: this.#arrivedBytes })
  }
}

/** Megabytes a second are kilobytes a millisecond. What waits at most, in milliseconds, for a stream alone and for several. */
const paths: [string, Path, alone: number, shared: number][] = [
  ['50 MB/s and no delay', { rate: 50_000, roundTripMs: 1 }, 35, 20],
  ['25 MB/s and no delay', { rate: 25_000, roundTripMs: 1 }, 35, 20],
  ['25 MB/s and 100 ms', { rate: 25_000, roundTripMs: 100 }, 100, 80],
  ['5 MB/s and 40 ms', { rate: 5_000, roundTripMs: 40 }, 65, 55],
  ['1 MB/s and 40 ms', { rate: 1_000, roundTripMs: 40 }, 120, 110],
  ['125 kB/s and 100 ms', { rate: 125, roundTripMs: 100 }, 500, 500]
]
for (const [name, path, alone, shared] of paths) {
  for (const [who, isShared, mostMs] of [
    ['a stream alone', false, alone],
    ['several streams', true, shared]
  ] as const)
    test(`${name}: the path is filled by ${who}, and little waits`, t => {
      const pour = new Pour(isShared)
      pour.lasts(3_000, path)
      const { share, longestWaitMs } = pour.lasts(60_000, path)
      t.true(share > 0.97, `${share} of the rate`)
      t.true(longestWaitMs < mostMs, `${longestWaitMs} ms`)
    })
}

test('a message is long only where a stream is alone on a path that is fast, and until another comes', t => {
  const measured = (rate: number) => {
    const inFlight = new InFlight()
    t.is(inFlight.messageBytes, MESSAGE_BYTES, 'nothing is known yet')
    inFlight.sent(1_000_000, 0)
    inFlight.fills()
    inFlight.flies(1_000_000 - rate * 200, 200)
    return inFlight
  }
  t.is(measured(1_000).messageBytes, MESSAGE_BYTES)
  t.is(measured(20_000).messageBytes, 30_000)
  const fast = measured(60_000)
  t.is(fast.messageBytes, 65_536)
  const aloneBytes = fast.limitBytes
  fast.shares(true, 1_000)
  t.is(fast.messageBytes, MESSAGE_BYTES)
  t.true(fast.limitBytes < aloneBytes)
  fast.shares(false, 10_000)
  t.is(fast.messageBytes, MESSAGE_BYTES, 'the other is likely to come again')
  fast.shares(false, 11_001)
  t.deepEqual([fast.messageBytes, fast.limitBytes], [65_536, aloneBytes])
})

test('a path that becomes faster is filled within a few seconds, and one that becomes slower is not overfilled for long', t => {
  const pour = new Pour()
  pour.lasts(5_000, { rate: 5_000, roundTripMs: 40 })
  pour.lasts(3_000, { rate: 25_000, roundTripMs: 40 })
  const faster = pour.lasts(1_000, { rate: 25_000, roundTripMs: 40 })
  t.true(faster.share > 0.97, `${faster.share}`)
  pour.lasts(5_000, { rate: 2_500, roundTripMs: 40 })
  const slower = pour.lasts(1_000, { rate: 2_500, roundTripMs: 40 })
  t.true(slower.longestWaitMs < 80, `${slower.longestWaitMs} ms`)
})

test('a path that becomes longer is filled again', t => {
  const pour = new Pour()
  pour.lasts(5_000, { rate: 10_000, roundTripMs: 20 })
  pour.lasts(45_000, { rate: 10_000, roundTripMs: 120 })
  const { share } = pour.lasts(5_000, { rate: 10_000, roundTripMs: 120 })
  t.true(share > 0.97, `${share}`)
})
