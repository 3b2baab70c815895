// A world of the laboratory with the real gateway in it and a real peer on each host, ready to connect to each other.

import { parse, stringify } from 'yaml'
import type { GatewayStatus } from '../../src/gateway/gateway.ts'
import type { TraceRecord } from '../../src/gateway/trace/store.ts'
import { Driven } from './driven.ts'
import type { Drives, Tried } from './driver.ts'
import { openWorld, type Site, type World, type WorldSpec } from './world.ts'

export interface RigPeer {
  readonly name: string
  readonly site: Site
  readonly process: Driven<Drives>
  connect(to: RigPeer, bytes: number): Promise<Tried>
}

export interface Rig extends AsyncDisposable {
  readonly world: World
  /** One for each host, in the order of sites and hosts, named `site.host` by their numbers. */
  readonly peers: readonly RigPeer[]
  readonly gateway: Driven<Drives>
  /** For others that join the gateway. */
  readonly door: { url: string; token: string }
  status(): Promise<GatewayStatus>
  trace(id: string): Promise<TraceRecord | undefined>
}

export interface RigSpec extends WorldSpec {
  /** The strategies as the YAML list has them. */
  strategies: string
  /** More of the gateway's YAML: a section given here is merged into the rig's own of that name, key by key. */
  config?: string
}

const driver = new URL('driver.ts', import.meta.url)

/** Opens the world, the gateway on its public addresses, and the peers. */
export async function openRig({ strategies, config = '', ...spec }: RigSpec): Promise<Rig> {
  await using opened = new AsyncDisposableStack()
  const world = opened.use(await openWorld(spec))
  const gateway = opened.use(new Driven<Drives>(world.gateway, driver))
  const { joinToken } = await gateway.do('gateway', { config: gatewayConfig(world, strategies, config) })
  const url = `http://${world.gateway.addresses[0]}:8080`
  const peers = await Promise.all(
    world.sites.flatMap(site =>
      site.hosts.map(async (host, number) => {
        const driven = opened.use(new Driven<Drives>(host, driver))
        const name = `${site.index}.${number}`
        await driven.do('join', { url, token: joinToken, name })
        const connect = (to: RigPeer, bytes: number) => driven.do('connect', { to: to.name, bytes })
        return { name, site, process: driven, connect }
      })
    )
  )
  const all = opened.move()
  return {
    world,
    peers,
    gateway,
    door: { url, token: joinToken },
    status: async () => (await gateway.do('status', {})) as GatewayStatus,
    trace: id => gateway.do('trace', { id }),
    [Symbol.asyncDispose]: () => all.disposeAsync()
  }
}

type Section = Record<string, unknown>

function gatewayConfig({ gateway }: World, strategies: string, more: string): string {
  const own: Record<string, Section | string> = {
    listen: { http: '0.0.0.0:8080', udp: { addresses: gateway.addresses, ports: [3478, 3479] } },
    limits: { sessionsPerPeer: 1000, bindingsPerSource: 100_000, messagesPerSecond: 100_000 },
    strategies: parse(strategies)
  }
  const given = Object.entries((parse(more) ?? {}) as Record<string, Section | string>)
  const merged = given.map(([name, section]) => [
    name,
    isSection(section) ? { ...sectionOf(own[name]), ...section } : section
  ])
  return stringify({ ...own, ...Object.fromEntries(merged) })
}

const isSection = (value: unknown): value is Section =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const sectionOf = (value: unknown): Section => (isSection(value) ? value : {})
