// How large the library's IP packets are for the size that it is given: counted by what stands between two transports on loopback.

import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { loadIdentity } from '../../../src/peer/identity/identity.ts'
import { handOver } from '../../../src/peer/punch/handover.ts'
import { RawSocket } from '../../../src/peer/punch/raw.ts'
import { openNative } from '../../../src/peer/transport/native.ts'
import { filling } from '../../../src/peer/transport/packet.ts'
import type { Channel, OpenTransport } from '../../../src/peer/transport/transport.ts'
import { endNative } from '../../end-native.ts'
import { handovers } from '../far.ts'

const folder = await mkdtemp(join(tmpdir(), 'postern-packet-'))
const identity = await loadIdentity(folder)

test.after.always(async () => {
  endNative()
  await rm(folder, { recursive: true })
})

/** The IPv4 and UDP headers, in bytes. */
const HEADERS = 28

for (const mtu of [1280, 1200, 1100, 800])
  test.serial(`a message that fills a packet of ${mtu} bytes is one packet, and no packet is larger`, async t => {
    await using between = await open(mtu)
    const { ann, bob, sizes } = between
    const whole = arrived(bob.sizing)
    ann.sizing.sendMessageBinary(new Uint8Array(filling(mtu)))
    t.is((await whole).length, filling(mtu))
    const largest = Math.max(...sizes)
    t.true(largest <= mtu && largest > mtu - 4, `${largest}`)
    t.is(sizes.filter(size => size === largest).length, 1)

    const bulk = arrived(bob.control)
    ann.control.sendMessageBinary(new Uint8Array(20_000))
    await bulk
    t.is(Math.max(...sizes), largest, 'what does not fit into one packet is cut into such')
  })

const arrived = (channel: Channel) =>
  new Promise<Buffer>(resolve => channel.onMessage(message => resolve(Buffer.from(message as Buffer))))

/** Two transports, and the sizes of the IP packets that go from Ann to Bob. */
async function open(mtu: number) {
  const [near, far] = await RawSocket.bindMany(2)
  if (!near || !far) throw new Error('two sockets were asked for')
  const [facingAnn, facingBob] = [createSocket('udp4'), createSocket('udp4')]
  for (const socket of [facingAnn, facingBob]) {
    socket.bind(0, '127.0.0.1')
    await once(socket, 'listening')
  }
  const sizes: number[] = []
  const [annPort, bobPort] = [near.port, far.port]
  facingAnn.on('message', bytes => {
    sizes.push(bytes.length + HEADERS)
    facingBob.send(bytes, bobPort, '127.0.0.1')
  })
  facingBob.on('message', bytes => facingAnn.send(bytes, annPort, '127.0.0.1'))
  const half = (raw: RawSocket, role: 'active' | 'passive', { port }: { port: number }): Promise<OpenTransport> =>
    handOver(raw, openNative, {
      handover: { ...handovers[role], fingerprint: identity.fingerprint },
      remote: { address: '127.0.0.1', port },
      ...{ identity, mtu, step: () => {}, signal: AbortSignal.timeout(10_000) }
    })
  const [ann, bob] = await Promise.all([
    half(near, 'active', facingAnn.address()),
    half(far, 'passive', facingBob.address())
  ])
  return { ann, bob, sizes, [Symbol.asyncDispose]: () => closed([ann, bob], [facingAnn, facingBob]) }
}

async function closed(transports: OpenTransport[], sockets: Socket[]): Promise<void> {
  for (const { transport } of transports) transport.close()
  for (const socket of sockets) socket.close()
}
