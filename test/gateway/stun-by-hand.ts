// STUN as browsers send it, made byte by byte: none of it comes from what is tested.

import { createHmac } from 'node:crypto'
import { crc32 } from 'node:zlib'

const [MESSAGE_INTEGRITY, FINGERPRINT] = [0x0008, 0x8028]

export type Attribute = readonly [type: number, value: Buffer | string]

function attribute([type, value]: Attribute): Buffer {
  const bytes = Buffer.from(value)
  const head = Buffer.alloc(4)
  head.writeUInt16BE(type, 0)
  head.writeUInt16BE(bytes.length, 2)
  return Buffer.concat([head, bytes, Buffer.alloc(-bytes.length & 3)])
}

/** @param key of a MESSAGE-INTEGRITY */
export function message(
  type: number,
  transaction: Buffer,
  attributes: readonly Attribute[],
  key?: Buffer | string
): Buffer {
  const body = Buffer.concat(attributes.map(attribute))
  const head = Buffer.alloc(8)
  head.writeUInt16BE(type, 0)
  head.writeUInt16BE(body.length + (key ? 24 : 0), 2)
  head.writeUInt32BE(0x2112a442, 4)
  const bytes = Buffer.concat([head, transaction, body])
  if (!key) return bytes
  return Buffer.concat([bytes, attribute([MESSAGE_INTEGRITY, createHmac('sha1', key).update(bytes).digest()])])
}

export function read(answer: Buffer): { type: number; transaction: Buffer; attributes: Map<number, Buffer> } {
  const attributes = new Map<number, Buffer>()
  for (let at = 20; at < answer.length; at += 4 + ((answer.readUInt16BE(at + 2) + 3) & ~3))
    attributes.set(answer.readUInt16BE(at), answer.subarray(at + 4, at + 4 + answer.readUInt16BE(at + 2)))
  return { type: answer.readUInt16BE(0), transaction: answer.subarray(8, 20), attributes }
}

/** With a FINGERPRINT at its end. */
export function fingerprinted(bytes: Buffer): Buffer {
  const whole = Buffer.from(bytes)
  whole.writeUInt16BE(whole.readUInt16BE(2) + 8, 2)
  const sum = Buffer.alloc(4)
  sum.writeUInt32BE((crc32(whole) ^ 0x5354554e) >>> 0)
  return Buffer.concat([whole, attribute([FINGERPRINT, sum])])
}

/** A right MESSAGE-INTEGRITY, with nothing but a FINGERPRINT behind it. */
export function isSealed(datagram: Buffer, key: Buffer | string): boolean {
  const { attributes } = read(datagram)
  const given = attributes.get(MESSAGE_INTEGRITY)
  if (!given) return false
  const at = given.byteOffset - datagram.byteOffset - 4
  const covered = Buffer.from(datagram.subarray(0, at))
  covered.writeUInt16BE(at + 4, 2)
  return createHmac('sha1', key).update(covered).digest().equals(given) && [24, 32].includes(datagram.length - at)
}
