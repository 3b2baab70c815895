import test from 'ava'
import { prospects } from '../../../src/gateway/survey/prospects.ts'
import { direct } from '../../../src/plugins/direct.ts'
import { stun } from '../../../src/plugins/stun.ts'
import { type Pass, type Plan, type Proposal, pass } from '../../../src/strategy/plan.ts'
import type { Scene } from '../../../src/strategy/scene.ts'
import type { Strategy } from '../../../src/strategy/turn.ts'
import { sideOf } from '../../scenes.ts'

const strict = 'address-and-port-dependent'
const symmetric = { mapping: strict, filtering: strict } as const

const plan = (expected?: number): Plan => ({
  kind: 'plan',
  caller: { kind: 'punch', targets: [] },
  callee: { kind: 'punch', targets: [] },
  waitMs: 100,
  why: 'for the test',
  ...(expected === undefined ? {} : { expected })
})

/** A strategy that says the same of every pair. */
function link(name: string, proposals: (scene: Scene) => Iterable<Proposal>, lastResort = false): Strategy {
  return { name, lastResort, planner: { plan: proposals } }
}

const first = async (...links: Strategy[]) => (await prospects(links, sideOf('ann'), 1_000_000))[0]

test('built-in strategies are worth what RFC 4787 says they are, against each kind of network', async t => {
  const links = await Promise.all(
    [direct, stun].map(async plugin => ({
      name: plugin.name,
      lastResort: false,
      planner: await plugin.start({ waitMs: 500 }, { log: console, signal: AbortSignal.timeout(60_000) })
    }))
  )
  const reached = async (profile: object) =>
    (await prospects(links, sideOf('ann', { profile }), 1_000_000))
      .filter(({ probability }) => probability === 1)
      .map(({ peer }) => peer)
  const cone = { mapping: 'endpoint-independent', filtering: strict }
  t.deepEqual(await reached(cone), ['no NAT', 'full cone', 'port-restricted cone'])
  t.deepEqual(await reached(symmetric), ['no NAT', 'full cone'])
  t.is((await reached({ ...cone, filtering: 'endpoint-independent' })).length, 6)
})

test('what several plans are worth together is the chance that one of them succeeds', async t => {
  const halves = link('halves', () => [plan(0.5), plan(0.5)])
  const tenth = link('tenth', () => [plan(0.1)])
  const found = await first(halves, tenth)
  t.is(found?.probability, 1 - 0.5 * 0.5 * 0.9)
  t.deepEqual(
    found?.tries.map(({ by, probability }) => [by, probability]),
    [
      ['halves', 0.5],
      ['halves', 0.5],
      ['tenth', 0.1]
    ]
  )
})

test('a plan without a figure is certain, and no other of its strategy is asked for', async t => {
  const found = await first(link('sure', () => [plan(), plan(0.5)]))
  t.is(found?.probability, 1)
  t.is(found?.tries.length, 1)
})

test('a planner that never ends its plans is asked for a few, wishes for samples aside', async t => {
  const endless = link('endless', function* () {
    for (;;) {
      yield { kind: 'sample', sides: ['caller', 'callee'] }
      yield plan(0.25)
    }
  })
  t.is((await first(endless))?.tries.length, 4)
})

test('a planner that wishes for samples without end is left alone after some', async t => {
  const insatiable = link('insatiable', function* () {
    for (;;) yield { kind: 'sample', sides: ['caller'] }
  })
  t.like(await first(insatiable), { probability: 0, tries: [], passes: [] })
})

test('a report has room for any number of strategies, though not for a line of each', async t => {
  const many = Array.from({ length: 100 }, (_, n) => link(`s${n}`, () => [n % 2 ? plan(0.01) : pass('no')]))
  const found = await first(...many)
  t.is(found?.tries.length, 32)
  t.is(found?.passes.length, 32)
  t.true(Math.abs((found?.probability ?? 0) - (1 - 0.99 ** 50)) < 1e-9)
})

test('reasons for passing are told; the last resort is not asked, for it joins whom nothing else does', async t => {
  const never = (): Pass[] => [pass('it is Sunday')]
  const unasked = () => {
    throw new Error('the last resort was asked')
  }
  const found = await first(link('sunday', never), link('relay', unasked, true))
  t.deepEqual(found, { peer: 'no NAT', probability: 0, tries: [], passes: [{ by: 'sunday', reason: 'it is Sunday' }] })
})

test('a pass after a plan that came to nothing is no reason against the plan', async t => {
  const found = await first(link('once', () => [plan(0.5), pass('that was all')]))
  t.is(found?.tries.length, 1)
  t.deepEqual(found?.passes, [])
})

test('a plugin that throws, or claims more than certainty, harms only its own line', async t => {
  const throws = link('throws', () => {
    throw new Error('no idea')
  })
  const boasts = link('boasts', () => [plan(7)])
  const found = await first(
    throws,
    boasts,
    link('less', () => [plan(-1)])
  )
  t.deepEqual(found?.passes, [{ by: 'throws', reason: 'the plugin threw: no idea' }])
  t.deepEqual(
    found?.tries.map(({ probability }) => probability),
    [1, 0]
  )
})

test('each kind of peer is shown as the gateway would see it: stepping, in a block, at random', async t => {
  const seen: Scene[] = []
  const looks = link('looks', scene => {
    seen.push(scene)
    return [pass('only looking')]
  })
  const ann = sideOf('ann', { profile: symmetric })
  await prospects([looks], ann, 1_000_000)
  t.deepEqual(
    seen.map(({ callee }) => callee.profile.assignment?.kind),
    [undefined, undefined, undefined, 'stepping', 'block', 'random']
  )
  for (const { caller, callee, atMs } of seen) {
    t.is(caller, ann)
    t.is(atMs, 1_000_000)
    t.true(callee.observations.every(one => one.atMs <= atMs))
    t.deepEqual(callee.observations.at(-4)?.port, callee.mapped.port)
  }
})
