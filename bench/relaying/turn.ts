// As much of a TURN client (RFC 8656) as it takes to have a server relay: an allocation, and a channel to one peer.

import { createHash, createHmac, randomBytes } from 'node:crypto'
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import type { Endpoint } from '../../src/wire/endpoint.ts'

const [ALLOCATE, CHANNEL_BIND] = [0x0003, 0x0009]
const [USERNAME, INTEGRITY, CHANNEL, PEER, REALM, NONCE, RELAYED, TRANSPORT] = [
  0x0006, 0x0008, 0x000c, 0x0012, 0x0014, 0x0015, 0x0016, 0x0019
]
const COOKIE = Buffer.from([0x21, 0x12, 0xa4, 0x42])
const UDP = Buffer.from([17, 0, 0, 0])

/** The first of those that a client may choose. */
export const CHANNEL_NUMBER = 0x4000

type Attributes = readonly (readonly [type: number, value: Buffer])[]

const attribute = (type: number, value: Buffer): Buffer => {
  const head = Buffer.alloc(4)
  head.writeUInt16BE(type, 0)
  head.writeUInt16BE(value.length, 2)
  return Buffer.concat([head, value, Buffer.alloc((4 - (value.length % 4)) % 4)])
}

function message(method: number, attributes: Attributes, key?: Buffer): Buffer {
  const body = Buffer.concat(attributes.map(([type, value]) => attribute(type, value)))
  const head = Buffer.alloc(20)
  head.writeUInt16BE(method, 0)
  head.writeUInt16BE(body.length + (key ? 24 : 0), 2)
  COOKIE.copy(head, 4)
  randomBytes(12).copy(head, 8)
  const unsigned = Buffer.concat([head, body])
  if (!key) return unsigned
  return Buffer.concat([unsigned, attribute(INTEGRITY, createHmac('sha1', key).update(unsigned).digest())])
}

function attributeOf(answer: Buffer, wanted: number): Buffer {
  for (let at = 20; at + 4 <= answer.length; ) {
    const [type, length] = [answer.readUInt16BE(at), answer.readUInt16BE(at + 2)]
    if (type === wanted) return answer.subarray(at + 4, at + 4 + length)
    at += 4 + 4 * Math.ceil(length / 4)
  }
  throw new Error(`the server's answer ${answer.subarray(0, 2).toString('hex')} lacks attribute ${wanted.toString(16)}`)
}

/** XOR-MAPPED-ADDRESS and the like, of IPv4. */
function crossed({ address, port }: Endpoint): Buffer {
  const bytes = address.split('.').map((byte, at) => Number(byte) ^ (COOKIE[at] as number))
  const value = Buffer.from([0, 1, 0, 0, ...bytes])
  value.writeUInt16BE(port ^ 0x2112, 2)
  return value
}

function uncrossed(value: Buffer): Endpoint {
  const address = [0, 1, 2, 3].map(at => (value[4 + at] as number) ^ (COOKIE[at] as number)).join('.')
  return { address, port: value.readUInt16BE(2) ^ 0x2112 }
}

async function asked(socket: Socket, question: Buffer, server: Endpoint): Promise<Buffer> {
  socket.send(question, server.port, server.address)
  const [answer] = (await once(socket, 'message', { signal: AbortSignal.timeout(3000) })) as [Buffer]
  return answer
}

/**
 * Allocates from a local port, which is free again afterwards, and binds a channel to a peer.
 * @returns where the server relays for it
 */
export async function allocated(
  server: Endpoint,
  { local, peer, user, password }: { local: Endpoint; peer: Endpoint; user: string; password: string }
): Promise<Endpoint> {
  const socket = createSocket('udp4')
  socket.bind(local.port, local.address)
  await once(socket, 'listening')
  try {
    const challenge = await asked(socket, message(ALLOCATE, [[TRANSPORT, UDP]]), server)
    const [realm, nonce] = [attributeOf(challenge, REALM), attributeOf(challenge, NONCE)]
    const key = createHash('md5').update(`${user}:${realm}:${password}`).digest()
    const signed: Attributes = [
      [USERNAME, Buffer.from(user)],
      [REALM, realm],
      [NONCE, nonce]
    ]
    const allocation = await asked(socket, message(ALLOCATE, [[TRANSPORT, UDP], ...signed], key), server)
    const number = Buffer.alloc(4)
    number.writeUInt16BE(CHANNEL_NUMBER)
    const bind: Attributes = [[CHANNEL, number], [PEER, crossed(peer)], ...signed]
    const bound = await asked(socket, message(CHANNEL_BIND, bind, key), server)
    if (bound.readUInt16BE(0) !== (CHANNEL_BIND | 0x0100)) throw new Error('the server binds no channel')
    return uncrossed(attributeOf(allocation, RELAYED))
  } finally {
    socket.close()
    await once(socket, 'close')
  }
}
