// What becomes of a connect request, and who carries what is relayed.

import { readdirSync, readFileSync } from 'node:fs'
import type { Options, Rows } from '../option.ts'
import { Seen } from '../seen.ts'

/** Takes its time, and has nothing to propose then. */
const slow = `export default {
  name: 'slow',
  defaults: { tookMs: '400ms' },
  start: ({ tookMs }) => ({
    async *plan() {
      await new Promise(resolve => setTimeout(resolve, tookMs))
      yield { kind: 'pass', reason: 'nothing was found' }
    }
  })
}`

/** How many threads of this process are the relay's. */
const relaying = (): number =>
  readdirSync('/proc/self/task').filter(
    thread => readFileSync(`/proc/self/task/${thread}/comm`, 'utf8').trim() === 'relay'
  ).length

async function threads(options: Options): Promise<number> {
  await using _seen = await Seen.open(options)
  return relaying()
}

export const sessionRows: Rows = {
  deadline: {
    changed: '100ms',
    beside: { strategies: ['./slow.mjs'] },
    async observe(options) {
      await using seen = await Seen.open(options, { 'slow.mjs': slow })
      return await seen.firstOrder()
    },
    outcomes: [
      'no path to bob: slow passed (nothing was found)',
      'no path to bob: slow passed (the deadline passed before it had a plan)'
    ]
  },
  strategies: {
    changed: ['relay'],
    async observe(options) {
      await using seen = await Seen.open(options)
      return await seen.firstOrder()
    },
    outcomes: ['punch', 'splice']
  },
  'relay.engine': { changed: 'dgram', observe: threads, outcomes: [1, 0] },
  'relay.threads': { changed: 2, observe: threads, outcomes: [1, 2] }
}
