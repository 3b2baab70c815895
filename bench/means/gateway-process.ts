// A gateway on loopback in a process of its own, as a benchmark wants it: with spans or without, with a collector or
// without, and asked for its memory. `openGatewayProcess` is the parent's end.

import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseConfig } from '../../src/config/config.ts'
import { type Gateway, openGateway } from '../../src/gateway/gateway.ts'
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
}

const ROUNDS = 3
const FINALIZERS_MS = 50

let gateway: Gateway | undefined
let folder: string | undefined

const deeds = {
  async open({ config, recording = true, collector }: Opening): Promise<{ url: string; token: string }> {
    if (collector) process.env.OTEL_EXPORTER_OTLP_ENDPOINT = collector
    folder = await mkdtemp(join(tmpdir(), 'postern-bench-'))
    gateway = await openGateway(parseConfig(config, join(folder, 'postern.yaml'), {}), { recording })
    return { url: `http://127.0.0.1:${gateway.http.port}`, token: gateway.joinToken }
  },

  async status(_given: object): Promise<GatewayStatus | undefined> {
    return gateway?.status()
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
const here = {
  name: 'this computer',
  spawn: ([command = '', ...argv]: readonly string[], options = {}) => spawn(command, argv, options)
} as Host

export const openGatewayProcess = (): GatewayProcess => new Driven<typeof deeds>(here, new URL(import.meta.url))

if (process.argv[1] === import.meta.filename) serveDeeds(deeds, () => {})
