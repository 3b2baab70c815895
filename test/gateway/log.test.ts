import test from 'ava'
import type { PosternError } from '../../src/errors.ts'
import { openLog } from '../../src/gateway/log.ts'
import { endNative } from '../end-native.ts'
import { HandMade } from '../hand-made.ts'
import { until } from '../until.ts'
import { World, type WorldSpec } from '../world.ts'

test.after.always(endNative)

/** Line breaks, and what terminals take for commands: C0, DEL, C1, directions of text, line and paragraph separators. */
const odd = '\n\r\t\u001b[2J\u0007\u007f\u0085\u009b\u202e\u2028\u2029'

const unprintable = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u

type Line = Readonly<Record<string, unknown>>

/** A log, what was written to it, and its lines as JSON. */
function logged() {
  const written: string[] = []
  const log = openLog({ level: 'info', to: { write: text => void written.push(text) } })
  return { log, written, lines: () => written.map(text => JSON.parse(text) as Line) }
}

/** Every text in JSON, names of members too. */
function textsIn(value: unknown): string[] {
  if (typeof value === 'string') return [value]
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([name, one]) => [name, ...textsIn(one)])
}

test('whatever is logged takes one line, and no text in it has a control character, escaped or not', t => {
  const { log, written, lines } = logged()
  log.info({ peer: `ann${odd}`, [`key${odd}`]: [{ deep: odd }], number: 3 }, `refused: ${odd}`)
  log.error({ err: new Error(`it said ${odd}`) }, 'a fault')
  log.warn(odd)
  t.is(written.length, 3)
  for (const text of written) t.notRegex(text.slice(0, -1), unprintable)
  t.true(written.every(text => text.endsWith('\n')))
  for (const text of lines().flatMap(textsIn)) t.notRegex(text, unprintable, JSON.stringify(text))
  const [refused, fault] = lines()
  t.like(refused, { level: 'info', peer: 'ann [2J ', number: 3, msg: 'refused:  [2J ' })
  t.like(fault, { level: 'error', err: { type: 'Error', message: 'it said  [2J ' } })
})

/** What the log says of sessions, once it says it of so many. */
async function sessions(count: number, lines: () => Line[]): Promise<Line[]> {
  const ended = () => lines().filter(({ msg }) => msg === 'session ended')
  return await until(() => ended().length >= count && ended())
}

async function opened(spec: WorldSpec) {
  const { log, ...told } = logged()
  return { world: await World.open({ ...spec, log }), ...told }
}

for (const [outcome, strategies] of [
  ['direct', '[direct]'],
  ['relayed', '[relay]']
] as const)
  test(`a ${outcome} connection has one line: who with whom, its trace, by which strategy, how long, and the verdict`, async t => {
    const { world, lines } = await opened({ strategies })
    await using _ = world
    await world.join('bob')
    const connection = await (await world.join('ann')).connect({ name: 'bob' })
    await connection.close()
    const [line, ...others] = await sessions(1, lines)
    const record = await world.trace(connection.path.trace)
    t.deepEqual(others, [])
    const { level, time, because, ...rest } = line ?? {}
    t.is(level, 'info')
    t.regex(String(time), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
    t.is(because, outcome === 'direct' ? undefined : record.verdict.sentence)
    t.deepEqual(rest, {
      trace: connection.path.trace,
      caller: 'ann',
      callee: 'bob',
      outcome,
      by: outcome === 'direct' ? 'direct' : 'relay',
      ms: Math.round(record.ms * 10) / 10,
      verdict: record.verdict.code,
      msg: 'session ended'
    })
  })

test('a request that is refused has its line, a join that is refused has none, and odd text adds no line', async t => {
  const { world, written, lines } = await opened({})
  await using _ = world
  const identity = await world.identity('ann')
  const ann = await HandMade.join(world.url, { identity, token: world.gateway.joinToken, name: 'ann' })
  ann.say({ type: 'connect', request: 0, to: `nobody${odd}` })
  const { trace } = await ann.hears('refused')
  await using stranger = new HandMade(world.url, { 'x-forwarded-for': '\u009b2Jx' })
  await stranger.hello({ identity, token: 'wrong' })
  await stranger.hears('refused')
  const [line, ...others] = await sessions(1, lines)
  t.deepEqual(others, [])
  const { time, ms, ...rest } = line ?? {}
  t.is(typeof ms, 'number')
  t.deepEqual(rest, {
    level: 'info',
    trace,
    caller: 'ann',
    callee: 'nobody [2J ',
    outcome: 'failed',
    error: 'unknown-peer',
    verdict: 'unknown-peer',
    because: rest.because,
    msg: 'session ended'
  })
  const refused = lines().filter(({ msg }) => /^refused/.test(String(msg)))
  t.is(refused.length, 1)
  for (const text of written) t.notRegex(text.slice(0, -1), unprintable)
  await ann.close()
})

/** A plugin that says one line of each level that plugins have, whenever it is asked for a plan. */
const talkative = `export default {
  name: 'talkative',
  defaults: {},
  start: (_, { log }) => ({
    plan: () => {
      log.info('told')
      log.warn('warned')
      return [{ kind: 'pass', reason: 'not today' }]
    }
  })
}`

test('the level may be set while the gateway runs, and lines of plugins keep to it too', async t => {
  const { log, lines, written } = logged()
  const spec = { strategies: '[./talkative.mjs]', files: { 'talkative.mjs': talkative }, log }
  await using world = await World.open(spec)
  await world.join('bob')
  const ann = await world.join('ann')
  for (const [level, told] of [
    ['info', ['talkative: told', 'talkative: warned', 'gateway: session ended']],
    ['warn', ['talkative: warned']],
    ['silent', []],
    ['debug', ['talkative: told', 'talkative: warned', 'gateway: session ended']]
  ] as const) {
    log.level = level
    written.length = 0
    const error = await t.throwsAsync(ann.connect({ name: 'bob' }))
    await world.trace((error as PosternError).trace ?? '')
    t.deepEqual(
      lines().map(({ plugin = 'gateway', msg }) => `${plugin}: ${msg}`),
      told,
      level
    )
  }
})
