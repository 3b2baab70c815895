import test from 'ava'
import { dice } from '../../bench/means/allocators.ts'
import type { Observation } from '../../src/nat/assignment.ts'
import { predict } from '../../src/plugins/predict.ts'
import type { Cause, Plan, Proposal } from '../../src/strategy/plan.ts'
import type { Scene } from '../../src/strategy/scene.ts'
import { pace } from '../agent-pace.ts'
import { type SideSpec, sceneOf } from '../scenes.ts'
import { keepsContract, plansOf, startPlugin, stepsOf, targetsOf } from './contract.ts'
import { block, easy, measured, others, scattering, stepping } from './pair.ts'

keepsContract(predict)

const symmetric = { mapping: 'address-and-port-dependent', filtering: 'address-and-port-dependent' } as const

/** The four samples of a fresh socket, 10 ms ago. */
const seen = (address: string, ports: readonly number[]): Observation[] =>
  ports.map((port, i) => ({ address, port, atMs: 999_990 + i / 4, localPort: 12_010 }))

const steps = (address: string, from: number, step: number) =>
  seen(
    address,
    [0, 1, 2, 3].map(i => from + i * step)
  )

const caller = (more: SideSpec = {}): SideSpec => ({
  observations: steps('198.51.100.10', 30_000, 2),
  ...more,
  profile: { ...symmetric, ...more.profile }
})
const callee = (more: SideSpec = {}): SideSpec => ({
  observations: steps('198.51.100.20', 50_000, -1),
  ...more,
  profile: { ...symmetric, ...more.profile }
})

async function first(scene: Scene, options = {}): Promise<Plan> {
  const [plan] = await plansOf(await startPlugin(predict, options), scene)
  if (!plan) throw new Error('it had no plan')
  return plan
}

const reasonOf = (step: Proposal | undefined) => (step?.kind === 'pass' ? step.reason : `a ${step?.kind}`)
const causeOf = (step: Proposal | undefined) => (step?.kind === 'pass' ? step.cause : undefined)

test('the side that steps is passive and sends to one endpoint; the other opens its filter for the next ports', async t => {
  const plan = await first(sceneOf(caller()))
  t.is(plan.passive, 'caller')
  t.is(plan.caller.kind, 'ice')
  t.deepEqual(targetsOf(plan.caller), [{ address: '198.51.100.20', port: 40_020 }])
  t.deepEqual(plan.callee.kind === 'ice' && plan.callee.targets, [])
  t.deepEqual(targetsOf(plan.callee)[0], { address: '198.51.100.10', port: 30_008 })
  t.regex(
    plan.why,
    /^caller steps by \+2, .* by others: \d+ ports of 198\.51\.100\.10 from 30008 on, \d+(\.\d)? % expected$/
  )
})

test('far apart, what the passive side heard proves the path, unless its filter lets in more; near, it asks', async t => {
  const memory = { 'predict/punch': { opened: 1, failed: 0 } }
  const bindOn = async (filtering: 'unknown' | 'endpoint-independent' | 'address-and-port-dependent', rttMs = 50) => {
    const scene = { ...sceneOf(caller({ rttMs, profile: { filtering } }), { rttMs }), memory }
    const { caller: order } = await first(scene)
    return order.kind === 'punch' ? order.bindOn : order.kind
  }
  t.is(await bindOn('address-and-port-dependent'), 'heard')
  t.is(await bindOn('endpoint-independent'), 'answered')
  t.is(await bindOn('unknown'), 'answered')
  t.is(await bindOn('address-and-port-dependent', 1), 'answered')
})

test('two sides that step each aim a burst at one port of the other', async t => {
  const plan = await first(sceneOf(caller(), callee()))
  t.is(plan.caller.kind, 'punch')
  t.is(targetsOf(plan.caller).length, 1)
  t.is(targetsOf(plan.callee).length, 1)
  const [aimed] = targetsOf(plan.callee)
  t.is(aimed?.address, '198.51.100.10')
  t.is((aimed?.port ?? 0) % 2, 0)
  t.true((aimed?.port ?? 0) >= 30_008)
  t.true((targetsOf(plan.caller)[0]?.port ?? 0) <= 49_996)
  t.true(plan.caller.kind === 'punch' && plan.caller.bindOn === undefined && (plan.caller.sockets ?? 0) > 1)
})

test('an agent is given no more ports than it checks in time, and bursts by no more connections than it makes', async t => {
  const slow = { ...pace, perConnection: 2, connections: 3 }
  const searching = await first(sceneOf(caller({ observations: steps('198.51.100.10', 30_000, 2) }), { agent: slow }))
  t.true(targetsOf(searching.callee).length <= 6)
  t.is(searching.caller.kind, 'punch', 'the way of checks is for whoever obeys it')
  const both = await first(sceneOf(caller({ agent: slow }), callee()))
  t.true((both.caller.kind === 'punch' ? (both.caller.sockets ?? 1) : 99) <= 3)
})

test('a side that answers whoever knows its one mapping for an address makes the other as good as easy', async t => {
  const loose = caller({ profile: { mapping: 'address-dependent', filtering: 'address-dependent' } })
  const plan = await first(sceneOf(loose, callee()))
  t.is(plan.passive, 'caller')
  t.is(plan.caller.kind, 'punch')
  t.deepEqual(targetsOf(plan.callee)[0], { address: '198.51.100.10', port: 30_008 })
})

test('it passes where no side is hard, and an unknown mapping with one port is not', async t => {
  const planner = await startPlugin(predict)
  const unknown = { profile: { mapping: 'unknown' }, observations: seen('198.51.100.10', [5000, 5000]) } as const
  for (const scene of [sceneOf(), sceneOf({ ...unknown, port: 12_010 })])
    t.regex(reasonOf((await stepsOf(planner, scene))[0]), /^no port to predict: caller has mapping /)
  const torn = { ...unknown, port: 12_010, observations: steps('198.51.100.10', 5000, 1) }
  t.is((await stepsOf(planner, sceneOf(torn)))[0]?.kind, 'sample')
})

test('a hopeless pair costs no sampling, and the reason has its number', async t => {
  const scattered = caller({ observations: seen('198.51.100.10', [1234, 51_300, 30_990, 21_444]) })
  const passes = await stepsOf(await startPlugin(predict), sceneOf(scattered))
  t.is(passes.length, 1)
  t.regex(reasonOf(passes[0]), /^caller scatters its ports, .*: 0\.\d+ % with 16 ports$/)
  const [both] = await stepsOf(await startPlugin(predict), sceneOf(scattered, callee()))
  t.regex(reasonOf(both), /^caller scatters .*, callee steps by -1, .*: 0 % with 128 sockets each$/)
})

test('it samples what has to be predicted before each plan, and what the samples say counts', async t => {
  const planner = await startPlugin(predict)
  const kinds = (await stepsOf(planner, sceneOf(caller()))).map(({ kind }) => kind)
  t.deepEqual(kinds.slice(0, 4), ['sample', 'plan', 'sample', 'plan'])
  const changed = { ...sceneOf(caller()) }
  const plans = planner.plan(changed) as Iterable<Proposal>
  const reasons: string[] = []
  for (const step of plans) {
    if (step.kind === 'sample') t.deepEqual(step.sides, ['caller'])
    Object.assign(changed, sceneOf(caller({ observations: seen('198.51.100.10', [1234, 51_300, 30_990, 21_444]) })))
    if (step.kind === 'pass') reasons.push(step.reason)
  }
  t.regex(reasons.join(), /^caller scatters/)
})

test('rounds and datagrams have an end', async t => {
  const plans = await plansOf(await startPlugin(predict, { rounds: 3 }), sceneOf(caller()))
  t.is(plans.length, 3)
  const thrifty = await plansOf(await startPlugin(predict, { probes: 150 }), sceneOf(caller()))
  const spent = thrifty.reduce(
    (sum, { callee }) => sum + (callee.kind === 'ice' || callee.kind === 'punch' ? (callee.probes ?? 0) : 0),
    0
  )
  t.true(thrifty.length > 0 && spent <= 150, String(spent))
})

test('where the budget of an address is what is short, the reason says so', async t => {
  const [step] = await stepsOf(await startPlugin(predict), sceneOf(caller({ probes: 20 })))
  t.is(reasonOf(step), 'no probes left; budget shared out: 20 probes left at 198.51.100.10')
  t.is(causeOf(step), 'budget-shared-out')
})

test('a pass that no budget would have helped is not the shared budget’s doing', async t => {
  const random = seen('198.51.100.10', [1234, 51_300, 30_990, 21_444])
  const [step] = await stepsOf(await startPlugin(predict), sceneOf(caller({ observations: random, probes: 500 })))
  t.like(step, { kind: 'pass', cause: 'unlikely' })
  t.true(step?.kind === 'pass' && (step.expected ?? 1) < 0.01)
})

test('where a right port led to no connection, no other port is tried', async t => {
  const yielded = async (last: Cause) => {
    const scene = { ...sceneOf(caller()), last: undefined as Cause | undefined }
    const kinds: string[] = []
    for (const step of (await startPlugin(predict)).plan(scene) as Iterable<Proposal>) {
      kinds.push(step.kind === 'pass' ? `${step.kind} ${step.cause}` : step.kind)
      if (step.kind === 'plan') scene.last = last
    }
    return kinds
  }
  t.deepEqual(await yielded('handover-lost'), ['sample', 'plan', 'pass handover-lost'])
  t.deepEqual((await yielded('unheard')).slice(0, 4), ['sample', 'plan', 'sample', 'plan'])
})

test('the window grows with the time since the samples', async t => {
  const ports = async (rttMs: number) => targetsOf((await first(sceneOf(caller({ rttMs })))).callee).length
  t.true((await ports(500)) > (await ports(25)))
})

test('what worked between two networks comes first, and the next round tries the other way', async t => {
  const labels = async (memory: Scene['memory']) =>
    (await plansOf(await startPlugin(predict), { ...sceneOf(caller()), memory })).map(({ label }) => label)
  t.deepEqual((await labels({})).slice(0, 2), ['ice', 'punch'])
  const learned = { 'predict/punch': { opened: 2, failed: 0 }, 'predict/ice': { opened: 0, failed: 1 } }
  t.deepEqual((await labels(learned)).slice(0, 2), ['punch', 'ice'])
})

test('the counters of a pool are tried at the address whose turn it is', async t => {
  const pool = ['198.51.100.10', '198.51.100.11']
  const observations = [0, 1, 2, 3].flatMap(i => [
    { address: pool[0] ?? '', port: 20_000 + i, atMs: 999_980 + 2 * i, localPort: 12_010 },
    { address: pool[1] ?? '', port: 41_000 + i, atMs: 999_981 + 2 * i, localPort: 12_010 }
  ])
  const plan = await first(sceneOf(caller({ observations, profile: { addresses: pool } })))
  t.deepEqual(targetsOf(plan.callee)[0], { address: pool[0], port: 20_004 })
})

test('of a pool that has shown one port of each address nothing is believed before there are samples', async t => {
  const pool = [10, 11, 12, 13].map(host => `198.51.100.${host}`)
  const ports = [30_214, 42_178, 30_058, 30_461]
  const seen = (round: number) =>
    pool.map((address, i) => ({
      address,
      port: (ports[i] ?? 0) + round,
      atMs: 999_900 + 50 * round + i,
      localPort: 12_010
    }))
  const [asks] = await stepsOf(
    await startPlugin(predict),
    sceneOf(caller({ observations: seen(0), profile: { addresses: pool } }))
  )
  t.is(asks?.kind, 'sample')
  const plan = await first(sceneOf(caller({ observations: [...seen(0), ...seen(1)], profile: { addresses: pool } })))
  t.deepEqual(targetsOf(plan.callee)[0], { address: pool[0], port: 30_216 })
})

// Earlier sockets are what a gateway has seen of a peer that joined half a minute ago. Without them the rate of others is a
// guess, and with it the probability.
const world = { roll: dice(20), callee: easy, rttMs: 2, earlier: 7 }

for (const [name, more, options] of [
  ['+1 alone', { caller: stepping(1) }, {}],
  ['-7 alone, both', { caller: stepping(-7), callee: stepping(1) }, {}],
  ['+1 with 5/s', { caller: stepping(1, others(5)) }, { goal: 0.8 }],
  ['+2 with 20/s, 160 ms', { caller: stepping(2, others(20)), rttMs: 160 }, { goal: 0.7 }],
  ['-1 with 50/s, 160 ms', { caller: stepping(-1, others(50)), rttMs: 160 }, {}],
  [
    'both with 5/s, 160 ms',
    { caller: stepping(1, others(5)), callee: stepping(2, others(5)), rttMs: 160 },
    { goal: 0.8 }
  ],
  ['both with 50/s', { caller: stepping(1, others(50)), callee: stepping(-1, others(50)) }, {}],
  [
    'both with 50/s, 160 ms',
    { caller: stepping(1, others(50)), callee: stepping(2, others(50)), rttMs: 160 },
    { goal: 0.8 }
  ]
] as const)
  test(`${name}: as many meet as the plan expected`, async t => {
    const { met, expected, margin, calibrated } = await measured(
      await startPlugin(predict, options),
      { ...world, ...more, roll: dice(name.length) },
      100
    )
    t.true(calibrated, `${met}, not ${expected.toFixed(1)} ± ${margin.toFixed(1)}`)
    t.true('goal' in options || met >= 97, String(met))
  })

test('NATs that scatter are left to others, in any company', async t => {
  const planner = await startPlugin(predict)
  for (const made of [block(512), scattering(1024, 65_535)])
    for (const other of [easy, stepping(1), made]) {
      const { results } = await measured(planner, { ...world, caller: made, callee: other }, 5)
      t.true(results.every(({ plan }) => plan === undefined))
    }
})

const untold = { mapping: 'unknown', filtering: 'address-and-port-dependent' } as const

test('where the other side may be hard as well, there are two rounds, and none where these were in vain before', async t => {
  const planner = await startPlugin(predict)
  const near = { rttMs: 1 }
  const scene = sceneOf(caller(near), { ...near, profile: untold })
  t.is((await plansOf(planner, scene)).length, 2)
  t.true(
    (await plansOf(planner, sceneOf(caller(near), near))).length > 2,
    'what is known to be easy is not given up so soon'
  )
  const memory = { 'predict/punch': { opened: 0, failed: 2 } }
  const [step] = await stepsOf(planner, { ...scene, memory })
  t.is(reasonOf(step), 'searched in vain before: callee may have another port towards caller')
})

test('a side that is only suspected to be hard is predicted where it counts, and nowhere else', async t => {
  const planner = await startPlugin(predict)
  const attempts = [{ by: 'stun', outcome: 'failed', reason: 'no answer', cause: 'unheard' }] as const
  const first = async (ports: readonly number[]) => {
    const observations = ports.map((port, i) => ({
      address: '198.51.100.10',
      port,
      atMs: 990_000 + 500 * i,
      localPort: 12_000 + i
    }))
    const scene = sceneOf({ port: 12_007, observations, profile: untold })
    const proposals = await stepsOf(planner, { ...scene, attempts })
    return proposals.find(({ kind }) => kind !== 'sample')
  }
  t.is((await first([30_000, 30_001, 30_002, 30_003, 30_004, 30_005, 30_006, 30_007]))?.kind, 'plan')
  const scattered = await first([1234, 51_300, 30_990, 21_444, 62_001, 5099, 44_100, 17_017])
  t.regex(reasonOf(scattered), /may have others towards callee$/)
  t.regex(reasonOf(await first([40_010])), /may have others towards callee$/)
})
