import test from 'ava'
import { direct } from '../../src/plugins/direct.ts'
import { probesOf } from '../../src/strategy/plan.ts'
import { pace } from '../agent-pace.ts'
import { sceneOf } from '../scenes.ts'
import { keepsContract, plansOf, startPlugin, stepsOf } from './contract.ts'

keepsContract(direct)

const shared = { address: '198.51.100.7', port: 1 }
const open = { profile: { translated: false, filtering: 'endpoint-independent' } } as const

test('two peers behind one public address with a subnet in common aim at each other there', async t => {
  const scene = sceneOf(
    {
      mapped: shared,
      addresses: [
        { address: '192.168.1.10', prefix: 24 },
        { address: '10.8.0.2', prefix: 24 }
      ]
    },
    {
      mapped: { ...shared, port: 2 },
      addresses: [
        { address: '192.168.1.20', prefix: 24 },
        { address: '10.9.0.2', prefix: 24 }
      ]
    }
  )
  const [plan, ...more] = await plansOf(await startPlugin(direct), scene)
  t.deepEqual(more, [])
  t.deepEqual(plan?.caller, { kind: 'punch', targets: [{ address: '192.168.1.20', port: 12020 }], probes: 10 })
  t.deepEqual(plan?.callee, { kind: 'punch', targets: [{ address: '192.168.1.10', port: 12010 }], probes: 10 })
})

test('an address on a link is only said to be the other’s: it gets few datagrams within a second, which are charged', async t => {
  const [caller, callee] = [10, 20].map(host => ({
    mapped: shared,
    rttMs: 3000,
    addresses: [1, 2, 3].map(net => ({ address: `192.168.${net}.${host}`, prefix: 24 }))
  }))
  const [plan] = await plansOf(await startPlugin(direct, { waitMs: '5s' }), sceneOf(caller, callee))
  t.is(plan?.waitMs, 1000)
  // An order may be repeated once.
  for (const order of [plan?.caller, plan?.callee]) t.true(order !== undefined && 2 * probesOf(order) <= 3 * 20)
  t.true(plan !== undefined && probesOf(plan.caller) > 0 && probesOf(plan.callee) > 0)
})

test('private addresses are not aimed at behind different public ones, nor outside the own subnets', async t => {
  const home = [{ address: '192.168.1.10', prefix: 24 }]
  const same = [{ address: '192.168.1.20', prefix: 24 }]
  const planner = await startPlugin(direct)
  const apart = await stepsOf(planner, sceneOf({ addresses: home }, { addresses: same }))
  t.deepEqual(
    apart.map(({ kind }) => kind),
    ['pass']
  )
  const elsewhere = [{ address: '192.168.2.20', prefix: 24 }]
  const other = await plansOf(
    planner,
    sceneOf({ mapped: shared, addresses: home }, { mapped: shared, addresses: elsewhere })
  )
  t.deepEqual(other, [])
})

test('where sources are hidden, private addresses are aimed at only if one side was heard on a link of the other', async t => {
  const unseen = { mapped: shared, profile: { hidden: true, mapping: 'unknown', filtering: 'unknown' } } as const
  const scene = sceneOf(
    { ...unseen, addresses: [{ address: '192.168.1.10', prefix: 24 }] },
    { ...unseen, addresses: [{ address: '192.168.1.20', prefix: 24 }] }
  )
  const planner = await startPlugin(direct)
  t.deepEqual(await plansOf(planner, scene), [])
  const [plan] = await plansOf(planner, { ...scene, neighbours: true })
  t.deepEqual(plan?.caller, { kind: 'punch', targets: [{ address: '192.168.1.20', port: 12020 }], probes: 10 })
  const seen = sceneOf({ addresses: scene.caller.addresses }, { addresses: scene.callee.addresses })
  t.deepEqual(await plansOf(planner, { ...seen, neighbours: true }), [], 'it counts only where sources are hidden')
})

test('at most four addresses of a shared link are aimed at', async t => {
  const many = (first: number) => Array.from({ length: 16 }, (_, n) => ({ address: `10.0.0.${first + n}`, prefix: 24 }))
  const [plan] = await plansOf(
    await startPlugin(direct),
    sceneOf({ mapped: shared, addresses: many(1) }, { mapped: shared, addresses: many(101) })
  )
  t.is(plan?.caller.kind === 'punch' ? plan.caller.targets.length : 0, 4)
})

const apart = [
  { mapped: shared, addresses: [{ address: '192.168.1.10', prefix: 24 }], rttMs: 0 },
  { mapped: shared, addresses: [{ address: '192.168.2.20', prefix: 24 }], rttMs: 0 }
] as const

test('a private address beyond the own subnets is aimed at only where the operator allows it, with few datagrams', async t => {
  const [pass] = await stepsOf(await startPlugin(direct), sceneOf(...apart))
  t.regex(pass?.kind === 'pass' ? pass.reason : '', /different subnets, and beyondSubnet is off$/)
  const planner = await startPlugin(direct, { beyondSubnet: true })
  const [plan, ...more] = await plansOf(planner, sceneOf(...apart))
  t.deepEqual(more, [])
  const order = { kind: 'punch', probes: 4, perSecond: 20 }
  t.deepEqual(plan?.caller, { ...order, targets: [{ address: '192.168.2.20', port: 12020 }] } as never)
  t.deepEqual(plan?.callee, { ...order, targets: [{ address: '192.168.1.10', port: 12010 }] } as never)
})

test('nor is it where the two have different public addresses, or the one they share is itself private', async t => {
  const planner = await startPlugin(direct, { beyondSubnet: true })
  const [caller, callee] = apart
  for (const address of ['198.51.100.8', '172.17.0.1', '127.0.0.1']) {
    const mapped = { address, port: 1 }
    const other = address.startsWith('198') ? shared : mapped
    t.deepEqual(await plansOf(planner, sceneOf({ ...caller, mapped }, { ...callee, mapped: other })), [])
  }
})

test('a side that nothing stands in front of is aimed at, and waits for what comes', async t => {
  const planner = await startPlugin(direct)
  const [plan] = await plansOf(planner, sceneOf({ profile: { filtering: 'unknown' } }, open))
  t.deepEqual(plan?.caller, { kind: 'punch', targets: [{ address: '198.51.100.20', port: 40020 }] })
  t.deepEqual(plan?.callee, { kind: 'punch', targets: [] })
  const [both] = await plansOf(planner, sceneOf(open, open))
  t.true(both?.callee.kind === 'punch' && both.callee.targets.length === 1)
})

test('a firewall, or a filter that nobody knows, is not taken for none', async t => {
  const planner = await startPlugin(direct)
  for (const filtering of ['address-dependent', 'address-and-port-dependent', 'unknown'] as const)
    t.deepEqual(await plansOf(planner, sceneOf({ profile: { translated: false, filtering } })), [])
})

test('the round trips are added to the configured wait', async t => {
  const planner = await startPlugin(direct, { waitMs: '1s' })
  const [plan] = await plansOf(planner, sceneOf({ ...open, rttMs: 50 }, { rttMs: 150 }))
  t.is(plan?.waitMs, 1600)
})

const name = (n: number, port = 50_001) => ({ address: `0f0f0f0f-0f0f-4f0f-8f0f-0f0f0f0f0f0${n}.local`, port })
const browser = (n: number) => ({ mapped: shared, agent: pace, hosts: [name(n)], addresses: [] })

test('two browsers with one public address are told each other’s names on the link', async t => {
  const [plan] = await plansOf(await startPlugin(direct), sceneOf(browser(1), browser(2)))
  t.like(plan?.caller, { kind: 'ice', targets: [], hosts: [name(2)] })
  t.like(plan?.callee, { kind: 'ice', targets: [], hosts: [name(1)] })
})

test('a peer with the public address of a browser asks its links for it, and the browser is told no private address', async t => {
  const node = { mapped: shared, addresses: [{ address: '192.168.1.9', prefix: 24 }] }
  const [plan] = await plansOf(await startPlugin(direct), sceneOf(browser(1), node))
  t.deepEqual(plan?.caller, { kind: 'ice', targets: [shared] })
  t.deepEqual(plan?.callee, { kind: 'punch', targets: [], hosts: [name(1)], probes: 10 })
})

test('no link is asked for a browser of another network, or one whose source is hidden', async t => {
  const elsewhere = { ...browser(2), mapped: { address: '198.51.100.8', port: 4000 } }
  const hidden = { ...browser(2), profile: { hidden: { reached: '203.0.113.1' } } }
  const nameless = { ...browser(2), hosts: [] }
  for (const other of [elsewhere, hidden])
    t.deepEqual(await plansOf(await startPlugin(direct), sceneOf(browser(1), other)), [])
  const [plan] = await plansOf(await startPlugin(direct), sceneOf(browser(1), nameless))
  t.deepEqual(plan?.caller, { kind: 'ice', targets: [shared] }, 'it answers to where it is checked from')
})
