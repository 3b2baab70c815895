// Who is let in, by what, and what is kept of it.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { Visitor } from '../../../gateway/nettest/desk.ts'
import type { Row, Rows } from '../option.ts'
import { bearer, looking, room } from '../seen.ts'

const mine = 'a-token-of-sixteen-or-more'

/** The status of what takes the admin token. */
const metrics = (request: RequestInit) =>
  looking(async ({ world }) => (await fetch(`${world.url}/metrics`, request)).status, { token: `${mine}\n` })

const inRooms: Pick<Row, 'beside'> = { beside: { 'call.enabled': true } }

export const accessRows: Rows = {
  'join.token': {
    changed: mine,
    observe: looking(seen => seen.admission('ann', { token: mine })),
    outcomes: ['bad-token', 'welcome']
  },
  'join.tokenFile': {
    changed: 'token',
    observe: looking(seen => seen.admission('ann', { token: mine }), { token: `${mine}\n` }),
    outcomes: ['bad-token', 'welcome']
  },
  'admin.token': {
    changed: mine,
    observe: metrics(bearer(mine)),
    outcomes: [401, 200]
  },
  'admin.tokenFile': {
    changed: 'token',
    observe: metrics(bearer(mine)),
    outcomes: [401, 200]
  },
  'admin.open': {
    changed: 'loopback',
    observe: metrics({}),
    outcomes: [401, 200]
  },
  state: {
    changed: './elsewhere',
    observe: looking(({ world }) =>
      ['state', 'elsewhere'].filter(folder => existsSync(join(world.folder, folder, 'join-token')))
    ),
    outcomes: [['state'], ['elsewhere']]
  },
  'call.enabled': {
    changed: true,
    observe: looking(async seen => room(await seen.join('ann'), 'standup')),
    outcomes: ['no-room', 'room']
  },
  'call.rooms': {
    ...inRooms,
    changed: 1,
    observe: looking(async seen => {
      const ann = await seen.join('ann')
      return [await room(ann, 'one'), await room(ann, 'two')]
    }),
    outcomes: [
      ['room', 'room'],
      ['room', 'relay-full']
    ]
  },
  'call.hours': {
    ...inRooms,
    changed: 48,
    observe: looking(async seen => {
      const ann = await seen.join('ann')
      return [await room(ann, 'day', { hours: 24 }), await room(ann, 'longer', { hours: 25 })]
    }),
    outcomes: [
      ['room', 'bad-config'],
      ['room', 'room']
    ]
  },
  'test.enabled': {
    changed: true,
    observe: looking(async seen => {
      const visitor = new Visitor(`${seen.world.url.replace('http', 'ws')}/test/run`)
      const begun = await visitor.hears('begin').then(
        ({ type }) => type,
        () => 'closed'
      )
      visitor.ws.terminate()
      return begun
    }),
    outcomes: ['closed', 'begin']
  }
}
