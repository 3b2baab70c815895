// STUN (RFC 8489) with the attributes of ICE (RFC 8445) and of NAT behaviour discovery (RFC 5780). The file encodes a
// StunMessage to bytes and decodes it from bytes, without I/O or state. The form of each attribute is defined once, in
// `fields`.
//
//    0                   1                   2                   3
//    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   |0 0|  M11-7  |C| M6-4|C| M3-0  |  length of what follows byte 20 |
//   |                   magic cookie 0x2112A442                     |
//   |                 transaction id (96 bits)                      |
//   +- each attribute: -+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   |     type (< 0x8000: must be      |   length of the value        |
//   |     understood)                  |   without its padding        |
//   |                value, padded to a multiple of four            |
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//
// MESSAGE-INTEGRITY is an HMAC over everything before it, and FINGERPRINT is a CRC-32 over everything before it. For both,
// the length in the header counts up to their own end. After MESSAGE-INTEGRITY only MESSAGE-INTEGRITY-SHA256 and FINGERPRINT
// count.
//
// STUN as it was before RFC 5389 (classic STUN, RFC 3489) has no cookie: its transaction id fills those 16 bytes. So the length
// of a message's transaction id tells which of the two it is, and which of their attributes are written.

import { isUtf8 } from 'node:buffer'
import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { isIPv4, isIPv6, SocketAddress } from 'node:net'
import { crc32 } from 'node:zlib'
import type { Endpoint } from './endpoint.ts'

export type StunClass = 'request' | 'indication' | 'success' | 'error'

/** The only method of STUN itself (RFC 8489, 18.2). */
export const BINDING = 1

/** A method of TURN (RFC 8656, 17). */
export const ALLOCATE = 3

export interface StunMessage {
  class: StunClass
  method: number
  /** 12 bytes; 16 in classic STUN. */
  transaction: Buffer
  username?: string
  nonce?: Buffer
  /** XOR-MAPPED-ADDRESS, or MAPPED-ADDRESS if that is the only one. Classic STUN has the latter alone. */
  mapped?: Endpoint
  /** Writes MAPPED-ADDRESS beside XOR-MAPPED-ADDRESS (RFC 5780 section 6.1); never read. */
  mappedTwice?: boolean
  error?: { code: number; reason: string }
  /**
   * In an error: UNKNOWN-ATTRIBUTES. In a decoded message of any other class: the comprehension-required types that are
   * unknown.
   */
  unknown?: number[]
  software?: string
  realm?: string
  priority?: number
  useCandidate?: boolean
  /** ICE-CONTROLLING and ICE-CONTROLLED with their tie-breakers of 64 bits. */
  controlling?: bigint
  controlled?: bigint
  /** CHANGE-REQUEST: answer from the other address, the other port, or both. */
  change?: { address: boolean; port: boolean }
  /** OTHER-ADDRESS and RESPONSE-ORIGIN; CHANGED-ADDRESS and SOURCE-ADDRESS in classic STUN. */
  other?: Endpoint
  origin?: Endpoint
  /**
   * How long the whole message is, in bytes, where PADDING fills it up (RFC 5780 section 7.6), so that it shows whether datagrams of
   * that length pass. It is written where there is room for it. Comprehension-required: in `unknown` it is as well.
   */
  paddedTo?: number
}

export interface DecodedStun extends StunMessage {
  readonly hasIntegrity: boolean
  /**
   * Whether every MESSAGE-INTEGRITY (and -SHA256) in the message is right under this key; false if there is none. It reads
   * the datagram again, so the bytes must not have changed since they were decoded.
   */
  verify(key: Buffer | string): boolean
}

export interface EncodeOptions {
  /** Adds MESSAGE-INTEGRITY (HMAC-SHA1) under this key. */
  key?: Buffer | string
  fingerprint?: boolean
  /** The byte that pads values to a multiple of four: zero (RFC 8489, 14), but a space in most test vectors of RFC 5769. */
  padding?: number
}

/** @throws RangeError where a value does not fit its attribute. */
export function encode(message: StunMessage, { key, fingerprint = false, padding = 0 }: EncodeOptions = {}): Buffer {
  const parts = [header(message)]
  for (const field of fields) {
    const { type, write } = field
    const value = isOf(field, message) ? write(message) : undefined
    if (value) parts.push(attribute(type, value, padding))
  }
  let bytes: Buffer = Buffer.concat(parts)
  const roomFor = (message.paddedTo ?? 0) - bytes.length - 4 - (key === undefined ? 0 : 24) - (fingerprint ? 8 : 0)
  if (roomFor >= 0) bytes = Buffer.concat([bytes, attribute(PADDING, Buffer.alloc(roomFor))])
  if (key !== undefined) bytes = sealed(bytes, MESSAGE_INTEGRITY, 20, covered => hmac('sha1', key, covered))
  if (fingerprint) bytes = sealed(bytes, FINGERPRINT, 4, covered => uint32.write(checksum(covered)))
  bytes.writeUInt16BE(bytes.length - HEADER_BYTES, 2)
  return bytes
}

/** Checks the fixed bits, the cookie and the length in the header. This is cheap enough for each packet that arrives. */
export function looksLikeStun(datagram: Uint8Array): boolean {
  return fitsItsLength(datagram) && hasCookie(datagram)
}

/**
 * The USERNAME of a datagram that looks like STUN, without decoding the rest of it; undefined if there is none before the
 * MESSAGE-INTEGRITY that covers it.
 */
export function usernameOf(datagram: Buffer): string | undefined {
  for (let at = HEADER_BYTES; at < datagram.length; ) {
    const end = at + 4 + datagram.readUInt16BE(at + 2)
    const type = datagram.readUInt16BE(at)
    if (end > datagram.length || type === MESSAGE_INTEGRITY) return undefined
    if (type === USERNAME) return datagram.toString('utf8', at + 4, end)
    at = padded(end)
  }
  return undefined
}

function fitsItsLength(datagram: Uint8Array): boolean {
  const { length } = datagram
  if (length < HEADER_BYTES || (length & 3) !== 0 || ((datagram[0] ?? 0) & 0xc0) !== 0) return false
  return ((datagram[2] ?? 0) << 8) + (datagram[3] ?? 0) === length - HEADER_BYTES
}

const hasCookie = (datagram: Uint8Array): boolean =>
  datagram[4] === 0x21 && datagram[5] === 0x12 && datagram[6] === 0xa4 && datagram[7] === 0x42

/**
 * Undefined if the datagram is not STUN, or is malformed in any way; a wrong FINGERPRINT counts as malformed. If an attribute
 * is there more than once, the first one counts.
 */
export function decode(datagram: Buffer): DecodedStun | undefined {
  return looksLikeStun(datagram) ? decodeAny(datagram) : undefined
}

/** The same of a message of classic STUN, for whoever answers its clients: one with the cookie is not. */
export function decodeClassic(datagram: Buffer): DecodedStun | undefined {
  return fitsItsLength(datagram) && !hasCookie(datagram) ? decodeAny(datagram) : undefined
}

/** Whether a message is one of classic STUN (RFC 3489), without the magic cookie. */
export const isClassic = ({ transaction }: Pick<StunMessage, 'transaction'>): boolean =>
  transaction.length === CLASSIC_TRANSACTION_BYTES

function decodeAny(datagram: Buffer): DecodedStun | undefined {
  const attributes = split(datagram)
  if (!attributes) return undefined
  const message = readHeader(datagram)
  const macs: Mac[] = []
  const unknown: number[] = []
  const seen = new Set<number>()

  for (const { type, value, at } of attributes) {
    const mac = macKinds.get(type)
    if (seen.has(type) || isShadowed(type, seen)) continue
    seen.add(type)
    if (type === FINGERPRINT) {
      if (value.length !== 4 || at + 8 !== datagram.length) return undefined
      if (value.readUInt32BE() !== checksum(datagram.subarray(0, at))) return undefined
    } else if (mac) {
      if (!mac.sizes.includes(value.length)) return undefined
      macs.push({ hash: mac.hash, value, at })
    } else {
      const known = fieldOf.get(type)
      const field = known && isOf(known, message) ? known : undefined
      if (field?.read(value, message) === false) return undefined
      if (!field && type < 0x8000) unknown.push(type)
    }
  }

  if (unknown.length > 0 && message.class !== 'error') message.unknown = unknown
  if (unknown.includes(PADDING)) message.paddedTo = datagram.length
  return Object.assign(message, {
    hasIntegrity: macs.length > 0,
    verify: (key: Buffer | string) => macs.length > 0 && macs.every(mac => isRight(datagram, mac, key))
  })
}

/** The key of long-term credentials, by MD5 (RFC 8489, 9.2.2). The password is taken as it stands, so it has to be ASCII. */
export function longTermKey({ username, realm, password }: LongTerm): Buffer {
  return createHash('md5').update(`${username}:${realm}:${password}`).digest()
}

export interface LongTerm {
  readonly username: string
  readonly realm: string
  readonly password: string
}

/** 96 random bits (RFC 8489, 5). */
export function transactionId(): Buffer {
  return randomBytes(12)
}

// The header.

const HEADER_BYTES = 20
const CLASSIC_TRANSACTION_BYTES = 16
const COOKIE = Buffer.from([0x21, 0x12, 0xa4, 0x42])
const classes: readonly StunClass[] = ['request', 'indication', 'success', 'error']

function header({ class: kind, method, transaction }: StunMessage): Buffer {
  const classic = isClassic({ transaction })
  if (!classic && transaction.length !== 12)
    throw new RangeError('a STUN transaction id has 12 bytes, or 16 without cookie')
  if (method < 0 || method > 0xfff) throw new RangeError('a STUN method has 12 bits')
  const bits = classes.indexOf(kind)
  const type = ((method & 0xf80) << 2) | ((bits & 2) << 7) | ((method & 0x70) << 1) | ((bits & 1) << 4) | (method & 0xf)
  return Buffer.concat([uint16.write(type), uint16.write(0), ...(classic ? [] : [COOKIE]), transaction])
}

function readHeader(datagram: Buffer): StunMessage {
  const type = datagram.readUInt16BE(0)
  const method = ((type >> 2) & 0xf80) | ((type >> 1) & 0x70) | (type & 0xf)
  const bits = ((type >> 7) & 2) | ((type >> 4) & 1)
  const transaction = Buffer.from(datagram.subarray(hasCookie(datagram) ? 8 : 4, HEADER_BYTES))
  return { class: classes[bits] ?? 'request', method, transaction }
}

// Attributes.

interface Attribute {
  type: number
  value: Buffer
  /** Where the attribute begins in the datagram. */
  at: number
}

function split(datagram: Buffer): Attribute[] | undefined {
  const found: Attribute[] = []
  for (let at = HEADER_BYTES; at < datagram.length; ) {
    const end = at + 4 + datagram.readUInt16BE(at + 2)
    if (end > datagram.length) return undefined
    found.push({ type: datagram.readUInt16BE(at), value: datagram.subarray(at + 4, end), at })
    at = padded(end)
  }
  return found
}

function attribute(type: number, value: Buffer, padding = 0): Buffer {
  if (value.length > 0xffff) throw new RangeError('a STUN attribute has at most 65535 bytes')
  const filling = Buffer.alloc(padded(value.length) - value.length, padding)
  return Buffer.concat([uint16.write(type), uint16.write(value.length), value, filling])
}

function padded(length: number): number {
  return (length + 3) & ~3
}

interface Field {
  readonly type: number
  /** Whether it is one of classic STUN, or of today's; of both if left out. */
  readonly classic?: boolean
  /** Undefined if the message does not have it. */
  write(message: StunMessage): Buffer | undefined
  /** False if the value is malformed. */
  read(value: Buffer, into: StunMessage): boolean
}

interface Codec<T> {
  write(value: T): Buffer
  /** Undefined if the bytes are malformed. */
  read(bytes: Buffer): T | undefined
}

const isOf = ({ classic }: Field, message: StunMessage): boolean =>
  classic === undefined || classic === isClassic(message)

type Name = Exclude<keyof StunMessage, 'class' | 'method' | 'transaction'>

function field<N extends Name>(type: number, name: N, codec: Codec<NonNullable<StunMessage[N]>>): Field {
  return {
    type,
    write(message) {
      const value = message[name]
      return value === undefined || value === false ? undefined : codec.write(value)
    },
    read(bytes, into) {
      const value = codec.read(bytes)
      if (value !== undefined) into[name] = value
      return value !== undefined
    }
  }
}

const uint16: Codec<number> = {
  write(value) {
    const bytes = Buffer.alloc(2)
    bytes.writeUInt16BE(value)
    return bytes
  },
  read: bytes => (bytes.length === 2 ? bytes.readUInt16BE() : undefined)
}

const uint32: Codec<number> = {
  write(value) {
    const bytes = Buffer.alloc(4)
    bytes.writeUInt32BE(value)
    return bytes
  },
  read: bytes => (bytes.length === 4 ? bytes.readUInt32BE() : undefined)
}

const uint64: Codec<bigint> = {
  write(value) {
    const bytes = Buffer.alloc(8)
    bytes.writeBigUInt64BE(value)
    return bytes
  },
  read: bytes => (bytes.length === 8 ? bytes.readBigUInt64BE() : undefined)
}

const flag: Codec<boolean> = {
  write: () => Buffer.alloc(0),
  read: bytes => bytes.length === 0 || undefined
}

// The value is copied, because the receiver may use the datagram's buffer again.
function opaque(maxBytes: number): Codec<Buffer> {
  return {
    write: value => within(maxBytes, value),
    read: bytes => (bytes.length <= maxBytes ? Buffer.from(bytes) : undefined)
  }
}

function text(maxBytes: number): Codec<string> {
  return {
    write: value => within(maxBytes, Buffer.from(value)),
    read: bytes => (bytes.length <= maxBytes && isUtf8(bytes) ? bytes.toString() : undefined)
  }
}

function within(maxBytes: number, value: Buffer): Buffer {
  if (value.length > maxBytes) throw new RangeError(`a STUN value of ${value.length} bytes, at most ${maxBytes} fit`)
  return value
}

/** RFC 8489, 14.8: 21 zero bits, the hundreds in 3 bits, the rest in a byte, a reason phrase. */
const error: Codec<{ code: number; reason: string }> = {
  write({ code, reason }) {
    if (code < 300 || code > 699) throw new RangeError(`a STUN error code is 300 to 699, not ${code}`)
    return Buffer.concat([Buffer.from([0, 0, Math.floor(code / 100), code % 100]), phrase.write(reason)])
  },
  read(bytes) {
    if (bytes.length < 4) return undefined
    const hundreds = bytes.readUInt8(2) & 7
    const rest = bytes.readUInt8(3)
    const reason = phrase.read(bytes.subarray(4))
    if (hundreds < 3 || hundreds > 6 || rest > 99 || reason === undefined) return undefined
    return { code: hundreds * 100 + rest, reason }
  }
}

const types: Codec<number[]> = {
  write: values => Buffer.concat(values.map(value => uint16.write(value))),
  read: bytes =>
    bytes.length % 2 === 0
      ? Array.from({ length: bytes.length / 2 }, (_, index) => bytes.readUInt16BE(index * 2))
      : undefined
}

/** RFC 5780, 7.2: bit 2 asks for the other address, bit 1 for the other port. */
const change: Codec<{ address: boolean; port: boolean }> = {
  write: ({ address, port }) => uint32.write((address ? 4 : 0) | (port ? 2 : 0)),
  read(bytes) {
    if (bytes.length !== 4) return undefined
    const flags = bytes.readUInt32BE()
    return { address: (flags & 4) !== 0, port: (flags & 2) !== 0 }
  }
}

/** RFC 8489, 14.1: a zero byte, the family (1: IPv4, 2: IPv6), the port, the address. */
const plainAddress: Codec<Endpoint> = {
  write({ address, port }) {
    const bytes = addressBytes(address)
    return Buffer.concat([Buffer.from([0, bytes.length === 4 ? 1 : 2]), uint16.write(port), bytes])
  },
  read(bytes) {
    const family = bytes[1]
    if (!(family === 1 && bytes.length === 8) && !(family === 2 && bytes.length === 20)) return undefined
    return { address: addressText(bytes.subarray(4)), port: bytes.readUInt16BE(2) }
  }
}

function masked(value: Buffer, transaction: Buffer): Buffer {
  const mask = Buffer.concat([Buffer.alloc(2), COOKIE.subarray(0, 2), COOKIE, transaction])
  return Buffer.from(value.map((byte, index) => byte ^ (mask[index] ?? 0)))
}

function addressBytes(address: string): Buffer {
  if (isIPv4(address)) return Buffer.from(address.split('.').map(Number))
  if (!isIPv6(address)) throw new RangeError(`not an IP address: ${address}`)
  const [head = '', tail] = withoutDots(address).split('::')
  const front = groups(head)
  const back = groups(tail ?? '')
  const zeros = Array.from({ length: 8 - front.length - back.length }, () => 0)
  return types.write([...front, ...zeros, ...back])
}

// A zone (fe80::1%eth0) means nothing to others and is left out. The last 32 bits may be written as an IPv4 address.
function withoutDots(address: string): string {
  const bare = address.replace(/%.*$/, '')
  return bare.replace(/\d+\.\d+\.\d+\.\d+$/, dotted => {
    const bytes = addressBytes(dotted)
    return `${bytes.readUInt16BE(0).toString(16)}:${bytes.readUInt16BE(2).toString(16)}`
  })
}

function groups(part: string): number[] {
  return part === '' ? [] : part.split(':').map(group => Number.parseInt(group, 16))
}

function addressText(bytes: Buffer): string {
  if (bytes.length === 4) return bytes.join('.')
  const full = types.read(bytes)?.map(group => group.toString(16))
  return new SocketAddress({ address: full?.join(':') ?? '::', family: 'ipv6' }).address
}

const USERNAME = 0x0006

// Limits in bytes: RFC 8489, 14.3 (USERNAME), 14.8 to 14.10 and 14.14 (127 characters of up to 6 bytes and one more).
const phrase = text(763)

/** RFC 8489, 14.2: an address whose port and address are XORed with the cookie and the transaction id. */
const mapped: Field = {
  type: 0x0020,
  classic: false,
  write: ({ mapped, transaction }) => mapped && masked(plainAddress.write(mapped), transaction),
  read(bytes, into) {
    const address = plainAddress.read(masked(bytes, into.transaction))
    if (address) into.mapped = address
    return address !== undefined
  }
}

/** MAPPED-ADDRESS (RFC 8489, 14.1) is read as well, and counts only if there is no XOR-MAPPED-ADDRESS. */
const plainMapped: Field = {
  type: 0x0001,
  write: message =>
    message.mapped && (message.mappedTwice || isClassic(message)) ? plainAddress.write(message.mapped) : undefined,
  read(bytes, into) {
    const address = plainAddress.read(bytes)
    if (address) into.mapped ??= address
    return address !== undefined
  }
}

/**
 * UNKNOWN-ATTRIBUTES means something only in an error. Elsewhere `unknown` tells what this side did not understand. Values of
 * classic STUN are whole words, so one of an odd number of types is there twice (RFC 3489, 11.2.10).
 */
const unknownAttributes = field(0x000a, 'unknown', types)
const unknownInErrors: Field = {
  ...unknownAttributes,
  write(message) {
    const { unknown = [] } = message
    const twice = isClassic(message) && unknown.length % 2 === 1
    return unknownAttributes.write(twice ? { ...message, unknown: [...unknown, ...unknown.slice(-1)] } : message)
  },
  read: (bytes, into) => into.class !== 'error' || unknownAttributes.read(bytes, into)
}

/** The fields are written in this order, which is the order in the test vectors of RFC 5769. */
const fields: readonly Field[] = [
  field(0x8022, 'software', phrase),
  field(0x0024, 'priority', uint32),
  field(0x0025, 'useCandidate', flag),
  field(0x8029, 'controlled', uint64),
  field(0x802a, 'controlling', uint64),
  field(0x0009, 'error', error),
  unknownInErrors,
  field(USERNAME, 'username', text(508)),
  field(0x0015, 'nonce', opaque(763)),
  field(0x0014, 'realm', text(763)),
  field(0x0003, 'change', change),
  mapped,
  plainMapped,
  { ...field(0x802b, 'origin', plainAddress), classic: false },
  { ...field(0x802c, 'other', plainAddress), classic: false },
  // SOURCE-ADDRESS and CHANGED-ADDRESS (RFC 3489, 11.2.5 and 11.2.3).
  { ...field(0x0004, 'origin', plainAddress), classic: true },
  { ...field(0x0005, 'other', plainAddress), classic: true }
]

const fieldOf = new Map(fields.map(each => [each.type, each]))

// Padding, integrity and fingerprint.

const PADDING = 0x0026
const MESSAGE_INTEGRITY = 0x0008
const MESSAGE_INTEGRITY_SHA256 = 0x001c
const FINGERPRINT = 0x8028

interface Mac {
  hash: 'sha1' | 'sha256'
  value: Buffer
  at: number
}

/** RFC 8489, 14.5 and 14.6: MESSAGE-INTEGRITY-SHA256 may be cut to no less than 16 bytes, in steps of four. */
const macKinds = new Map<number, { hash: Mac['hash']; sizes: number[] }>([
  [MESSAGE_INTEGRITY, { hash: 'sha1', sizes: [20] }],
  [MESSAGE_INTEGRITY_SHA256, { hash: 'sha256', sizes: [16, 20, 24, 28, 32] }]
])

/** Whether an attribute follows an integrity that does not cover it (RFC 8489, 14.5 and 14.6). */
function isShadowed(type: number, seen: Set<number>): boolean {
  if (type === FINGERPRINT) return false
  return seen.has(MESSAGE_INTEGRITY_SHA256) || (seen.has(MESSAGE_INTEGRITY) && type !== MESSAGE_INTEGRITY_SHA256)
}

function isRight(datagram: Buffer, { hash, value, at }: Mac, key: Buffer | string): boolean {
  const covered = Buffer.from(datagram.subarray(0, at))
  covered.writeUInt16BE(at + 4 + value.length - HEADER_BYTES, 2)
  return timingSafeEqual(hmac(hash, key, covered).subarray(0, value.length), value)
}

/** Appends an attribute that is computed over everything before it. The header's length already counts the attribute then. */
function sealed(bytes: Buffer, type: number, size: number, seal: (covered: Buffer) => Buffer): Buffer {
  bytes.writeUInt16BE(bytes.length - HEADER_BYTES + 4 + size, 2)
  return Buffer.concat([bytes, attribute(type, seal(bytes))])
}

function hmac(hash: Mac['hash'], key: Buffer | string, covered: Buffer): Buffer {
  return createHmac(hash, key).update(covered).digest()
}

/** RFC 8489, 14.7: XORed so that it differs from a CRC-32 that the payload of another protocol may carry. */
function checksum(covered: Buffer): number {
  return (crc32(covered) ^ 0x5354554e) >>> 0
}
