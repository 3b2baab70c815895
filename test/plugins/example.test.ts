import { readFile } from 'node:fs/promises'
import { relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import test from 'ava'
import overlay from '../../examples/plugin-overlay.ts'
import preserve from '../../examples/plugin-preserve.ts'
import { endNative } from '../end-native.ts'
import { sceneOf } from '../scenes.ts'
import { World } from '../world.ts'
import { keepsContract, startPlugin, stepsOf } from './contract.ts'

test.after.always(endNative)

/** As a YAML file in `folder` names it. */
const path = (folder: string, example = 'plugin-overlay.ts') =>
  relative(folder, fileURLToPath(new URL(`../../examples/${example}`, import.meta.url)))

test.serial('a gateway whose YAML names a plugin by its relative path joins peers by it', async t => {
  await using world = await World.open({
    strategies: folder => `[${path(folder)}: { subnets: [127.0.0.0/8], waitMs: 1s }, relay]`
  })
  await world.join('bob')
  const ann = await world.join('ann')
  const connection = await ann.connect({ name: 'bob' })
  t.deepEqual([connection.path.by, connection.path.kind], ['overlay', 'direct'])
  t.true((await connection.ping()) < 1000)
  await connection.close()
})

test.serial('where it has nothing to offer the next strategy gets its turn, and the trace says why', async t => {
  await using world = await World.open({ strategies: folder => `[${path(folder)}, direct]` })
  await world.join('bob')
  const ann = await world.join('ann')
  const connection = await ann.connect({ name: 'bob' })
  t.is(connection.path.by, 'direct')
  const { spans } = await world.trace(connection.path.trace)
  t.like(spans.find(({ attributes }) => attributes['postern.plugin'] === 'overlay')?.attributes, {
    'postern.outcome': 'passed',
    'postern.reason': 'ann and bob are not both in 100.64.0.0/10'
  })
  await connection.close()
})

test.serial('only addresses within the overlay are aimed at', async t => {
  const planner = await startPlugin(overlay, { subnets: ['10.8.0.0/24'] })
  const addresses = (last: number) => [
    { address: `192.168.1.${last}`, prefix: 24 },
    { address: `10.8.0.${last}`, prefix: 24 }
  ]
  const [step] = await stepsOf(planner, sceneOf({ addresses: addresses(1) }, { addresses: addresses(2) }))
  if (step?.kind !== 'plan') return t.fail()
  t.deepEqual(step.caller, { kind: 'punch', targets: [{ address: '10.8.0.2', port: 12020 }] })
  t.deepEqual(step.callee, { kind: 'punch', targets: [{ address: '10.8.0.1', port: 12010 }] })
})

test.serial('a mistake in its options keeps the gateway from starting', async t => {
  const open = (options: string) => World.open({ strategies: folder => `[${path(folder)}: { ${options} }]` })
  await t.throwsAsync(open('subnets: [nonsense]'))
  await t.throwsAsync(open('subnet: [10.8.0.0/24]'), { code: 'bad-config', message: /did you mean "?subnets/ })
})

// Random mappings seldom keep a port: with this option it plans all the same, and its plans are what is checked.
keepsContract({ ...preserve, defaults: { ...preserve.defaults, atLeast: 0 } })

test.serial('the example of docs/plugins.md joins two peers whose ports are their own', async t => {
  await using world = await World.open({
    addresses: ['127.0.0.1'],
    strategies: folder => `[${path(folder, 'plugin-preserve.ts')}]`
  })
  await world.join('bob')
  const ann = await world.join('ann')
  const connection = await ann.connect({ name: 'bob' })
  t.deepEqual([connection.path.by, connection.path.kind], ['preserve', 'direct'])
  await connection.close()
})

test.serial('the example passes where a port was seldom preserved, and where others use the probes up', async t => {
  const planner = await startPlugin(preserve)
  const strict = { profile: { mapping: 'address-and-port-dependent' } } as const
  const seen = (ports: readonly number[]) =>
    ports.map((port, i) => ({ address: '198.51.100.10', port, atMs: i, localPort: 12_010 }))
  const stepOf = async (ports: readonly number[], probes = 10_000) =>
    (await stepsOf(planner, sceneOf({ ...strict, observations: seen(ports) }, { probes })))[0]
  t.like(await stepOf([12_010, 12_010]), { kind: 'plan', expected: 1 })
  t.like(await stepOf([12_010, 1024, 1025, 1026, 1027, 1028]), { kind: 'pass', cause: 'unlikely', expected: 1 / 6 })
  t.like(await stepOf([12_010], 63), { kind: 'pass', cause: 'budget-shared-out' })
})

test.serial('docs/plugins.md quotes the example as it is', async t => {
  const [document, example] = await Promise.all(
    ['docs/plugins.md', 'examples/plugin-preserve.ts'].map(file =>
      readFile(new URL(`../../${file}`, import.meta.url), 'utf8')
    )
  )
  t.true(document?.includes(`\`\`\`ts\n${example}\`\`\`\n`))
})
