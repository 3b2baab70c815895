// What is recorded of connect requests, and for how long.

import { until } from '../../../until.ts'
import type { Rows } from '../option.ts'
import { call, looking, type Seen } from '../seen.ts'

/** Leaves a trace: a request for somebody whom nobody knows. */
async function asksInVain(seen: Seen): Promise<void> {
  const ann = await seen.join('ann')
  await call(ann, 'nobody')
}

async function kept({ world }: Seen): Promise<number> {
  const traces = (await (await world.api('/api/traces')).json()) as readonly unknown[]
  return traces.length
}

export const traceRows: Rows = {
  'traces.memory': {
    changed: '0 B',
    observe: looking(async seen => {
      await asksInVain(seen)
      return await kept(seen)
    }),
    outcomes: [1, 0]
  },
  'traces.file': {
    changed: './traces.jsonl',
    observe: looking(async seen => {
      await asksInVain(seen)
      await seen.world.gateway.close()
      await seen.world.start()
      return await kept(seen)
    }),
    outcomes: [0, 1]
  },
  'traces.addresses': {
    changed: 'subnet',
    // Nothing stands between the two, so nothing is left of its plans.
    beside: { strategies: ['predict'] },
    observe: looking(async seen => {
      await seen.firstOrder()
      const { traces } = seen.world.gateway
      const { id } = await until(() => traces.list({ limit: 1 })[0])
      return [...new Set(JSON.stringify(traces.get(id)).match(/127\.0\.0\.\d+/g))]
    }),
    outcomes: [['127.0.0.1'], ['127.0.0.0']]
  }
}
