// Peers behind one NAT: on one LAN beside many bridges, on LANs with a router in between, and as guests that have one address.
// What is sent is counted by the kernel: by the box between two LANs, and on the loopback of each host.

import test from 'ava'
import type { SpanRecord } from '../src/trace/record/record.ts'
import type { Tried } from './lab/driver.ts'
import { labTest } from './lab/lab-test.ts'
import { openRig, type Rig, type RigPeer } from './lab/rig.ts'
import { tool } from './lab/sandbox.ts'
import type { Host, Lans } from './lab/world.ts'
import { until } from './until.ts'

const strategies = '[direct, stun, predict, spray, relay]'
const routing = '[direct: { beyondSubnet: true }, stun, relay]'
const kinds: readonly Lans[] = ['together', 'routed', 'twins']

// The rig takes longer to open than all tests in it.
let opening: Promise<Rig> | undefined
const rigged = (): Promise<Rig> => {
  const sites = kinds.map(lans => ({ nat: 'port-restricted' as const, hosts: 2, lans }))
  opening ??= openRig({ strategies, sites, verify: false })
  return opening
}
test.after.always(async () => await (await opening?.catch(() => undefined))?.[Symbol.asyncDispose]())

labTest('two hosts of one LAN meet there, however many bridges they have, of the same addresses or others', async t => {
  const rig = await rigged()
  const [a, b] = pairOf(rig, 'together')
  await Promise.all([a, b].map(({ process }) => process.do('leave', {})))
  await Promise.all([lastLink(a, 0), lastLink(b, 1)])
  for (const { here, there, own } of [
    { here: 4, there: 4, own: 1 },
    { here: 0, there: 30, own: 1 },
    { here: 30, there: 30, own: 1 },
    { here: 30, there: 30, own: 2 }
  ]) {
    await Promise.all([bridges(a, here, 1), bridges(b, there, own)])
    await Promise.all([a, b].map(({ name, process }) => process.do('join', { ...rig.door, name })))
    const tried = await a.connect(b, 0)
    t.is(tried.path?.by, 'direct', `${here} and ${there} bridges: ${said(tried)}`)
    t.is(addressOf(tried.path?.remote), hostOf(b).addresses[0], `${here} and ${there} bridges`)
  }
  await a.process.do('join', { ...rig.door, name: a.name, exclude: ['net*'] })
  const { path } = await a.connect(b, 0)
  t.is(path?.by, 'direct')
  const spans = await until(async () => (await rig.trace(path?.trace ?? ''))?.spans)
  t.deepEqual(
    spans.filter(({ name }) => name === 'postern.profile').map(({ attributes }) => linksIn(attributes).length),
    [1, 16],
    'what is excluded left the host'
  )
})

labTest('two guests that have one address send nothing to themselves, and go on to the next strategy', async t => {
  const rig = await rigged()
  const [a, b] = pairOf(rig, 'twins')
  const counters = await Promise.all([a, b].map(({ site }, at) => count(site.hosts[at] as Host, 'input', 'iifname lo')))
  const tried = await a.connect(b, 0)
  const [direct, stun] = tried.strategies
  t.is(direct?.outcome, 'failed')
  t.regex(direct?.reason ?? '', /has that address itself/)
  t.is(stun?.name, 'stun')
  t.is(tried.verdict?.code, 'hairpin', said(tried))
  t.deepEqual(tried.verdict?.also.slice(0, 1), ['own-address'])
  t.deepEqual(await Promise.all(counters.map(counted => counted())), [0, 0])
})

labTest('two peers of one host meet on it, by the address that both have', async t => {
  const rig = await rigged()
  const [a] = pairOf(rig, 'routed')
  await using guest = await rig.guest(a.site)
  const tried = await a.connect(guest, 0)
  t.is(tried.path?.by, 'direct', said(tried))
  t.is(addressOf(tried.path?.remote), hostOf(a).addresses[0])
})

labTest(
  'a router between two LANs is used if the operator allows it, with four datagrams of a side at most',
  async t => {
    const rig = await rigged()
    const [a, b] = pairOf(rig, 'routed')
    const [box] = a.site.boxes as [Host]
    const sent = await count(box, 'forward', 'iifname "p*" oifname "p*"')
    const before = await a.connect(b, 0)
    t.is(before.path?.kind, 'relay', said(before))
    t.is(before.verdict?.code, 'hairpin')
    t.regex(before.verdict?.advice ?? '', /beyondSubnet: true/)
    t.is(await sent(), 0)

    await rig.reopen({ strategies: routing })
    const tried = await a.connect(b, 0)
    t.is(tried.path?.by, 'direct', said(tried))
    t.is(addressOf(tried.path?.remote), hostOf(b).addresses[0])

    await box.nft(
      'table ip shut {\nchain forward {\ntype filter hook forward priority 10\niifname "p*" oifname "p*" drop\n}\n}\n'
    )
    const open = await sent()
    const shut = await a.connect(b, 0)
    t.is(shut.verdict?.code, 'hairpin', said(shut))
    t.notRegex(shut.verdict?.advice ?? '', /beyondSubnet/)
    const both = (await sent()) - open
    t.true(both > 0 && both <= 8, `${both} datagrams of both sides`)
  }
)

function pairOf(rig: Rig, lans: Lans): [RigPeer, RigPeer] {
  return rig.peers.filter(({ site }) => site.spec.lans === lans) as [RigPeer, RigPeer]
}

const hostOf = ({ site, name }: RigPeer): Host => site.hosts[Number(name.split('.')[1])] as Host
const linksIn = (attributes: SpanRecord['attributes']) => (attributes?.['postern.links'] ?? []) as readonly string[]
const addressOf = (endpoint = '') => endpoint.split(':')[0]
const said = ({ strategies: tried, failed, verdict }: Tried) => JSON.stringify({ tried, failed, verdict })

const MOST = 30

/** Gives a host its link to the LAN anew, so that all its bridges come before it in the order of interfaces. */
async function lastLink(peer: RigPeer, at: number): Promise<void> {
  const host = hostOf(peer)
  const [box] = peer.site.boxes as [Host]
  const pairs = Array.from(
    { length: MOST },
    (_, n) => `link add name net${n} type veth peer name tap${n}\nlink set tap${n} up`
  )
  await batch(host, pairs)
  await batch(box, [`link del p${at}`, `link add name p${at} type veth peer name eth0 index 900 netns ${host.path}`])
  await batch(box, [`link set p${at} master lan up`, 'neighbour flush dev lan'])
  const [address] = host.addresses
  await batch(host, [
    `address add ${address}/24 dev eth0`,
    'link set eth0 up',
    'route add default via 192.168.1.1 dev eth0'
  ])
}

/** Has so many links like the bridges of containers: up, with an address of its own subnet each. */
async function bridges(peer: RigPeer, many: number, own: number): Promise<void> {
  const lines = Array.from({ length: MOST }, (_, n) =>
    n < many
      ? [
          `link set net${n} up`,
          `address flush dev net${n}`,
          `address add 172.${16 + (n >> 1)}.${128 * (n & 1)}.${own}/17 dev net${n}`
        ]
      : [`address flush dev net${n}`, `link set net${n} down`]
  )
  await batch(hostOf(peer), lines.flat())
}

async function batch(host: Host, lines: readonly string[]): Promise<void> {
  const { code, stderr } = await host.run([tool('ip'), '-batch', '-'], `${lines.join('\n')}\n`)
  if (code !== 0) throw new Error(stderr)
}

/** Counts UDP at a hook of a host from now on. */
async function count(host: Host, hook: string, match: string): Promise<() => Promise<number>> {
  await host.nft(
    `table ip seen {\ncounter passed {\n}\nchain watch {\ntype filter hook ${hook} priority 0\n${match} meta l4proto udp counter name passed\n}\n}\n`
  )
  return async () => {
    const { stdout } = await host.run([tool('nft'), '-j', 'list', 'counters', 'table', 'ip', 'seen'])
    const listed = JSON.parse(stdout) as { nftables: { counter?: { packets: number } }[] }
    return listed.nftables.flatMap(({ counter }) => counter?.packets ?? []).reduce((a, b) => a + b, 0)
  }
}
