// What becomes of a connect request, and who carries what is relayed.

import { readdirSync, readFileSync } from 'node:fs'
import type { Rows } from '../option.ts'
import { looking } from '../seen.ts'

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

/** How many threads of this process are the relay's: tests of one file come one after the other. */
const threads = looking(
  () =>
    readdirSync('/proc/self/task').filter(
      thread => readFileSync(`/proc/self/task/${thread}/comm`, 'utf8').trim() === 'relay'
    ).length
)

export const sessionRows: Rows = {
  deadline: {
    changed: '100ms',
    beside: { strategies: ['./slow.mjs'] },
    observe: looking(seen => seen.firstOrder(), { 'slow.mjs': slow }),
    outcomes: [
      'no path to bob: slow passed (nothing was found)',
      'no path to bob: slow passed (the deadline passed before it had a plan)'
    ]
  },
  // With any time at all, a session that is left within it is over.
  drain: {
    changed: '0s',
    observe: looking(async seen => {
      const { ann } = await seen.connect()
      const { session } = await ann.hears('session')
      const left = seen.world.gateway.drain()
      const { ms } = await ann.hears('draining')
      if (ms > 0) ann.say({ type: 'leave', session, code: 'io', reason: 'that is enough' })
      return `${await left} left after ${ms} ms`
    }),
    outcomes: ['0 left after 30000 ms', '1 left after 0 ms']
  },
  strategies: {
    changed: ['relay'],
    observe: looking(seen => seen.firstOrder()),
    outcomes: ['punch', 'splice']
  },
  'relay.engine': { changed: 'dgram', observe: threads, outcomes: [1, 0] },
  'relay.threads': { changed: 2, observe: threads, outcomes: [1, 2] }
}
