// What is recorded of connect requests, and for how long.

import type { Rows } from '../option.ts'
import { call, Seen } from '../seen.ts'

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
    async observe(options) {
      await using seen = await Seen.open(options)
      await asksInVain(seen)
      return await kept(seen)
    },
    outcomes: [1, 0]
  },
  'traces.file': {
    changed: './traces.jsonl',
    async observe(options) {
      await using seen = await Seen.open(options)
      await asksInVain(seen)
      await seen.world.gateway.close()
      await seen.world.start()
      return await kept(seen)
    },
    outcomes: [0, 1]
  },
  'traces.addresses': {
    changed: 'subnet',
    // Nothing stands between the two, so nothing is left of its plans.
    beside: { strategies: ['predict'] },
    async observe(options) {
      await using seen = await Seen.open(options)
      await seen.firstOrder()
      const [record] = seen.world.gateway.traces
        .list({ limit: 1 })
        .flatMap(({ id }) => seen.world.gateway.traces.get(id))
      return [...new Set(JSON.stringify(record).match(/127\.0\.0\.\d+/g))]
    },
    outcomes: [['127.0.0.1'], ['127.0.0.0']]
  }
}
