// What strangers and peers can fill or ask for. Where a default is too large to be filled here, it lets in what the changed limit
// does not.

import { createSocket } from 'node:dgram'
import { question } from '../../../gateway/udp/fake-ports.ts'
import { until } from '../../../until.ts'
import type { Options, Row, Rows } from '../option.ts'
import { call, Seen } from '../seen.ts'

const PATIENCE_MS = 20_000

/** Aims 100 probes at the caller's address. */
const guessing = `export default {
  name: 'guessing',
  defaults: {},
  start: () => ({
    *plan({ caller, callee }) {
      const ports = Array.from({ length: 50 }, (_, at) => 2000 + at)
      yield {
        kind: 'plan',
        caller: { kind: 'punch', targets: [callee.mapped] },
        callee: { kind: 'punch', targets: [], guesses: [{ address: caller.mapped.address, ports }], probes: 100 },
        waitMs: 5000,
        why: 'a guess'
      }
    }
  })
}`

const aims: Pick<Row, 'beside' | 'observe'> = {
  beside: { strategies: ['./guessing.mjs'] },
  async observe(options) {
    await using seen = await Seen.open(options, { 'guessing.mjs': guessing })
    const found = await seen.firstOrder()
    return found === 'punch' ? found : /the probe budget of .* is shared out/.exec(found)?.[0]
  }
}

/** How many of 20 Binding requests of one socket are answered. */
async function answered(options: Options): Promise<string> {
  await using seen = await Seen.open(options)
  const [at] = seen.world.gateway.endpoints
  const client = createSocket('udp4')
  for (let asked = 0; asked < 20; asked++) client.send(question(), at?.port ?? 0, at?.address)
  return await until(async () => {
    const { plain, limited } = (await seen.world.gateway.status()).udp
    return plain + limited === 20 && (plain === 20 ? 'all' : 'some')
  }, PATIENCE_MS).finally(() => client.close())
}

export const limitRows: Rows = {
  'limits.peers': {
    changed: 2,
    async observe(options) {
      await using seen = await Seen.open(options)
      await seen.join('ann')
      await seen.join('bob')
      return await seen.admission('carol')
    },
    outcomes: ['welcome', 'relay-full']
  },
  'limits.names': {
    changed: 1,
    async observe(options) {
      await using seen = await Seen.open(options)
      await seen.join('ann')
      return await seen.admission('bob')
    },
    outcomes: ['welcome', 'name-taken']
  },
  'limits.sessions': {
    changed: 1,
    async observe(options) {
      await using seen = await Seen.open(options)
      const [ann, , carol] = await Promise.all(['ann', 'bob', 'carol', 'dave'].map(name => seen.join(name)))
      if (!ann || !carol) throw new Error('nobody joined')
      return [await call(ann, 'bob'), await call(carol, 'dave')]
    },
    outcomes: [
      ['session', 'session'],
      ['session', 'relay-full']
    ]
  },
  'limits.sessionsPerPeer': {
    changed: 1,
    async observe(options) {
      await using seen = await Seen.open(options)
      const [ann] = await Promise.all(['ann', 'bob', 'carol'].map(name => seen.join(name)))
      if (!ann) throw new Error('nobody joined')
      return [await call(ann, 'bob'), await call(ann, 'carol', 1)]
    },
    outcomes: [
      ['session', 'session'],
      ['session', 'relay-full']
    ]
  },
  'limits.bindingsPerSource': { changed: 1, observe: answered, outcomes: ['all', 'some'] },
  // A quarter of it is what one caller has.
  'limits.probesPerAddress': {
    ...aims,
    changed: 396,
    outcomes: ['punch', 'the probe budget of 127.0.0.1 (ann) is shared out']
  },
  'limits.probesInAll': {
    ...aims,
    changed: 100,
    outcomes: ['punch', 'the probe budget of 127.0.0.1 (ann) is shared out']
  },
  'limits.messagesPerSecond': {
    changed: 10,
    async observe(options) {
      await using seen = await Seen.open(options)
      const ann = await seen.join('ann')
      for (let at = 0; at < 100; at++) ann.say({ type: 'ping', at })
      const found = await until(async () => {
        if ((await seen.world.gateway.status()).signalling.slowed > 0) return 'slowed'
        return ann.heard.filter(({ type }) => type === 'pong').length === 100 && 'answered'
      }, PATIENCE_MS)
      ann.ws.terminate()
      return found
    },
    outcomes: ['answered', 'slowed']
  }
}
