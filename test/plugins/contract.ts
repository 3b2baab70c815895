// What every plugin must keep, whatever it does: each plugin's test calls this with the plugin, and with an option's
// worth of its own where it cannot do without.

import test from 'ava'
import fc from 'fast-check'
import { loadPlugins } from '../../src/plugins/load.ts'
import { forIce } from '../../src/strategy/ice-only.ts'
import type { Plan, Proposal } from '../../src/strategy/plan.ts'
import type { Planner, Plugin } from '../../src/strategy/plugin.ts'
import type { Scene, Side } from '../../src/strategy/scene.ts'
import { type Endpoint, isPrivate } from '../../src/wire/endpoint.ts'
import { forwardOrigins } from '../../src/wire/forward.ts'
import { checkOrder, type Order } from '../../src/wire/order.ts'
import { behaviours, type SideSpec, sceneOf } from '../scenes.ts'

const address = fc.oneof(
  fc.constantFrom('198.51.100.7', '10.0.0.2', '10.0.0.3', '192.168.1.9', '100.64.0.1', '2001:db8::1', 'fd00::1'),
  fc.ipV4()
)
const port = fc.integer({ min: 1, max: 65535 })
const behaviour = fc.constantFrom(...behaviours)

/** Mappings as NATs make them, and as none does. */
const observations = fc.oneof(
  fc.constant([]),
  fc
    .record({ from: port, step: fc.constantFrom(1, -1, 2, 7), address, count: fc.integer({ min: 1, max: 32 }) })
    .map(({ from, step, address, count }) =>
      Array.from({ length: count }, (_, i) => {
        const socket = Math.floor(i / 4)
        const port = 1024 + ((((from + i * step) % 64_000) + 64_000) % 64_000)
        return { address, port, atMs: 900_000 + 3000 * socket + (i % 4), localPort: 5000 + socket }
      })
    ),
  fc
    .record({ low: fc.integer({ min: 1024, max: 65_024 }), ports: fc.array(fc.nat(511), { maxLength: 32 }), address })
    .map(({ low, ports, address }) =>
      ports.map((port, i) => ({ address, port: low + port, atMs: 900_000 + i, localPort: 5000 }))
    ),
  fc.array(
    fc.record(
      { address, port, atMs: fc.oneof(fc.integer(), fc.double()), localPort: port, unseen: fc.double() },
      { requiredKeys: ['address', 'port', 'atMs'] }
    ),
    { maxLength: 40 }
  )
)

/** Anything a peer may claim and a gateway may see. */
const side: fc.Arbitrary<SideSpec> = fc
  .record({
    network: fc.record({
      mapped: fc.record({ address, port }),
      port,
      observations,
      probes: fc.oneof(fc.constant(10_000), fc.nat(3000)),
      addresses: fc.array(
        address.chain(text => fc.record({ address: fc.constant(text), prefix: fc.nat(text.includes(':') ? 128 : 32) })),
        { maxLength: 16 }
      ),
      rttMs: fc.double({ min: 0, max: 3000, noNaN: true }),
      profile: fc.record({ mapping: behaviour, filtering: behaviour, translated: fc.boolean() })
    }),
    // A forward that was proved, or one that was not.
    forward: fc.oneof(
      fc.constant({}),
      fc.record({
        open: fc.record({ endpoint: fc.record({ address, port }), by: fc.constantFrom(...forwardOrigins) })
      }),
      fc.record({ claim: fc.constant({ by: 'given', state: 'unheard' } as const) })
    ),
    // Raw sockets, or an ICE agent, of whatever pace it claims.
    means: fc.oneof(
      fc.constant({}),
      fc.record({
        agent: fc.record({
          perConnection: fc.integer({ min: 1, max: 100 }),
          inAll: fc.integer({ min: 1, max: 2000 }),
          connections: fc.integer({ min: 1, max: 64 })
        }),
        hosts: fc.array(
          fc.uuid().chain(uuid => fc.record({ address: fc.constant(`${uuid}.local`), port })),
          { maxLength: 4 }
        )
      })
    )
  })
  .map(({ network, forward, means }) => ({ ...network, ...forward, ...means }))

// Fitting models to noise takes a few milliseconds each time.
const some = { numRuns: 25 }

/** A plugin as the gateway starts it: with its options checked, and every option at its default unless given. */
export async function startPlugin(plugin: Plugin, options: Record<string, unknown> = {}): Promise<Planner> {
  const at = { file: 'test.yaml', line: 1, column: 1 }
  const [loaded] = await loadPlugins(
    [{ use: { kind: 'name', name: plugin.name }, options, at, optionAt: {} } as never],
    { [plugin.name]: plugin }
  )
  if (!loaded) throw new Error('it was not loaded')
  const toolbox = { log: { info: () => {}, warn: () => {} }, signal: new AbortController().signal }
  return loaded.plugin.start(loaded.options, toolbox)
}

export async function stepsOf(planner: Planner, scene: Scene): Promise<Proposal[]> {
  const steps: Proposal[] = []
  for await (const step of planner.plan(scene)) steps.push(step)
  return steps
}

/** The plans alone. */
export async function plansOf(planner: Planner, scene: Scene): Promise<Plan[]> {
  return (await stepsOf(planner, scene)).filter(step => step.kind === 'plan')
}

export function keepsContract(plugin: Plugin): void {
  test(`${plugin.name} has a short name and documents each option with its default`, async t => {
    t.regex(plugin.name, /^[a-z][a-z0-9-]*$/)
    await t.notThrowsAsync(startPlugin(plugin))
  })

  test(`${plugin.name} yields a few plans that peers can obey, then ends, whatever the scene`, async t => {
    const planner = await startPlugin(plugin)
    await fc.assert(
      fc.asyncProperty(side, side, async (...given) => {
        const steps = await stepsOf(planner, sceneOf(...given))
        t.true(steps.length <= 16)
        for (const step of steps) {
          if (step.kind === 'pass') t.true(step.reason.length > 0)
          else if (step.kind === 'plan')
            for (const order of [step.caller, step.callee]) t.notThrows(() => checkOrder(order))
          if (step.kind === 'plan') {
            const { caller, callee } = sceneOf(...given)
            const adapted = forIce(step, { caller, callee })
            if (typeof adapted !== 'string')
              for (const order of [adapted.caller, adapted.callee]) t.notThrows(() => checkOrder(order))
            if (caller.agent || callee.agent)
              t.true(step.waitMs < 5000 + 10 * (caller.rttMs + callee.rttMs), `${step.waitMs}`)
          }
          if (step.kind === 'plan') t.true(isProbability(step.expected ?? 1))
          if (step.kind === 'plan') t.true(step.waitMs > 0 && step.waitMs < 60_000 && step.why.length > 0)
        }
      }),
      some
    )
  })

  test(`${plugin.name} says in a word why it passes, and where its plan is not worth it, what it would be worth`, async t => {
    const planner = await startPlugin(plugin)
    await fc.assert(
      fc.asyncProperty(side, side, async (caller, callee) => {
        for (const step of await stepsOf(planner, sceneOf(caller, callee))) {
          if (step.kind !== 'pass') continue
          t.true(['unsuited', 'unlikely', 'budget-shared-out'].includes(step.cause ?? 'unsuited'), step.cause)
          t.true(step.cause === 'unlikely' ? isProbability(step.expected) : isProbability(step.expected ?? 0))
        }
      }),
      some
    )
    t.pass()
  })

  test(`${plugin.name} passes with a reason or not at all, and nothing follows a pass`, async t => {
    const planner = await startPlugin(plugin)
    await fc.assert(
      fc.asyncProperty(side, side, async (caller, callee) => {
        const kinds = (await stepsOf(planner, sceneOf(caller, callee))).map(({ kind }) => kind)
        return !kinds.slice(0, -1).includes('pass')
      }),
      some
    )
    t.pass()
  })

  test(`${plugin.name} aims at proved addresses, and at claimed ones only on a link both share`, async t => {
    const planner = await startPlugin(plugin)
    await fc.assert(
      fc.asyncProperty(side, side, async (one, two) => {
        const scene = sceneOf(one, two)
        for (const plan of await plansOf(planner, scene))
          for (const [receiver, other] of [
            ['caller', 'callee'],
            ['callee', 'caller']
          ] as const) {
            const shared = scene.caller.mapped.address === scene.callee.mapped.address
            const proved = (target: Endpoint) =>
              [scene[other].mapped, scene[receiver].gateway, ...scene[other].observations].some(same(target.address)) ||
              isOpenAt(scene[other], target)
            const onLink = (target: Endpoint) => shared && scene[other].addresses.some(same(target.address))
            const targets = targetsOf(plan[receiver])
            t.true(targets.every(target => proved(target) || onLink(target)))
            t.true(targets.filter(target => !proved(target)).length <= 4)
            const foreign = targets.filter(target => isPrivate(target.address) && !proved(target))
            t.true(foreign.length === 0 || scene[receiver].addresses.length > 0)
          }
      }),
      some
    )
    t.pass()
  })

  test(`${plugin.name} sends no more at an address than all sessions have left for it`, async t => {
    const planner = await startPlugin(plugin)
    await fc.assert(
      fc.asyncProperty(side, side, async (caller, callee) => {
        const scene = sceneOf(caller, callee)
        for (const plan of await plansOf(planner, scene)) {
          for (const [sender, receiver] of [
            ['caller', 'callee'],
            ['callee', 'caller']
          ] as const) {
            const order = plan[sender]
            if (order.kind === 'splice' || !order.guesses) continue
            const walk = (order.sockets ?? 1) * targetsOf(order).length
            t.true((order.probes ?? Number.POSITIVE_INFINITY) <= scene[receiver].probes)
            t.true(walk + 16 <= (order.probes ?? 0))
          }
        }
      }),
      some
    )
    t.pass()
  })

  if (!plugin.lastResort)
    test(`${plugin.name} passes at once where sources are hidden from the gateway`, async t => {
      const planner = await startPlugin(plugin)
      const mapped = { address: '172.17.0.1', port: 40_000 }
      const profile = { mapping: 'unknown', filtering: 'unknown', hidden: true, addresses: [] } as const
      const unseen = { mapped, profile, observations: [], probes: 0 }
      // What came in through a forward has proved it, whoever the gateway takes the peer for.
      const unopened = ({ open: _, ...rest }: SideSpec) => ({ ...rest, ...unseen })
      await fc.assert(
        fc.asyncProperty(side, side, async (caller, callee) => {
          const steps = await stepsOf(planner, sceneOf(unopened(caller), unopened(callee)))
          t.deepEqual(
            steps.map(({ kind }) => kind),
            ['pass']
          )
        }),
        { numRuns: 30 }
      )
    })

  test(`${plugin.name} only reads the scene, and plans the same for the same`, async t => {
    const planner = await startPlugin(plugin)
    await fc.assert(
      fc.asyncProperty(side, side, async (caller, callee) => {
        const scene = deepFreeze(sceneOf(caller, callee))
        t.deepEqual(await stepsOf(planner, scene), await stepsOf(planner, scene))
      }),
      { numRuns: 30 }
    )
  })
}

const isProbability = (given: number | undefined): boolean => given !== undefined && given >= 0 && given <= 1

const isOpenAt = ({ open }: Side, { address, port }: Endpoint): boolean =>
  open?.endpoint.address === address && open.endpoint.port === port

const same =
  (address: string) =>
  (other: { address: string }): boolean =>
    other.address === address

/** Every endpoint an order aims at: targets first, then the guesses. */
export const targetsOf = (order: Order): readonly Endpoint[] =>
  order.kind === 'splice' ? [order.target] : [...order.targets, ...guessesOf(order.guesses ?? [])]

const guessesOf = (guesses: readonly { address: string; ports: readonly number[] }[]): Endpoint[] =>
  guesses.flatMap(({ address, ports }) => ports.map(port => ({ address, port })))

function deepFreeze<T extends object>(value: T): T {
  for (const part of Object.values(value)) if (typeof part === 'object' && part !== null) deepFreeze(part)
  return Object.freeze(value)
}
