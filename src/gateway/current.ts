// The configuration that a gateway goes by now. A reload changes what may be changed while it runs, all of it or nothing; whoever goes by
// it holds this, or its limits, and looks whenever a value is needed, and keeps none.
//
//   next configuration ─► strategies started ─► in the place of the ones before ─► these are closed once nothing runs by them

import type { Logger } from 'pino'
import type { Config } from '../config/config.ts'
import type { Limits } from '../config/schema.ts'
import { type Started, startPlugins } from '../plugins/built-in.ts'
import type { Strategy } from '../strategy/turn.ts'
import type { Warning } from './peers/sources.ts'

/** What is opened at the start, and stays: the name of each such option, and its value in a configuration. */
const lasting: Readonly<Record<string, (config: Config) => unknown>> = {
  'listen.http': ({ listen }) => listen.http,
  'listen.tls': ({ listen }) => listen.tls,
  'listen.url': ({ listen }) => listen.url,
  'listen.udp': ({ listen }) => listen.udp,
  'listen.tcp': ({ listen }) => listen.tcp,
  'listen.trustProxy': ({ listen }) => listen.trustProxy,
  'listen.proxyProtocol': ({ listen }) => listen.proxyProtocol,
  'admin.open': ({ admin }) => admin.open,
  'call.enabled': ({ call }) => call.enabled,
  'test.enabled': ({ test }) => test.enabled,
  state: ({ state }) => state,
  relay: ({ relay }) => relay,
  traces: ({ traces }) => traces,
  'log.format': ({ log }) => log.format
}

export class Current implements AsyncDisposable {
  /** Configurations that were read again: gone by, and not. */
  readonly counters = { applied: 0, refused: 0 }
  /** These very limits, as they are now. */
  readonly limits: Limits
  readonly stun: { readonly discovery: boolean }
  readonly call: { readonly rooms: number; readonly hours: number }
  readonly #log: Logger
  /** What was opened at the start is of this one, whatever was read since. */
  readonly #first: Config
  #config: Config
  #started: Started
  /** The one that was read last was wrong. */
  #isBehind = false

  private constructor(config: Config, started: Started, log: Logger) {
    this.limits = { ...config.limits }
    this.stun = { ...config.stun }
    this.call = { ...config.call }
    this.#first = config
    this.#config = config
    this.#started = started
    this.#log = log
  }

  /** Throws `bad-config`, or what a plugin throws at its start. */
  static async open(config: Config, log: Logger): Promise<Current> {
    return new Current(config, await startPlugins(config.strategies, log), log)
  }

  /** In the operator's order. */
  get strategies(): readonly Strategy[] {
    return this.#started.strategies
  }

  get deadlineMs(): number {
    return this.#config.deadlineMs
  }

  get drainMs(): number {
    return this.#config.drainMs
  }

  get warnings(): readonly Warning[] {
    return this.#isBehind ? [behind] : []
  }

  /** A configuration was read that is wrong: nothing has changed. */
  refuse(): void {
    this.#isBehind = true
    this.counters.refused++
  }

  /**
   * Goes by another configuration from now on, and gives the names of options that are not as they were at the start, and take a restart.
   * Where it throws, as `open` does, nothing has changed.
   * @param settled resolves when nothing that has begun until then goes by the strategies of then
   */
  async change(next: Config, settled: () => Promise<void>): Promise<string[]> {
    if (!same(meaningOf(this.#config), meaningOf(next))) {
      const started = await startPlugins(next.strategies, this.#log)
      const old = this.#started
      this.#started = started
      settled()
        .then(() => old[Symbol.asyncDispose]())
        .catch(error => this.#log.error({ err: error }, 'a strategy of before was not closed in order'))
    }
    this.#isBehind = false
    this.counters.applied++
    this.#config = next
    Object.assign(this.limits, next.limits)
    Object.assign(this.stun, next.stun)
    Object.assign(this.call, next.call)
    return Object.entries(lasting).flatMap(([name, of]) => (same(of(this.#first), of(next)) ? [] : [name]))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#started[Symbol.asyncDispose]()
  }
}

const behind: Warning = {
  code: 'not-reloaded',
  sentence: 'the configuration that was read last is wrong, and the gateway goes by the one before',
  advice: 'mend it, which would keep the gateway from starting as well, and send SIGHUP again; the log has each mistake'
}

const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b)

/** Where in the file a strategy stands means nothing. */
const meaningOf = ({ strategies }: Config): unknown => strategies.map(({ use, options }) => ({ use, options }))
