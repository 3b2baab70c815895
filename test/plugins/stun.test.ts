import test from 'ava'
import type { Behaviour } from '../../src/nat/profile.ts'
import { stun } from '../../src/plugins/stun.ts'
import type { Plan } from '../../src/strategy/plan.ts'
import type { Scene } from '../../src/strategy/scene.ts'
import type { SideName } from '../../src/wire/side.ts'
import { behaviours, sceneOf } from '../scenes.ts'
import { keepsContract, plansOf, startPlugin, stepsOf } from './contract.ts'

keepsContract(stun)

test('each side is sent to where the gateway saw the other', async t => {
  const [plan, ...more] = await plansOf(await startPlugin(stun), sceneOf())
  t.deepEqual(more, [])
  t.deepEqual(plan?.caller, { kind: 'ice', targets: [{ address: '198.51.100.20', port: 40020 }] })
  t.deepEqual(plan?.callee, { kind: 'ice', targets: [{ address: '198.51.100.10', port: 40010 }] })
})

test('ICE alone is for mappings that are sure and peers that are far; otherwise probes go first', async t => {
  const planner = await startPlugin(stun)
  const kindOf = async (scene: ReturnType<typeof sceneOf>) => (await plansOf(planner, scene))[0]?.caller.kind
  t.is(await kindOf(sceneOf()), 'ice')
  t.is(await kindOf(sceneOf({ rttMs: 5 }, { rttMs: 5 })), 'punch')
  t.is(await kindOf(sceneOf({ profile: { mapping: 'address-dependent' } })), 'punch')
  t.is(await kindOf(sceneOf({ profile: { mapping: 'unknown' } })), 'punch')
})

test('it tries wherever one packet can pass one filter and its answer find back, and nowhere else (RFC 4787)', async t => {
  const planner = await startPlugin(stun)
  const independent: Behaviour = 'endpoint-independent'
  const strict: Behaviour = 'address-and-port-dependent'
  type Nat = { mapping: Behaviour; filtering: Behaviour }
  /** Written out anew: true, false, or unknown as undefined. */
  const way = (from: Nat, to: Nat) => {
    if (to.mapping !== independent && to.mapping !== 'unknown') return false
    if (from.mapping !== independent && from.mapping !== 'unknown' && to.filtering === strict) return false
    const isKnown = from.mapping === independent || [independent, 'address-dependent'].includes(to.filtering)
    return isKnown && to.mapping === independent ? true : undefined
  }
  for (const a of behaviours)
    for (const b of behaviours)
      for (const c of behaviours)
        for (const d of behaviours) {
          const [one, two]: [Nat, Nat] = [
            { mapping: a, filtering: b },
            { mapping: c, filtering: d }
          ]
          const hopeless = way(one, two) === false && way(two, one) === false
          const steps = await stepsOf(planner, sceneOf({ profile: one }, { profile: two }))
          t.is(steps[0]?.kind, hopeless ? 'pass' : 'plan', JSON.stringify([one, two]))
        }
})

test('it passes with both NATs in its reason', async t => {
  const symmetric = {
    profile: { mapping: 'address-and-port-dependent', filtering: 'address-and-port-dependent' }
  } as const
  const [step] = await stepsOf(await startPlugin(stun), sceneOf(symmetric, symmetric))
  t.regex(step?.kind === 'pass' ? step.reason : '', /^caller \(mapping address-and-port-dependent, .*to callee \(/)
})

const strict = { filtering: 'address-and-port-dependent' } as const
const waysOf = async (memory: Scene['memory'], remaps: Partial<Record<SideName, boolean>> = {}) => {
  const profile = (side: SideName) => ({ ...strict, ...(remaps[side] === undefined ? {} : { remaps: remaps[side] }) })
  const sides = [{ profile: profile('caller'), rttMs: 60 } as const, { profile: profile('callee'), rttMs: 40 } as const]
  const scene = { ...sceneOf(...sides), memory }
  const steps = await stepsOf(await startPlugin(stun), scene)
  return { steps, ways: steps.flatMap(step => (step.kind === 'plan' ? [step.label] : [])) }
}

test('where a filter may remap what it does not want, the sides also send in turn, each time from fresh sockets', async t => {
  const { steps, ways } = await waysOf({})
  t.deepEqual(ways, ['together', 'caller', 'callee'])
  t.deepEqual(
    steps.map(({ kind }) => kind),
    ['plan', 'sample', 'plan', 'sample', 'plan']
  )
  const [, , callerFirst, , calleeFirst] = steps as Plan[]
  t.deepEqual(callerFirst?.afterMs, { callee: 30 }, 'the side whose order arrives first waits the longer')
  t.deepEqual(calleeFirst?.afterMs, { caller: 20 })
})

test('where neither side remaps, nothing is tried in turn; where one does it sends first', async t => {
  const ways = async (caller?: boolean, callee?: boolean) =>
    (await waysOf({}, { ...(caller === undefined ? {} : { caller }), ...(callee === undefined ? {} : { callee }) }))
      .ways
  t.deepEqual(await ways(false, false), ['together'])
  t.deepEqual(await ways(true, false), ['caller', 'together'])
  t.deepEqual(await ways(undefined, true), ['callee', 'together'])
  t.deepEqual(await ways(undefined, false), ['together', 'caller'])
  t.deepEqual(await ways(true, true), ['together'])
  const learned = { 'stun/together': { opened: 3, failed: 0 } }
  t.deepEqual((await waysOf(learned, { caller: true, callee: false })).ways, ['together', 'caller'])
})

test('what worked between two networks before is tried first, what failed last', async t => {
  const opened = { opened: 1, failed: 0 }
  const failed = { opened: 0, failed: 1 }
  t.deepEqual((await waysOf({ 'stun/together': failed, 'stun/callee': opened })).ways, ['callee', 'caller', 'together'])
  t.deepEqual((await waysOf({ 'predict/callee': opened })).ways, ['together', 'caller', 'callee'])
})

test('mappings that cannot be told are not tried again where that failed and a search for ports worked', async t => {
  const planner = await startPlugin(stun)
  const [opened, failed] = [
    { opened: 1, failed: 0 },
    { opened: 0, failed: 1 }
  ]
  const first = async (mapping: Behaviour, memory: Scene['memory']) => {
    const profile = { mapping, filtering: 'address-and-port-dependent' } as const
    return (await stepsOf(planner, { ...sceneOf({ profile }, { profile }), memory }))[0]?.kind
  }
  const memory = { 'stun/together': failed, 'spray/callee': opened }
  t.is(await first('unknown', memory), 'pass')
  t.is(await first('unknown', { 'stun/together': failed }), 'plan', 'nothing better is known')
  t.is(await first('unknown', { ...memory, 'stun/together': opened }), 'plan')
  t.is(await first('endpoint-independent', memory), 'plan', 'what is sure is no matter of luck')
})
