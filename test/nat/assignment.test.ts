import test from 'ava'
import fc from 'fast-check'
import { measure, processes } from '../../bench/means/processes.ts'
import {
  birthdayRate,
  type Candidate,
  fit,
  meet,
  meetingRate,
  type Observation,
  type PortModel,
  sprayRate,
  sweep,
  windowRate
} from '../../src/nat/assignment.ts'

const nat = '198.51.100.7'
const now = { elapsedMs: 20 }

/** Ports in order of arrival, a few tenths of a millisecond apart. */
const seen = (ports: readonly number[], more: Partial<Observation> = {}): Observation[] =>
  ports.map((port, i) => ({ port, address: nat, atMs: 1000 + Math.floor(i / 3), ...more }))

function first(n: number, model: PortModel, when: Parameters<PortModel['candidates']>[0] = now): Candidate[] {
  const tried: Candidate[] = []
  for (const candidate of model.candidates(when)) {
    tried.push(candidate)
    if (tried.length >= n) break
  }
  return tried
}

const guess = (ports: readonly number[]) => first(1, fit(seen(ports)))[0]?.port

test('the first candidate of a clean sequence is its next port, for any step and sign', t => {
  for (const step of [1, -1, 2, -2, 3, 7, -7, 16]) {
    const ports = [0, 1, 2, 3].map(i => 30_001 + i * step)
    t.is(guess(ports), 30_001 + 4 * step, `step ${step}`)
    const verdict = fit(seen(ports)).describe()
    t.is(verdict.kind, 'stepping')
    t.is(verdict.step, step)
    t.true(verdict.confidence > 0.95, verdict.evidence)
  }
})

test('two mappings are enough for a guess, and the confidence says how good it is', t => {
  t.is(guess([5000, 5002]), 5004)
  const [two, four] = [fit(seen([5000, 5002])), fit(seen([5000, 5002, 5004, 5006]))]
  t.true(two.describe().confidence < four.describe().confidence)
})

test('a foreign mapping in between does not hide the step, and moves the guess on as its rate would', t => {
  const model = fit(seen([20_000, 20_002, 20_006, 20_008]))
  t.is(model.describe().step, 2)
  t.is(first(1, model, { elapsedMs: 1 })[0]?.port, 20_010)
  t.true(
    (model.describe().driftPerSecond ?? 0) >
      (fit(seen([20_000, 20_002, 20_004, 20_006])).describe().driftPerSecond ?? 0)
  )
})

test('arrivals that swapped places are put in the order of the counter', t => {
  t.is(guess([20_000, 20_004, 20_002, 20_006]), 20_008)
  t.is(guess([20_000, 20_002, 20_006, 20_004]), 20_008)
  t.is(guess([20_005, 20_006, 20_004, 20_003]), 20_002)
})

test('a mapping seen twice counts once', t => {
  t.is(guess([20_000, 20_001, 20_001, 20_002]), 20_003)
  t.is(guess([20_000, 20_000, 20_002, 20_002]), 20_004)
})

test('a counter goes over the end of its range, be the range known or not', t => {
  t.is(guess([65_534, 65_535, 1024, 1025]), 1026)
  t.is(guess([1025, 1024, 65_535, 65_534]), 65_533)
  t.is(guess([29_998, 29_999, 20_000, 20_001]), 20_002)
  t.is(guess([65_532, 65_533, 65_534, 65_535]), 1024)
  const after = first(4, fit(seen([65_529, 65_531, 65_533, 65_535]))).map(({ port }) => port)
  t.true(after.includes(1024) && after.includes(1025), after.join())
})

test('one port for every destination is kept; one sample is, if it is the port of the socket', t => {
  t.is(fit(seen([5000, 5000, 5000, 5000])).describe().kind, 'kept')
  t.is(guess([5000, 5000, 5000, 5000]), 5000)
  t.true(fit(seen([5000], { localPort: 5000 })).hitRate(1, now) > 0.99)
})

test('a NAT that preserved the ports of earlier sockets will preserve the next', t => {
  const earlier = [4000, 4711, 4200].map((port, i) => ({ port, localPort: port, address: nat, atMs: i * 1000 }))
  t.is(first(1, fit(earlier, { localPort: 5555 }))[0]?.port, 5555)
})

test('one single sample leaves several kinds standing, and none is believed', t => {
  const model = fit(seen([5000], { localPort: 4000 }))
  t.true(model.describe().confidence < 0.6)
  const ports = first(3, model).map(({ port }) => port)
  t.true(ports.includes(5000) && ports.includes(5001), ports.join())
})

test('without samples every port from 1024 on is alike, and no hit is promised', t => {
  const model = fit([])
  t.is(model.describe().kind, 'random')
  t.true(model.hitRate(1000, now) < 0.1)
})

test('the rate of others is learned between sockets, and the guess moves on with the time', t => {
  const burst = (port: number, atMs: number) =>
    [0, 1, 2, 3].map(i => ({ port: port + i, address: nat, atMs: atMs + i }))
  // 10 a second over 30 seconds.
  const model = fit([...burst(20_000, 0), ...burst(20_104, 10_000), ...burst(20_208, 20_000), ...burst(20_312, 30_000)])
  t.true(Math.abs((model.describe().driftPerSecond ?? 0) - 10) < 2)
  t.true(Math.abs((first(1, model, { elapsedMs: 2000 })[0]?.port ?? 0) - (20_316 + 20)) <= 3)
  t.true(model.hitRate(5, { elapsedMs: 0 }) > model.hitRate(5, { elapsedMs: 2000 }))
})

test('a socket seen long ago does not make the rate: the counter may have gone round', t => {
  const long = 20 * 60_000
  const model = fit([
    ...seen([20_000, 20_001, 20_002, 20_003]),
    ...seen([50_000, 50_001, 50_002, 50_003], { atMs: long })
  ])
  t.is(model.describe().step, 1)
  t.is(first(1, model)[0]?.port, 50_004)
})

test('mappings of its own made unseen are stepped over', t => {
  const model = fit(seen([20_000, 20_002, 20_004, 20_006]))
  t.is(first(1, model, { elapsedMs: 0, after: 2 })[0]?.port, 20_012)
})

test('mappings of its own that no endpoint saw are no drift', t => {
  const burst = (from: number, atMs: number) =>
    seen(
      [0, 1, 2, 3].map(i => from + i),
      { atMs }
    )
  const bursts = (unseen?: number) => [
    ...burst(20_000, 0),
    ...burst(20_104, 10_000).map((one, i) => (i === 0 && unseen !== undefined ? { ...one, unseen } : one))
  ]
  const drift = (unseen?: number) => fit(bursts(unseen)).describe().driftPerSecond ?? 0
  t.true(drift() > 8)
  t.true(drift(100) < 1)
  t.true(Math.abs(drift(50) - drift() / 2) < 2)
  // A gap that nobody can count tells nothing.
  t.true(drift(Number.POSITIVE_INFINITY) > drift(100))
  t.true(fit(bursts(5000)).hitRate(5, now) > 0.5)
})

test('unseen mappings count before a whole burst, in whatever order it arrived, and beyond a repetition', t => {
  const early = seen([20_000, 20_001, 20_002, 20_003], { atMs: 0 })
  const late = seen([20_105, 20_104, 20_106, 20_107], { atMs: 10_000 })
  const again = { ...seen([20_000], { atMs: 9000 })[0], unseen: 100 } as Observation
  const marked = late.map((one, i) => (i === 0 ? { ...one, unseen: 100 } : one))
  t.true((fit([...early, ...marked]).describe().driftPerSecond ?? 9) < 1)
  t.true((fit([...early, again, ...late]).describe().driftPerSecond ?? 9) < 1)
})

test('a burst of mappings meets the port that it covers most probably', t => {
  const model = fit(seen([20_000, 20_002, 20_004, 20_006]))
  const tracks = model.tracks({ elapsedMs: 20, mappings: 16 })
  const one = meet(tracks, model.addresses(), { mappings: 1, count: 1 })
  t.deepEqual([one?.address, one?.ports], [nat, [20_008]])
  const rate = (mappings: number) => meet(tracks, model.addresses(), { mappings, count: 1 })?.met[1] ?? 0
  t.true(Math.abs(rate(1) - model.hitRate(1, { elapsedMs: 20 })) < 0.01)
  t.true(rate(16) > rate(4) && rate(4) > rate(1))
  const row = meet(tracks, model.addresses(), { mappings: 8, count: 3 })
  t.deepEqual(
    row?.ports.map(port => port - (row.ports[0] ?? 0)),
    [0, 2, 4]
  )
  t.true(Math.abs((row?.met.reduce((sum, share) => sum + share, 0) ?? 0) - 1) < 1e-9)
  t.is(meet([], [], { mappings: 8, count: 1 }), undefined)
})

test('with many mappings open a sweep spreads over all ranges that may be, and its rate is the formula', t => {
  const whole = { low: 1024, high: 65_535, weight: 1 }
  const alone = sweep([whole], { open: 256, most: 1024 })
  t.true(Math.abs((alone.rates[1024] ?? 0) - birthdayRate(256, 1024, 64_512)) < 1e-9)
  const unsure = [
    { low: 40_960, high: 41_471, weight: 0.9 },
    { ...whole, weight: 0.1 }
  ]
  const { ports, rates } = sweep(unsure, { open: 64, most: 2032 })
  t.is(new Set(ports).size, 2032)
  t.true(ports.slice(0, 40).every(port => port >= 40_960 && port <= 41_471))
  t.true(ports.slice(200, 400).some(port => port < 40_960))
  t.true(rates.every((rate, i) => rate >= (rates[i - 1] ?? 0)))
  t.true((rates[100] ?? 0) > 0.89 && (rates[2032] ?? 0) > 0.97)
  t.deepEqual(sweep([{ low: 5, high: 7, weight: 1 }], { open: 2, most: 10 }).rates.length, 4)
})

test('what batches of mappings are worth to each other goes over into 1 − e^(−ab/N²)', t => {
  const range = (sockets: number, aimed: number) => [{ kind: 'range', weight: 1, held: sockets / 512, aimed }] as const
  t.true(Math.abs(meetingRate(range(1, 512), range(1, 512)) - sprayRate(512, 512, 512)) < 0.001)
  t.true(meetingRate(range(256, 2), range(256, 2)) > sprayRate(512, 512, 512))
  const counter = (met: number) => [{ kind: 'counter', weight: 1, met }] as const
  t.is(meetingRate(counter(1), counter(1)), 1)
  t.is(meetingRate(counter(1), counter(0)), 0)
  t.is(meetingRate(counter(2), range(256, 1)), 0.75)
  t.is(meetingRate(counter(0), range(512, 1)), 0)
  t.is(meetingRate(counter(3), range(256, 0)), 0)
})

test('each public address of a pool has its counter, and the turn is known', t => {
  const other = '198.51.100.8'
  const ports: [string, number][] = [
    [nat, 20_000],
    [other, 41_000],
    [nat, 20_001],
    [other, 41_001]
  ]
  const model = fit(ports.map(([address, port], i) => ({ address, port, atMs: i })))
  const [one, two] = first(2, model, { elapsedMs: 0 })
  t.deepEqual([one?.address, one?.port], [nat, 20_002])
  t.deepEqual([two?.address, two?.port], [other, 41_002])
})

test('parity kept: a counter for the even ports and one for the odd', t => {
  const rows: [number, number][] = [
    [4000, 20_000],
    [4001, 33_001],
    [4002, 20_002],
    [4003, 33_003],
    [4004, 20_004],
    [4005, 33_005]
  ]
  const model = fit(rows.map(([localPort, port], i) => ({ localPort, port, address: nat, atMs: i })))
  t.is(model.describe().per, 'parity')
  t.is(first(1, model)[0]?.port, 33_007)
})

test('ports inside a block are swept there first, and only then elsewhere', t => {
  const model = fit(seen([41_000, 41_300, 40_990, 41_444]))
  t.is(model.describe().kind, 'block')
  t.deepEqual(model.describe().block, { low: 40_960, high: 41_471 })
  t.true(first(500, model).every(({ port }) => port >= 40_960 && port <= 41_471))
  t.true(model.hitRate(512, now) > 0.75)
})

test('a whole range is told from a block', t => {
  const verdict = fit(seen([1234, 51_300, 30_990, 21_444])).describe()
  t.is(verdict.kind, 'random')
  t.true(verdict.confidence > 0.99)
})

test('mappings held open on the hard side raise the rate as the birthday formula has it', t => {
  const model = fit(seen([1234, 51_300, 30_990, 21_444]))
  t.true(Math.abs(model.hitRate(1024, { ...now, open: 256 }) - birthdayRate(256, 1024, 64_512)) < 0.02)
  const block = fit(seen([41_000, 41_300, 40_990, 41_444]))
  t.true(block.hitRate(67, { ...now, open: 32 }) > 0.95)
})

test('the formulas give the figures of the field notes', t => {
  const near = (figure: number, expected: number) =>
    t.true(Math.abs(figure - expected) < 0.006, `${figure}, not ${expected}`)
  near(birthdayRate(256, 174, 64_511), 0.5)
  near(birthdayRate(256, 1024, 64_511), 0.9835)
  near(birthdayRate(32, 67, 512), 0.99)
  t.is(birthdayRate(1, 64_511, 64_511), 1)
  near(sprayRate(512, 512, 512), 0.632)
  near(sprayRate(2048, 2048, 64_511), 0.001)
  near(windowRate(3, 1), 0.92)
  near(windowRate(20, 20), 0.47)
  near(windowRate(10, 5), 0.968)
})

test('a sweep gives every port once, likeliest first, whatever was seen', t => {
  for (const ports of [
    [20_000, 20_002, 20_004, 20_006],
    [41_000, 41_300, 40_990, 41_444],
    [700, 60_000, 5, 1024],
    [5000],
    []
  ]) {
    const all = [...fit(seen(ports)).candidates({ elapsedMs: 300 })]
    t.is(new Set(all.map(({ port }) => port)).size, 65_535)
    t.is(all.length, 65_535)
    t.true(all.every(({ probability }, i) => probability <= (all[i - 1]?.probability ?? 1)))
    const total = all.reduce((sum, { probability }) => sum + probability, 0)
    t.true(total > 0.95 && total < 1.001, String(total))
  }
})

const port = fc.oneof(fc.integer({ min: 1, max: 65_535 }), fc.integer({ min: 20_000, max: 20_020 }), fc.double())
const time = fc.oneof(fc.integer({ min: 0, max: 100_000 }), fc.double())
const observation = fc.record(
  { port, address: fc.constantFrom('a', 'b', '', 'constructor'), atMs: time, localPort: port },
  { requiredKeys: ['port', 'address', 'atMs'] }
)

test('hostile samples never throw, and probabilities stay probabilities', t => {
  fc.assert(
    fc.property(fc.array(observation, { maxLength: 70 }), time, fc.double(), (observations, elapsedMs, after) => {
      const model = fit(observations)
      const verdict = model.describe()
      const rate = model.hitRate(20, { elapsedMs, after, open: 3 })
      const tried = first(20, model, { elapsedMs, after })
      const sound = tried.every(
        one =>
          Number.isInteger(one.port) &&
          one.port > 0 &&
          one.port < 65_536 &&
          one.probability >= 0 &&
          one.probability <= 1.0001
      )
      return (
        sound &&
        tried.length === 20 &&
        rate >= 0 &&
        rate <= 1 &&
        verdict.confidence >= 0 &&
        verdict.confidence <= 1.0001
      )
    }),
    { numRuns: 300 }
  )
  t.pass()
})

for (const process of processes) {
  test(`${process.name}: the first candidates are nearly as good as the best there are`, t => {
    for (const { n, model, best } of measure(process, 15, 1).rows)
      t.true(model >= 0.9 * best, `n ${n}: ${model} of ${best}`)
  })
}
