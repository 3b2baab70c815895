import test from 'ava'
import { PosternError } from '../../src/errors.ts'
import { relay } from '../../src/plugins/relay.ts'
import { sceneOf } from '../scenes.ts'
import { keepsContract, plansOf, startPlugin } from './contract.ts'

keepsContract(relay)

test('both sides are sent to the endpoint of the gateway that each was told, with the configured limits', async t => {
  const planner = await startPlugin(relay, { perSession: '1 Mbit/s', total: '10 Mbit/s' })
  const other = { address: '203.0.113.2', port: 3478 }
  const [plan, ...more] = await plansOf(planner, sceneOf({}, { gateway: other }))
  t.deepEqual(more, [])
  t.deepEqual(plan?.caller, { kind: 'splice', target: { address: '203.0.113.1', port: 3478 } })
  t.deepEqual(plan?.callee, { kind: 'splice', target: other })
  t.deepEqual(plan?.limits, { perSession: 1e6, perPeer: 8e6, perNetwork: 10e6, total: 10e6 })
})

test('it works for any pair, and gets its turn after the deadline too', async t => {
  const unknown = { profile: { mapping: 'unknown', filtering: 'unknown' } } as const
  t.is((await plansOf(await startPlugin(relay), sceneOf(unknown, unknown))).length, 1)
  t.true(relay.lastResort)
})

test('a side whose UDP is blocked is sent through the doors that lead to it, and has the time for their handshakes', async t => {
  const planner = await startPlugin(relay)
  const far = { rttMs: 100 }
  const [free] = await plansOf(planner, sceneOf(far, far))
  const [blocked] = await plansOf(planner, sceneOf({ ...far, doors: ['tcp', 'websocket'] }, far))
  t.like(blocked?.caller, { kind: 'splice', doors: ['tcp', 'websocket'] })
  t.false('doors' in (blocked?.callee ?? {}))
  t.is((blocked?.waitMs ?? 0) - (free?.waitMs ?? 0), 500)
})

test('a rate without its unit is refused', async t => {
  await t.throwsAsync(startPlugin(relay, { perSession: '4 MB/s' }), { instanceOf: PosternError, code: 'bad-config' })
})
