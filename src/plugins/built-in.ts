// The strategies that come with postern, and how the strategies of a configuration are started.

import type { Logger } from 'pino'
import type { Config } from '../config/config.ts'
import type { defaultStrategies } from '../config/strategies.ts'
import type { Plugin } from '../strategy/plugin.ts'
import type { Known } from '../strategy/remedy.ts'
import type { Strategy } from '../strategy/turn.ts'
import { direct } from './direct.ts'
import { loadPlugins } from './load.ts'
import { map } from './map.ts'
import { predict } from './predict.ts'
import { relay } from './relay.ts'
import { spray } from './spray.ts'
import { stun } from './stun.ts'

export const builtIns: Readonly<Record<(typeof defaultStrategies)[number], Plugin>> = {
  direct,
  stun,
  map,
  predict,
  spray,
  relay
}

const knownOf = ({ name, lastResort = false, remedies }: Plugin): Known => ({ name, lastResort, remedies })

/** The strategies that verdicts know: the built-in ones, and an operator's own among the configured ones. */
export const knownStrategies = (configured: readonly Known[]): Known[] => [
  ...Object.values(builtIns).map(knownOf),
  ...configured.filter(({ name }) => !Object.hasOwn(builtIns, name))
]

/** Strategies that have been started, in the operator's order; disposing of them closes them. */
export interface Started extends AsyncDisposable {
  readonly strategies: readonly Strategy[]
}

/** Throws `bad-config`, or what a plugin throws at its start; nothing is left open then. */
export async function startPlugins(entries: Config['strategies'], log: Logger): Promise<Started> {
  await using opened = new AsyncDisposableStack()
  const over = new AbortController()
  opened.defer(() => over.abort())
  const strategies: Strategy[] = []
  for (const { plugin, options } of await loadPlugins(entries, builtIns)) {
    const fields = { plugin: plugin.name }
    const toolbox = {
      // Not by a child of the log, which would keep the level that the log had when it was made.
      log: { info: (text: string) => log.info(fields, text), warn: (text: string) => log.warn(fields, text) },
      signal: over.signal
    }
    const planner = await plugin.start(options as never, toolbox)
    opened.defer(async () => {
      // A plugin's close may wait for something that the signal ends.
      over.abort()
      await planner.close?.()
    })
    strategies.push({ ...knownOf(plugin), planner })
  }
  const closing = opened.move()
  return { strategies, [Symbol.asyncDispose]: () => closing.disposeAsync() }
}
