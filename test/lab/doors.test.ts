// Peers of networks that let no UDP out, as kernel firewalls do: they are relayed through another door.

import type { ExecutionContext } from 'ava'
import { drop } from './drop.ts'
import { labTest } from './lab-test.ts'
import { openRig, type Rig, type RigPeer } from './rig.ts'

const strategies = '[direct, stun, relay: { perSession: 200 Mbit/s, perPeer: 200 Mbit/s }]'
const BYTES = 1_000_000

labTest('where UDP is blocked on one side or on both, there is a path, and the verdict says whose it is', async t => {
  await using rig = await openRig({
    strategies,
    verify: false,
    sites: [{ nat: 'udp-blocked' }, { nat: 'udp-blocked' }, { nat: 'port-restricted' }]
  })
  const [one, other, free] = rig.peers as [RigPeer, RigPeer, RigPeer]
  const pairs = [
    [one, free, 'tcp', 'caller'],
    [free, one, 'udp', 'callee'],
    [one, other, 'tcp', 'both']
  ] as const
  for (const [caller, callee, door, side] of pairs) {
    const { path, failed, intact, verdict } = await caller.connect(callee, BYTES)
    t.is(failed, undefined)
    t.like(path, { kind: 'relay', by: 'relay', door })
    t.true(intact)
    t.like(verdict, { code: 'udp-blocked', side })
    t.log(`${caller.name} to ${callee.name} in ${path?.ms} ms`)
  }
})

labTest('the same with a far gateway and lines that lose packets', async t => {
  const line = { delayMs: 40, lossPercent: 1 }
  const sites = [
    { nat: 'udp-blocked' as const, line },
    { nat: 'udp-blocked' as const, line }
  ]
  await using rig = await openRig({ strategies, sites, verify: false })
  await connects(t, rig)
})

labTest('UDP that is blocked once both have shown themselves costs a moment, and the door is taken', async t => {
  await using rig = await openRig({
    strategies: '[relay: { perSession: 200 Mbit/s, perPeer: 200 Mbit/s }]',
    sites: [{ nat: 'port-restricted' }, { nat: 'port-restricted' }],
    verify: false
  })
  await connects(t, rig, ['udp'])
  await using lost = new AsyncDisposableStack()
  for (const { boxes } of rig.world.sites)
    for (const box of boxes.slice(0, 1)) lost.use(await drop(box, 'iifname lan meta l4proto udp'))
  await connects(t, rig)
})

/** Where a packet of the handshake is lost, the WebSocket may be open first. */
const streams: readonly (string | undefined)[] = ['tcp', 'websocket']

async function connects(t: ExecutionContext, { peers }: Rig, doors: readonly (string | undefined)[] = streams) {
  const [caller, callee] = peers as [RigPeer, RigPeer]
  const { path, failed, intact } = await caller.connect(callee, BYTES)
  t.is(failed, undefined)
  t.is(path?.kind, 'relay')
  t.true(doors.includes(path?.door), path?.door)
  t.true(intact)
  t.log(`${path?.ms} ms`)
}
