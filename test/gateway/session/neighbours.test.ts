import { createHash } from 'node:crypto'
import test from 'ava'
import { Neighbours, type Telling } from '../../../src/gateway/session/neighbours.ts'
import { type SideSpec, sceneOf } from '../../scenes.ts'
import { awake } from './made.ts'

const home: SideSpec = {
  rttMs: 0,
  addresses: [{ address: '10.2.0.2', prefix: 24 }],
  profile: { hidden: true, mapping: 'unknown', filtering: 'unknown' }
}
const neighbour: SideSpec = { ...home, addresses: [{ address: '10.2.0.3', prefix: 24 }] }

function asking({ beacons = true, relayOnly = false, gone = new AbortController().signal } = {}) {
  const told: Partial<Record<string, Telling>> = {}
  const tell = (side: string, telling: Telling) => void Object.assign(told, { [side]: telling })
  const neighbours = new Neighbours({
    caller: { beacons: true, relayOnly: false },
    callee: { beacons, relayOnly },
    gone,
    tell
  })
  return { neighbours, told }
}

test('it is asked once, of two that can do it, whose sources are hidden, and that may be on one link', async t => {
  const { neighbours } = asking()
  t.true(neighbours.canAsk(sceneOf(home, neighbour)))
  const elsewhere = { ...neighbour, addresses: [{ address: '10.3.0.3', prefix: 24 }] }
  t.false(neighbours.canAsk(sceneOf(home, elsewhere)))
  t.false(neighbours.canAsk(sceneOf(home, { ...neighbour, profile: {} })), 'the gateway sees one of them')
  t.false(asking({ beacons: false }).neighbours.canAsk(sceneOf(home, neighbour)))
  t.false(
    asking({ relayOnly: true }).neighbours.canAsk(sceneOf(home, neighbour)),
    'one of them is to be seen by nobody'
  )
  using _awake = awake()
  t.false(await neighbours.ask(sceneOf(home, neighbour)), 'nobody heard anything')
  t.false(neighbours.canAsk(sceneOf(home, neighbour)))
})

test('the sender alone knows the token: what the listener tells is what it heard', async t => {
  const { neighbours, told } = asking()
  const answer = neighbours.ask(sceneOf({ ...home, rttMs: 3000 }, { ...neighbour, rttMs: 3000 }))
  const { caller, callee } = told
  if (caller?.type !== 'watch' || callee?.type !== 'beacon') return t.fail('the callee sends, and the caller listens')
  t.is(caller.digest, createHash('sha256').update(Buffer.from(callee.token, 'base64')).digest('base64'))
  t.is(caller.port, callee.port)
  t.false(JSON.stringify(caller).includes(callee.token))
  t.true(callee.afterMs >= 20 && caller.ms >= callee.afterMs + 50)
  neighbours.heard('caller', { token: caller.digest })
  neighbours.heard('callee', { token: callee.token })
  t.false(neighbours.areNear, 'a guess, and what the sender itself says')
  neighbours.heard('caller', { token: callee.token })
  t.true(await answer)
})

test('a session that is over waits for nothing', async t => {
  const { neighbours } = asking({ gone: AbortSignal.abort() })
  t.false(await neighbours.ask(sceneOf({ ...home, rttMs: 3000 }, { ...neighbour, rttMs: 3000 })))
})
