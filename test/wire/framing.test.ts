import test from 'ava'
import fc from 'fast-check'
import { beginsFrame, FRAME_BYTES, Frames, frameOf } from '../../src/wire/doors/framing.ts'

test('datagrams come out of a stream as they went in, wherever it is cut', t => {
  const datagram = fc.uint8Array({ minLength: 1, maxLength: 300 }).map(bytes => Buffer.from(bytes))
  fc.assert(
    fc.property(fc.array(datagram, { maxLength: 10 }), fc.array(fc.nat(700), { maxLength: 10 }), (datagrams, cuts) => {
      const stream = Buffer.concat(datagrams.map(frameOf))
      const frames = new Frames()
      const ends = [...cuts.filter(cut => cut < stream.length).sort((a, b) => a - b), stream.length]
      const out = ends.flatMap((end, index) => frames.push(stream.subarray(ends[index - 1] ?? 0, end)))
      return Buffer.concat(out.map(frameOf)).equals(stream) && frames.partialSinceMs === undefined
    })
  )
  t.pass()
})

test('a length of nothing, or of more than any datagram has, ends the stream', t => {
  for (const length of [0, FRAME_BYTES + 1, 65_535]) {
    const bytes = Buffer.alloc(2)
    bytes.writeUInt16BE(length)
    t.throws(() => new Frames().push(bytes), { code: 'bad-message' }, `${length}`)
  }
  t.is(new Frames().push(frameOf(Buffer.alloc(FRAME_BYTES)))[0]?.length, FRAME_BYTES)
})

test('a frame that does not end keeps no more than its own bytes, and says since when it comes', t => {
  const frames = new Frames()
  frames.push(Buffer.concat([frameOf(Buffer.alloc(1000)), Buffer.from([4, 0, 1])]))
  const sinceMs = frames.partialSinceMs ?? 0
  t.true(sinceMs > 0)
  for (let byte = 0; byte < 100; byte++) frames.push(Buffer.alloc(1))
  t.is(frames.partialSinceMs, sinceMs)
})

test('neither HTTP nor TLS begins as a frame does', t => {
  for (const byte of [...Buffer.from('GHPOCTDM'), 0x16]) t.false(beginsFrame(byte))
  t.true(beginsFrame(0))
  t.true(beginsFrame(4))
})
