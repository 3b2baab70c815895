// What a peer finds out of its NAT's filter, and of what the NAT does with what it has kept out. The gateway and the NAT are
// made by hand: which answers come through, and which mapping each endpoint sees.

import { createSocket, type RemoteInfo, type Socket } from 'node:dgram'
import { once } from 'node:events'
import test from 'ava'
import { type Findings, testFiltering } from '../../../src/peer/punch/filtering.ts'
import { BINDING, decode, encode } from '../../../src/wire/stun.ts'
import { labTest } from '../../lab/lab-test.ts'
import { openRig, type RigPeer } from '../../lab/rig.ts'

/** The gateway's endpoints by their place: address and port, `00` the primary. */
type Place = '00' | '01' | '10' | '11'

interface World {
  readonly places?: readonly Place[]
  /** Whose unasked-for answers come through the filter. */
  readonly lets?: readonly Place[]
  /** Who sees the socket elsewhere than the primary endpoint does. */
  readonly moves?: readonly Place[]
  /** Who does not answer when asked. */
  readonly mute?: readonly Place[]
  readonly isMappedOnce?: boolean
}

test('where everything is let in, nothing more is asked', async t => {
  const { found, asked } = await run({ lets: ['01', '11'] })
  t.deepEqual(found, [{ port: true, address: true }])
  t.deepEqual(asked, ['00'])
})

test('a flow that keeps its port behind a filter is told, after what the filter does', async t => {
  const { found, asked } = await run({})
  const filter = { port: false, address: false }
  t.deepEqual(found, [filter, { ...filter, remaps: false }])
  t.deepEqual(asked, ['00', '01', '10'])
})

test('a flow that gets another port because its far end had sent before is told', async t => {
  const { found } = await run({ moves: ['01'] })
  t.deepEqual(found.at(-1), { port: false, address: false, remaps: true })
})

test('where the other port is let in, the other address is what was kept out', async t => {
  const { found, asked } = await run({ lets: ['01'], moves: ['11'] })
  t.deepEqual(found, [
    { port: true, address: false },
    { port: true, address: false, remaps: true }
  ])
  t.false(asked.includes('01'))
})

test('a gateway with one address, or with one port, is enough', async t => {
  t.deepEqual((await run({ places: ['00', '01'], moves: ['01'] })).found.at(-1), { port: false, remaps: true })
  t.deepEqual((await run({ places: ['00', '10'] })).found.at(-1), { port: false, address: false, remaps: false })
  t.deepEqual((await run({ places: ['00', '01'], lets: ['01'] })).found, [{ port: true }])
  t.deepEqual((await run({ places: ['00'] })).found, [])
})

test('nothing is said of a NAT that maps each flow anew, and one known for it is not asked', async t => {
  const every = ['01', '10', '11'] as const
  t.is((await run({ moves: every })).found.length, 1)
  const { found, asked } = await run({ moves: every, isMappedOnce: false })
  t.is(found.length, 1)
  t.deepEqual(asked, ['00'])
})

test('without an answer nothing is said', async t => {
  t.deepEqual((await run({ mute: ['01'] })).found, [{ port: false, address: false }])
})

labTest('in the laboratory a NAT that accepts what is unsolicited remaps, and one that drops it does not', async t => {
  await using rig = await openRig({
    sites: [{ nat: 'accepting' }, { nat: 'port-restricted' }],
    strategies: '[stun]',
    verify: false
  })
  const [ann, bob] = rig.peers as [RigPeer, RigPeer]
  const endMs = performance.now() + 10_000
  let remaps: Record<string, unknown> = {}
  // The test takes half a second from the join.
  while (performance.now() < endMs && !('caller' in remaps && 'callee' in remaps)) {
    const { trace = '' } = await ann.connect(bob, 0)
    const spans = (await rig.trace(trace))?.spans ?? []
    const told = spans.filter(({ attributes }) => 'postern.remaps' in attributes)
    remaps = Object.fromEntries(told.map(({ attributes: of }) => [of['postern.side'], of['postern.remaps']]))
  }
  t.deepEqual(remaps, { caller: true, callee: false })
})

const key = Buffer.from('the key of a peer')

/** Runs the test: what it finds, and which endpoints it asked. */
async function run({ places = ['00', '01', '10', '11'], isMappedOnce = true, ...world }: World) {
  const found: Findings[] = []
  const asked = new Set<Place>()
  const sockets = new Map<Place, Socket>()
  for (const place of places)
    sockets.set(place, createSocket('udp4').bind(0, place[0] === '0' ? '127.0.0.1' : '127.0.0.2'))
  await Promise.all([...sockets.values()].map(socket => once(socket, 'listening')))
  for (const [place, socket] of sockets)
    socket.on('message', (datagram, source) => {
      asked.add(place)
      answer(sockets, world, { place, datagram, source })
    })
  const endpoints = [...sockets.values()].map(socket => socket.address())
  const membership = { peer: 'ann', key, endpoints, refreshMs: 60_000 }
  const options = { isMappedOnce: () => isMappedOnce, signal: AbortSignal.timeout(5000) }
  for await (const findings of testFiltering(membership, options)) found.push(findings)
  for (const socket of sockets.values()) socket.close()
  return { found, asked: [...asked].sort() }
}

/** As the real gateway: who does not echo the nonce of the source it is seen at gets that, and no mapping. */
function answer(
  sockets: ReadonlyMap<Place, Socket>,
  { lets = [], moves = [], mute = [] }: World,
  { place, datagram, source }: { place: Place; datagram: Buffer; source: RemoteInfo }
): void {
  const { transaction, nonce, change } = decode(datagram) ?? {}
  if (!transaction || mute.includes(place)) return
  const mapped = { address: '192.0.2.1', port: moves.includes(place) ? source.port - 1 : source.port }
  const issued = Buffer.from(String(mapped.port))
  const said = nonce?.equals(issued) ? { mapped } : { nonce: issued }
  const from = change ? (`${Number(change.address)}${Number(change.port)}` as Place) : place
  if (from !== place && !lets.includes(from)) return
  const reply = { class: 'success', method: BINDING, transaction, ...said } as const
  sockets.get(from)?.send(encode(reply, { key }), source.port, source.address)
}
