// The codec against the vectors of RFC 5769, byte for byte in both directions; against the rules of RFC 8489 about what
// counts and what does not; and, by properties, against everything a stranger might send.

import { createHash, createHmac } from 'node:crypto'
import test from 'ava'
import fc from 'fast-check'
import type { EncodeOptions, StunMessage } from '../../src/wire/stun.ts'
import { BINDING, decode, decodeClassic, encode, looksLikeStun, transactionId } from '../../src/wire/stun.ts'

// RFC 5769. All four are encoded again byte for byte: the padding byte is the only thing that has to be told (three of
// the vectors pad with spaces), so HMAC and CRC are reproduced too.

const shortTermKey = 'VOkJxbRl1RmTxUk/WvJxBt'
const longTermKey = createHash('md5').update('マトリックス:example.org:TheMatrIX').digest()
const transaction = hex('b7e7a701 bc34d686 fa87dfae')

interface Vector {
  bytes: Buffer
  message: StunMessage
  options: EncodeOptions & { key: string | Buffer }
}

const vectors: Record<string, Vector> = {
  '2.1, a request': {
    bytes: hex(`00010058 2112a442 b7e7a701 bc34d686 fa87dfae 80220010 5354554e 20746573 7420636c 69656e74 00240004
      6e0001ff 80290008 932ff9b1 51263b36 00060009 6576746a 3a683676 59202020 00080014 9aeaa70c bfd8cb56 781ef2b5
      b2d3f249 c1b571a2 80280004 e57a3bcf`),
    message: {
      class: 'request',
      method: BINDING,
      transaction,
      software: 'STUN test client',
      priority: 0x6e0001ff,
      controlled: 0x932ff9b151263b36n,
      username: 'evtj:h6vY'
    },
    options: { key: shortTermKey, fingerprint: true, padding: 0x20 }
  },
  '2.2, an IPv4 response': {
    bytes: hex(`0101003c 2112a442 b7e7a701 bc34d686 fa87dfae 8022000b 74657374 20766563 746f7220 00200008 0001a147
      e112a643 00080014 2b91f599 fd9e90c3 8c7489f9 2af9ba53 f06be7d7 80280004 c07d4c96`),
    message: {
      class: 'success',
      method: BINDING,
      transaction,
      software: 'test vector',
      mapped: { address: '192.0.2.1', port: 32853 }
    },
    options: { key: shortTermKey, fingerprint: true, padding: 0x20 }
  },
  '2.3, an IPv6 response': {
    bytes: hex(`01010048 2112a442 b7e7a701 bc34d686 fa87dfae 8022000b 74657374 20766563 746f7220 00200014 0002a147
      0113a9fa a5d3f179 bc25f4b5 bed2b9d9 00080014 a382954e 4be67bf1 1784c97c 8292c275 bfe3ed41 80280004 c8fb0b4c`),
    message: {
      class: 'success',
      method: BINDING,
      transaction,
      software: 'test vector',
      mapped: { address: '2001:db8:1234:5678:11:2233:4455:6677', port: 32853 }
    },
    options: { key: shortTermKey, fingerprint: true, padding: 0x20 }
  },
  '2.4, a request with a long-term credential': {
    bytes: hex(`00010060 2112a442 78ad3433 c6ad72c0 29da412e 00060012 e3839ee3 8388e383 aae38383 e382afe3 82b90000
      0015001c 662f2f34 39396b39 35346436 4f4c3334 6f4c3946 53547679 36347341 0014000b 6578616d 706c652e 6f726700
      00080014 f6702465 6dd64a3e 02b8e071 2e85c9a2 8ca89666`),
    message: {
      class: 'request',
      method: BINDING,
      transaction: hex('78ad3433 c6ad72c0 29da412e'),
      username: 'マトリックス',
      nonce: Buffer.from('f//499k954d6OL34oL9FSTvy64sA'),
      realm: 'example.org'
    },
    options: { key: longTermKey }
  }
}

for (const [name, { bytes, message, options }] of Object.entries(vectors)) {
  test(`RFC 5769 ${name}, is decoded with its integrity verified`, t => {
    t.deepEqual(fieldsOf(bytes), message)
    t.true(decode(bytes)?.hasIntegrity)
    t.true(decode(bytes)?.verify(options.key))
    t.false(decode(bytes)?.verify('another key'))
  })

  test(`RFC 5769 ${name}, is encoded byte for byte`, t => {
    t.deepEqual(encode(message, options), bytes)
  })
}

test('the SHA-256 integrity of the vector of RFC 8489 (B.1, as its erratum corrects it) is verified', t => {
  const head = hex(`0001009c 2112a442 78ad3433 c6ad72c0 29da412e 001e0020 4a3cf38f ef6992bd a952c678 0417da0f 24819415
    569e60b2 05c46e41 407f1704 00150029 6f624d61 744a6f73 32414141 43662f2f 3439396b 39353464 364f4c33 346f4c39
    46535476 79363473 41000000 0014000b 6578616d 706c652e 6f726700 001d0004 00020000`)
  head.writeUInt16BE(head.length - 20 + 36, 2)
  const mac = hex('b5c7bf00 5b6c52a2 1c51c5e8 92f81924 136296cb 927c4314 9309278c c6518e65')
  const key = createHash('sha256').update('マトリックス:example.org:TheMatrIX').digest()
  const decoded = decode(Buffer.concat([head, hex('001c0020'), mac]))
  t.true(decoded?.verify(key))
  t.deepEqual(decoded?.unknown, [0x001e, 0x001d])
  mac[0] = 0
  t.false(decode(Buffer.concat([head, hex('001c0020'), mac]))?.verify(key))
})

// The rules.

test('a datagram with a wrong FINGERPRINT is no STUN', t => {
  const bytes = encode(binding(), { fingerprint: true })
  t.truthy(decode(bytes))
  bytes.writeUInt8(bytes.readUInt8(bytes.length - 1) ^ 1, bytes.length - 1)
  t.is(decode(bytes), undefined)
})

test('nothing may follow FINGERPRINT', t => {
  const early = raw([0x8028, hex('00000000')], [0x8022, Buffer.from('late')])
  t.is(decode(early), undefined)
})

test('attributes behind MESSAGE-INTEGRITY are ignored', t => {
  const signed = encode(binding(), { key: 'k' })
  const bytes = Buffer.concat([signed, hex('00250000'), hex('00060004'), Buffer.from('evil'), hex('7fff0000')])
  bytes.writeUInt16BE(bytes.length - 20, 2)
  t.deepEqual(fieldsOf(bytes), binding())
  t.true(decode(bytes)?.verify('k'))
})

test('a SHA-256 integrity behind a SHA-1 one must be right as well', t => {
  const signed = encode(binding(), { key: 'k' })
  const wrong = Buffer.concat([signed, hex('001c0010'), Buffer.alloc(16)])
  wrong.writeUInt16BE(wrong.length - 20, 2)
  t.false(decode(wrong)?.verify('k'))

  const covered = wrong.subarray(0, signed.length)
  const cut = createHmac('sha256', 'k').update(covered).digest().subarray(0, 16)
  t.true(decode(Buffer.concat([covered, hex('001c0010'), cut]))?.verify('k'))
})

test('a SHA-1 integrity behind a SHA-256 one is ignored with all that it would cover', t => {
  const forged = raw([0x001c, Buffer.alloc(32)], [0x0006, Buffer.from('evil')], [0x0008, Buffer.alloc(20)])
  t.is(decode(forged)?.username, undefined)
  t.false(decode(forged)?.verify('k'))
})

test('without an integrity nothing verifies', t => {
  const decoded = decode(encode(binding()))
  t.false(decoded?.hasIntegrity)
  t.false(decoded?.verify(''))
})

test('of duplicate attributes the first counts', t => {
  t.is(decode(raw([0x0006, Buffer.from('one')], [0x0006, Buffer.from('two')]))?.username, 'one')
})

test('MAPPED-ADDRESS is read when it alone is there, and never overrules the XORed one', t => {
  const plain: [number, Buffer] = [0x0001, hex('0001 1111 0a000001')]
  const xored: [number, Buffer] = [0x0020, hex('0001a147e112a643')]
  const real = { address: '192.0.2.1', port: 32853 }
  t.deepEqual(decode(raw(plain))?.mapped, { address: '10.0.0.1', port: 0x1111 })
  t.deepEqual(decode(raw(plain, xored))?.mapped, real)
  t.deepEqual(decode(raw(xored, plain))?.mapped, real)
})

test('attributes that must be understood and are not are named; optional ones are passed over', t => {
  const padding: [number, Buffer] = [0x0026, Buffer.alloc(8)]
  t.deepEqual(
    decode(raw(padding, [0xc057, Buffer.alloc(4)], padding, [0x7f00, Buffer.alloc(0)]))?.unknown,
    [0x0026, 0x7f00]
  )
})

test('UNKNOWN-ATTRIBUTES is heard in an error only', t => {
  const list: [number, Buffer] = [0x000a, hex('00267f00')]
  t.is(decode(raw(list))?.unknown, undefined)
  const refusal: StunMessage = { ...binding(), class: 'error', error: { code: 420, reason: '' }, unknown: [0x26] }
  t.deepEqual(fieldsOf(encode(refusal)), refusal)
})

test('CHANGE-REQUEST, RESPONSE-ORIGIN and OTHER-ADDRESS have the bytes of RFC 5780', t => {
  const change = encode({ ...binding(), change: { address: true, port: false } })
  t.deepEqual(change.subarray(20), hex('00030004 00000004'))
  const origin = encode({ ...binding(), origin: { address: '192.0.2.1', port: 3478 } })
  t.deepEqual(origin.subarray(20), hex('802b0008 00010d96 c0000201'))
  const other = encode({ ...binding(), other: { address: '192.0.2.2', port: 3479 } })
  t.deepEqual(other.subarray(20), hex('802c0008 00010d97 c0000202'))
})

test('a message without the cookie is classic STUN, with the attributes of RFC 3489', t => {
  const id = hex('00112233 44556677 8899aabb ccddeeff')
  const [mapped, origin, other] = [1, 2, 3].map(last => ({ address: `192.0.2.${last}`, port: 0x1230 + last }))
  const message = { class: 'success', method: BINDING, transaction: id, mapped, origin, other } as StunMessage
  const bytes = encode(message)
  t.deepEqual(
    bytes,
    hex(`01010024 00112233 44556677 8899aabb ccddeeff 00010008 00011231 c0000201 00040008 00011232 c0000202
      00050008 00011233 c0000203`)
  )
  t.is(decode(bytes), undefined, 'whoever expects the cookie does not take it')
  t.like(decodeClassic(bytes), { mapped, origin, other })
  t.is(decodeClassic(encode(binding())), undefined)
  t.deepEqual(
    decode(raw([0x0005, Buffer.alloc(8)]))?.unknown,
    [0x0005],
    'CHANGED-ADDRESS is none of today’s attributes'
  )
})

test('PADDING fills a message up to a length, under the integrity, and is told besides its being unknown', t => {
  const key = 'a key'
  for (const paddedTo of [1252, 1172, 120]) {
    const written = encode({ ...binding(), username: 'p:0a:3', paddedTo }, { key, fingerprint: true })
    t.is(written.length, paddedTo)
    const read = decode(written)
    t.like(read, { paddedTo, unknown: [0x26], username: 'p:0a:3' })
    t.true(read?.verify(key))
  }
  const none = decode(encode({ ...binding(), username: 'p:0a:3', paddedTo: 24 }, { key }))
  t.is(none?.paddedTo, undefined, 'where there is no room for it, it is left out')
  t.is(none?.unknown, undefined)
})

test('classic STUN repeats one of an odd number of unknown types, and today’s pads', t => {
  const refusal = { class: 'error' as const, method: BINDING, error: { code: 420, reason: '' }, unknown: [2] }
  t.deepEqual(encode({ ...refusal, transaction: Buffer.alloc(16) }).subarray(-8), hex('000a0004 00020002'))
  t.deepEqual(encode({ ...refusal, transaction: Buffer.alloc(12) }).subarray(-8), hex('000a0002 00020000'))
})

test('MAPPED-ADDRESS is written beside the XORed one where that is asked for', t => {
  const mapped = { address: '192.0.2.1', port: 32853 }
  const bytes = encode({ ...binding(), class: 'success', mapped, mappedTwice: true })
  t.is(bytes.length, 44)
  t.deepEqual(bytes.subarray(-12), hex('00010008 00018055 c0000201'))
})

test('attributes of the wrong size make the whole datagram malformed', t => {
  const cases: [number, Buffer][] = [
    [0x0008, Buffer.alloc(19)],
    [0x001c, Buffer.alloc(12)],
    [0x001c, Buffer.alloc(36)],
    [0x8028, Buffer.alloc(3)],
    [0x0020, Buffer.alloc(8)],
    [0x0020, hex('0002a147e112a643')],
    [0x0001, hex('0001a147e112a64300')],
    [0x0024, Buffer.alloc(3)],
    [0x0025, Buffer.alloc(1)],
    [0x8029, Buffer.alloc(4)],
    [0x0003, Buffer.alloc(5)],
    [0x0006, Buffer.alloc(509)],
    [0x0006, hex('ff')],
    [0x0015, Buffer.alloc(764)],
    [0x0009, hex('000004')],
    [0x0009, hex('00000264')],
    [0x0009, hex('00000464')]
  ]
  for (const one of cases) t.is(decode(raw(one)), undefined, `${one[0].toString(16)} with ${one[1].length} bytes`)
})

test('an attribute that claims more bytes than the datagram has is malformed', t => {
  const bytes = raw([0x8022, Buffer.from('abcd')])
  bytes.writeUInt16BE(5, 22)
  t.is(decode(bytes), undefined)
})

test('HTTP, TLS, DTLS, RTP and a STUN of the wrong length do not look like STUN', t => {
  t.false(looksLikeStun(Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n')))
  t.false(looksLikeStun(hex('16030100 2112a442 00000000 00000000 00000000')))
  t.false(looksLikeStun(hex('16fefd00 00000000 00000000 00000000 00000000')))
  t.false(looksLikeStun(hex('80000000 2112a442 00000000 00000000 00000000')))
  t.false(looksLikeStun(Buffer.alloc(0)))
  t.false(looksLikeStun(Buffer.concat([encode(binding()), Buffer.alloc(4)])))
  t.true(looksLikeStun(encode(binding())))
})

test('a decoded message keeps nothing of the datagram but what verify reads', t => {
  const bytes = encode({ ...binding(), nonce: Buffer.from('nonce') })
  const decoded = decode(bytes)
  bytes.fill(0)
  t.deepEqual(decoded?.nonce, Buffer.from('nonce'))
  t.deepEqual(decoded?.transaction, binding().transaction)
})

test('what does not fit an attribute is refused, not cut', t => {
  t.throws(() => encode({ ...binding(), username: 'a'.repeat(509) }), { instanceOf: RangeError })
  t.throws(() => encode({ ...binding(), error: { code: 200, reason: '' } }), { instanceOf: RangeError })
  t.throws(() => encode({ ...binding(), transaction: Buffer.alloc(11) }), { instanceOf: RangeError })
  t.throws(() => encode({ ...binding(), mapped: { address: 'localhost', port: 1 } }), { instanceOf: RangeError })
})

test('every way to write an IPv6 address gives the same bytes', t => {
  const bytes = (address: string) => encode({ ...binding(), other: { address, port: 1 } })
  t.deepEqual(bytes('::ffff:192.0.2.1'), bytes('0:0:0:0:0:FFFF:c000:0201'))
  t.deepEqual(bytes('fe80::1%eth0'), bytes('fe80:0::0001'))
  t.deepEqual(bytes('::').subarray(-16), Buffer.alloc(16))
})

test('transaction ids have 12 bytes and do not repeat', t => {
  t.is(transactionId().length, 12)
  t.notDeepEqual(transactionId(), transactionId())
})

// Properties.

const bytesOf = (min: number, max: number) =>
  fc.uint8Array({ minLength: min, maxLength: max }).map(bytes => Buffer.from(bytes))
const words = fc.string({ unit: 'grapheme', maxLength: 60 })
const port = fc.nat(65535)
const ipv6 = bytesOf(16, 16).map(bytes => addressOf(encodedWith(bytes)))
const endpoint = fc.record({ address: fc.oneof(fc.ipV4(), ipv6), port })
const key = fc.oneof(words, bytesOf(0, 80))

const messages = fc
  .record(
    {
      class: fc.constantFrom('request', 'indication', 'success', 'error'),
      method: fc.nat(0xfff),
      transaction: bytesOf(12, 12),
      username: words,
      nonce: bytesOf(0, 763),
      mapped: endpoint,
      error: fc.record({ code: fc.integer({ min: 300, max: 699 }), reason: words }),
      unknown: fc.array(fc.nat(0xffff), { maxLength: 20 }),
      software: words,
      realm: words,
      priority: fc.nat(0xffffffff),
      useCandidate: fc.constant(true),
      controlling: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
      controlled: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
      change: fc.record({ address: fc.boolean(), port: fc.boolean() }),
      other: endpoint,
      origin: endpoint
    },
    { requiredKeys: ['class', 'method', 'transaction'] }
  )
  .map(({ unknown, ...rest }): StunMessage => (rest.class === 'error' && unknown ? { ...rest, unknown } : rest))

test('what is encoded is decoded to the same message', t => {
  const property = fc.property(messages, key, fc.boolean(), fc.nat(255), (message, key, fingerprint, padding) => {
    const bytes = encode(message, { key, fingerprint, padding })
    t.deepEqual(fieldsOf(bytes), message)
    t.deepEqual(fieldsOf(encode(message)), message)
    return decode(bytes)?.verify(key) === true
  })
  t.notThrows(() => fc.assert(property, { numRuns: 500 }))
})

test('no bytes whatever make the decoder throw', t => {
  const framed = bytesOf(0, 300).map(body => {
    const bytes = Buffer.concat([encode(binding()), body.subarray(0, body.length & ~3)])
    bytes.writeUInt16BE(bytes.length - 20, 2)
    return bytes
  })
  const attributes = fc
    .array(fc.tuple(fc.oneof(fc.constantFrom(...knownTypes), fc.nat(0xffff)), bytesOf(0, 40)), { maxLength: 8 })
    .map(list => raw(...list))
  const property = fc.property(fc.oneof(bytesOf(0, 200), framed, attributes), bytes => {
    decode(bytes)?.verify('key')
  })
  t.notThrows(() => fc.assert(property, { numRuns: 5000 }))
})

test('a truncated message is no STUN', t => {
  const property = fc.property(messages, fc.nat(), (message, cut) => {
    const bytes = encode(message, { key: 'key', fingerprint: true })
    return decode(bytes.subarray(0, cut % bytes.length)) === undefined
  })
  t.notThrows(() => fc.assert(property, { numRuns: 500 }))
})

test('one bit flipped under the integrity or in it is noticed', t => {
  const property = fc.property(messages, fc.nat(), fc.boolean(), (message, at, fingerprint) => {
    const bytes = encode(message, { key: 'key', fingerprint })
    const covered = bytes.length - (fingerprint ? 8 : 0)
    flip(bytes, at % (covered * 8))
    return decode(bytes)?.verify('key') !== true
  })
  t.notThrows(() => fc.assert(property, { numRuns: 2000 }))
})

test('no bit of a vector with FINGERPRINT can be flipped unnoticed', t => {
  for (const { bytes, options } of Object.values(vectors).filter(vector => vector.options.fingerprint)) {
    const fingerprintAt = (bytes.length - 8) * 8
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const flipped = Buffer.from(bytes)
      flip(flipped, bit)
      // Where its own type is what changed, the message has no FINGERPRINT any more, but its integrity still holds.
      if (bit >= fingerprintAt && bit < fingerprintAt + 16) t.true(decode(flipped)?.verify(options.key))
      else t.is(decode(flipped), undefined, `bit ${bit}`)
    }
  }
})

// Helpers.

const knownTypes = [
  0x0001, 0x0003, 0x0006, 0x0008, 0x0009, 0x000a, 0x0014, 0x0015, 0x001c, 0x0020, 0x0024, 0x0025, 0x8022, 0x8028,
  0x8029, 0x802a, 0x802b, 0x802c
]

function hex(text: string): Buffer {
  return Buffer.from(text.replace(/\s/g, ''), 'hex')
}

function binding(): StunMessage {
  return { class: 'request', method: BINDING, transaction }
}

/** What decode finds, without the members that are not part of the message. */
function fieldsOf(bytes: Buffer): StunMessage | undefined {
  const decoded = decode(bytes)
  if (!decoded) return undefined
  const { verify: _verify, hasIntegrity: _hasIntegrity, ...message } = decoded
  return message
}

/** A Binding request with these attributes, right or wrong. */
function raw(...attributes: [number, Buffer][]): Buffer {
  const parts = attributes.map(([type, value]) => {
    const bytes = Buffer.alloc(4 + Math.ceil(value.length / 4) * 4)
    bytes.writeUInt16BE(type, 0)
    bytes.writeUInt16BE(value.length, 2)
    value.copy(bytes, 4)
    return bytes
  })
  const bytes = Buffer.concat([encode(binding()), ...parts])
  bytes.writeUInt16BE(bytes.length - 20, 2)
  return bytes
}

function encodedWith(address: Buffer): Buffer {
  return raw([0x802c, Buffer.concat([hex('00020001'), address])])
}

function addressOf(bytes: Buffer): string {
  return decode(bytes)?.other?.address ?? ''
}

function flip(bytes: Buffer, bit: number): void {
  bytes.writeUInt8(bytes.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3)
}
