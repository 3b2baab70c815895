import test from 'ava'
import fc from 'fast-check'
import { NONCE_BYTES, Nonces } from '../../../src/gateway/udp/nonce.ts'

const ann = { address: '203.0.113.10', port: 40000 }

test('a nonce proves the source it was issued to', t => {
  const nonces = new Nonces()
  t.true(nonces.proves(ann, nonces.issue(ann)))
})

test('a nonce of another address, another port or another gateway proves nothing', t => {
  const nonces = new Nonces()
  t.false(nonces.proves(ann, nonces.issue({ ...ann, port: ann.port + 1 })))
  t.false(nonces.proves(ann, nonces.issue({ ...ann, address: '203.0.113.11' })))
  t.false(nonces.proves(ann, new Nonces().issue(ann)))
})

test('address and port cannot be shifted into each other', t => {
  const nonces = new Nonces()
  const six = nonces.issue({ address: '2001:db8::1', port: 23 })
  t.false(nonces.proves({ address: '2001:db8::12', port: 3 }, six))
  t.false(nonces.proves({ address: '2001:db8::1:23', port: 23 }, six))
})

test('a nonce is good for one to two epochs, and no longer', t => {
  let nowMs = 1_000_000 * 120_000
  const nonces = new Nonces(() => nowMs)
  const first = nonces.issue(ann)
  nowMs += 119_999
  const last = nonces.issue(ann)
  t.deepEqual(last, first)
  nowMs += 120_000
  t.true(nonces.proves(ann, first), 'of the epoch before')
  nowMs += 1
  t.false(nonces.proves(ann, first), 'two epochs old')
})

test('what is not a nonce proves nothing, and never throws', t => {
  const nonces = new Nonces()
  t.false(nonces.proves(ann, undefined))
  fc.assert(fc.property(fc.uint8Array({ maxLength: 40 }), bytes => !nonces.proves(ann, Buffer.from(bytes))))
  t.false(nonces.proves(ann, nonces.issue(ann).subarray(0, NONCE_BYTES - 1)))
  t.false(nonces.proves(ann, Buffer.concat([nonces.issue(ann), Buffer.alloc(1)])))
})

test('a nonce of text tells how long ago it was sent, to its source alone, and for four minutes', t => {
  let nowMs = 1000.5
  const nonces = new Nonces(() => nowMs)
  const text = nonces.issueTimed(ann)
  const nonce = Buffer.from(text)
  t.regex(text, /^[\w-]{12}$/)
  nowMs += 250
  t.is(nonces.ageMs(ann, nonce), 250.5, 'within a millisecond, and never too short')
  t.is(nonces.ageMs({ ...ann, port: ann.port + 1 }, nonce), undefined)
  t.is(new Nonces(() => nowMs).ageMs(ann, nonce), undefined)
  t.is(nonces.ageMs(ann, undefined), undefined)
  t.is(nonces.ageMs(ann, Buffer.from('')), undefined)
  nowMs += 239_000
  t.truthy(nonces.ageMs(ann, nonce))
  nowMs += 1_000
  t.is(nonces.ageMs(ann, nonce), undefined)
  nowMs += 2 ** 24 - 240_000
  t.is(nonces.ageMs(ann, nonce), undefined, 'when its time comes round again')
})

test('every single-byte change of a nonce of text makes it worthless', t => {
  const nonces = new Nonces(() => 1e6)
  const nonce = Buffer.from(nonces.issueTimed(ann))
  for (let at = 0; at < nonce.length; at++) {
    const changed = Buffer.from(nonce)
    changed[at] = changed[at] === 0x41 ? 0x42 : 0x41
    t.is(nonces.ageMs(ann, changed), undefined)
  }
  t.is(nonces.ageMs(ann, nonce), 0)
})
