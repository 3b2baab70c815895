// A forwarder in front of the gateway hides where everybody comes from. Whatever the gateway sees, it draws no conclusion
// from it, and nobody sends anything into a stranger's network. What the LANs carry is counted by the kernel.

import test from 'ava'
import nodeDataChannel from 'node-datachannel'
import { labTest } from './lab/lab-test.ts'
import { openRig } from './lab/rig.ts'
import { tool } from './lab/sandbox.ts'
import type { Host, Site } from './lab/world.ts'

test.after.always(() => nodeDataChannel.cleanup())

const strategies = '[direct, stun, predict, spray, relay]'

labTest('two homes with one private subnet stay apart, and the operator is told why they are relayed', async t => {
  const sites = [{ nat: 'port-restricted' } as const, { nat: 'full-cone' } as const]
  await using rig = await openRig({ sites, strategies, hidden: true, verify: false })
  const [a, b] = rig.peers as [(typeof rig.peers)[0], (typeof rig.peers)[0]]
  await Promise.all(rig.peers.map(({ process }) => process.do('told', { news: 'filter' })))
  const subnets = rig.peers.map(({ site }) => subnetOf(site))
  t.is(subnets[0], subnets[1], 'the homes have the same private subnet')
  for (const { site } of rig.peers) await counted(site)

  const tried = await a.connect(b, 1000)
  t.like(tried, { path: { kind: 'relay' }, intact: true })
  t.like(tried.verdict, { code: 'hidden-sources', side: 'gateway', also: [] })
  t.deepEqual(
    tried.strategies.map(({ name, outcome }) => `${name} ${outcome}`),
    ['direct passed', 'stun passed', 'predict passed', 'spray passed', 'relay path']
  )
  for (const { reason } of tried.strategies.slice(0, 4)) t.regex(reason, /sources are hidden.*at 127\.0\.0\.1/)
  t.true((tried.path?.ms ?? 9999) < 1000, 'no time is lost before the relay')
  for (const { site } of rig.peers) t.is(await strayed(site), 0, `datagrams or ARP for strangers at ${site.index}`)

  const { type, text } = await a.process.do('nat', {})
  t.is(type, 'hidden-sources')
  t.regex(text, /nothing can be told/)
  t.regex(text, /203\.0\.113\.6[\s\S]*127\.0\.0\.1/)
  t.notRegex(text, /%|symmetric|A PEER WITH/)
  t.like(await rig.gateway.do('health', {}), { ok: true, warnings: [{ code: 'hidden-sources' }] })
  t.is((await rig.status()).hidden, 2)

  await rig.reopen({ strategies })
  await Promise.all(rig.peers.map(({ process }) => process.do('told', { news: 'filter' })))
  t.like(await a.connect(b, 1000), { path: { kind: 'direct', by: 'stun' } }, 'without the forwarder they meet')
  t.deepEqual(await rig.gateway.do('health', {}), { ok: true })
})

const hostOf = ({ hosts }: Site) => hosts[0] as Host

const addressOf = (site: Site) => hostOf(site).addresses[0] as string

const subnetOf = (site: Site) => addressOf(site).replace(/\.\d+$/, '.0/24')

/** From now on the host of a home counts what it sends to its own subnet, but for the router: UDP, and ARP for it. */
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

const routerOf = (site: Site) => addressOf(site).replace(/\.\d+$/, '.1')

async function strayed(site: Site): Promise<number> {
  const { stdout } = await hostOf(site).run([tool('nft'), 'list', 'ruleset'])
  const counts = [...stdout.matchAll(/counter packets (\d+)/g)].map(([, packets]) => Number(packets))
  if (counts.length !== 2) throw new Error(`there are ${counts.length} counters:\n${stdout}`)
  return counts.reduce((sum, count) => sum + count, 0)
}
