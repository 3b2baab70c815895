// The doctor in networks that are ill: what it says is what the kernel's firewalls and lines really do.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import test, { type ExecutionContext } from 'ava'
import type { Event } from '../../src/cli/text/output.ts'
import { endNative } from '../end-native.ts'
import { drop } from './drop.ts'
import { labTest } from './lab-test.ts'
import { openRig, type Rig, type RigPeer } from './rig.ts'
import type { Host } from './world.ts'

test.after.always(endNative)

const command = fileURLToPath(new URL('../../bin/postern.js', import.meta.url))

/** What it says on the computer of a peer, as one who has an identity of his own there. */
async function doctor(t: ExecutionContext, rig: Rig, { site }: RigPeer): Promise<{ events: Event[]; code: number }> {
  const home = await mkdtemp(join(tmpdir(), 'postern-doctor-'))
  const { url, token } = rig.door
  const asked = ['env', `POSTERN_HOME=${home}`, process.execPath, command, 'doctor', url, '--json', '--insecure']
  const { stdout, stderr, code } = await (site.hosts[0] as Host).run([...asked, '--token', token])
  await rm(home, { recursive: true, force: true })
  t.is(stderr, '')
  return { code: code ?? -1, events: stdout.split('\n').flatMap(line => (line ? [JSON.parse(line)] : [])) }
}

const of = (events: readonly Event[], check: string) => events.filter(event => event.check === check)

labTest('UDP that a firewall drops, a line that is narrow, one endpoint that is closed, and none of these', async t => {
  await using rig = await openRig({
    strategies: '[direct, stun, relay]',
    verify: false,
    sites: [{ nat: 'udp-blocked' }, { nat: 'port-restricted' }]
  })
  const [blocked, free] = rig.peers as [RigPeer, RigPeer]
  const box = free.site.boxes[0] as Host

  const [without, well] = await Promise.all([doctor(t, rig, blocked), doctor(t, rig, free)])
  t.is(without.code, 2)
  for (const udp of of(without.events, 'udp')) t.like(udp, { outcome: 'wrong', side: 'network' })
  t.true(of(without.events, 'doors').some(({ outcome }) => outcome === 'ok'))
  t.is(well.code, 0, JSON.stringify(well.events))
  t.true(of(well.events, 'udp').length > 1)
  t.like(of(well.events, 'packets')[0], { outcome: 'ok', bytes: 1280, isWhole: true, isBothWays: true })
  t.like(of(well.events, 'source')[0], { outcome: 'ok', addresses: free.site.publicAddresses.slice(0, 1) })
  t.like(of(well.events, 'nat')[0], { outcome: 'ok', type: 'port-restricted-cone' })
  t.like(of(well.events, 'tls')[0], { outcome: 'warning', side: 'gateway' }, 'in clear over a public network')

  const [, second] = of(well.events, 'udp')
  const [address, port] = String(second?.endpoint).split(':')
  await using _narrow = await drop(box, 'udp length > 1200')
  await using _closed = await drop(box, `ip daddr ${address} udp dport ${port}`)
  const { events, code } = await doctor(t, rig, free)
  t.is(code, 0)
  t.like(of(events, 'packets')[0], { outcome: 'warning', side: 'network', bytes: 1200 })
  t.regex(String(of(events, 'packets')[0]?.advice), /--mtu 1200/)
  t.like(of(events, 'udp')[1], { outcome: 'warning', side: 'gateway', endpoint: second?.endpoint })
})

labTest('a forwarder in front of the gateway that hides sources is the fault of whoever runs the gateway', async t => {
  await using rig = await openRig({
    strategies: '[direct, stun, relay]',
    verify: false,
    hidden: true,
    sites: [{ nat: 'full-cone' }]
  })
  const { events, code } = await doctor(t, rig, rig.peers[0] as RigPeer)
  t.is(code, 2)
  t.like(of(events, 'source')[0], { outcome: 'wrong', side: 'gateway', type: 'hidden-sources' })
  t.regex(String(of(events, 'source')[0]?.advice), /publish UDP so that sources are kept/)
  t.like(of(events, 'nat')[0], { outcome: 'unchecked' })
})
