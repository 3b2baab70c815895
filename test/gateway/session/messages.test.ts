// What a session says is read by the parser of the peers: nothing of it may be too long or out of shape.

import test from 'ava'
import { PosternError } from '../../../src/errors.ts'
import * as messages from '../../../src/gateway/session/messages.ts'
import { parseFromGateway } from '../../../src/wire/signal.ts'
import { Hand } from './made.ts'

const print = (byte: string) => Array(32).fill(byte).join(':')
const trace = '0123456789abcdef'.repeat(2)
const told = {
  id: '0123456789abcdef',
  caller: new Hand('ann', { fingerprint: print('AA'), named: false }),
  callee: new Hand('bob', { fingerprint: print('BB') }),
  keys: { caller: Buffer.alloc(20, 1), callee: Buffer.alloc(20, 2) },
  probeKey: Buffer.alloc(20, 3)
}
const read = (message: object) => parseFromGateway(JSON.stringify(message))

test('each side is introduced to the other with a key of its own, and only the caller by its request', t => {
  const asked = { request: 7, trace }
  const [ann, bob] = (['caller', 'callee'] as const).map(side => read(messages.introduction(told, side, asked)))
  t.like(ann, { request: 7, peer: { name: 'bob', fingerprint: print('BB'), named: true } })
  t.like(bob, { role: 'callee', peer: { name: 'ann', fingerprint: print('AA'), named: false } })
  t.false('request' in (bob ?? {}))
  t.like(ann, { key: told.keys.caller.toString('base64'), probeKey: told.probeKey.toString('base64') })
  t.like(bob, { key: told.keys.callee.toString('base64'), probeKey: told.probeKey.toString('base64') })
})

test('a turn is told with as much of its reason as a peer reads', t => {
  const turn = { outcome: 'failed', reason: 'x'.repeat(9000), cause: 'never-obeyed' } as const
  const message = read(messages.turnMessage(told, { name: 'stun' }, turn, 12.345))
  t.like(message, { type: 'strategy', name: 'stun', outcome: 'failed', reason: 'x'.repeat(500), ms: 12.3 })
})

test('a path with a limit is relayed, and one without is direct', t => {
  const path = (bitsPerSecond: number | undefined) =>
    read(messages.pathMessage(told, { by: 'any', bitsPerSecond, verdict: undefined }))
  t.deepEqual(path(undefined), { type: 'path', session: told.id, by: 'any', kind: 'direct' })
  t.deepEqual(path(8000), { type: 'path', session: told.id, by: 'any', kind: 'relay', bitsPerSecond: 8000 })
})

test('where there is no path, what became of each strategy is told in its order, as far as there is room', t => {
  const error = messages.noPath(told.callee, [
    { by: 'direct', outcome: 'passed', reason: 'not today', cause: 'unsuited' },
    { by: 'stun', outcome: 'failed', reason: 'y'.repeat(9000), cause: 'unheard' }
  ])
  t.true(error instanceof PosternError && error.code === 'no-path')
  const over = read(messages.overMessage(told, error, { trace, verdict: undefined }))
  t.like(over, { type: 'over', session: told.id, code: 'no-path', trace })
  t.true(over.type === 'over' && over.reason.startsWith('no path to bob: direct passed (not today); stun failed (yyy'))
})

test('what is told in words has no address in it where a side shows its own to nobody', t => {
  const reason = 'nothing came back to 192.0.2.7:4000 nor [2001:db8::7]:4000, at 12:30:00'
  const turn = { outcome: 'failed', reason, cause: 'never-obeyed' } as const
  const told = read(messages.discreet(messages.turnMessage({ id: '0'.repeat(16) }, { name: 'relay' }, turn, 1)))
  t.like(told, { reason: 'nothing came back to ADDRESS:4000 nor [ADDRESS]:4000, at 12:30:00', ms: 1 })
  const { order } = { order: { type: 'cancel', session: '0'.repeat(16), plan: 1 } } as const
  t.is(messages.discreet(order), order)
})
