// Datagrams that were lost at the gateway's own UDP ports because it, or its host, was too slow: by the kernel, whose buffer was full, by a
// thread of the relay that left too many to the gateway, or on the way out. Whoever is lost is chosen by nobody, so all lose alike.

import { readFile } from 'node:fs/promises'
import { idly } from '../../clock.ts'
import type { Warning } from '../peers/sources.ts'
import type { Port } from './listen.ts'

export interface OverloadCounters {
  /** Lost by the kernel before they were read; 0 where it does not tell (Linux does). */
  readonly received: number
  /** Of no relayed side, lost because too many were on their way to the gateway. */
  readonly strangers: number
  /** Lost on the way out: the kernel had no room, or no way. */
  readonly sent: number
}

export interface OverloadOptions {
  readonly ports: () => readonly Pick<Port, 'local'>[]
  /** What the engine of the relay counts besides. */
  readonly engine?: { readonly strangersLost: number; readonly sendsLost: number } | undefined
  /** The tables of the kernel; left out: those of Linux. */
  readonly tables?: readonly string[]
}

/** How often it is looked whether more were lost, in milliseconds, and how long it is told of afterwards. */
const LOOK_MS = 10_000
const TOLD_MS = 60_000

/** Fewer than so many in the time between two looks are bad luck, which a single burst may have. */
const WORTH_TELLING = 100

export class Overload implements Disposable {
  readonly #options: OverloadOptions
  readonly #timer: NodeJS.Timeout
  #lostMs = Number.NEGATIVE_INFINITY
  #lost = 0

  constructor(options: OverloadOptions) {
    this.#options = options
    this.#timer = idly(setInterval(() => void this.look(), LOOK_MS))
  }

  /** Looks whether more were lost than at the last look, for the warning; reading alone changes nothing of that. */
  async look(nowMs = performance.now()): Promise<OverloadCounters> {
    const counters = await this.read()
    const lost = counters.received + counters.strangers + counters.sent
    if (lost - this.#lost >= WORTH_TELLING) this.#lostMs = nowMs
    this.#lost = lost
    return counters
  }

  async read(): Promise<OverloadCounters> {
    const { engine, tables = TABLES, ports } = this.#options
    const own = new Set(ports().map(({ local }) => local.port))
    const received = (await Promise.all(tables.map(dropsIn(own)))).reduce((sum, drops) => sum + drops, 0)
    return { received, strangers: engine?.strangersLost ?? 0, sent: engine?.sendsLost ?? 0 }
  }

  /** While datagrams are being lost, and for a minute afterwards. */
  warnings(nowMs = performance.now()): readonly Warning[] {
    if (nowMs - this.#lostMs > TOLD_MS) return []
    return [
      {
        code: 'overloaded',
        sentence: 'datagrams are lost at the UDP ports, since more come than this host works off',
        advice: 'lower total of relay, give the gateway more processor, or raise relay.threads where cores are to spare'
      }
    ]
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
  }
}

/** Both are of this process's own network namespace. */
const TABLES = ['/proc/net/udp', '/proc/net/udp6']

/** The last column of each line whose local port is one of these; nothing where there is no such table. */
const dropsIn =
  (ports: ReadonlySet<number>) =>
  async (table: string): Promise<number> => {
    const own = new Set([...ports].map(port => port.toString(16).toUpperCase().padStart(4, '0')))
    const text = await readFile(table, 'utf8').catch(() => '')
    let sum = 0
    // A host may have thousands of other sockets: `  12: 0100007F:0D96 …`.
    for (const line of text.split('\n')) {
      const at = line.indexOf(':', line.indexOf(':') + 1) + 1
      if (own.has(line.slice(at, at + 4))) sum += Number(line.trimEnd().split(' ').at(-1)) || 0
    }
    return sum
  }
