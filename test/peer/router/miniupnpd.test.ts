// Ports asked for at a real router: miniupnpd, in front of the kernel's NATs.

import test, { type ExecutionContext } from 'ava'
import type { Protocol } from '../../../src/peer/router/router.ts'
import { type Endpoint, formatEndpoint } from '../../../src/wire/endpoint.ts'
import { Driven } from '../../lab/driven.ts'
import { labTest } from '../../lab/lab-test.ts'
import type { PortMapper } from '../../lab/port-mapper.ts'
import { type Host, openWorld, type Site, type World } from '../../lab/world.ts'
import { until } from '../../until.ts'
import type { HostDeeds, Mapped } from './host.ts'

const protocols: readonly Protocol[] = ['pcp', 'nat-pmp', 'upnp']

interface Street extends AsyncDisposable {
  /** Two hosts behind a NAT whose ports are random. */
  readonly home: Site
  readonly ann: Driven<HostDeeds>
  readonly bob: Driven<HostDeeds>
  /** A host of the Internet. */
  readonly stranger: Driven<HostDeeds>
  /** Behind a router whose own NAT lies behind a carrier's. */
  readonly below: Driven<HostDeeds>
  readonly world: World
  readonly mapper: PortMapper
}

let opening: Promise<Street> | undefined
const street = () => {
  opening ??= openStreet()
  return opening
}
test.after.always(async () => (await opening)?.[Symbol.asyncDispose]())

async function openStreet(): Promise<Street> {
  await using opened = new AsyncDisposableStack()
  const sites = [
    { nat: 'symmetric-random' as const, hosts: 2, portMapping: true },
    { nat: 'open' as const },
    { nat: 'carrier' as const, portMapping: true }
  ]
  const world = opened.use(await openWorld({ sites, verify: false }))
  const drive = (site: number, host = 0) => {
    const on = world.sites[site]?.hosts[host] ?? world.gateway
    return opened.use(new Driven<HostDeeds>(on, new URL('host.ts', import.meta.url)))
  }
  const home = world.sites[0] as Site
  const people = { ann: drive(0), bob: drive(0, 1), stranger: drive(1), below: drive(2) }
  const all = opened.move()
  const mapper = home.portMapper as PortMapper
  return { world, home, mapper, ...people, [Symbol.asyncDispose]: () => all.disposeAsync() }
}

const mappingTest = (title: string, run: (t: ExecutionContext) => Promise<void>) =>
  labTest(title, run, { portMapping: true })

/** Throws where the router granted nothing. */
async function mapped(host: Driven<HostDeeds>, localPort: number, protocol: Protocol): Promise<Mapped> {
  const outcome = await host.do('map', { localPort, protocol })
  if ('reason' in outcome) throw new Error(outcome.text)
  return outcome
}

/** Whether what the stranger sends to the outside endpoint arrives at the host's port. */
async function arrives(stranger: Driven<HostDeeds>, host: Driven<HostDeeds>, localPort: number, to: Endpoint) {
  const text = `to ${localPort}`
  const heard = host.do('hear', { localPort })
  await stranger.do('say', { text, to })
  return (await heard) === text
}

mappingTest('the router is the default gateway', async t => {
  const { home, ann, stranger } = await street()
  t.is(await ann.do('router', {}), '192.168.1.1')
  t.true(home.publicAddresses[0]?.startsWith('203.0.112.'))
  t.is(await stranger.do('router', {}), '203.0.113.25')
})

for (const [at, protocol] of protocols.entries())
  mappingTest(`by ${protocol} a port is mapped, a stranger gets in there, and it is given back`, async t => {
    const { home, mapper, ann, stranger } = await street()
    const localPort = 5000 + at
    const { external, ...granted } = await mapped(ann, localPort, protocol)
    t.deepEqual(granted, { protocol })
    t.deepEqual(external, { address: home.publicAddresses[0] as string, port: localPort })
    t.deepEqual(await mapper.mappings(), [`${localPort} -> ${home.hosts[0]?.addresses[0]}:${localPort}`])
    t.true(await arrives(stranger, ann, localPort, external))
    await ann.do('release', { localPort })
    t.deepEqual(await mapper.mappings(), [])
  })

for (const [at, protocol] of protocols.entries())
  mappingTest(`by ${protocol} two hosts that want one port get two`, async t => {
    const { home, ann, bob, stranger } = await street()
    const localPort = 6000 + 10 * at
    const one = await mapped(ann, localPort, protocol)
    const other = await mapped(bob, localPort, protocol)
    t.is(one.external.port, localPort)
    t.is(other.external.address, home.publicAddresses[0] as string)
    t.not(other.external.port, localPort)
    t.true(await arrives(stranger, ann, localPort, one.external))
    t.true(await arrives(stranger, bob, localPort, other.external))
    await Promise.all([ann, bob].map(host => host.do('release', { localPort })))
  })

mappingTest('PCP comes first, and one protocol alone makes a mapping', async t => {
  const { mapper, ann } = await street()
  const outcome = await ann.do('map', { localPort: 6500 })
  t.is('protocol' in outcome && outcome.protocol, 'pcp')
  t.is((await mapper.mappings()).length, 1)
  await ann.do('release', { localPort: 6500 })
})

mappingTest('renewed after half its time, a mapping is there again after the router has lost it', async t => {
  const { mapper, ann, stranger } = await street()
  const ports = await Promise.all(protocols.map(async (protocol, at) => mapped(ann, 7000 + at, protocol)))
  await mapper.restart()
  t.deepEqual(await mapper.mappings(), [])
  await ann.do('pass', { ms: 600_000 })
  await until(async () => (await mapper.mappings()).length === 3)
  for (const [at, { external }] of ports.entries()) {
    t.deepEqual(await ann.do('external', { localPort: 7000 + at }), external)
    t.true(await arrives(stranger, ann, 7000 + at, external), formatEndpoint(external))
    await ann.do('release', { localPort: 7000 + at })
  }
})

mappingTest('one answer of a router that has started anew is enough to ask for all again', async t => {
  const { mapper, bob } = await street()
  await mapper.restart({ uptime: true })
  await mapped(bob, 7100, 'pcp')
  await mapped(bob, 7101, 'nat-pmp')
  await mapper.restart()
  await bob.do('pass', { ms: 60_000 })
  t.deepEqual(await mapper.mappings(), [])
  await mapped(bob, 7102, 'pcp')
  await bob.do('pass', { ms: 0 })
  await until(async () => (await mapper.mappings()).length === 3)
  for (const localPort of [7100, 7101, 7102]) await bob.do('release', { localPort })
  t.deepEqual(await mapper.mappings(), [])
})

for (const protocol of protocols)
  mappingTest(`by ${protocol} a router below a carrier's NAT says so, and maps nothing`, async t => {
    const { world, below } = await street()
    const outcome = await below.do('map', { localPort: 5000, protocol })
    t.is('reason' in outcome ? outcome.reason : outcome, 'carrier')
    t.regex('text' in outcome ? outcome.text : '', /another NAT lies above it/)
    t.deepEqual(await world.sites[2]?.portMapper?.mappings(), [])
  })

mappingTest('PCP tells the address that lies below the carrier', async t => {
  const { below } = await street()
  const outcome = await below.do('map', { localPort: 5000 })
  t.like(outcome, { reason: 'carrier', routerAddress: '10.0.0.1', outsideAddress: '100.64.1.4' })
})

mappingTest('who has vanished and comes back gets the same port again', async t => {
  const { home, mapper } = await street()
  const returning = () => new Driven<HostDeeds>(home.hosts[0] as Host, new URL('host.ts', import.meta.url))
  const before = returning()
  const first = await mapped(before, 8000, 'pcp')
  await before.kill('SIGKILL')
  await using after = returning()
  const outcome = await after.do('map', { localPort: 8000 })
  t.deepEqual('external' in outcome && outcome.external, first.external)
  await after.do('release', { localPort: 8000 })
  t.deepEqual(await mapper.mappings(), [])
})
