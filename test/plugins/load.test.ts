import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { parseConfig } from '../../src/config/config.ts'
import { PosternError } from '../../src/errors.ts'
import { builtIns as shipped } from '../../src/plugins/built-in.ts'
import { type LoadedPlugin, loadPlugins } from '../../src/plugins/load.ts'
import type { Plugin } from '../../src/strategy/plugin.ts'

const planner = { plan: () => [] }
const direct: Plugin = { name: 'direct', defaults: {}, start: () => planner }
const relay: Plugin<{ perSession: number; total: number }> = {
  name: 'relay',
  defaults: { perSession: '4 Mbit/s', total: '100 Mbit/s' },
  start: () => planner
}
const every: Plugin<{
  waitMs: number
  gapMs: number
  hold: number
  topBitsPerSecond: number
  sockets: number
  eager: boolean
  mode: string
  ports: number[]
  hosts: string[]
}> = {
  name: 'every',
  defaults: {
    waitMs: 200,
    gapMs: '20ms',
    hold: '2s',
    topBitsPerSecond: 1000,
    sockets: 256,
    eager: false,
    mode: 'calm',
    ports: [1, 2],
    hosts: []
  },
  start: () => planner
}
const builtIns = { direct, relay, every }

const folder = mkdtempSync(join(tmpdir(), 'postern-load-'))

function load(strategies: string): Promise<LoadedPlugin[]> {
  return loadPlugins(parseConfig(`strategies:\n${strategies}`, join(folder, 'x.yaml'), {}).strategies, builtIns)
}

async function problems(t: ExecutionContext, strategies: string): Promise<string[]> {
  const error = await t.throwsAsync(load(strategies), { instanceOf: PosternError, code: 'bad-config' }, strategies)
  return error?.message.replaceAll(`${folder}/`, '').split('\n') ?? []
}

/** An npm package beside the YAML file: its entry is `text`, in the file its package.json names. */
function installed(name: string, entry: object, text: string, file = 'entry.js'): void {
  const home = join(folder, 'node_modules', name)
  mkdirSync(home, { recursive: true })
  writeFileSync(join(home, 'package.json'), JSON.stringify({ name, type: 'module', ...entry }))
  writeFileSync(join(home, file), text)
}

function file(name: string, text: string): string {
  writeFileSync(join(folder, name), text)
  return `  - ./${name}`
}

test('built-ins come in the order of the list, with their defaults in plain units', async t => {
  const loaded = await load('  - direct\n  - every\n  - relay')
  t.deepEqual(
    loaded.map(({ plugin }) => plugin),
    [direct, every, relay]
  )
  t.deepEqual(
    loaded.map(({ options }) => options),
    [{}, { ...every.defaults, gapMs: 20, hold: 2000 }, { perSession: 4e6, total: 1e8 }]
  )
})

test('options stand over the defaults, each with the type its default says', async t => {
  const [first] = await load(`  - every:
      waitMs: 1s
      hold: 500ms
      topBitsPerSecond: 2 kbit/s
      sockets: 8
      eager: true
      mode: 12
      ports: [80, 443]
      hosts: [a, b]`)
  t.deepEqual(first?.options, {
    waitMs: 1000,
    gapMs: 20,
    hold: 500,
    topBitsPerSecond: 2000,
    sockets: 8,
    eager: true,
    mode: '12',
    ports: [80, 443],
    hosts: ['a', 'b']
  })
})

test('a number without a unit is refused where a quantity is meant, and an empty option keeps its default', async t => {
  t.deepEqual(await problems(t, '  - every: { waitMs: 50, gapMs: 5, topBitsPerSecond: 9, hold: 1 }'), [
    'x.yaml:2:14: strategies.every.waitMs: got "50"; expected a duration such as 10s, 500ms or 2m',
    'x.yaml:2:26: strategies.every.gapMs: got "5"; expected a duration such as 10s, 500ms or 2m',
    'x.yaml:2:36: strategies.every.topBitsPerSecond: got "9"; expected a rate above zero such as 4 Mbit/s or 500 kbit/s',
    'x.yaml:2:57: strategies.every.hold: got "1"; expected a duration such as 10s, 500ms or 2m'
  ])
  const [first] = await load('  - every: { waitMs: 50ms, topBitsPerSecond: 9 bit/s, sockets: }')
  t.like(first?.options, { waitMs: 50, topBitsPerSecond: 9, sockets: 256 })
})

test('options given by a program keep their types', async t => {
  const [strategy] = parseConfig('strategies: [every]', 'x.yaml', {}).strategies
  t.truthy(strategy)
  if (!strategy) return
  const [first] = await loadPlugins(
    [{ ...strategy, options: { waitMs: 50, sockets: 3, eager: true, ports: [9] } }],
    builtIns
  )
  t.like(first?.options, { waitMs: 50, sockets: 3, eager: true, ports: [9] })
})

test('every wrong option is told at its place, with what was expected', async t => {
  const text = `  - direct: { fast: true }
  - every:
      waitms: 5
      hold: 5
      topBitsPerSecond: 2 MB/s
      sockets: many
      eager: yes
      mode: [a]
      ports: [80, http]
  - relay: { total: 10s }`
  t.deepEqual(await problems(t, text), [
    'x.yaml:2:15: strategies.direct.fast: there is no such option; expected none, it has no options',
    'x.yaml:4:7: strategies.every.waitms: there is no such option (did you mean "waitMs"?); expected waitMs, gapMs, hold, topBitsPerSecond, sockets, eager, mode, ports, hosts',
    'x.yaml:5:7: strategies.every.hold: got "5"; expected a duration such as 10s, 500ms or 2m',
    'x.yaml:6:7: strategies.every.topBitsPerSecond: got "2 MB/s"; expected a rate above zero such as 4 Mbit/s or 500 kbit/s',
    'x.yaml:7:7: strategies.every.sockets: got "many"; expected a number',
    'x.yaml:8:7: strategies.every.eager: got "yes"; expected true or false',
    'x.yaml:9:7: strategies.every.mode: got a list; expected a text',
    'x.yaml:10:7: strategies.every.ports: got a list; expected a list, each item a number',
    'x.yaml:11:14: strategies.relay.total: got "10s"; expected a rate above zero such as 4 Mbit/s or 500 kbit/s'
  ])
})

test('a number that a built-in strategy can do nothing with is refused at its place, and the ends of its range are taken', async t => {
  const read = (text: string) => parseConfig(`strategies:\n${text}`, 'x.yaml', {}).strategies
  const wrong = `  - direct: { waitMs: 0s }
  - predict: { window: 0, rounds: 9, goal: 99.5, atLeast: 10 }
  - spray: { sockets: 2.5, probes: 8193, perSecond: 0, atLeast: -0.1 }
  - relay: { waitMs: 61s }`
  const error = await t.throwsAsync(loadPlugins(read(wrong), shipped), { code: 'bad-config' })
  t.deepEqual(error?.message.split('\n'), [
    'x.yaml:2:15: strategies.direct.waitMs: got "0s"; expected a duration such as 10s, 500ms or 2m, from 1ms to 1m',
    'x.yaml:3:16: strategies.predict.window: got "0"; expected a whole number from 1 to 8192',
    'x.yaml:3:27: strategies.predict.rounds: got "9"; expected a whole number from 1 to 8',
    'x.yaml:3:38: strategies.predict.goal: got "99.5"; expected a number from 0 to 1',
    'x.yaml:3:50: strategies.predict.atLeast: got "10"; expected a number from 0 to 1',
    'x.yaml:4:14: strategies.spray.sockets: got "2.5"; expected a whole number from 1 to 1024',
    'x.yaml:4:28: strategies.spray.probes: got "8193"; expected a whole number from 1 to 8192',
    'x.yaml:4:42: strategies.spray.perSecond: got "0"; expected a number from 1 to 100000',
    'x.yaml:4:56: strategies.spray.atLeast: got "-0.1"; expected a number from 0 to 1',
    'x.yaml:5:14: strategies.relay.waitMs: got "61s"; expected a duration such as 10s, 500ms or 2m, from 1ms to 1m'
  ])
  const ends =
    '  - predict: { window: 8192, rounds: 1, goal: 1, atLeast: 0 }\n  - spray: { sockets: 1, perSecond: 100000, atLeast: 1 }'
  await t.notThrowsAsync(loadPlugins(read(ends), shipped))
})

test("a user's own plugin says what its numbers may be, and is told where that makes no sense", async t => {
  const plugin = (name: string, ranges: string) =>
    file(
      `${name}.mjs`,
      `export default { name: '${name}', defaults: { share: 0.5, mode: 'calm', rate: '4 Mbit/s' }, ranges: ${ranges}, start: () => ({ plan: () => [] }) }`
    )
  const bounded = plugin('bounded', '{ share: { least: 0, most: 1 }, rate: { least: 1e6, most: 1e9 } }')
  t.like((await load(`${bounded}: { share: 0.25 }`))[0]?.options, { share: 0.25, rate: 4e6 })
  t.regex(
    (await problems(t, `${bounded}: { share: 2 }`))[0] ?? '',
    /bounded\.share: got "2"; expected a number from 0 to 1$/
  )
  t.regex(
    (await problems(t, `${bounded}: { rate: 1 bit/s }`))[0] ?? '',
    /got "1 bit\/s"; expected a rate above zero such as 4 Mbit\/s or 500 kbit\/s, from 1 Mbit\/s to 1 Gbit\/s$/
  )
  for (const [name, ranges] of Object.entries({
    text: '{ mode: { least: 0, most: 1 } }',
    half: '{ share: { least: 0 } }',
    unknown: '{ other: { least: 0, most: 1 } }'
  }))
    t.regex(
      (await problems(t, plugin(name, ranges)))[0] ?? '',
      /expected the range of \w+ to have the least and the most of an/
    )
})

test('a rate of nothing is refused at its place, in whatever way it is written', async t => {
  t.deepEqual(await problems(t, '  - every: { topBitsPerSecond: 0 }\n  - relay: { perSession: 0 Mbit/s }'), [
    'x.yaml:2:14: strategies.every.topBitsPerSecond: got "0"; expected a rate above zero such as 4 Mbit/s or 500 kbit/s',
    'x.yaml:3:14: strategies.relay.perSession: got "0 Mbit/s"; expected a rate above zero such as 4 Mbit/s or 500 kbit/s'
  ])
})

test('an unknown name is told with the known ones', async t => {
  t.deepEqual(await problems(t, '  - drect\n  - telepathy\n  - constructor'), [
    'x.yaml:2:5: strategies: there is no "drect" (did you mean "direct"?); expected one of direct, relay, every',
    'x.yaml:3:5: strategies: there is no "telepathy"; expected one of direct, relay, every, or an installed package, or a path such as ./plugins/mine.ts',
    'x.yaml:4:5: strategies: there is no "constructor"; expected one of direct, relay, every, or an installed package, or a path such as ./plugins/mine.ts'
  ])
})

test("a user's own plugin is loaded by its path, in TypeScript or JavaScript, its options checked alike", async t => {
  const typescript = file(
    'mine.ts',
    "const name: string = 'mine'\nexport default { name, defaults: { waitMs: 7 }, start() { return { plan: () => [] } } }\n"
  )
  const [mine, other] = await load(
    `${typescript}: { waitMs: 2s }\n${file('other.mjs', "export default { name: 'other', defaults: {}, start() {} }")}`
  )
  t.is(mine?.plugin.name, 'mine')
  t.deepEqual(mine?.options, { waitMs: 2000 })
  t.is(other?.plugin.name, 'other')
  t.regex(
    (await problems(t, '  - ./mine.ts: { wait: 2s }'))[0] ?? '',
    /^x\.yaml:2:18: strategies\.mine\.wait: there is no/
  )
})

test('a file that is no plugin is told with what it lacks', async t => {
  const lacking: [string, RegExp][] = [
    [file('a.ts', 'export const name = 1'), /default export/],
    [file('b.ts', "export default { name: 'No Name', defaults: {}, start() {} }"), /expected a name/],
    [file('c.ts', "export default { name: 'c', start() {} }"), /expected defaults/],
    [file('d.ts', "export default { name: 'd', defaults: { x: {} }, start() {} }"), /default of x/],
    [file('e.ts', "export default { name: 'e', defaults: {} }"), /function start/],
    [file('f.ts', 'export default {'), /f\.ts cannot be imported: /],
    [file('g.ts', "throw new Error('boom')"), /g\.ts cannot be imported: boom/],
    ['  - ./missing.ts', /there is no file missing\.ts/]
  ]
  for (const [strategy, message] of lacking) {
    const told = (await problems(t, strategy))[0] ?? ''
    t.regex(told, message)
    t.true(told.startsWith('x.yaml:2:5: strategies: '), told)
  }
})

test('two plugins of one name are refused', async t => {
  const twin = file('twin.ts', "export default { name: 'direct', defaults: {}, start() {} }")
  t.regex((await problems(t, `  - direct\n${twin}`))[0] ?? '', /^x\.yaml:3:5: .*called "direct" already/)
})

const importOnly = { exports: { '.': { import: './entry.js' } } }

test('an installed package is loaded by its name, one that can only be imported too, its options checked alike', async t => {
  installed('postern-plugin-x', importOnly, "export default { name: 'x', defaults: { waitMs: 7 }, start() {} }")
  installed('@scope/y', { main: 'entry.js' }, "export default { name: 'y', defaults: {}, start() {} }")
  const common = "module.exports = { name: 'z', defaults: {}, start() {} }"
  installed('zeta', { type: 'commonjs', main: 'entry.js' }, common)
  const loaded = await load("  - postern-plugin-x: { waitMs: 2s }\n  - '@scope/y'\n  - direct\n  - zeta")
  t.deepEqual(
    loaded.map(({ plugin }) => plugin.name),
    ['x', 'y', 'direct', 'z']
  )
  t.deepEqual(loaded[0]?.options, { waitMs: 2000 })
  t.deepEqual(await problems(t, '  - postern-plugin-x: { wait: 2s }'), [
    'x.yaml:2:25: strategies.x.wait: there is no such option; expected waitMs'
  ])
})

test("the YAML file's own folder comes before postern's, and a built-in before both", async t => {
  // postern itself has a package of this name, which is no plugin.
  t.deepEqual(await problems(t, '  - commander'), [
    'x.yaml:2:5: strategies: the package commander is no plugin: expected an object as its default export'
  ])
  installed('ws', importOnly, "export default { name: 'own', defaults: {}, start() {} }")
  installed('relay', importOnly, "export default { name: 'not-this', defaults: {}, start() {} }")
  t.deepEqual(
    (await load('  - ws\n  - relay')).map(({ plugin }) => plugin.name),
    ['own', 'relay']
  )
})

test('a package that cannot be a plugin is told with the reason', async t => {
  installed('typed', { exports: './entry.ts' }, 'export default {}', 'entry.ts')
  installed('closed', { exports: { './other': './entry.js' } }, 'export default {}')
  installed('throws', importOnly, "throw new Error('boom')")
  installed('empty', importOnly, 'export const name = 1')
  const [typed, closed, throws, empty] = await problems(t, '  - typed\n  - closed\n  - throws\n  - empty')
  t.is(
    typed,
    'x.yaml:2:5: strategies: the package typed cannot be imported: it is TypeScript, and a package must be JavaScript'
  )
  t.regex(closed ?? '', /^x\.yaml:3:5: strategies: the package closed cannot be imported: No "exports" main defined/)
  t.is(throws, 'x.yaml:4:5: strategies: the package throws cannot be imported: boom')
  t.is(empty, 'x.yaml:5:5: strategies: the package empty is no plugin: expected an object as its default export')
})

test('what Node would import by another kind of name is no package', async t => {
  for (const name of ['node:fs', 'fs', 'data:text/javascript,1', '#x', 'file:///x.js', 'zod/v4'])
    t.regex((await problems(t, `  - '${name}'`))[0] ?? '', /^x\.yaml:2:5: strategies: there is no "/, name)
})

test('a strategy of the last resort has none but others of its kind after it, whatever it is called', async t => {
  const tunnel: Plugin = { ...direct, name: 'tunnel', lastResort: true }
  const last = { direct, tunnel, relay: { ...relay, lastResort: true } }
  const { strategies } = parseConfig('strategies: [tunnel, direct, relay]', 'x.yaml', {})
  await t.throwsAsync(loadPlugins(strategies, last), {
    code: 'bad-config',
    message: 'x.yaml:1:14: strategies: tunnel must be the last; expected no strategy after it'
  })
  const right = parseConfig('strategies: [direct, tunnel, relay]', 'x.yaml', {}).strategies
  t.is((await loadPlugins(right, last)).length, 3)
})
