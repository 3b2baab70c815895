import test from 'ava'
import { DealtBucket } from '../../../../src/gateway/relay/batch/dealt.ts'
import { Account, SharedBucket } from '../../../../src/gateway/relay/batch/shared.ts'
import { type Bucket, TokenBucket } from '../../../../src/gateway/relay/limit.ts'

const rates = [64_000, 1_000_000, 4_000_000, 200_000_000, 10_000_000_000]

test('a rate beyond what is counted is no limit', t => {
  const bucket = new SharedBucket('total', SharedBucket.memory(1), 0).begin(1e12, 0)
  for (let nowMs = 0; nowMs < 10_000; nowMs += 100) {
    t.true(bucket.isOpen(nowMs))
    bucket.take(1_000_000)
  }
})

/** Bytes that pass within so many seconds, by whoever asks as often as that. */
function passed(
  bucket: Bucket,
  { everyMs, bytes, startMs = 0, forMs = 4000 }: { everyMs: number; bytes: number; startMs?: number; forMs?: number }
): number {
  let sum = 0
  for (let nowMs = startMs; nowMs < startMs + forMs; nowMs += everyMs)
    for (; bucket.isOpen(nowMs); sum += bytes) bucket.take(bytes)
  return sum
}

test('a bucket of several threads lets through what one of one thread does, at any rate, however often it is asked', t => {
  for (const rate of rates)
    for (const everyMs of [0.05, 0.3, 1, 5]) {
      const bytes = Math.max(64, Math.min(60_000, rate / 80_000))
      const shared = new SharedBucket('total', SharedBucket.memory(1), 0).begin(rate, 0)
      const alone = new TokenBucket('total', rate, 0)
      const [one, other] = [passed(shared, { everyMs, bytes }), passed(alone, { everyMs, bytes })]
      t.true(Math.abs(one - other) <= 0.01 * other + 2 * bytes, `${rate} every ${everyMs}: ${one} ${other}`)
    }
})

test('nor does it matter when its clock goes round', t => {
  const startMs = (2 ** 32 - 1000) / 1000
  const bucket = new SharedBucket('total', SharedBucket.memory(1), 0).begin(8_000_000, startMs)
  const sum = passed(bucket, { everyMs: 1, bytes: 1000, startMs })
  t.true(sum > 0.97 * 4_000_000 && sum < 1.01 * 4_000_000, String(sum))
})

test('a clock that is behind fills nothing, and takes nothing away', t => {
  const bucket = new SharedBucket('total', SharedBucket.memory(1), 0).begin(8_000_000, 1000)
  bucket.take(7000)
  t.false(bucket.isOpen(999.9))
  t.true(bucket.isOpen(1001))
  t.true(bucket.isOpen(1000.5))
})

test('those of one memory see each other, and no neighbour', t => {
  const memory = SharedBucket.memory(3)
  const [mine, neighbour] = [1, 2].map(at => new SharedBucket('peer', memory, at).begin(1_000_000, 0)) as [
    SharedBucket,
    SharedBucket
  ]
  const theirs = new SharedBucket('peer', memory, 1)
  mine.waits(1)
  mine.take(10_000)
  theirs.retune(2_000_000)
  t.deepEqual(
    [theirs.waiting, neighbour.waiting, mine.bitsPerSecond, neighbour.bitsPerSecond],
    [1, 0, 2_000_000, 1_000_000]
  )
  t.deepEqual([theirs.isOpen(0), neighbour.isOpen(0)], [false, true])
})

test('whether a bucket would be open after so many bytes more', t => {
  for (const bucket of [
    new SharedBucket('total', SharedBucket.memory(1), 0).begin(8_000_000, 0),
    new TokenBucket('total', 8_000_000, 0)
  ]) {
    t.deepEqual(
      [0, 6000, 8000].map(beyond => bucket.isOpen(0, beyond)),
      [true, true, false]
    )
    bucket.take(6500)
    t.deepEqual(
      [0, 6000].map(beyond => bucket.isOpen(0, beyond)),
      [true, false]
    )
  }
})

test('a total is dealt to those threads where somebody waits, and a thread where nobody does any more keeps nothing of it', t => {
  const [memory, deal] = [SharedBucket.memory(1), DealtBucket.memory(3)]
  const on = (thread: number) => new DealtBucket(new SharedBucket('total', memory, 0), thread, deal)
  const [first, second] = [on(1), on(2)]
  first.begin(8_000_000, 0)
  const rateOf = (bucket: DealtBucket, fromMs: number): number => {
    let bytes = 0
    for (let ms = fromMs; ms < fromMs + 1000; ms++) for (; bucket.isOpen(ms); bytes += 100) bucket.take(100)
    return bytes
  }
  for (const [bucket, networks] of [
    [first, 'abc'],
    [second, 'c']
  ] as const)
    for (const network of networks) bucket.waits(1, { network, certificate: network })
  t.deepEqual([first.partOf('a'), first.partOf('c'), second.partOf('c'), second.partOf('d')], [1, 0.5, 0.5, 1])
  rateOf(first, 0)
  rateOf(second, 1000)
  const half = rateOf(first, 2000)
  t.true(Math.abs(half - (990_000 * 2.5) / 3) < 20_000, String(half))
  second.waits(-1, { network: 'c', certificate: 'c' })
  const all = rateOf(first, 3000)
  t.true(Math.abs(all - 990_000) < 20_000, String(all))
})

test('an account has what was counted of its direction alone, and begins anew', t => {
  const memory = Account.memory(3)
  const [mine, neighbour] = [new Account(memory, 1), new Account(memory, 2)]
  mine.sent(3000, 3)
  mine.sent(10, 1)
  mine.waits()
  mine.waited(30)
  mine.dropped(700, 'peer')
  mine.dropped(70, 'total')
  mine.heard(42)
  const counted = {
    sentBytes: 3010,
    sentDatagrams: 4,
    queued: 1,
    delayed: 1,
    delayedMs: 30,
    droppedBytes: 770,
    dropped: { session: 0, peer: 1, network: 0, total: 1 }
  }
  t.deepEqual(new Account(memory, 1).counters, counted)
  t.is(new Account(memory, 1).heardMs, 42)
  t.is(neighbour.counters.sentBytes, 0)
  mine.begin()
  t.deepEqual([mine.counters.sentBytes, mine.counters.dropped.peer, mine.heardMs], [0, 0, 0])
})
