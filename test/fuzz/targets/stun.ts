// STUN as the codec reads it: any datagram is a message or it is none, and a message is the same when it is written and read again.

import { deepEqual, equal } from 'node:assert/strict'
import { knock, knockIn } from '../../../src/wire/forward.ts'
import { type DecodedStun, decode, decodeClassic, encode, isClassic, type StunMessage } from '../../../src/wire/stun.ts'
import { mutatedBytes } from '../mutate.ts'
import type { Random } from '../random.ts'
import type { Subject, Target } from '../target.ts'

const endpoint = { address: '203.0.113.7', port: 4242 }
const six = { address: '2001:db8::7', port: 3478 }
const transaction = Buffer.from('00112233445566778899aabb', 'hex')
const classic = Buffer.from('00112233445566778899aabbccddeeff', 'hex')

/** Every attribute stands in one of them. */
const messages: readonly StunMessage[] = [
  {
    class: 'request',
    method: 1,
    transaction,
    username: 'p:0a:3',
    nonce: Buffer.alloc(8, 7),
    realm: 'r',
    software: 's'
  },
  {
    class: 'request',
    method: 1,
    transaction,
    priority: 7,
    useCandidate: true,
    controlled: 1n,
    controlling: 2n ** 64n - 1n
  },
  { class: 'request', method: 1, transaction, change: { address: true, port: true } },
  { class: 'success', method: 1, transaction, mapped: endpoint, mappedTwice: true, origin: endpoint, other: six },
  { class: 'success', method: 1, transaction, mapped: six },
  { class: 'error', method: 0xfff, transaction, error: { code: 420, reason: 'größe' }, unknown: [2, 0x7fff, 3] },
  { class: 'request', method: 1, transaction: classic, change: { address: false, port: true } },
  { class: 'success', method: 1, transaction: classic, mapped: endpoint, origin: endpoint, other: endpoint },
  { class: 'error', method: 1, transaction: classic, error: { code: 699, reason: '' }, unknown: [1] }
]

export const datagrams: readonly Buffer[] = [
  ...messages.flatMap(message => [encode(message), encode(message, { key: 'key', fingerprint: true })]),
  knock(Buffer.alloc(8, 1)),
  Buffer.alloc(0),
  Buffer.from('GET / HTTP/1.1\r\n\r\n')
]

/** Mostly with a length in its header that fits: otherwise that alone would turn it away. */
export function mutatedDatagram(random: Random, specimen: Buffer): Buffer {
  const bytes = mutatedBytes(random, specimen, datagrams)
  if (bytes.length < 20 || random.chance(0.1)) return bytes
  const whole = random.chance(0.95) ? bytes.subarray(0, bytes.length & ~3) : bytes
  whole.writeUInt16BE(whole.length - 20, 2)
  return whole
}

const plain = ({ verify: _, hasIntegrity: __, unknown, ...message }: DecodedStun) =>
  message.class === 'error' && unknown ? { ...message, unknown: evened(message, unknown) } : message

/** Classic STUN writes one of an odd number of types twice. */
const evened = (message: Pick<StunMessage, 'transaction'>, unknown: readonly number[]): number[] =>
  isClassic(message) && unknown.length % 2 === 1 ? [...unknown, ...unknown.slice(-1)] : [...unknown]

/** Whether an attribute claims more bytes than there are. */
function overruns(datagram: Buffer): boolean {
  let at = 20
  while (at + 4 <= datagram.length) at += 4 + Math.ceil(datagram.readUInt16BE(at + 2) / 4) * 4
  return at !== datagram.length
}

function check(datagram: Buffer): void {
  knockIn(datagram)
  const [modern, old] = [decode(datagram), decodeClassic(datagram)]
  equal(modern !== undefined && old !== undefined, false, 'it is both STUN of today and classic STUN')
  const message = modern ?? old
  if (!message) return
  equal(overruns(datagram), false, 'an attribute is longer than the datagram')
  message.verify('key')
  const again = encode(plain(message), { key: 'another key', fingerprint: true })
  const read = modern ? decode(again) : decodeClassic(again)
  deepEqual(read && plain(read), plain(message), 'it reads otherwise when it is written again')
  equal(read?.verify('another key'), true, 'what was just signed does not verify')
}

export const stun: Target = {
  name: 'stun',
  about: 'bytes as STUN: nothing throws, and a message survives being written again',
  open: (): Subject<Buffer> => ({
    input: random => mutatedDatagram(random, random.pick(datagrams) ?? Buffer.alloc(0)),
    check
  })
}
