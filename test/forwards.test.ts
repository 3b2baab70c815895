// Forwards that lead to a peer: the real gateway proves them through the kernel's NATs, and `map` joins pairs that nothing
// else can.

import test from 'ava'
import { endNative } from './end-native.ts'
import { drop, forwardTo } from './lab/drop.ts'
import { labTest } from './lab/lab-test.ts'
import { openRig, type Rig, type RigPeer } from './lab/rig.ts'
import { until } from './until.ts'

test.after.always(endNative)

const strategies = '[direct, stun, map, predict, spray, relay]'

const outsideOf = ({ site }: RigPeer): string => site.publicAddresses[0] ?? ''

/** Joins again with a port of its own, which is said to be reached from another port outside. */
async function joinWith({ door }: Rig, peer: RigPeer, { port, outside }: { port: number; outside: number }) {
  const told = { address: outsideOf(peer), port: outside }
  await peer.process.do('join', { ...door, name: peer.name, port, public: told })
}

const ends = ({ site }: RigPeer) => {
  const [box, host] = [site.boxes[0], site.hosts[0]]
  if (!box || !host) throw new Error('a site has a box and a host')
  return { box, host }
}

labTest('a forward by hand joins two random NATs, whoever calls; one that leads nowhere is told', async t => {
  await using rig = await openRig({
    sites: [{ nat: 'symmetric-random' }, { nat: 'symmetric-random' }],
    strategies,
    verify: false
  })
  const [one, other] = rig.peers as [RigPeer, RigPeer]
  const { box, host } = ends(other)
  await joinWith(rig, one, { port: 4000, outside: 4000 })
  t.like(await one.process.do('forward', {}), { proved: false, port: 4000, by: 'given' })
  const relayed = await other.connect(one, 0)
  t.is(relayed.path?.kind, 'relay')
  t.like(relayed.verdict, { code: 'both-random' })
  t.regex(relayed.verdict?.advice ?? '', /^see where the forward to 0\.0 leads/)
  const { spans } = await until(() => rig.trace(relayed.trace ?? ''))
  const profiles = spans.filter(({ name }) => name === 'postern.profile')
  const forwards = profiles.map(({ attributes }) => attributes['postern.forward'])
  t.deepEqual(forwards.toSorted(), ['unheard', undefined])
  await using _forward = await forwardTo(box, 5000, host, 4000)
  await joinWith(rig, other, { port: 4000, outside: 5000 })
  t.like(await other.process.do('forward', {}), { proved: true, port: 4000, by: 'given' })
  const inwards = await one.connect(other, 100_000)
  t.like(inwards.path, { by: 'map', remote: `${outsideOf(other)}:5000` }, JSON.stringify(inwards.strategies))
  t.true(inwards.intact)
  await other.process.do('claims', { count: 2 })
  const outwards = await other.connect(one, 100_000)
  t.is(outwards.path?.by, 'map', `its port is free again: ${JSON.stringify(outwards.strategies)}`)
  t.true(outwards.intact)
  const { forwards: counted } = await rig.status()
  t.like(counted, { proved: 1, unheard: 1 })
})

const mappingTest = (title: string, run: Parameters<typeof labTest>[1]) => labTest(title, run, { portMapping: true })

mappingTest(
  'a port of the router joins random and block NATs with a random one, and is given back at the end',
  async t => {
    const sites = [
      { nat: 'symmetric-random' as const, portMapping: true },
      { nat: 'symmetric-random' as const },
      { nat: 'symmetric-block' as const },
      { nat: 'carrier-symmetric-random' as const, portMapping: true },
      { nat: 'port-restricted' as const, portMapping: true }
    ]
    await using rig = await openRig({ sites, strategies, verify: false })
    const [mapped, random, block, below, easy] = rig.peers as [RigPeer, RigPeer, RigPeer, RigPeer, RigPeer]
    const join = (peer: RigPeer) => peer.process.do('join', { ...rig.door, name: peer.name, map: true })
    const mappings = async ({ site }: RigPeer) => (await site.portMapper?.mappings()) ?? []
    await Promise.all([mapped, below, easy].map(join))
    t.like(await mapped.process.do('forward', {}), { proved: true, by: 'pcp' })

    const first = await random.connect(mapped, 100_000)
    t.is(first.path?.by, 'map', JSON.stringify(first.strategies))
    await mapped.process.do('claims', { count: 3 })
    t.true((await mappings(mapped)).length <= 2, 'one for the connection, one for the idle socket')
    const second = await mapped.connect(block, 100_000)
    t.is(second.path?.by, 'map', `over the same port: ${JSON.stringify(second.strategies)}`)
    t.true(first.intact && second.intact)

    await below.process.do('routed', {})
    const relayed = await random.connect(below, 0)
    t.like(relayed.verdict, { code: 'carrier-above-home', side: 'callee' })
    t.regex(relayed.verdict?.advice ?? '', /^forward a UDP port to 1\.0: --port 4000 --public 203\.0\.113\.25:4000/)
    t.deepEqual(await mappings(easy), [], 'a NAT that needs no forward is not asked for one')

    const { box } = ends(random)
    await using _mute = await drop(box, 'iifname lan udp dport { 1900, 5351 }')
    await join(random)
    const unasked = await random.connect(below, 0)
    t.is(unasked.path?.kind, 'relay')
    t.false(await random.process.do('isRouted', {}), 'no connection waits for a router that answers nothing')

    await mapped.process.do('leave', {})
    t.deepEqual(await mappings(mapped), [], 'given back')
  }
)
