// A world of the laboratory with the real gateway in it and a real peer on each host, ready to connect to each other.

import { rm } from 'node:fs/promises'
import { parse, stringify } from 'yaml'
import type { GatewayStatus } from '../../src/gateway/http/status.ts'
import type { TraceRecord } from '../../src/trace/record/record.ts'
import { Driven } from './driven.ts'
import type { Drives, Tried } from './driver.ts'
import { startForwarder } from './forwarder.ts'
import { type Host, openWorld, type Site, type World, type WorldSpec } from './world.ts'

export interface RigPeer {
  readonly name: string
  readonly site: Site
  readonly process: Driven<Drives>
  connect(to: RigPeer, bytes: number): Promise<Tried>
}

/** Disposed of, it is gone, whatever became of it meanwhile. */
export interface Guest extends RigPeer, AsyncDisposable {}

export interface Rig extends AsyncDisposable {
  readonly world: World
  /** One for each host, in the order of sites and hosts, named `site.host` by their numbers. */
  readonly peers: readonly RigPeer[]
  readonly gateway: Driven<Drives>
  /** For others that join the gateway. */
  readonly door: { url: string; token: string }
  status(): Promise<GatewayStatus>
  trace(id: string): Promise<TraceRecord | undefined>
  /** Of the requests that are over, the one that began last. */
  newest(): Promise<TraceRecord | undefined>
  /** The gateway starts over with another configuration, and the peers join it. */
  reopen(how: GatewaySpec): Promise<void>
  /** One more peer, in a process of its own on a site's first host. Joined, unless it is told to wait. */
  guest(site: Site, options?: { joins?: boolean }): Promise<Guest>
}

export interface GatewaySpec {
  /** The strategies as the YAML list has them. */
  strategies: string
  /** More of the gateway's YAML: a section given here is merged into the rig's own of that name, key by key. */
  config?: string
  /** How many of its addresses the gateway listens on, all of them when left out. Peers reach it by the first one. */
  addresses?: 1
  /** The authority of the gateway's certificate, in PEM, where `listen.tls` of its YAML names one. */
  ca?: string
  /** True: the gateway listens on loopback, and a forwarder in front of it takes UDP at its first public address. */
  hidden?: boolean
  /** False: nobody is on the hosts, but for guests. */
  peers?: false
}

export interface RigSpec extends WorldSpec, GatewaySpec {}

/** Whose code the gateway and the peers of a rig run, and the ports that gateway listens on. */
export interface Tenant {
  /** The module that answers the deeds of driver.ts. */
  readonly driver: URL
  /** The node that runs it; this process's own when left out. */
  readonly node?: string
  readonly http: number
  readonly udp: readonly [number, number]
}

export const ourselves: Tenant = { driver: new URL('driver.ts', import.meta.url), http: 8080, udp: [3478, 3479] }

/** Opens the world, the gateway on its public addresses, and the peers. */
export async function openRig({ strategies, config, addresses, hidden, ca, peers, ...spec }: RigSpec): Promise<Rig> {
  await using opened = new AsyncDisposableStack()
  const world = opened.use(await openWorld(spec))
  const more = {
    ...(addresses ? { addresses } : {}),
    ...(hidden ? { hidden } : {}),
    ...(ca ? { ca } : {}),
    ...(peers === false ? { peers } : {})
  }
  const rig = opened.use(await openRigIn(world, { strategies, ...(config ? { config } : {}), ...more }))
  const all = opened.move()
  return { ...rig, [Symbol.asyncDispose]: () => all.disposeAsync() }
}

/** The gateway and the peers in an open world that outlives them. A second tenant has ports of its own. */
export async function openRigIn(world: World, spec: GatewaySpec, tenant: Tenant = ourselves): Promise<Rig> {
  await using opened = new AsyncDisposableStack()
  const drive = (host: Host) => new Driven<Drives>(host, tenant.driver, tenant.node)
  const gateway = opened.use(drive(world.gateway))
  let forwarder: AsyncDisposable | undefined
  const start = async (how: GatewaySpec) => {
    await forwarder?.[Symbol.asyncDispose]()
    const started = await gateway.do('gateway', { config: gatewayConfig(world, how, tenant) })
    const [listen = ''] = world.gateway.addresses
    forwarder = how.hidden
      ? await startForwarder(world.gateway, { listen, to: LOOPBACK, ports: tenant.udp })
      : undefined
    return started
  }
  opened.defer(async () => await forwarder?.[Symbol.asyncDispose]())
  const { joinToken: token } = await start(spec)
  const url = `${spec.ca ? 'https' : 'http'}://${world.gateway.addresses[0]}:${tenant.http}`
  const trusting = spec.ca ? { ca: spec.ca } : {}
  const peerOf = (site: Site, number: number, name: string): RigPeer => {
    const process = drive(site.hosts[number] ?? world.gateway)
    return { name, site, process, connect: (to, bytes) => process.do('connect', { to: to.name, bytes }) }
  }
  const peopled = spec.peers === false ? [] : world.sites
  const peers = peopled.flatMap(site => site.hosts.map((_, at) => peerOf(site, at, `${site.index}.${at}`)))
  opened.defer(async () => void (await Promise.all(peers.map(({ process }) => process[Symbol.asyncDispose]()))))
  const joinAll = () =>
    Promise.all(peers.map(({ name, process }) => process.do('join', { url, token, name, ...trusting })))
  await joinAll()
  const all = opened.move()
  let guests = 0
  return {
    world,
    peers,
    gateway,
    door: { url, token },
    status: async () => (await gateway.do('status', {})) as GatewayStatus,
    trace: id => gateway.do('trace', { id }),
    newest: () => gateway.do('newest', {}),
    async reopen(how) {
      await Promise.all(peers.map(({ process }) => process.do('leave', {})))
      await start(how)
      await joinAll()
    },
    async guest(site, { joins = true } = {}) {
      const peer = peerOf(site, 0, `guest-of-${site.index}-${guests++}`)
      const folder = await peer.process.do('folder', {})
      if (joins) await peer.process.do('join', { url, token, name: peer.name, ...trusting })
      return {
        ...peer,
        async [Symbol.asyncDispose]() {
          await peer.process.kill('SIGKILL')
          await rm(folder, { recursive: true, force: true })
        }
      }
    },
    [Symbol.asyncDispose]: () => all.disposeAsync()
  }
}

type Section = Record<string, unknown>

const LOOPBACK = '127.0.0.1'

function gatewayConfig({ gateway }: World, how: GatewaySpec, { http, udp }: Tenant): string {
  const { strategies, config = '', addresses, hidden = false } = how
  const listening = hidden
    ? { addresses: [LOOPBACK], public: gateway.addresses.slice(0, 1) }
    : { addresses: gateway.addresses.slice(0, addresses) }
  const own: Section = {
    listen: { http: `0.0.0.0:${http}`, udp: { ...listening, ports: [...udp] } },
    limits: { sessionsPerPeer: 1000, bindingsPerSource: 100_000, messagesPerSecond: 100_000 },
    strategies: parse(strategies)
  }
  return stringify(merged(own, (parse(config) ?? {}) as Section))
}

/** What is given takes the place of what is there, key by key, also within sections. */
function merged(own: Section, given: Section): Section {
  const keys = Object.entries(given).map(([key, value]) => {
    const there = own[key]
    return [key, isSection(value) && isSection(there) ? merged(there, value) : value]
  })
  return { ...own, ...Object.fromEntries(keys) }
}

const isSection = (value: unknown): value is Section =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
