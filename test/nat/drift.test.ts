import test from 'ava'
import fc from 'fast-check'
import { driftOf, mostEvidence } from '../../src/nat/assignment/drift.ts'

const gap = fc.record({
  foreign: fc.oneof(fc.constant(undefined), fc.integer({ min: 0, max: 6 }), fc.integer({ min: 0, max: 5000 })),
  back: fc.boolean(),
  exposureMs: fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 120_000 }))
})

test('no drift explains gaps better than the bound by which hypotheses are passed over', t => {
  fc.assert(
    fc.property(fc.array(gap, { minLength: 1, maxLength: 6 }), gaps => driftOf(gaps).logEvidence <= mostEvidence(gaps)),
    { numRuns: 1000 }
  )
  t.pass()
})

test('gaps as wide as scattered ports leave are worth next to nothing to a counter', t => {
  const wide = Array.from({ length: 20 }, (_, at) => ({ foreign: 400 + 10 * at, back: false, exposureMs: 100 }))
  t.true(mostEvidence(wide) < -50, `${mostEvidence(wide)}`)
})
