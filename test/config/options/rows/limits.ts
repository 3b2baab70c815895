// What strangers and peers can fill or ask for. Where a default is too large to be filled here, it lets in what the changed limit
// does not.

import { createSocket } from 'node:dgram'
import { question } from '../../../gateway/udp/fake-ports.ts'
import type { HandMade } from '../../../hand-made.ts'
import { until } from '../../../until.ts'
import type { Row, Rows } from '../option.ts'
import { call, looking, type Seen } from '../seen.ts'

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
  observe: looking(
    async seen => {
      const found = await seen.firstOrder()
      return found === 'punch' ? found : /the probe budget of .* is shared out/.exec(found)?.[0]
    },
    { 'guessing.mjs': guessing }
  )
}

/** What requests are answered with of which the first is still under way when the second comes. */
const calling = (...pairs: readonly (readonly [caller: string, callee: string])[]) =>
  looking(async seen => {
    const peers = new Map<string, HandMade>()
    for (const name of new Set(pairs.flat())) peers.set(name, await seen.join(name))
    const answers: string[] = []
    for (const [request, [caller, callee]] of pairs.entries())
      answers.push(await call(peers.get(caller) as HandMade, callee, request))
    return answers.join(', ')
  })

/** How many of 20 Binding requests of one socket are answered. */
async function answered({ world: { gateway } }: Seen): Promise<string> {
  const [at] = gateway.endpoints
  const client = createSocket('udp4')
  for (let asked = 0; asked < 20; asked++) client.send(question(), at?.port ?? 0, at?.address)
  return await until(async () => {
    const { plain, limited } = (await gateway.status()).udp
    return plain + limited === 20 && (plain === 20 ? 'all' : 'some')
  }, PATIENCE_MS).finally(() => client.close())
}

export const limitRows: Rows = {
  'limits.peers': {
    changed: 2,
    observe: looking(async seen => {
      await seen.join('ann')
      await seen.join('bob')
      return await seen.admission('carol')
    }),
    outcomes: ['welcome', 'relay-full']
  },
  'limits.names': {
    changed: 1,
    observe: looking(async seen => {
      await seen.join('ann')
      return await seen.admission('bob')
    }),
    outcomes: ['welcome', 'name-taken']
  },
  'limits.sessions': {
    changed: 1,
    observe: calling(['ann', 'bob'], ['carol', 'dave']),
    outcomes: ['session, session', 'session, relay-full']
  },
  'limits.sessionsPerPeer': {
    changed: 1,
    observe: calling(['ann', 'bob'], ['ann', 'carol']),
    outcomes: ['session, session', 'session, relay-full']
  },
  'limits.bindingsPerSource': { changed: 1, observe: looking(answered), outcomes: ['all', 'some'] },
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
    observe: looking(async seen => {
      const ann = await seen.join('ann')
      for (let at = 0; at < 100; at++) ann.say({ type: 'ping', at })
      const found = await until(async () => {
        if ((await seen.world.gateway.status()).signalling.slowed > 0) return 'slowed'
        return ann.heard.filter(({ type }) => type === 'pong').length === 100 && 'answered'
      }, PATIENCE_MS)
      ann.ws.terminate()
      return found
    }),
    outcomes: ['answered', 'slowed']
  }
}
