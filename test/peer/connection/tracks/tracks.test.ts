// RTP in and out of a connection: real transports on loopback, as the peer opens them, and no gateway.

import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import nodeDataChannel, { type RtcConfig } from 'node-datachannel'
import { Connection } from '../../../../src/peer/connection/connection.ts'
import type { OpenPath } from '../../../../src/peer/connection/path.ts'
import { STREAMS } from '../../../../src/peer/connection/streams/stream-message.ts'
import type { IncomingTrack, OutgoingTrack } from '../../../../src/peer/connection/tracks/track.ts'
import { loadIdentity } from '../../../../src/peer/identity/identity.ts'
import { handOver } from '../../../../src/peer/punch/handover.ts'
import { RawSocket } from '../../../../src/peer/punch/raw.ts'
import { openNative } from '../../../../src/peer/transport/native.ts'
import type { Opener } from '../../../../src/peer/transport/transport.ts'
import { endNative } from '../../../end-native.ts'
import { until } from '../../../until.ts'
import { handovers } from '../../far.ts'
import { headerOf, rtp } from './rtp.ts'

const folder = await mkdtemp(join(tmpdir(), 'postern-tracks-'))
const identity = await loadIdentity(folder)
const made: Connection[] = []

test.after.always(async () => {
  await Promise.all(made.map(connection => connection.close()))
  endNative()
  await rm(folder, { recursive: true })
})

let sessions = 0

async function paths(mtu: number): Promise<[OpenPath, OpenPath]> {
  const [near, far] = (await RawSocket.bindMany(2)) as [RawSocket, RawSocket]
  const session = `session ${++sessions}`
  const half = async (raw: RawSocket, role: 'active' | 'passive', port: number): Promise<OpenPath> => {
    const opened = await handOver(raw, openNative, {
      handover: { ...handovers[role], fingerprint: identity.fingerprint },
      remote: { address: '127.0.0.1', port },
      ...{ identity, mtu, step: () => {}, signal: AbortSignal.timeout(10_000) }
    })
    const ends = { local: `127.0.0.1:${raw.port}`, remote: `127.0.0.1:${port}` }
    const certificates = { local: identity.fingerprint, remote: identity.fingerprint }
    const path = { by: 'direct', kind: 'direct', ...ends, ms: 1, trace: '0'.repeat(32), mtu } as const
    return { ...opened, session, certificates, path }
  }
  const [nearPort, farPort] = [near.port, far.port]
  return Promise.all([half(near, 'active', farPort), half(far, 'passive', nearPort)])
}

async function pair(mtu = 1280): Promise<{ alice: Connection; bob: Connection }> {
  const [near, far] = await paths(mtu)
  const { fingerprint } = identity
  const alice = new Connection({ ...near, role: 'caller', peer: { name: 'bob', fingerprint }, resumeMs: 60_000 })
  const bob = new Connection({ ...far, role: 'callee', peer: { name: 'alice', fingerprint }, resumeMs: 60_000 })
  made.push(alice, bob)
  await Promise.all([alice.ping(), bob.ping()])
  return { alice, bob }
}

async function carried(alice: Connection, bob: Connection): Promise<[OpenPath, OpenPath]> {
  const both = await paths(1280)
  await Promise.all([alice.carry(both[0]), bob.carry(both[1])])
  return both
}

interface Playing {
  readonly sent: OutgoingTrack
  readonly heard: IncomingTrack
  readonly packets: Uint8Array[]
}

async function play(
  from: Connection,
  to: Connection,
  kind: 'audio' | 'video',
  codec: 'opus' | 'vp8' | 'h264'
): Promise<Playing> {
  const offered = once(to, 'track') as Promise<[IncomingTrack]>
  const sent = await from.addTrack({ kind, codec })
  const [heard] = await offered
  const packets: Uint8Array[] = []
  heard.on('packet', packet => packets.push(packet))
  return { sent, heard, packets }
}

const arrived = ({ packets }: Playing, count: number) => until(() => packets.length >= count, 5_000)

test('audio and video go both ways at once, each packet as it was written', async t => {
  const { alice, bob } = await pair()
  const playing = [
    await play(alice, bob, 'audio', 'opus'),
    await play(alice, bob, 'video', 'h264'),
    await play(bob, alice, 'video', 'vp8'),
    await play(bob, alice, 'audio', 'opus')
  ]
  for (let sequence = 0; sequence < 50; sequence++)
    for (const [index, { sent }] of playing.entries())
      t.is(sent.write(rtp({ sequence, timestamp: sequence * 3000, bytes: 1_000 }, index + 1)), 'sent')
  for (const [index, one] of playing.entries()) {
    await arrived(one, 50)
    const { sent, heard, packets } = one
    t.deepEqual([heard.kind, heard.codec, heard.id], [sent.kind, sent.codec, sent.id])
    const { payloadType } = heard
    const [{ ssrc } = { ssrc: 0 }] = packets.map(headerOf)
    t.deepEqual(
      packets.map(headerOf),
      Array.from({ length: 50 }, (_, sequence) => ({
        ...{ payloadType, sequence, timestamp: sequence * 3000, ssrc, bytes: 1_000 }
      }))
    )
    t.true(packets.every(packet => packet.subarray(12).every(byte => byte === index + 1)))
    t.is(sent.sentPackets, 50)
  }
  t.is(alice.droppedMessages + bob.droppedMessages, 0)
})

test('tracks go on over another path, with no packet lost while both work, and the same objects on both sides', async t => {
  const { alice, bob } = await pair()
  const out = await play(alice, bob, 'video', 'vp8')
  const back = await play(bob, alice, 'audio', 'opus')
  let again = 0
  bob.on('track', () => again++)
  let sequence = 0
  const timer = setInterval(() => {
    for (const { sent } of [out, back]) sent.write(rtp({ sequence }))
    sequence++
  }, 5)
  for (let moves = 0; moves < 4; moves++) {
    await carried(alice, bob)
    const before = sequence
    await until(() => sequence > before + 30, 5_000)
  }
  clearInterval(timer)
  await arrived(out, sequence)
  await arrived(back, sequence)
  for (const { packets } of [out, back])
    t.deepEqual(
      packets.map(packet => headerOf(packet).sequence),
      Array.from({ length: sequence }, (_, number) => number)
    )
  t.is(again, 0)
})

test('where a path was lost, packets are dropped until there is another, and arrive from then on', async t => {
  const { alice, bob } = await pair()
  const [near] = await carried(alice, bob)
  const playing = await play(alice, bob, 'video', 'vp8')
  const lost = once(alice, 'path')
  near.transport.close()
  t.like((await lost)[0], { what: 'lost' })
  await until(() => playing.sent.write(rtp({ sequence: 1 })) === 'no-path', 5_000)
  t.true(playing.sent.droppedPackets > 0)
  const { length } = playing.packets
  await carried(alice, bob)
  await until(() => playing.sent.write(rtp({ sequence: 2 })) === 'sent', 5_000)
  await arrived(playing, length + 1)
  t.is(headerOf(playing.packets.at(-1) as Uint8Array).sequence, 2)
})

test('a packet that is too large for the path, or no RTP, is refused and counted', async t => {
  for (const mtu of [1280, 1100]) {
    const { alice, bob } = await pair(mtu)
    const playing = await play(alice, bob, 'video', 'h264')
    const { sent } = playing
    t.is(sent.maxPacketBytes, mtu - 44)
    t.is(sent.write(rtp({ bytes: sent.maxPacketBytes + 1 })), 'too-large')
    for (const other of [Buffer.from('no RTP, but as long'), Buffer.alloc(11, 0x80), rtp({ payloadType: 72 })])
      t.is(sent.write(other), 'not-rtp')
    t.is(sent.droppedPackets, 4)
    t.is(sent.write(rtp({ bytes: sent.maxPacketBytes })), 'sent', 'the largest one passes')
    await arrived(playing, 1)
    t.is(playing.packets[0]?.length, sent.maxPacketBytes)
  }
})

test('a key frame is asked for where the picture is seen, and made where it is sent', async t => {
  const { alice, bob } = await pair()
  const { sent, heard } = await play(alice, bob, 'video', 'vp8')
  for (let moves = 0; moves < 2; moves++) {
    const asked = once(sent, 'keyframe')
    // What asks for it is a datagram.
    const asking = setInterval(() => heard.requestKeyframe(), 100)
    heard.requestKeyframe()
    await asked
    clearInterval(asking)
    await carried(alice, bob)
    await until(() => sent.write(rtp({})) === 'sent' && heard.receivedPackets > 0, 5_000)
  }
  t.pass()
})

test('a track that ends is told of, and another one may follow it', async t => {
  const { alice, bob } = await pair()
  const first = await play(alice, bob, 'video', 'vp8')
  await t.throwsAsync(alice.addTrack({ kind: 'video', codec: 'h264' }), {
    code: 'bad-config',
    message: /there already/
  })
  t.deepEqual(bob.tracks, [first.heard])
  const ended = once(first.heard, 'end')
  first.sent.end()
  await ended
  t.deepEqual(bob.tracks, [])
  t.is(first.sent.write(rtp({})), 'no-path')
  const second = await play(alice, bob, 'video', 'h264')
  second.sent.write(rtp({ sequence: 5 }))
  await arrived(second, 1)
  const over = once(second.heard, 'end')
  await alice.close()
  await over
  await t.throwsAsync(alice.addTrack({ kind: 'audio', codec: 'opus' }), { code: 'io' })
})

test('what cannot be sent is refused with what can', async t => {
  const { alice } = await pair()
  await t.throwsAsync(alice.addTrack({ kind: 'audio', codec: 'vp8' }), { message: /audio is opus/ })
  await t.throwsAsync(alice.addTrack({ kind: 'video', codec: 'opus' }), { message: /video is vp8 or h264/ })
  await t.throwsAsync(alice.addTrack({ kind: 'smell' as 'audio', codec: 'opus' }), {
    message: /kind is audio or video/
  })
})

test('a far side that says nothing of tracks is sent none, and the error says why', async t => {
  const [near, far] = await paths(1280)
  const { fingerprint } = identity
  far.control.onMessage(() => {})
  const alice = new Connection({ ...near, role: 'caller', peer: { name: 'bob', fingerprint } })
  far.control.sendMessage(JSON.stringify({ v: 1, type: 'hello', streams: STREAMS, nonce: 'n'.repeat(32), resumeMs: 0 }))
  const thrown = await t.throwsAsync(alice.addTrack({ kind: 'audio', codec: 'opus' }))
  t.like(thrown, { code: 'unsupported', message: 'peer bob has a postern that takes no tracks' })
  far.transport.close()
  await alice.close()
})

for (const role of ['active', 'passive'] as const)
  test(`a transport that has no keys for tracks, as before there were any, is spoken to by one that is ${role}`, async t => {
    const [near, far] = (await RawSocket.bindMany(2)) as [RawSocket, RawSocket]
    const [nearPort, farPort] = [near.port, far.port]
    const half = (raw: RawSocket, own: 'active' | 'passive', port: number, open: Opener) =>
      handOver(raw, open, {
        handover: { ...handovers[own], fingerprint: identity.fingerprint },
        remote: { address: '127.0.0.1', port },
        ...{ identity, mtu: 1280, step: () => {}, signal: AbortSignal.timeout(10_000) }
      })
    const other = role === 'active' ? 'passive' : 'active'
    const [ours, before] = await Promise.all([
      half(near, role, farPort, openNative),
      half(far, other, nearPort, openWithoutTracks)
    ])
    const heard = new Promise(resolve => before.control.onMessage(resolve))
    ours.control.sendMessage('as ever')
    t.is(await heard, 'as ever')
    ours.transport.close()
    before.transport.close()
  })

/** As releases opened it that knew no tracks: the library agrees on no keys for SRTP then. */
const openWithoutTracks: Opener = options => {
  const { PeerConnection } = nodeDataChannel
  const without = class extends PeerConnection {
    constructor(name: string, config: RtcConfig) {
      super(name, { ...config, forceMediaTransport: false })
    }
  }
  nodeDataChannel.PeerConnection = without
  try {
    return openNative(options)
  } finally {
    nodeDataChannel.PeerConnection = PeerConnection
  }
}

test('a far side that changes its tracks without end is answered so many times, and what it says beyond is counted', async t => {
  const [near, far] = await paths(1280)
  const { fingerprint } = identity
  const bob = new Connection({ ...far, role: 'callee', peer: { name: 'alice', fingerprint } })
  let took = 0
  near.control.onMessage(message => {
    if (String(message).includes('"took"')) took++
  })
  const line = (id: number) => ({ id, kind: 'audio', codec: 'opus', ssrc: id + 1 })
  for (let number = 1; number <= 260; number++)
    near.control.sendMessage(JSON.stringify({ v: 1, type: 'tracks', number, tracks: [line(number)] }))
  await until(() => bob.droppedMessages >= 4, 10_000)
  t.is(bob.droppedMessages, 4)
  await until(() => took === 256, 5_000)
  near.control.sendMessage(JSON.stringify({ v: 1, type: 'tracks', number: 1, tracks: [line(1), line(1)] }))
  await until(() => bob.droppedMessages === 5, 5_000)
  near.transport.close()
  await bob.close()
})
