import test from 'ava'
import {
  type Bucket,
  Counting,
  Gate,
  Shaper,
  type ShaperCounters,
  type ShaperOptions,
  TokenBucket
} from '../../../src/gateway/relay/limit.ts'
import { Scheduler, systemTime } from '../../../src/gateway/relay/scheduler.ts'
import type { Asker } from '../../../src/gateway/shares/shares.ts'
import { FakeTime } from './fake-time.ts'

/** A shaper whose counts are seen. */
class Counted extends Shaper<Buffer> {
  readonly counters: ShaperCounters

  constructor({ buckets, ...more }: Omit<ShaperOptions<Buffer>, 'gate'> & { readonly buckets: readonly Bucket[] }) {
    const tally = new Counting()
    super({ ...more, gate: new Gate(buckets, tally) })
    this.counters = tally.counters
  }
}

const megabit = 1_000_000
const ann: Asker = { network: 'a', certificate: 'ann' }

test('over each second of a flood between 0.97 and 1.00 of the limit goes out', t => {
  const { time, shaper } = one({ bitsPerSecond: 4 * megabit })
  for (let second = 0; second < 5; second++) {
    const before = shaper.counters.sentBytes
    flood(time, [shaper], { bitsPerSecond: 8 * megabit, bytes: 1200, ms: 1000 })
    const share = ((shaper.counters.sentBytes - before) * 8) / (4 * megabit)
    t.true(share >= 0.97 && share <= 1, `second ${second}: ${share}`)
  }
})

test('the rate holds for small, large and mixed datagrams, slow limits and fast ones', t => {
  for (const bitsPerSecond of [256_000, 4 * megabit, 100 * megabit]) {
    for (const sizes of [[64], [1200], [64, 1200, 700]]) {
      const { time, shaper } = one({ bitsPerSecond })
      for (const bytes of sizes.flatMap(size => [size, size])) {
        flood(time, [shaper], { bitsPerSecond: bitsPerSecond * 3, bytes, ms: 1000 })
      }
      const share = (shaper.counters.sentBytes * 8) / (bitsPerSecond * 2 * sizes.length)
      t.true(share >= 0.97 && share <= 1, `${bitsPerSecond} bit/s with ${sizes}: ${share}`)
    }
  }
})

test('traffic below the limit passes at once and untouched', t => {
  const { time, shaper } = one({ bitsPerSecond: 4 * megabit })
  flood(time, [shaper], { bitsPerSecond: 3 * megabit, bytes: 1200, ms: 2000 })
  t.is(shaper.counters.queued, 0)
  t.is(dropsOf(shaper), 0)
  t.is(time.alarms, 0)
})

test('timers that are some ms late cost no rate', t => {
  const { time, shaper } = one({ bitsPerSecond: 4 * megabit, latenessMs: 4 })
  flood(time, [shaper], { bitsPerSecond: 12 * megabit, bytes: 1200, ms: 3000 })
  t.true((shaper.counters.sentBytes * 8) / (12 * megabit) >= 0.97)
})

test('nothing waits longer than 60 ms behind a queue of 50 ms', t => {
  const { time, shaper, delaysMs } = one({ bitsPerSecond: 4 * megabit })
  flood(time, [shaper], { bitsPerSecond: 40 * megabit, bytes: 1200, ms: 2000 })
  const longest = Math.max(...delaysMs)
  t.true(longest > 45 && longest <= 60, `${longest} ms`)
})

test('data leave in the order in which they came, each once', t => {
  const time = new FakeTime()
  const seen: number[] = []
  const shaper = new Counted({
    scheduler: new Scheduler(time),
    holder: ann,
    buckets: [new TokenBucket('session', megabit, 0)],
    send: datagram => seen.push(datagram.readUInt32BE())
  })
  const passed: number[] = []
  for (let index = 0; index < 200; index++) {
    const datagram = Buffer.alloc(400)
    datagram.writeUInt32BE(index)
    if (shaper.offer(datagram) !== 'dropped') passed.push(index)
    time.advance(1)
  }
  time.advance(100)
  t.true(passed.length < 200)
  t.deepEqual(seen, passed)
})

test('an acknowledgement goes ahead of the data that waits, and never ahead of another', t => {
  const leaving = order({ bitsPerSecond: 4 * megabit, sizes: [...Array(10).fill(1200), 80, 1200, 70] })
  const acknowledgements = leaving.filter(number => number === 10 || number === 12)
  t.deepEqual(acknowledgements, [10, 12])
  t.true(leaving.indexOf(12) < 10, leaving.join(' '))
  t.deepEqual(
    leaving.filter(number => number !== 10 && number !== 12),
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11]
  )
})

test('no datagram arrives 32 or more behind one that was sent after it: DTLS would drop it', t => {
  const sizes = Array.from({ length: 2000 }, (_, index) => (index % 40 === 39 || index % 7 === 6 ? 80 : 200))
  const leaving = order({ bitsPerSecond: 100 * megabit, sizes })
  let last = 0
  for (const number of leaving) {
    t.true(last - number < 32)
    last = Math.max(last, number)
  }
  t.true(
    leaving.some((number, index) => number < (leaving[index - 1] ?? 0)),
    'none overtook'
  )
})

test('every datagram is counted once, as sent or as dropped by the limit that was short', t => {
  const { time, shaper } = one({ bitsPerSecond: megabit })
  const offered = flood(time, [shaper], { bitsPerSecond: 4 * megabit, bytes: 1000, ms: 1000 })
  time.advance(100)
  const { sentDatagrams, sentBytes, queued, dropped, droppedBytes } = shaper.counters
  t.is(sentDatagrams + dropped.session, offered)
  t.is(sentBytes + droppedBytes, offered * 1000)
  t.true(queued > 0 && queued <= sentDatagrams)
  t.deepEqual([dropped.peer, dropped.total], [0, 0])
})

test('a datagram passes only when all buckets have tokens, and is charged to each', t => {
  const time = new FakeTime()
  const scheduler = new Scheduler(time)
  const peer = new TokenBucket('peer', 2 * megabit, 0)
  const shapers = [1, 2].map(() => shaperOf(scheduler, [new TokenBucket('session', 4 * megabit, 0), peer]))
  flood(time, shapers, { bitsPerSecond: 4 * megabit, bytes: 1200, ms: 2000 })
  t.true(near(ratesOf(shapers, 2000).reduce(sum), 2 * megabit, 0.03))
  t.true(shapers.every(({ counters }) => counters.dropped.peer > 0 && counters.dropped.session === 0))
})

test('no alarm is set while nothing waits, and one however many wait', t => {
  const time = new FakeTime()
  const scheduler = new Scheduler(time)
  const shapers = [1, 2, 3].map(() => shaperOf(scheduler, [new TokenBucket('session', megabit, 0)]))
  t.is(time.alarms, 0)
  for (const shaper of shapers) while (shaper.offer(Buffer.alloc(1200)) !== 'queued');
  t.is(time.alarms, 1)
  time.advance(100)
  t.is(time.alarms, 0)
})

test('a short total is shared evenly among those who want more than their share', t => {
  const { time, shapers } = many(4, { each: 4 * megabit, total: 4 * megabit })
  flood(time, shapers, { bitsPerSecond: 4 * megabit, bytes: 1200, ms: 3000 })
  for (const rate of ratesOf(shapers, 3000)) t.true(near(rate, megabit, 0.05), `${rate}`)
})

test('five sessions of one certificate get no more of a short total than one of another', t => {
  const bob = { network: 'b', certificate: 'bob' }
  const { time, shapers } = many([ann, ann, ann, ann, ann, bob], { each: 4 * megabit, total: 4 * megabit })
  flood(time, shapers, { bitsPerSecond: 4 * megabit, bytes: 1200, ms: 3000 })
  const rates = ratesOf(shapers, 3000)
  t.true(near(rates.slice(0, 5).reduce(sum), 2 * megabit, 0.05), `${rates}`)
  t.true(near(rates[5] ?? 0, 2 * megabit, 0.05), `${rates}`)
  for (const rate of rates.slice(0, 5)) t.true(near(rate, 0.4 * megabit, 0.1), `${rate} of the same certificate`)
})

test('a network that has its turns elsewhere too has a part of one here, whatever the others send', t => {
  const time = new FakeTime()
  const scheduler = new Scheduler(time, network => (network === 'a' ? 1 / 3 : 1))
  const total = new TokenBucket('total', 7 * megabit, 0)
  const holders = [ann, ann, ...['b', 'c'].map(network => ({ network, certificate: network }))]
  const shapers = holders.map(holder =>
    shaperOf(scheduler, [new TokenBucket('session', 7 * megabit, 0), total], holder)
  )
  flood(time, shapers, { bitsPerSecond: 4 * megabit, bytes: 1200, ms: 3000 })
  const [one = 0, two = 0, ...others] = ratesOf(shapers, 3000)
  t.true(near(one + two, megabit, 0.1), `${one + two}`)
  for (const other of others) t.true(near(other, 3 * megabit, 0.05), `${other}`)
})

test('what waits is dropped when it is too old, however far off its turn is', t => {
  const time = new FakeTime()
  const scheduler = new Scheduler(time)
  const total = new TokenBucket('total', megabit, 0)
  const delaysMs: number[] = []
  const shapers = Array.from({ length: 40 }, (_, at) => {
    const buckets = [new TokenBucket('session', megabit, 0), total]
    const send = (datagram: Buffer) => delaysMs.push(time.now() - datagram.readDoubleBE())
    return new Counted({ scheduler, buckets, holder: { network: `${at}`, certificate: 'c' }, send })
  })
  flood(time, shapers, { bitsPerSecond: megabit / 2, bytes: 1200, ms: 3000 })
  for (const rate of ratesOf(shapers, 3000)) t.true(near(rate, megabit / 40, 0.2), ratesOf(shapers, 3000).join())
  t.true(Math.max(...delaysMs) < 70, `${Math.max(...delaysMs)}`)
})

test('nor do the certificates of one network get more than another network, and within it they share', t => {
  const holders = ['1', '2', '2', '3'].map(certificate => ({ network: 'a', certificate }))
  const { time, shapers } = many([...holders, { network: 'b', certificate: 'bob' }], {
    each: 6 * megabit,
    total: 6 * megabit
  })
  // Small datagrams on one side, large ones on the other: shares are of bytes.
  const [bob] = shapers.slice(-1) as [Counted]
  for (let step = 0; step < 300; step++) {
    for (const shaper of shapers.slice(0, -1)) for (let index = 0; index < 8; index++) shaper.offer(Buffer.alloc(1250))
    for (let index = 0; index < 30; index++) bob.offer(Buffer.alloc(250))
    time.advance(10)
  }
  const [one = 0, two = 0, again = 0, three = 0, other = 0] = ratesOf(shapers, 3000)
  t.true(near(other, 3 * megabit, 0.1), `${other}`)
  for (const rate of [one, two + again, three]) t.true(near(rate, megabit, 0.1), `${rate}`)
})

test('a certificate that is held up by its own limit leaves its turns to others', t => {
  const time = new FakeTime()
  const scheduler = new Scheduler(time)
  const total = new TokenBucket('total', 4 * megabit, 0)
  const slow = new TokenBucket('peer', megabit, 0)
  const bob = { network: 'b', certificate: 'bob' }
  const shapers = [
    shaperOf(scheduler, [slow, total]),
    shaperOf(scheduler, [slow, total]),
    shaperOf(scheduler, [new TokenBucket('session', 4 * megabit, 0), total], bob)
  ]
  flood(time, shapers, { bitsPerSecond: 4 * megabit, bytes: 1200, ms: 3000 })
  const [one = 0, two = 0, other = 0] = ratesOf(shapers, 3000)
  t.true(near(one + two, megabit, 0.05), `${one + two}`)
  t.true(near(other, 3 * megabit, 0.05), `${other}`)
})

test('who asks for less than a fair share of a short total gets all of it', t => {
  const { time, shapers } = many(3, { each: 4 * megabit, total: 4 * megabit })
  const [modest, ...greedy] = shapers as [Counted, Counted, Counted]
  for (let step = 0; step < 300; step++) {
    modest.offer(Buffer.alloc(625))
    flood(time, greedy, { bitsPerSecond: 4 * megabit, bytes: 1200, ms: 10 })
  }
  time.advance(60)
  t.is(dropsOf(modest), 0)
  t.true(near(modest.counters.sentBytes * 8, 1.5 * megabit, 0.01))
  for (const rate of ratesOf(greedy, 3000)) t.true(near(rate, 1.73 * megabit, 0.05), `${rate}`)
})

test('a flood ten times as strong gets no more of a short total than the others', t => {
  const { time, shapers } = many(2, { each: 8 * megabit, total: 4 * megabit })
  const [strong, weak] = shapers as [Counted, Counted]
  for (let step = 0; step < 600; step++) {
    for (let index = 0; index < 20; index++) strong.offer(Buffer.alloc(1200))
    for (let index = 0; index < 2; index++) weak.offer(Buffer.alloc(1200))
    time.advance(5)
  }
  const [strongRate = 0, weakRate = 0] = ratesOf(shapers, 3000)
  t.true(near(strongRate, weakRate, 0.05), `${strongRate} ${weakRate}`)
})

test('shares of a short total are counted in bytes, not in datagrams', t => {
  const { time, shapers } = many(2, { each: 4 * megabit, total: megabit })
  const [small, large] = shapers as [Counted, Counted]
  for (let step = 0; step < 300; step++) {
    for (let index = 0; index < 25; index++) small.offer(Buffer.alloc(200))
    for (let index = 0; index < 4; index++) large.offer(Buffer.alloc(1250))
    time.advance(10)
  }
  const [smallRate = 0, largeRate = 0] = ratesOf(shapers, 3000)
  t.true(near(smallRate, largeRate, 0.1), `${smallRate} ${largeRate}`)
})

test('the queueing delay stays within 60 ms where a short total makes the queue drain slowly', t => {
  const time = new FakeTime()
  const scheduler = new Scheduler(time)
  const total = new TokenBucket('total', megabit, 0)
  const delaysMs: number[] = []
  const shapers = [1, 2, 3].map(
    () =>
      new Counted({
        scheduler,
        holder: ann,
        buckets: [new TokenBucket('session', 4 * megabit, 0), total],
        send: datagram => delaysMs.push(time.now() - datagram.readDoubleBE())
      })
  )
  flood(time, shapers, { bitsPerSecond: 4 * megabit, bytes: 1200, ms: 2000 })
  t.true(Math.max(...delaysMs) <= 60)
  t.true(near(ratesOf(shapers, 2000).reduce(sum), megabit, 0.03))
})

test('a session at its own limit does not hold up the others', t => {
  const time = new FakeTime()
  const scheduler = new Scheduler(time)
  const total = new TokenBucket('total', 100 * megabit, 0)
  const limited = shaperOf(scheduler, [new TokenBucket('session', megabit, 0), total])
  const free = shaperOf(scheduler, [new TokenBucket('session', 50 * megabit, 0), total])
  flood(time, [limited, free], { bitsPerSecond: 10 * megabit, bytes: 1200, ms: 1000 })
  t.true(dropsOf(limited) > 0)
  t.is(free.counters.queued, 0)
})

test('empty and tiny datagrams are charged too, so they cannot be sent without limit', t => {
  const { shaper } = one({ bitsPerSecond: megabit })
  const outcomes = Array.from({ length: 1000 }, () => shaper.offer(Buffer.alloc(0)))
  t.true(outcomes.filter(outcome => outcome !== 'dropped').length < 200)
})

test('a datagram larger than the bucket passes a full one, and its debt is paid before the next', t => {
  const { time, shaper } = one({ bitsPerSecond: megabit })
  t.is(shaper.offer(Buffer.alloc(60_000)), 'sent')
  t.not(shaper.offer(Buffer.alloc(1000)), 'sent')
  time.advance(400)
  t.not(shaper.offer(Buffer.alloc(1000)), 'sent')
  time.advance(100)
  t.is(shaper.offer(Buffer.alloc(1000)), 'sent')
})

test('closing drops what waits, sends nothing more, and lets the others go on', t => {
  const { time, shapers } = many(2, { each: megabit, total: megabit })
  const [closed, open] = shapers as [Counted, Counted]
  for (const shaper of shapers) for (let index = 0; index < 6; index++) shaper.offer(Buffer.alloc(1000))
  const sent = closed.counters.sentDatagrams
  closed.close()
  t.is(closed.counters.sentDatagrams + dropsOf(closed), 6)
  time.advance(100)
  t.is(closed.counters.sentDatagrams, sent)
  t.is(open.offer(Buffer.alloc(1000)), 'sent')
  t.is(time.alarms, 0)
})

test('a retuned bucket limits at its new rate', t => {
  const { time, shaper, bucket } = one({ bitsPerSecond: 4 * megabit })
  bucket.retune(megabit)
  flood(time, [shaper], { bitsPerSecond: 4 * megabit, bytes: 1200, ms: 1000 })
  t.true(near(shaper.counters.sentBytes * 8, megabit, 0.03))
})

test("the system's alarms ring, and do not when called off", async t => {
  const before = systemTime.now()
  const cancel = systemTime.after(1, () => t.fail())
  cancel()
  await new Promise<void>(resolve => systemTime.after(5, resolve))
  t.true(systemTime.now() > before)
})

// Helpers.

/** In which order datagrams of these sizes leave that are offered all at once. */
function order({ bitsPerSecond, sizes }: { bitsPerSecond: number; sizes: number[] }): number[] {
  const time = new FakeTime()
  const leaving: number[] = []
  const shaper = new Counted({
    scheduler: new Scheduler(time),
    holder: ann,
    buckets: [new TokenBucket('session', bitsPerSecond, 0)],
    send: datagram => leaving.push(datagram.readUInt32BE())
  })
  for (const [number, size] of sizes.entries()) {
    const datagram = Buffer.alloc(size)
    datagram.writeUInt32BE(number)
    shaper.offer(datagram)
  }
  time.advance(100)
  return leaving
}

function one({ bitsPerSecond, latenessMs = 0 }: { bitsPerSecond: number; latenessMs?: number }) {
  const time = new FakeTime()
  const late = { now: () => time.now(), after: (ms: number, run: () => void) => time.after(ms + latenessMs, run) }
  const delaysMs: number[] = []
  const bucket = new TokenBucket('session', bitsPerSecond, time.now())
  const shaper = new Counted({
    scheduler: new Scheduler(late),
    holder: ann,
    buckets: [bucket],
    send: datagram => delaysMs.push(datagram.length < 8 ? 0 : time.now() - datagram.readDoubleBE())
  })
  return { time, shaper, bucket, delaysMs }
}

/** @param whose a holder for each, or how many of one holder */
function many(whose: number | readonly Asker[], { each, total }: { each: number; total: number }) {
  const time = new FakeTime()
  const scheduler = new Scheduler(time)
  const shared = new TokenBucket('total', total, 0)
  const holders = typeof whose === 'number' ? Array.from({ length: whose }, () => ann) : whose
  const shapers = holders.map(holder => shaperOf(scheduler, [new TokenBucket('session', each, 0), shared], holder))
  return { time, shapers }
}

function shaperOf(scheduler: Scheduler, buckets: TokenBucket[], holder: Asker = ann): Counted {
  return new Counted({ scheduler, buckets, holder, send: () => {} })
}

/** Offers each shaper datagrams at an even rate, each carrying its time of arrival; returns how many in all. */
function flood(time: FakeTime, shapers: Counted[], load: { bitsPerSecond: number; bytes: number; ms: number }): number {
  const perMs = load.bitsPerSecond / 8000 / load.bytes
  const steps = Math.max(load.ms, Math.round(load.ms * perMs))
  let owed = 0
  let offered = 0
  for (let step = 0; step < steps; step++) {
    time.advance(load.ms / steps)
    for (owed += (perMs * load.ms) / steps; owed >= 1 - 1e-9; owed--) {
      for (const shaper of shapers) {
        const datagram = Buffer.alloc(load.bytes)
        datagram.writeDoubleBE(time.now())
        shaper.offer(datagram)
        offered++
      }
    }
  }
  return offered
}

function ratesOf(shapers: Counted[], ms: number): number[] {
  return shapers.map(({ counters }) => (counters.sentBytes * 8000) / ms)
}

function dropsOf({ counters: { dropped } }: Counted): number {
  return dropped.session + dropped.peer + dropped.total
}

function near(value: number, wanted: number, tolerance: number): boolean {
  return Math.abs(value - wanted) <= wanted * tolerance
}

function sum(a: number, b: number): number {
  return a + b
}
