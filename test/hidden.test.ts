// A forwarder in front of the gateway hides where everybody comes from. Whatever the gateway sees, it draws no conclusion
// from it, and nobody sends anything into a stranger's network. What the LANs carry is counted by the kernel. Two hosts are in
// one home, and a third one in another home that has the same private subnet.

import test from 'ava'
import { endNative } from './end-native.ts'
import { drop } from './lab/drop.ts'
import { labTest } from './lab/lab-test.ts'
import { openRig, type Rig, type RigPeer } from './lab/rig.ts'
import { tool } from './lab/sandbox.ts'
import type { Host, Site } from './lab/world.ts'
import { until } from './until.ts'

const strategies = '[direct, stun, predict, spray, relay]'

let opening: Promise<Rig> | undefined
test.after.always(async () => {
  await (await opening)?.[Symbol.asyncDispose]()
  endNative()
})

/** Everybody has told what its NAT lets in, so that nothing is waited for but what the test is about. */
async function joined(): Promise<{ rig: Rig; peers: [RigPeer, RigPeer, RigPeer] }> {
  const sites = [{ nat: 'port-restricted', hosts: 2 } as const, { nat: 'full-cone' } as const]
  opening ??= openRig({ sites, strategies, hidden: true, verify: false })
  const rig = await opening
  await told(rig)
  return { rig, peers: rig.peers as unknown as [RigPeer, RigPeer, RigPeer] }
}

const told = (rig: Rig) => Promise.all(rig.peers.map(({ process }) => process.do('told', { news: 'filter' })))

labTest('two homes with one private subnet stay apart, and the operator is told why they are relayed', async t => {
  const { rig, peers } = await joined()
  const [a, , c] = peers
  t.is(subnetOf(a.site), subnetOf(c.site), 'the homes have the same private subnet')
  for (const { site } of [a, c]) await counted(site)

  const tried = await a.connect(c, 1000)
  t.like(tried, { path: { kind: 'relay' }, intact: true })
  t.like(tried.verdict, { code: 'hidden-sources', side: 'gateway', also: [] })
  t.deepEqual(
    tried.strategies.map(({ name, outcome }) => `${name} ${outcome}`),
    ['direct passed', 'stun passed', 'predict passed', 'spray passed', 'relay path']
  )
  for (const { reason } of tried.strategies.slice(0, 4)) t.regex(reason, /sources are hidden.*at 127\.0\.0\.1/)
  for (const { site } of [a, c]) t.is(await strayed(site), 0, `datagrams or ARP for strangers at ${site.index}`)

  const { type, text } = await a.process.do('nat', {})
  t.is(type, 'hidden-sources')
  t.regex(text, /nothing can be told/)
  t.regex(text, /203\.0\.113\.6[\s\S]*127\.0\.0\.1/)
  t.notRegex(text, /%|symmetric|A PEER WITH/)
  t.like(await rig.gateway.do('health', {}), { ok: true, warnings: [{ code: 'hidden-sources' }] })
  t.is((await rig.status()).hidden, 3)
})

labTest('two hosts of one LAN still meet there, for one hears the other on the link', async t => {
  const { rig, peers } = await joined()
  const [a, b] = peers
  // A computer that is busy may hear it too late. Then it is relayed, as is right.
  let tried = await a.connect(b, 1000)
  for (let again = 0; again < 5 && tried.path?.kind === 'relay'; again++) tried = await a.connect(b, 1000)
  t.like(tried, { path: { kind: 'direct', by: 'direct' }, intact: true })
  t.regex(tried.path?.remote ?? '', new RegExp(`^${addressOf(b.site, 1)}:`))
  const { spans } = await until(() => rig.trace(tried.path?.trace ?? ''))
  t.like(spans.findLast(({ name }) => name === 'postern.observe')?.attributes, {
    'postern.test': 'link',
    'postern.near': true
  })
  await using _deaf = await drop(hostOf(a.site), 'ip daddr 239.255.0.0/16')
  t.like(await a.connect(b, 1000), { path: { kind: 'relay' } }, 'a beacon that is not heard joins nobody')
})

labTest('without the forwarder everybody meets as ever, and nobody is warned', async t => {
  const { rig, peers } = await joined()
  const [a, , c] = peers
  await rig.reopen({ strategies })
  await told(rig)
  t.like(await a.connect(c, 1000), { path: { kind: 'direct', by: 'stun' } })
  t.deepEqual(await rig.gateway.do('health', {}), { ok: true })
})

const hostOf = ({ hosts }: Site, at = 0) => hosts[at] as Host

const addressOf = (site: Site, at = 0) => hostOf(site, at).addresses[0] as string

const subnetOf = (site: Site) => addressOf(site).replace(/\.\d+$/, '.0/24')

const routerOf = (site: Site) => addressOf(site).replace(/\.\d+$/, '.1')

/** From now on the first host of a home counts what it sends to its own subnet, but for the router: UDP, and ARP for it. */
const counted = (site: Site) =>
  hostOf(site).nft(`
table ip strangers {
  chain out {
    type filter hook output priority filter
    ip daddr ${subnetOf(site)} ip daddr != ${routerOf(site)} counter
  }
}
table arp strangers {
  chain out {
    type filter hook output priority filter
    arp operation request arp daddr ip ${subnetOf(site)} arp daddr ip != ${routerOf(site)} counter
  }
}
`)

async function strayed(site: Site): Promise<number> {
  const { stdout } = await hostOf(site).run([tool('nft'), 'list', 'ruleset'])
  const counts = [...stdout.matchAll(/counter packets (\d+)/g)].map(([, packets]) => Number(packets))
  if (counts.length !== 2) throw new Error(`there are ${counts.length} counters:\n${stdout}`)
  return counts.reduce((sum, count) => sum + count, 0)
}
