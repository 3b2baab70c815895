// Pairs that the grid does not have: hosts of one NAT, a side without UDP, NATs that reject or remap, firewalls without NAT.

import { GRID_BYTES, GRID_STRATEGIES as strategies } from './lab/grid.ts'
import { labTest } from './lab/lab-test.ts'
import { openRig } from './lab/rig.ts'

labTest('two hosts behind one NAT are joined directly over their LAN', async t => {
  await using rig = await openRig({ sites: [{ nat: 'symmetric-random', hosts: 2 }], strategies, verify: false })
  const [caller, callee] = rig.peers
  if (!caller || !callee) return t.fail()
  const tried = await caller.connect(callee, GRID_BYTES)
  t.is(tried.path?.by, 'direct')
  t.true(tried.intact)
  t.regex(tried.path?.remote ?? '', new RegExp(`^${callee.site.hosts[1]?.addresses[0]?.replaceAll('.', '\\.')}:`))
})

labTest('a side without UDP is relayed through a door, whichever side it is, and the verdict names it', async t => {
  await using rig = await openRig({
    sites: [{ nat: 'udp-blocked' }, { nat: 'port-restricted' }],
    strategies,
    verify: false
  })
  const [blocked, other] = rig.peers
  if (!blocked || !other) return t.fail()
  for (const [from, to, side] of [
    [blocked, other, 'caller'],
    [other, blocked, 'callee']
  ] as const) {
    const tried = await from.connect(to, GRID_BYTES)
    t.deepEqual([tried.path?.kind, tried.intact], ['relay', true])
    const { verdict } = (await rig.trace(tried.path?.trace ?? '')) ?? {}
    t.like(verdict, { code: 'udp-blocked', side })
  }
})

labTest('NATs that reject what is unsolicited, and firewalls without NAT, are joined directly', async t => {
  await using rig = await openRig({
    sites: [{ nat: 'rejecting' }, { nat: 'rejecting' }, { nat: 'firewalled' }],
    strategies,
    verify: false
  })
  for (const from of rig.peers)
    for (const to of rig.peers) {
      if (from === to) continue
      const tried = await from.connect(to, GRID_BYTES)
      t.is(tried.path?.kind, 'direct', `${from.site.spec.nat} to ${to.site.spec.nat}: ${tried.failed?.reason ?? ''}`)
      t.true(tried.intact)
    }
})

labTest(
  'behind a NAT that remaps a flow because of unsolicited input, that side sends first and is joined',
  async t => {
    await using rig = await openRig({
      sites: [{ nat: 'accepting' }, { nat: 'port-restricted' }],
      strategies,
      verify: false
    })
    const [inside, other] = rig.peers
    if (!inside || !other) return t.fail()
    for (const [from, to] of [
      [inside, other],
      [other, inside]
    ] as const) {
      const tried = await from.connect(to, GRID_BYTES)
      t.is(tried.path?.by, 'stun', tried.failed?.reason ?? '')
      t.true(tried.intact)
    }
  }
)
