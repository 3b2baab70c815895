// Options of the strategies that come with postern: what each plans for a scene that its option is about.

import { SpliceTable } from '../../../../src/gateway/relay/splice.ts'
import type { Exit } from '../../../../src/gateway/udp/listen.ts'
import { builtIns } from '../../../../src/plugins/built-in.ts'
import { type Plan, type Proposal, probesOf, type RelayLimits } from '../../../../src/strategy/plan.ts'
import type { Scene } from '../../../../src/strategy/scene.ts'
import type { Endpoint } from '../../../../src/wire/endpoint.ts'
import { FakeTime } from '../../../gateway/relay/fake-time.ts'
import { startPlugin, stepsOf, targetsOf } from '../../../plugins/contract.ts'
import { type SideSpec, sceneOf } from '../../../scenes.ts'
import type { Row, Rows } from '../option.ts'

type Name = keyof typeof builtIns

/** Plans a scene with the options of one strategy, and looks at what comes of it. */
function planning(name: Name, scene: Scene, look: (steps: readonly Proposal[]) => unknown): Row['observe'] {
  const prefix = `strategies.${name}.`
  return async options => {
    const own = Object.entries(options).map(([path, value]) => [path.slice(prefix.length), value])
    return look(await stepsOf(await startPlugin(builtIns[name], Object.fromEntries(own)), scene))
  }
}

const plansIn = (steps: readonly Proposal[]): Plan[] => steps.filter(step => step.kind === 'plan')

function firstPlan(steps: readonly Proposal[]): Plan {
  const [plan] = plansIn(steps)
  if (!plan) throw new Error(`no plan, but ${JSON.stringify(steps)}`)
  return plan
}

/** `plan`, or the word for why there is none. */
const planOrCause = (steps: readonly Proposal[]): string => {
  const step = steps.find(({ kind }) => kind !== 'sample')
  return step?.kind === 'pass' ? (step.cause ?? 'unsuited') : String(step?.kind)
}

const waitMs = (steps: readonly Proposal[]): number => firstPlan(steps).waitMs

const socketsOf = (order: Plan['caller']): number => (order.kind === 'punch' ? (order.sockets ?? 1) : 1)

const upTo =
  (most: number, count: (plan: Plan) => number) =>
  (steps: readonly Proposal[]): string =>
    count(firstPlan(steps)) <= most ? `at most ${most}` : `more than ${most}`

const symmetric = { mapping: 'address-and-port-dependent', filtering: 'address-and-port-dependent' } as const

/** A side behind a NAT that gives each destination another port, and what was seen of it 10 ms ago. */
const behind = (host: number, ports: readonly number[]): SideSpec => ({
  profile: symmetric,
  observations: ports.map((port, at) => ({
    address: `198.51.100.${host}`,
    ...{ port, atMs: 999_990 + at / 4, localPort: 12_010 }
  }))
})

const open = { profile: { translated: false, filtering: 'endpoint-independent' } } as const
const counting = sceneOf(behind(10, [30_000, 30_002, 30_004, 30_006]))
const bothCounting = sceneOf(counting.caller, behind(20, [50_000, 49_999, 49_998, 49_997]))
const scattering = sceneOf(behind(10, [1234, 51_300, 30_990, 21_444, 62_001, 5099, 44_100, 17_017]))

const inSubnet = (net: number): SideSpec => ({
  mapped: { address: '198.51.100.7', port: net },
  addresses: [{ address: `192.168.${net}.10`, prefix: 24 }]
})

/** Two peers behind one public address, in different subnets. */
const apart = sceneOf(inSubnet(1), inSubnet(2))

const forwarded = sceneOf({}, { open: { endpoint: { address: '198.51.100.99', port: 5000 }, by: 'given' } })

/** What one side sends at ports that it guesses. */
const guessed = ({ callee }: Plan): number => targetsOf(callee).length
const spent = (steps: readonly Proposal[]): number =>
  plansIn(steps).reduce((sum, plan) => sum + probesOf(plan.callee), 0)

/** The limits of the relay that are short where both have sent too much at once. */
const short = planning('relay', sceneOf(), steps => {
  const { limits } = firstPlan(steps)
  if (!limits) throw new Error('the plan has no limits')
  const table = new SpliceTable({ maxSessions: 2, time: new FakeTime() })
  const dropped = ['ann', 'bob'].flatMap(caller => Object.entries(flooded(table, caller, limits)))
  table.close()
  return [...new Set(dropped.flatMap(([limit, count]) => (count > 0 ? [limit] : [])))].sort()
})

/** What the relay drops of 200 datagrams that one peer sends at once: in a session of its own, that its own network has asked for. */
function flooded(table: SpliceTable, caller: string, limits: RelayLimits): Readonly<Record<string, number>> {
  const exit: Exit = { door: 'udp', send: () => {} }
  const [from, to] = [caller, `peer of ${caller}`].map(address => ({ address, port: 1 })) as [Endpoint, Endpoint]
  table.arm(caller, { caller, callee: to.address }, limits, { network: caller, certificate: caller })
  table.latch(caller, 'caller', exit, from)
  table.latch(caller, 'callee', exit, to)
  for (let sent = 0; sent < 200; sent++) table.forward(exit, from, Buffer.alloc(1000))
  return table.counters(caller)?.caller.dropped ?? {}
}

const wide = '1000 Mbit/s'

export const strategyRows: Rows = {
  'strategies.direct.waitMs': {
    changed: '1s',
    observe: planning('direct', sceneOf({}, open), waitMs),
    outcomes: [740, 1240]
  },
  'strategies.direct.beyondSubnet': {
    changed: true,
    observe: planning('direct', apart, planOrCause),
    outcomes: ['unsuited', 'plan']
  },
  'strategies.stun.waitMs': { changed: '1s', observe: planning('stun', sceneOf(), waitMs), outcomes: [940, 1240] },
  'strategies.map.waitMs': { changed: '1s', observe: planning('map', forwarded, waitMs), outcomes: [940, 1240] },
  'strategies.predict.waitMs': { changed: '1s', observe: planning('predict', counting, waitMs), outcomes: [940, 1240] },
  'strategies.predict.window': {
    changed: 4,
    observe: planning('predict', counting, upTo(4, guessed)),
    outcomes: ['more than 4', 'at most 4']
  },
  'strategies.predict.sockets': {
    changed: 8,
    observe: planning(
      'predict',
      bothCounting,
      upTo(8, ({ callee }) => socketsOf(callee))
    ),
    outcomes: ['more than 8', 'at most 8']
  },
  'strategies.predict.probes': {
    changed: 60,
    observe: planning('predict', counting, steps => (spent(steps) <= 60 ? 'at most 60' : 'more than 60')),
    outcomes: ['more than 60', 'at most 60']
  },
  'strategies.predict.rounds': {
    changed: 1,
    observe: planning('predict', counting, steps => plansIn(steps).length),
    outcomes: [4, 1]
  },
  // Half of what its window could reach is the next port alone.
  'strategies.predict.goal': {
    changed: 0.5,
    observe: planning('predict', counting, upTo(1, guessed)),
    outcomes: ['more than 1', 'at most 1']
  },
  'strategies.predict.atLeast': {
    changed: 1,
    observe: planning('predict', counting, planOrCause),
    outcomes: ['plan', 'unlikely']
  },
  'strategies.spray.waitMs': {
    changed: '1s',
    observe: planning('spray', scattering, waitMs),
    outcomes: [2972, 3272]
  },
  'strategies.spray.sockets': {
    changed: 64,
    observe: planning('spray', scattering, steps => socketsOf(firstPlan(steps).caller)),
    outcomes: [256, 64]
  },
  'strategies.spray.probes': {
    changed: 500,
    observe: planning('spray', scattering, steps => probesOf(firstPlan(steps).callee)),
    outcomes: [2048, 500]
  },
  'strategies.spray.perSecond': {
    changed: 500,
    observe: planning('spray', scattering, steps => {
      const { callee, waitMs } = firstPlan(steps)
      return [callee.kind === 'punch' && callee.perSecond, waitMs]
    }),
    outcomes: [
      [1000, 2972],
      [500, 5004]
    ]
  },
  'strategies.spray.goal': {
    changed: 0.5,
    observe: planning('spray', scattering, upTo(1000, guessed)),
    outcomes: ['more than 1000', 'at most 1000']
  },
  'strategies.spray.atLeast': {
    changed: 1,
    observe: planning('spray', scattering, planOrCause),
    outcomes: ['plan', 'unlikely']
  },
  'strategies.relay.perSession': { changed: wide, observe: short, outcomes: [['session'], ['peer']] },
  'strategies.relay.perPeer': {
    changed: '1 Mbit/s',
    observe: short,
    outcomes: [['session'], ['peer']]
  },
  'strategies.relay.perNetwork': { changed: '1 Mbit/s', observe: short, outcomes: [['session'], ['network']] },
  'strategies.relay.total': { changed: '1 Mbit/s', observe: short, outcomes: [['session'], ['network', 'total']] },
  'strategies.relay.waitMs': { changed: '5s', observe: planning('relay', sceneOf(), waitMs), outcomes: [2240, 5240] }
}
