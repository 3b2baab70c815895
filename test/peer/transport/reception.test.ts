// Reports on RTP that has come, byte by byte.

import test from 'ava'
import { MOST_BITS_PER_SECOND, Reception } from '../../../src/peer/transport/reception.ts'

const SSRC = 0xcafe_f00d

function rtp(number: number, ssrc = SSRC): Uint8Array {
  const packet = Buffer.alloc(12)
  packet.writeUInt8(0x80, 0)
  packet.writeUInt16BE(number % 65_536, 2)
  packet.writeUInt32BE(ssrc, 8)
  return packet
}

/** The parts of a report, as RFC 3550 section 6.4.2 and draft-alvestrand-rmcat-remb-03 lay them out. */
function read(report: Uint8Array | undefined) {
  if (!report) throw new Error('there is no report')
  const bytes = Buffer.from(report)
  const count = bytes[0] === undefined ? 0 : bytes[0] & 0x1f
  const blocks = Array.from({ length: count }, (_, i) => {
    const at = 8 + 24 * i
    return {
      ssrc: bytes.readUInt32BE(at),
      fraction: bytes.readUInt8(at + 4),
      lost: bytes.readIntBE(at + 5, 3),
      highest: bytes.readUInt32BE(at + 8),
      lastSenderReport: bytes.readUInt32BE(at + 16),
      sinceThen: bytes.readUInt32BE(at + 20)
    }
  })
  const rate = bytes.subarray(4 * (1 + bytes.readUInt16BE(2)))
  const word = rate.readUInt32BE(16)
  return {
    type: bytes[1],
    own: bytes.readUInt32BE(4),
    blocks,
    rate: { type: rate[1], format: (rate[0] ?? 0) & 0x1f, name: rate.toString('latin1', 12, 16) },
    bitsPerSecond: (word & 0x3_ffff) * 2 ** ((word >>> 18) & 0x3f),
    isWhole: rate.length === 4 * (1 + rate.readUInt16BE(2))
  }
}

test('what was lost since the last report is told as a share, and all together as a number', t => {
  const reception = new Reception(7)
  for (const number of [65_533, 65_534, 1, 2]) reception.heard(rtp(number))
  const [first] = read(reception.report()).blocks
  // Of six two are missing: 65535 and 0.
  t.like(first, { ssrc: SSRC, lost: 2, fraction: Math.floor((256 * 2) / 6), highest: 65_538 })
  for (const number of [3, 4, 5, 6]) reception.heard(rtp(number))
  t.like(read(reception.report()).blocks[0], { lost: 2, fraction: 0, highest: 65_542 })
})

test('losses are told of however long it goes on', t => {
  const reception = new Reception(7)
  for (let number = 0; number < 200_000; number++) {
    if (number % 10 !== 9) reception.heard(rtp(number))
    if (number % 50_000 === 49_999) t.like(read(reception.report()).blocks[0], { highest: number - 1, fraction: 25 })
  }
})

test('a packet that comes late, or twice, makes no loss and no progress', t => {
  const reception = new Reception(7)
  for (const number of [10, 12, 11, 12]) reception.heard(rtp(number))
  t.like(read(reception.report()).blocks[0], { lost: -1, fraction: 0, highest: 12 })
})

test('a sender’s report is told back with the time since it came', t => {
  const reception = new Reception(7)
  reception.heard(rtp(1))
  const told = Buffer.alloc(28)
  told.writeUInt8(0x80, 0)
  told.writeUInt8(200, 1)
  told.writeUInt16BE(6, 2)
  told.writeUInt32BE(SSRC, 4)
  told.writeUInt32BE(0x1111_2222, 8)
  told.writeUInt32BE(0x3333_4444, 12)
  reception.told(told, 1000)
  t.like(read(reception.report(1500)).blocks[0], { lastSenderReport: 0x2222_3333, sinceThen: 32_768 })
})

test('behind it stands the most that may be sent, and nothing is said where nothing has come', t => {
  const reception = new Reception(7)
  t.is(reception.report(), undefined)
  reception.heard(rtp(1))
  reception.heard(rtp(1, 9))
  const { type, own, blocks, rate, bitsPerSecond, isWhole } = read(reception.report())
  t.deepEqual([type, own, blocks.length, isWhole], [201, 7, 2, true])
  t.deepEqual(rate, { type: 206, format: 15, name: 'REMB' })
  t.true(bitsPerSecond <= MOST_BITS_PER_SECOND && bitsPerSecond > 0.99 * MOST_BITS_PER_SECOND)
  t.is(reception.report(), undefined)
})

test('sources without end, and what is torn, cost nothing', t => {
  const reception = new Reception(7)
  for (let ssrc = 0; ssrc < 1000; ssrc++) reception.heard(rtp(1, ssrc))
  for (let length = 0; length < 28; length++) {
    reception.heard(Buffer.alloc(length, 0x80))
    reception.told(Buffer.alloc(length, 200))
  }
  t.is(read(reception.report()).blocks.length, 4)
})
