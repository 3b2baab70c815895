// A gateway on loopback in a process of its own, as a benchmark wants it: with spans or without, with a collector or
// without, and asked for its memory. `openGatewayProcess` is the parent's end.

import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Gateway } from '../../src/gateway/gateway.ts'
import type { GatewayStatus } from '../../src/gateway/http/status.ts'
import { Driven, serveDeeds } from '../../test/lab/driven.ts'
import type { Host } from '../../test/lab/world.ts'

export interface Opening {
  /** YAML. */
  readonly config: string
  /** False: nothing is recorded. */
  readonly recording?: boolean
  /** Where traces are exported to. */
  readonly collector?: string
  /** The folder of another checkout, whose gateway it is. */
  readonly checkout?: string
}

const ROUNDS = 3
const FINALIZERS_MS = 50

/** A sample each millisecond. */
const turns = monitorEventLoopDelay({ resolution: 1 })

let gateway: Gateway | undefined
let folder: string | undefined

const deeds = {
  async open({
    config,
    recording = true,
    collector,
    checkout = join(import.meta.dirname, '../..')
  }: Opening): Promise<{ url: string; token: string; udp: readonly number[] }> {
    if (collector) process.env.OTEL_EXPORTER_OTLP_ENDPOINT = collector
    const { openGateway, parseConfig } = (await import(
      join(checkout, 'src/index.ts')
    )) as typeof import('../../src/index.ts')
    folder = await mkdtemp(join(tmpdir(), 'postern-bench-'))
    gateway = await openGateway(parseConfig(config, join(folder, 'postern.yaml'), {}), { recording })
    const udp = gateway.endpoints.map(({ port }) => port)
    return { url: `http://127.0.0.1:${gateway.http.port}`, token: gateway.joinToken, udp }
  },

  async status(_given: object): Promise<GatewayStatus | undefined> {
    return gateway?.status()
  },

  /** Begins to watch how long turns of the event loop take. */
  async watch(_given: object): Promise<void> {
    turns.reset()
    turns.enable()
  },

  /** The longest turn since then and the 99.9th percentile, in milliseconds. */
  async watched(_given: object): Promise<{ mostMs: number; lateMs: number }> {
    turns.disable()
    return { mostMs: turns.max / 1e6, lateMs: turns.percentile(99.9) / 1e6 }
  },

  /** Ids of all spans that were recorded, as far as their records are kept. */
  async spans(_given: object): Promise<string[]> {
    const { traces } = gateway ?? {}
    const traceIds = new Set(traces?.list({ limit: Number.POSITIVE_INFINITY }).map(({ id }) => id))
    return [...traceIds].flatMap(id => traces?.get(id) ?? []).flatMap(({ spans }) => spans.map(({ id }) => id))
  },

  async hasTrace({ id }: { id: string }): Promise<boolean> {
    return gateway?.traces.get(id)[0] !== undefined
  },

  /** What is left when everything that can go has gone, in bytes. */
  async memory(_given: object): Promise<{ heap: number; resident: number }> {
    // What a collection finds is let go of by finalizers, in turns of their own; the next one has what that sets free.
    for (let round = 0; round < ROUNDS; round++) {
      globalThis.gc?.({ type: 'major', execution: 'sync', flavor: 'last-resort' })
      await sleep(FINALIZERS_MS)
    }
    const { heapUsed, external, rss } = process.memoryUsage()
    return { heap: heapUsed + external, resident: rss }
  },

  async close(_given: object): Promise<void> {
    await gateway?.close()
    if (folder) await rm(folder, { recursive: true, force: true })
  }
}

export type GatewayProcess = Driven<typeof deeds>

/** On this computer, without a namespace of its own. */
export const here = {
  name: 'this computer',
  spawn: ([command = '', ...argv]: readonly string[], options = {}) => spawn(command, argv, options)
} as Host

export const openGatewayProcess = (): GatewayProcess => new Driven<typeof deeds>(here, new URL(import.meta.url))

if (process.argv[1] === import.meta.filename) serveDeeds(deeds)
