// A world of the laboratory with the real gateway in it and a real peer on each host, ready to connect to each other.

import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { GatewayStatus } from '../../src/gateway/gateway.ts'
import type { TraceRecord } from '../../src/gateway/trace/store.ts'
import type { Deeds, Tried } from './driver.ts'
import { type Host, openWorld, type Site, type World, type WorldSpec } from './world.ts'

export interface RigPeer {
  readonly name: string
  readonly site: Site
  connect(to: RigPeer, bytes: number): Promise<Tried>
}

export interface Rig extends AsyncDisposable {
  readonly world: World
  /** One for each host, in the order of sites and hosts, named `site.host` by their numbers. */
  readonly peers: readonly RigPeer[]
  status(): Promise<GatewayStatus>
  trace(id: string): Promise<TraceRecord | undefined>
}

export interface RigSpec extends WorldSpec {
  /** The strategies as the YAML list has them. */
  strategies: string
}

/** Opens the world, the gateway on its public addresses, and the peers. */
export async function openRig({ strategies, ...spec }: RigSpec): Promise<Rig> {
  await using opened = new AsyncDisposableStack()
  const world = opened.use(await openWorld(spec))
  const gateway = opened.use(new Driven(world.gateway))
  const config = `
listen: { http: '0.0.0.0:8080', udp: { addresses: [${world.gateway.addresses.join(', ')}], ports: [3478, 3479] } }
limits: { sessionsPerPeer: 1000, bindingsPerSource: 100000, messagesPerSecond: 100000 }
strategies: ${strategies}
`
  const { joinToken } = await gateway.do('gateway', { config })
  const url = `http://${world.gateway.addresses[0]}:8080`
  const peers = await Promise.all(
    world.sites.flatMap(site =>
      site.hosts.map(async (host, number) => {
        const driven = opened.use(new Driven(host))
        const name = `${site.index}.${number}`
        await driven.do('join', { url, token: joinToken, name })
        return { name, site, connect: (to: RigPeer, bytes: number) => driven.do('connect', { to: to.name, bytes }) }
      })
    )
  )
  const all = opened.move()
  return {
    world,
    peers,
    status: async () => (await gateway.do('status', {})) as GatewayStatus,
    trace: id => gateway.do('trace', { id }),
    [Symbol.asyncDispose]: () => all.disposeAsync()
  }
}

/** The parent's end of driver.ts. */
class Driven implements AsyncDisposable {
  readonly #child: ChildProcess
  readonly #waiting = new Map<number, PromiseWithResolvers<never>>()
  #asked = 0

  constructor(host: Host) {
    const driver = fileURLToPath(new URL('driver.ts', import.meta.url))
    this.#child = host.spawn([process.execPath, driver], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    this.#child.on('message', ({ id, result, error }: { id: number; result?: never; error?: string }) => {
      const waiting = this.#waiting.get(id)
      this.#waiting.delete(id)
      if (error === undefined) waiting?.resolve(result as never)
      else waiting?.reject(new Error(error))
    })
    this.#child.on('exit', (code, signal) => {
      for (const waiting of this.#waiting.values())
        waiting.reject(new Error(`the process on ${host.name} ended with ${signal ?? code}`))
    })
  }

  async do<Name extends keyof Deeds>(
    deed: Name,
    given: Parameters<Deeds[Name]>[0]
  ): Promise<Awaited<ReturnType<Deeds[Name]>>> {
    const id = this.#asked++
    const waiting = Promise.withResolvers<never>()
    this.#waiting.set(id, waiting)
    this.#child.send({ id, deed, given: given ?? {} })
    return await waiting.promise
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const exited = once(this.#child, 'exit')
    await this.do('close', {} as never).catch(() => {})
    const [code, signal] = await exited
    if (code !== 0) throw new Error(`a process of the laboratory ended with ${signal ?? code}`)
  }
}
