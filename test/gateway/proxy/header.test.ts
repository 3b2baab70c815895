import test from 'ava'
import fc from 'fast-check'
import { Unwelcome } from '../../../src/gateway/proxy/gather.ts'
import { beginsHeader, HEADER_BYTES, LOCAL_HEADER, readHeader } from '../../../src/gateway/proxy/header.ts'
import { headerOf, SIGNATURE } from './made.ts'

const v4 = { source: { address: '203.0.113.7', port: 4711 }, reached: { address: '198.51.100.1', port: 443 } }
const v6 = { source: { address: '2001:db8::7', port: 4711 }, reached: { address: '2001:db8::1', port: 443 } }

test('a header says whose connection it is and what that reached, and TLVs behind it are skipped', t => {
  for (const introduced of [v4, v6])
    for (const tlvs of [Buffer.alloc(0), Buffer.from([3, 0, 4, 1, 2, 3, 4, 0x20, 0, 1, 9])]) {
      const bytes = headerOf({ ...introduced, tlvs })
      t.deepEqual(readHeader(Buffer.concat([bytes, Buffer.from('GET / HTTP/1.1')])), {
        found: introduced,
        length: bytes.length
      })
      for (let length = 12; length < bytes.length; length++) t.is(readHeader(bytes.subarray(0, length)), undefined)
    }
})

test('an IPv4 address in the clothes of IPv6 is itself', t => {
  const bytes = headerOf(v6)
  Buffer.from('00000000000000000000ffffcb007107', 'hex').copy(bytes, 16)
  t.like(readHeader(bytes)?.found, { source: { address: '203.0.113.7', port: 4711 } })
})

test('a command LOCAL introduces nobody, whatever else it says', t => {
  t.deepEqual(readHeader(LOCAL_HEADER), { found: 'local', length: 16 })
  const long = Buffer.concat([headerOf({ ...v4 })])
  long[12] = 0x20
  t.deepEqual(readHeader(long), { found: 'local', length: 28 })
  t.is(readHeader(long.subarray(0, 27)), undefined)
  const unix = Buffer.concat([SIGNATURE, Buffer.from([0x20, 0x31, 0, 2, 1, 2])])
  t.deepEqual(readHeader(unix), { found: 'local', length: 18 })
})

test('what is no header that is taken is refused as soon as that is clear', t => {
  const after = (...bytes: number[]) => Buffer.concat([SIGNATURE, Buffer.from(bytes)])
  const odd: [string, Buffer, RegExp][] = [
    ['version 1', after(0x11, 0x11, 0, 12), /version and command are 11; expected 20 or 21/],
    ['version 3', after(0x31, 0x11, 0, 12), /version and command are 31/],
    ['command 2', after(0x22, 0x11, 0, 12), /version and command are 22/],
    ['UDP', after(0x21, 0x12, 0, 12), /family is 12; expected 11 .* or 21/],
    ['a Unix socket', after(0x21, 0x31, 0, 216), /family is 31/],
    ['an unknown family', after(0x21, 0, 0, 0), /family is 00/],
    ['too short', after(0x21, 0x11, 0, 11), /it has 27 bytes; expected 28 or more/],
    ['too short for IPv6', after(0x21, 0x21, 0, 35), /it has 51 bytes; expected 52 or more/],
    ['too long', after(0x21, 0x11, 0xff, 0xff), /it has 65551 bytes; expected 4096 at most/],
    ['LOCAL, too long', after(0x20, 0, 0xff, 0xff), /4096 at most/]
  ]
  for (const [what, bytes, message] of odd) {
    const error = t.throws(() => readHeader(bytes), { instanceOf: Unwelcome, message }, what)
    t.is(error?.why, 'malformed')
  }
  t.is(readHeader(headerOf({ ...v4, tlvs: Buffer.alloc(HEADER_BYTES - 28) }))?.length, HEADER_BYTES)
})

test('the signature is told from everything else at its first byte that differs', t => {
  for (let length = 0; length < 12; length++) {
    t.is(beginsHeader(SIGNATURE.subarray(0, length)), 'perhaps')
    const other = Buffer.from(SIGNATURE.subarray(0, length + 1))
    other[length] = (other[length] ?? 0) ^ 1
    t.is(beginsHeader(other), 'no')
    t.is(beginsHeader(Buffer.concat([other, Buffer.alloc(20)])), 'no')
  }
  t.is(beginsHeader(SIGNATURE), 'yes')
  t.is(beginsHeader(headerOf(v4)), 'yes')
})

test('whatever comes behind the signature gives a header, nothing yet, or one refusal', t => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), bytes => {
      try {
        const read = readHeader(Buffer.concat([SIGNATURE, bytes]))
        t.true(read === undefined || read.length <= 12 + bytes.length)
      } catch (error) {
        t.true(error instanceof Unwelcome)
      }
    })
  )
})
