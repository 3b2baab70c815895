// The one list of the strategies that come with postern, in the order in which they cost more; and how the strategies of a
// configuration are started.

import type { Logger } from 'pino'
import type { Config } from '../config/config.ts'
import type { Link } from '../strategy/chain.ts'
import type { Plugin } from '../strategy/plugin.ts'
import { direct } from './direct.ts'
import { loadPlugins } from './load.ts'
import { predict } from './predict.ts'
import { relay } from './relay.ts'
import { spray } from './spray.ts'
import { stun } from './stun.ts'

export const builtIns: Readonly<Record<string, Plugin>> = { direct, stun, predict, spray, relay }

/** In their order. What they open goes with `opened`. Throws `bad-config`. */
export async function startPlugins(
  strategies: Config['strategies'],
  opened: AsyncDisposableStack,
  { log, over }: { log: Logger; over: AbortController }
): Promise<Link[]> {
  const links: Link[] = []
  for (const { plugin, options } of await loadPlugins(strategies, builtIns)) {
    const own = log.child({ plugin: plugin.name })
    const toolbox = {
      log: { info: (text: string) => own.info(text), warn: (text: string) => own.warn(text) },
      signal: over.signal
    }
    const planner = await plugin.start(options as never, toolbox)
    opened.defer(async () => {
      // A plugin may wait in its close for what the signal ends.
      over.abort()
      await planner.close?.()
    })
    links.push({ name: plugin.name, planner, lastResort: plugin.lastResort ?? false })
  }
  return links
}
