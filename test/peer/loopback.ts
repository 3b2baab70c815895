// Two connected node-datachannel peers on loopback, for tests that start where a path has already been found. A peer is
// opened by `openPeer`, which talks to its other half through any two-way line of JSON: `connectedPair` uses a line
// within the process, `lineToParent` and `lineToChild` use the IPC channel of a forked one. The answer goes out when all candidates are in it: the library calls back about descriptions and
// candidates in no particular order.

import type { ChildProcess } from 'node:child_process'
import { EventEmitter } from 'node:events'
import { type DataChannel, PeerConnection } from 'node-datachannel'
import type { ConnectionParts } from '../../src/peer/connection/connection.ts'
import { Connection } from '../../src/peer/connection/connection.ts'
import { negotiated } from '../../src/peer/transport/native.ts'
import { mtuOption } from '../../src/peer/transport/packet.ts'

/** What one half tells the other: its description, then that its channel is open. */
export type Signal = { sdp: string } | { open: true }

export interface Line {
  send(signal: Signal): void
  onSignal(handler: (signal: Signal) => void): void
}

/** With the library's own object, for tests that use channels as no stream would. */
export interface Opened extends ConnectionParts {
  readonly transport: PeerConnection
}

/** A peer whose control channel is open on both sides. */
export async function openPeer(name: string, role: 'offer' | 'answer', line: Line, mtu = 1280): Promise<Opened> {
  const pc = new PeerConnection(name, {
    iceServers: [],
    bindAddress: '127.0.0.1',
    disableAutoNegotiation: true,
    mtu: mtuOption(mtu)
  })
  const gathered = Promise.withResolvers<void>()
  const farDescription = Promise.withResolvers<string>()
  const farOpen = Promise.withResolvers<void>()
  // Without a listener the library keeps the process alive.
  pc.onStateChange(() => {})
  pc.onGatheringStateChange(state => state === 'complete' && gathered.resolve())
  line.onSignal(signal => ('open' in signal ? farOpen.resolve() : farDescription.resolve(signal.sdp)))
  if (role === 'answer') pc.setRemoteDescription(await farDescription.promise, 'offer')
  const { control, sizing } = negotiated(pc)
  pc.setLocalDescription(role)
  await gathered.promise
  const sdp = pc.localDescription()?.sdp ?? ''
  line.send({ sdp: role === 'offer' ? withoutCandidates(sdp) : sdp })
  if (role === 'offer') pc.setRemoteDescription(await farDescription.promise, 'answer')
  await opened(control)
  line.send({ open: true })
  await farOpen.promise
  return {
    transport: pc,
    control,
    sizing,
    session: 'abcdef0123456789',
    // Each path has others, which peers that are joined have not.
    certificates: { local: '', remote: '' },
    role: role === 'offer' ? 'caller' : 'callee',
    peer: { name: name === 'alice' ? 'bob' : 'alice', fingerprint: pc.remoteFingerprint().value },
    path: { by: 'direct', kind: 'direct', ...addresses(pc), ms: 1, trace: '0'.repeat(32), mtu }
  }
}

/** Both ends of a path within this process. */
export async function openPair(session = 'abcdef0123456789', mtu = 1280): Promise<{ alice: Opened; bob: Opened }> {
  const [forAlice, forBob] = lines()
  const [alice, bob] = await Promise.all([
    openPeer('alice', 'offer', forAlice, mtu),
    openPeer('bob', 'answer', forBob, mtu)
  ])
  return { alice: { ...alice, session }, bob: { ...bob, session } }
}

/** Two connections within this process. Lost, they wait for another path so many milliseconds. */
export async function connectedPair(
  resumeMs = 0,
  farResumeMs = resumeMs
): Promise<{ alice: Connection; bob: Connection }> {
  const { alice, bob } = await openPair()
  return { alice: new Connection({ ...alice, resumeMs }), bob: new Connection({ ...bob, resumeMs: farResumeMs }) }
}

/** The line of a forked process to the one that forked it. */
export function lineToParent(): Line {
  return {
    send: signal => process.send?.(signal),
    onSignal: handler => process.on('message', (signal: Signal) => handler(signal))
  }
}

export function lineToChild(child: ChildProcess): Line {
  return {
    send: signal => child.send(signal),
    onSignal: handler => child.on('message', (signal: Signal) => handler(signal))
  }
}

/** Both ends of a line within this process. */
export function lines(): [Line, Line] {
  const ends = [new EventEmitter(), new EventEmitter()] as const
  const line = (here: EventEmitter, there: EventEmitter): Line => ({
    send: signal => queueMicrotask(() => there.emit('signal', signal)),
    onSignal: handler => here.on('signal', handler)
  })
  return [line(ends[0], ends[1]), line(ends[1], ends[0])]
}

/**
 * The offer goes out bare, so that the answering side learns the address from our first check. Were its checks here
 * before its answer is set, the library would now and then throw, or wait for ever in the DTLS handshake.
 */
function withoutCandidates(sdp: string): string {
  return sdp.replace(/^a=(candidate|end-of-candidates).*\r?\n/gm, '')
}

function opened(channel: DataChannel): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  channel.onOpen(resolve)
  if (channel.isOpen()) resolve()
  return promise
}

function addresses(pc: PeerConnection): { local: string; remote: string } {
  const pair = pc.getSelectedCandidatePair()
  if (!pair) throw new Error('connected without a pair of candidates')
  return {
    local: `${pair.local.address}:${pair.local.port}`,
    remote: `${pair.remote.address}:${pair.remote.port}`
  }
}
