import test from 'ava'
import { Outcomes } from '../../../src/gateway/memory/outcomes.ts'
import { sideOf } from '../../scenes.ts'

const [caller, callee] = [sideOf('caller'), sideOf('callee')]

test('what worked between two networks is told for these two networks alone, and by direction', t => {
  const outcomes = new Outcomes()
  outcomes.learn(caller, callee, 'stun/together', false)
  outcomes.learn(caller, callee, 'stun/caller-first', true)
  outcomes.learn(caller, callee, 'stun/caller-first', true)
  t.deepEqual(outcomes.recall(caller, callee), {
    'stun/together': { opened: 0, failed: 1 },
    'stun/caller-first': { opened: 2, failed: 0 }
  })
  t.deepEqual(outcomes.recall(callee, caller), {})
  t.deepEqual(outcomes.recall(caller, sideOf('callee', { profile: { filtering: 'address-dependent' } })), {})
})

test('a plugin that makes up ever more labels fills nothing', t => {
  const outcomes = new Outcomes()
  for (let n = 0; n < 1000; n++) outcomes.learn(caller, callee, `mine/${n}`, true)
  t.is(Object.keys(outcomes.recall(caller, callee)).length, 32)
})

test('how ports are chosen tells networks apart only where the mapping is known', t => {
  const outcomes = new Outcomes()
  const like = (mapping: 'unknown' | 'address-and-port-dependent', kind: 'random' | 'block') =>
    sideOf('caller', { profile: { mapping, assignment: { kind, confidence: 1, evidence: '' } } })
  for (const mapping of ['unknown', 'address-and-port-dependent'] as const)
    outcomes.learn(like(mapping, 'random'), callee, 'spray/caller', true)
  t.deepEqual(Object.keys(outcomes.recall(like('unknown', 'block'), callee)), ['spray/caller'])
  t.deepEqual(outcomes.recall(like('address-and-port-dependent', 'block'), callee), {})
})
