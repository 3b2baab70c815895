import test from 'ava'
import { map } from '../../src/plugins/map.ts'
import { behaviours, type SideSpec, sceneOf } from '../scenes.ts'
import { keepsContract, plansOf, startPlugin, stepsOf } from './contract.ts'

keepsContract(map)

const hard = {
  mapping: 'address-and-port-dependent',
  filtering: 'address-and-port-dependent',
  translated: true
} as const
const endpoint = { address: '198.51.100.99', port: 5000 }
const open: SideSpec = { profile: hard, open: { endpoint, by: 'given' } }

test('the other side sends to the forwarded endpoint, and the side it leads to is silent until it is heard', async t => {
  const planner = await startPlugin(map)
  const [toCallee, ...more] = await plansOf(planner, sceneOf({ profile: hard }, open))
  t.deepEqual(more, [])
  t.like(toCallee, {
    passive: 'callee',
    caller: { kind: 'punch', targets: [endpoint] },
    callee: { kind: 'punch', targets: [] }
  })
  t.regex(toCallee?.why ?? '', /^caller to 198\.51\.100\.99:5000, which a forward made by hand leads to callee$/)
  const [toCaller] = await plansOf(planner, sceneOf(open, { profile: hard }))
  t.like(toCaller, { passive: 'caller', caller: { targets: [] }, callee: { targets: [endpoint] } })
})

test('it tries wherever a side has such an endpoint, whatever the NATs do, and passes at once elsewhere', async t => {
  const planner = await startPlugin(map)
  for (const mapping of behaviours)
    for (const filtering of behaviours) {
      const profile = { mapping, filtering }
      t.is((await plansOf(planner, sceneOf({ profile }, { ...open, profile }))).length, 1)
      const steps = await stepsOf(planner, sceneOf({ profile }, { profile }))
      t.deepEqual(steps, [{ kind: 'pass', reason: 'no port is forwarded to caller, nor to callee' }])
    }
  t.deepEqual(
    (await plansOf(planner, sceneOf(open, open))).map(({ passive }) => passive),
    ['callee', 'caller']
  )
})

test('a forward is used also where sources are hidden from the gateway, since what came in has proved it', async t => {
  const hidden = { mapping: 'unknown', filtering: 'unknown', hidden: true } as const
  const [plan] = await plansOf(await startPlugin(map), sceneOf({ profile: hidden }, { ...open, profile: hidden }))
  t.deepEqual(plan?.caller, { kind: 'punch', targets: [endpoint] })
})

test('an endpoint that was not proved is aimed at by nobody, and the reason says what became of it', async t => {
  const planner = await startPlugin(map)
  for (const [state, words] of [
    ['proving', 'was not proved in time'],
    ['unheard', 'leads nowhere'],
    ['refused', 'was refused']
  ] as const) {
    const [step] = await stepsOf(planner, sceneOf({}, { claim: { by: 'upnp', state } }))
    t.is(
      step?.kind === 'pass' ? step.reason : '',
      `no port is forwarded to caller, nor to callee (its forward ${words})`
    )
  }
})
