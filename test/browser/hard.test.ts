// Pages behind NATs whose ports have to be found, with data, and audio and video both ways: by the other side, by the page, or by both. The NATs are such that a search has to
// find them: they count, and nobody else uses them, or they scatter over a few.

import type { NatType } from '../lab/nat.ts'
import { openRig, type RigPeer } from '../lab/rig.ts'
import type { Kind } from './browsers.ts'
import { equipped, filming, isSeen } from './film.ts'
import { browserTest, config } from './web.ts'

interface Pair {
  readonly what: string
  /** The NAT of the page, which calls, and of the other side. */
  readonly nats: readonly [NatType, NatType]
  readonly kinds: readonly [Kind, Kind | 'node']
  readonly by: 'predict' | 'spray' | 'map'
}

const pairs: readonly Pair[] = [
  {
    what: 'the next port of a page is predicted, and a peer in Node finds it',
    nats: ['symmetric+1', 'port-restricted'],
    kinds: ['chromium', 'node'],
    by: 'predict'
  },
  {
    what: 'a page finds the next port of a peer in Node',
    nats: ['port-restricted', 'symmetric+2'],
    kinds: ['firefox', 'node'],
    by: 'predict'
  },
  {
    what: 'a page opens many connections, one of which a peer in Node finds',
    nats: ['symmetric-block-128', 'port-restricted'],
    kinds: ['chromium', 'node'],
    by: 'spray'
  },
  {
    what: 'a page finds one of many sockets of a peer in Node',
    nats: ['port-restricted', 'symmetric-block-128'],
    kinds: ['firefox', 'node'],
    by: 'spray'
  },
  {
    what: 'two pages find each other although the NATs of both count',
    nats: ['symmetric+1', 'symmetric-1'],
    kinds: ['chromium', 'firefox'],
    by: 'predict'
  },
  {
    what: 'one page opens many connections, and the other one finds one of them',
    nats: ['symmetric-block-128', 'port-restricted'],
    kinds: ['chromium', 'firefox'],
    by: 'spray'
  },
  {
    what: 'a peer in Node behind a NAT that scatters is reached at a port that its router gave',
    nats: ['symmetric-random', 'symmetric-random'],
    kinds: ['chromium', 'node'],
    by: 'map'
  }
]

for (const { what, nats, kinds, by } of pairs) {
  const [kind, other] = kinds
  browserTest(what, other === 'node' ? [kind] : [kind, other], async t => {
    const sites = nats.map((nat, at) => ({ nat, portMapping: by === 'map' && at === 1 }))
    // Without stun, whose one guess is right by chance now and then.
    await using rig = await openRig({ strategies: `[direct, ${by}]`, config, sites, verify: false })
    const [, node] = rig.peers as [RigPeer, RigPeer]
    if (by === 'map') {
      await node.process.do('join', { ...rig.door, name: node.name, map: true })
      t.like(await node.process.do('forward', {}), { proved: true })
    }
    await using web = await equipped(rig, 0, kind)
    await using second = other === 'node' ? undefined : await equipped(rig, 1, other)
    const to = (second ?? node).name
    const out = await web.connect(to, 100_000)
    t.like(out, { kind: 'direct', by, isWhole: true })
    // Two of the many are found within a moment once in a few times, by a page that cannot tell them apart.
    for (let more = second && by === 'spray' ? 5 : 0; more > 0; more--) {
      await web.run('await connection.close()')
      t.like(await web.connect(to, 1000), { kind: 'direct', by, isWhole: true })
    }
    await filming(web)
    if (second) await second.run('view(accepted); await film(accepted)')
    for (const one of second ? [web, second] : [web]) {
      await isSeen(t, one)
      t.deepEqual(await one.do('said', {}), [])
    }
    t.log(`in ${out.ms} ms`)
  })
}
