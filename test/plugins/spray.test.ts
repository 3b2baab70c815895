import test from 'ava'
import { dice } from '../../bench/means/allocators.ts'
import { birthdayRate, type Observation } from '../../src/nat/assignment.ts'
import { spray } from '../../src/plugins/spray.ts'
import type { Proposal } from '../../src/strategy/plan.ts'
import type { Scene } from '../../src/strategy/scene.ts'
import { pace } from '../agent-pace.ts'
import { type SideSpec, sceneOf } from '../scenes.ts'
import { keepsContract, plansOf, startPlugin, stepsOf, targetsOf } from './contract.ts'
import { block, easy, measured, others, scattering, stepping } from './pair.ts'

keepsContract(spray)

const symmetric = { mapping: 'address-and-port-dependent', filtering: 'address-and-port-dependent' } as const

const seen = (address: string, ports: readonly number[]): Observation[] =>
  ports.map((port, i) => ({ address, port, atMs: 990_000 + i, localPort: 12_010 }))

const random = [1234, 51_300, 30_990, 21_444, 62_001, 5099, 44_100, 17_017]
const blocked = [41_000, 41_300, 40_990, 41_444, 41_111, 41_222, 41_460, 40_970, 41_050, 41_350, 41_180, 41_400]

const side = (name: 'caller' | 'callee', ports: readonly number[], more: SideSpec = {}): SideSpec => ({
  observations: seen(name === 'caller' ? '198.51.100.10' : '198.51.100.20', ports),
  ...more,
  profile: { ...symmetric, ...more.profile }
})

async function first(scene: Scene, options = {}) {
  const [plan] = await plansOf(await startPlugin(spray, options), scene)
  if (plan?.caller.kind !== 'punch' || plan.callee.kind !== 'punch') throw new Error('it had no plan to punch')
  return { ...plan, caller: plan.caller, callee: plan.callee }
}

const reasonOf = (step: Proposal | undefined) => (step?.kind === 'pass' ? step.reason : `a ${step?.kind}`)

test('a random NAT: its side opens all sockets, the other walks over as many ports as the budget has', async t => {
  const { caller, callee, passive, expected = 0, waitMs } = await first(sceneOf(side('caller', random)))
  t.is(passive, 'caller')
  t.is(caller.sockets, 256)
  t.is(caller.bindOn, 'heard')
  t.deepEqual(caller.targets, [{ address: '198.51.100.20', port: 40_020 }])
  t.is(targetsOf(callee).length, 2032)
  t.is(new Set(targetsOf(callee).map(({ port }) => port)).size, 2032)
  t.true(Math.abs(expected - birthdayRate(256, 2032, 64_512)) < 0.001)
  t.true(waitMs < 10_000)
})

test('a block takes dozens of sockets and ports, not thousands', async t => {
  const { caller, callee } = await first(sceneOf(side('caller', blocked)))
  t.true((caller.sockets ?? 0) <= 64)
  const [start] = targetsOf(callee)
  t.true((start?.port ?? 0) >= 40_960 && (start?.port ?? 0) <= 41_471)
})

test('two blocks: both open many sockets and aim them at a few ports', async t => {
  const plan = await first(sceneOf(side('caller', blocked), side('callee', blocked)))
  t.is(plan.passive, undefined)
  t.is(plan.caller.sockets, plan.callee.sockets)
  t.true(targetsOf(plan.caller).length <= 16)
  t.is(plan.callee.bindOn, 'heard')
  t.true((plan.expected ?? 0) > 0.95)
})

test('a block and a counter: the counter is sampled first, and its burst aims at one port', async t => {
  const counted = { observations: seen('198.51.100.20', [50_000, 50_001, 50_002, 50_003]) }
  const scene = { ...sceneOf(side('caller', blocked), side('callee', [], counted)), atMs: 990_010 }
  const [sample, plan] = await stepsOf(await startPlugin(spray), scene)
  t.deepEqual(sample, { kind: 'sample', sides: ['callee'] })
  if (plan?.kind !== 'plan') return t.fail(reasonOf(plan))
  t.is(targetsOf(plan.callee).length, 1)
  t.true(targetsOf(plan.caller).every(({ port }) => port > 50_003 && port < 50_300))
  t.is(plan.callee.kind === 'punch' && plan.callee.perSecond, undefined)
})

test('an agent scatters over as many connections as it makes, and the other side walks', async t => {
  const { caller, callee, expected = 0, waitMs } = await first(sceneOf(side('caller', random, { agent: pace })))
  t.is(caller.sockets, 64)
  t.is(targetsOf(callee).length, 2032)
  t.true(Math.abs(expected - birthdayRate(64, 2032, 64_512)) < 0.001)
  t.true(waitMs < 5000)
})

test('an agent searches at its own pace, so few ports in five seconds, and only where these are worth it', async t => {
  const agent = { agent: pace }
  const { caller, callee, expected = 0, waitMs } = await first(sceneOf(side('caller', blocked), agent))
  t.is(targetsOf(callee).length, 51)
  t.true((caller.sockets ?? 0) >= 64)
  t.true(expected > 0.9)
  t.true(waitMs < 5000)
  const planner = await startPlugin(spray, { atLeast: 0.3 })
  t.regex(
    reasonOf((await stepsOf(planner, sceneOf(side('caller', random), agent))).at(-1)),
    /with 256 sockets and 51 ports/
  )
})

test('two agents search by as many connections as the budget covers for as long as the plan lasts', async t => {
  const plans = (probes: number) => {
    const agent = { agent: pace, probes }
    return first(sceneOf(side('caller', blocked, agent), side('callee', blocked, agent)))
  }
  const plan = await plans(2048)
  t.is(plan.caller.sockets, 25, '16 checks a second for five seconds')
  t.true(targetsOf(plan.caller).length <= 51)
  t.true((plan.expected ?? 0) > 0.5, `${plan.expected}`)
  t.true(plan.waitMs < 5000)
  t.is((await plans(800)).caller.sockets, 10)
})

test('what is below the threshold is passed at once, with its number', async t => {
  const planner = await startPlugin(spray)
  const [both] = await stepsOf(planner, sceneOf(side('caller', random), side('callee', random)))
  t.is(reasonOf(both), 'both random: 0.077 % in budget')
  t.like(both, { kind: 'pass', cause: 'unlikely' })
  t.true(both?.kind === 'pass' && Math.abs((both.expected ?? 0) - 0.001) < 0.001)
  const scarce = sceneOf(side('caller', random, { probes: 40 }), side('callee', random))
  t.like((await stepsOf(planner, scarce))[0], { cause: 'unlikely' }, 'with all probes as well')
  const [none] = await stepsOf(planner, sceneOf())
  t.regex(reasonOf(none), /^no port to search for/)
  const poor = await startPlugin(spray, { probes: 64, sockets: 8 })
  t.regex(reasonOf((await stepsOf(poor, sceneOf(side('caller', random))))[0]), /: 0\.59 % with 8 sockets and 48 ports$/)
})

test('the threshold decides alone', async t => {
  const scene = sceneOf(side('caller', random), side('callee', blocked))
  t.regex(reasonOf((await stepsOf(await startPlugin(spray), scene))[0]), /: 1\d % in budget$/)
  t.is((await stepsOf(await startPlugin(spray, { atLeast: 0.05 }), scene))[0]?.kind, 'plan')
})

test('where the budget of an address is what is short, the reason says so', async t => {
  const [step] = await stepsOf(await startPlugin(spray), sceneOf(side('caller', random, { probes: 40 })))
  t.regex(reasonOf(step), /; budget shared out: 40 probes left at 198\.51\.100\.10$/)
  t.like(step, { kind: 'pass', cause: 'budget-shared-out' })
})

test('no side exceeds the sockets and datagrams it was given, and both keep the pace', async t => {
  for (const options of [
    { sockets: 20, probes: 500, perSecond: 200 },
    { sockets: 300, probes: 4000, perSecond: 5000 }
  ])
    for (const scene of [
      sceneOf(side('caller', blocked)),
      sceneOf(side('caller', random), { rttMs: 400 }),
      sceneOf(side('caller', blocked), side('callee', blocked))
    ])
      for (const plan of await plansOf(await startPlugin(spray, options), scene)) {
        for (const order of [plan.caller, plan.callee]) {
          if (order.kind !== 'punch') return t.fail(order.kind)
          t.true((order.sockets ?? 1) <= options.sockets)
          t.true((order.probes ?? Number.POSITIVE_INFINITY) <= options.probes)
          t.is(order.perSecond, options.perSecond)
        }
        t.true(plan.waitMs <= 10_000)
      }
})

test('ports towards another address may be others, where a NAT maps by address', async t => {
  const narrow = side('caller', blocked, { profile: { mapping: 'address-dependent' } })
  const { callee, expected = 0 } = await first(sceneOf(narrow))
  const outside = targetsOf(callee).filter(({ port }) => port < 40_000 || port > 42_000)
  t.true(outside.length > 500)
  t.true(expected > 0.95)
})

// Earlier sockets are what a gateway has seen of a peer that joined a few seconds ago.
const world = { roll: dice(20), callee: easy, rttMs: 2, earlier: 3 }

for (const [name, more, options, trials] of [
  ['random, 128 × 512', { caller: scattering(1024, 65_535) }, { sockets: 128, probes: 528 }, 120],
  ['random, 256 × 1024', { caller: scattering(1024, 65_535) }, { sockets: 256, probes: 1040 }, 120],
  ['a block of 512, 16 × 48', { caller: block(512) }, { sockets: 16, probes: 64 }, 120],
  ['two blocks of 512, 256 × 2', { caller: block(512), callee: block(512) }, { probes: 528 }, 120],
  ['two blocks of 512, 64 × 4', { caller: block(512), callee: block(512) }, { sockets: 64, probes: 272 }, 120],
  [
    'a block and +1 with 20/s, 40 ms',
    { caller: block(512), callee: stepping(1, others(20)), rttMs: 40 },
    { probes: 784 },
    100
  ],
  ['-2 and a block, 4 samples each', { caller: stepping(-2), callee: block(512), earlier: 0 }, { probes: 784 }, 100]
] as const)
  test(`${name}: as many meet as the plan expected`, async t => {
    const planner = await startPlugin(spray, options)
    const { met, expected, margin, calibrated } = await measured(
      planner,
      { ...world, ...more, roll: dice(name.length) },
      trials
    )
    t.true(expected > 0.1 * trials && expected < 0.999 * trials, String(expected))
    t.true(calibrated, `${met}, not ${expected.toFixed(1)} ± ${margin.toFixed(1)}`)
  })

test('with the whole budget what can be met is met', async t => {
  const planner = await startPlugin(spray)
  for (const [most, more] of [
    [512, { caller: scattering(1024, 65_535) }],
    [150, { caller: block(512) }],
    [150, { caller: block(512), earlier: 0 }],
    [2048, { caller: block(512), callee: block(512) }]
  ] as const) {
    const { met, median } = await measured(planner, { ...world, ...more }, 30)
    t.true(met >= 29, `${met} of 30`)
    t.true(median <= most, `${median} datagrams`)
  }
})

/** What a gateway with one address sees of a NAT that gives each socket one port, and not the socket's own. */
const untold = { mapping: 'unknown', filtering: 'address-and-port-dependent' } as const
const inVain = { by: 'stun', outcome: 'failed', reason: 'no answer', cause: 'unheard' } as const

test('a mapping that may depend on the address is searched for once the observed endpoints were tried in vain', async t => {
  const sideLike = (port: number): SideSpec => ({
    port,
    observations: seen('198.51.100.10', [40_010]),
    profile: untold
  })
  const planner = await startPlugin(spray)
  const moved = sceneOf(sideLike(12_010), { profile: { filtering: 'address-and-port-dependent' } })
  t.regex(reasonOf((await stepsOf(planner, moved))[0]), /^no port to search for/)
  const tried = await first({ ...moved, attempts: [inVain] })
  t.is(tried.passive, 'caller')
  t.is(tried.label, 'caller')
  t.true(
    targetsOf(tried.callee).some(({ port }) => port < 30_000),
    'anywhere, whatever was seen at one address'
  )
  const remembered = await first({ ...moved, memory: { 'stun/together': { opened: 0, failed: 1 } } })
  t.is(remembered.passive, 'caller')
  const kept = { ...sceneOf(sideLike(40_010), { profile: untold, port: 40_020 }), attempts: [inVain] }
  t.regex(reasonOf((await stepsOf(planner, kept))[0]), /^no port to search for/, 'neither NAT gives other ports')
  const either = { ...sceneOf(sideLike(12_010), { profile: untold }), attempts: [inVain] }
  t.regex(reasonOf((await stepsOf(planner, either))[0]), /^no port to search for/, 'whose port it is nobody knows')
})

test('where the other side may be hard as well the search is short, is whole where it worked, and is not repeated in vain', async t => {
  const scene = sceneOf(side('caller', random), { profile: untold })
  const ports = async (memory: Scene['memory']) => targetsOf((await first({ ...scene, memory })).callee).length
  const short = await ports({})
  t.true(short > 500 && short < 1000, `${short}`)
  t.is(await ports({ 'spray/caller': { opened: 1, failed: 0 } }), 2032)
  const memory = { 'spray/caller': { opened: 0, failed: 1 } }
  const [step] = await stepsOf(await startPlugin(spray), { ...scene, memory })
  t.is(reasonOf(step), 'searched in vain before: callee may have another port towards caller')
})
