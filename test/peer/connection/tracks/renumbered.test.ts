// Sources that follow one another read as one.

import test from 'ava'
import { Renumbered } from '../../../../src/peer/connection/tracks/renumbered.ts'
import { headerOf, rtp } from './rtp.ts'

const track = { ssrc: 7, clockRate: 90_000 }

test('a packet keeps its numbers and its payload, and has the type and the source of the track', t => {
  const packet = rtp({ sequence: 65_535, timestamp: 2 ** 32 - 1, ssrc: 99, payloadType: 96 }, 5)
  packet.writeUInt8(96 | 0x80, 1)
  const sent = new Renumbered(track).of(packet, 102, 0)
  t.deepEqual(headerOf(sent), { payloadType: 102, sequence: 65_535, timestamp: 2 ** 32 - 1, ssrc: 7, bytes: 200 })
  t.is((sent[1] ?? 0) >> 7, 1, 'the marker stays')
  t.true(packet.subarray(12).equals(sent.subarray(12)))
  t.is(headerOf(packet).ssrc, 99, 'what was given is not written to')
})

test('a gap and a late packet of one source stay as they are, also where the number starts over', t => {
  const one = new Renumbered(track)
  const sequences = [65_533, 65_535, 65_534, 3, 4]
  t.deepEqual(
    sequences.map(sequence => headerOf(one.of(rtp({ sequence }), 102, 0)).sequence),
    sequences
  )
})

for (const [what, second] of [
  ['another source', { ssrc: 2, sequence: 100, timestamp: 5 }],
  ['a source that begins anew', { ssrc: 1, sequence: 30_000, timestamp: 5 }]
] as const)
  test(`${what} goes on with the next number, and later by the time between the two`, t => {
    const one = new Renumbered(track)
    one.of(rtp({ ssrc: 1, sequence: 65_535, timestamp: 1000 }), 102, 2_000)
    t.like(headerOf(one.of(rtp(second), 102, 2_500)), { sequence: 0, timestamp: 1000 + 45_000, ssrc: 7 })
    const next = { ...second, sequence: second.sequence + 1, timestamp: second.timestamp + 3_000 }
    t.like(headerOf(one.of(rtp(next), 102, 2_533)), { sequence: 1, timestamp: 1000 + 48_000 })
  })

test('where it begins anew, not even the numbers before are taken again', t => {
  const one = new Renumbered(track)
  t.is(headerOf(one.of(rtp({ sequence: 9 }), 102, 0)).sequence, 9)
  one.anew()
  t.is(headerOf(one.of(rtp({ sequence: 9 }), 96, 10)).sequence, 10)
  t.is(headerOf(one.of(rtp({ sequence: 10 }), 96, 10)).sequence, 11)
})
