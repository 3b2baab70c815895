import { stripVTControlCharacters } from 'node:util'
import test from 'ava'
import { explanationText } from '../../src/cli/text/explain-text.ts'
import { unpainted } from '../../src/cli/text/output.ts'
import type { TraceRecord } from '../../src/trace/record/record.ts'
import type { Replay } from '../../src/trace/verdict/replay.ts'
import { endNative } from '../end-native.ts'
import { labTest } from '../lab/lab-test.ts'
import { openRig } from '../lab/rig.ts'
import { World as Loopback } from '../world.ts'
import { World } from './world.ts'

test.after.always(endNative)

const never = `export default {
  name: 'never',
  defaults: { reason: 'not today' },
  start: ({ reason }) => ({ plan: () => [{ kind: 'pass', reason }] })
}`

/** A real connection on loopback, which the relay alone was asked for. */
async function relayed(): Promise<TraceRecord> {
  await using world = await Loopback.open({ strategies: '[./never.mjs, relay]', files: { 'never.mjs': never } })
  await world.join('bob')
  const ann = await world.join('ann')
  const connection = await ann.connect({ name: 'bob' })
  const record = await world.trace(connection.path.trace)
  await connection.close()
  return record
}

const recorded = relayed()

/** The same, had it ended before anything was observed. */
const early = recorded.then(record => ({
  ...record,
  spans: record.spans.filter(({ name }) => name !== 'postern.profile')
}))

/** Whole sentences, however they are wrapped. */
const flat = (lines: readonly string[]) => lines.join(' ').replaceAll(/\s+/g, ' ')

test.serial('a relayed connection is explained with the shipped order, which would have helped', async t => {
  await using world = await World.open()
  const file = await world.write('trace.json', JSON.stringify([await recorded]))
  const { code, lines, stderr } = await world.run(['explain', file])
  t.is(code, 0, stderr)
  const text = flat(lines)
  t.regex(text, /ann → bob relayed/)
  t.regex(text, /direct then had no turn now tries, 100 %: /)
  t.regex(text, /relay then path in .* now the last resort/)
  t.regex(text, /would direct, stun, map, predict, spray, relay have helped\? yes: .*100 % with these, by direct, stun/)
  t.regex(text, /what happened: it was relayed, by relay, after/)
  for (const line of lines) t.true(line.length <= 80, line)
})

test.serial('another order is given as the configuration has it, on the command line or as a file', async t => {
  await using world = await World.open()
  const file = await world.write('trace.json', JSON.stringify(await recorded))
  await world.write('own.mjs', never)
  const yaml = await world.write('order.yaml', 'strategies: [{ ./own.mjs: { reason: never on Sundays } }, relay]\n')
  for (const argv of [
    ['--config', yaml],
    ['--strategies', '[{ ./own.mjs: { reason: never on Sundays } }, relay]'],
    ['--strategies', './own.mjs: { reason: never on Sundays },relay']
  ]) {
    const { code, events, stderr } = await world.run(['explain', file, ...argv, '--json'])
    t.is(code, 0, stderr)
    const [told] = events as unknown as (Replay & { event: string; caller: string })[]
    t.like(told, { event: 'explained', caller: 'ann', answer: { helps: 'no' }, probability: 0 })
    t.like(told?.strategies[0], { name: 'never', before: { outcome: 'passed', reason: 'not today' } })
    t.is(told?.strategies[0]?.now.passes, 'never on Sundays')
    t.false('spans' in (told ?? {}))
  }
})

test.serial('a trace may come through standard input, and of several requests each is told', async t => {
  await using world = await World.open()
  const record = await recorded
  const { code, events, stderr } = await world.run(['explain', '-', '--json'], {
    stdin: JSON.stringify([record, await early, record])
  })
  t.is(code, 0, stderr)
  t.is(events.length, 2, 'the one that cannot be asked again is left out')
})

test.serial('what cannot be explained is said in one sentence', async t => {
  await using world = await World.open()
  const record = await recorded
  const write = (name: string, content: string) => world.write(name, content)
  const cases: [string[], RegExp][] = [
    [['nowhere.json'], /^postern: io: nowhere\.json cannot be read: there is no such file$/m],
    [[await write('text.json', 'hello')], /^postern: bad-config: \S+text\.json is no JSON: /],
    [[await write('other.json', '{"a":1}')], /^postern: bad-config: \S+ is no trace; expected what \/api\/traces\/ID/],
    [[await write('none.json', '[]')], /is no trace/],
    [[await write('when.json', JSON.stringify({ ...record, startMs: 1e300 }))], /is no trace/],
    [[await write('odd.json', '\u001b]0;x\u0007')], /odd\.json is no JSON: \P{Cc}*\n$/u],
    [
      [await write('early.json', JSON.stringify(await early))],
      /^postern: bad-config: this request ended before both networks were/
    ],
    [[await write('ok.json', JSON.stringify(record)), '--strategies', '[stunn]'], /there is no "stunn"/],
    [['ok.json', '--strategies', 'relay,stun'], /relay must be the last/],
    [['ok.json', '--strategies', 'stunn'], /there is no "stunn"/],
    [['ok.json', '--strategies', '[stun]', '--config', 'x'], /--config or --strategies, not both/]
  ]
  for (const [argv, message] of cases) {
    const { code, stderr } = await world.run(['explain', ...argv])
    t.is(code, 1, argv.join(' '))
    t.regex(stderr, message)
    t.is(stderr.trim().split('\n').length, 1)
  }
})

test.serial('a file of a stranger says nothing that a terminal would obey', async t => {
  await using world = await World.open()
  const odd = (text: string) => `${text}\u001b]0;x\u0007\u009b2J`
  const { verdict, spans, ...record } = await recorded
  const [root, ...others] = spans
  const [code, by, caller] = [odd(verdict.code), odd(record.by), odd(record.caller)]
  const judged = {
    ...root,
    attributes: { ...root?.attributes, 'postern.caller': caller, [odd('postern.x')]: odd('y') }
  }
  const trace = {
    ...record,
    by,
    caller,
    verdict: { ...verdict, code, evidence: [odd('z')] },
    spans: [judged, ...others]
  }
  const { lines, stderr } = await world.run(['explain', await world.write('odd.json', JSON.stringify(trace))])
  t.is(stderr, '')
  t.notRegex(lines.join(''), /\p{Cc}/u)
})

labTest('two cones that were relayed by an order without stun: with it they would have been direct', async t => {
  const sites = [{ nat: 'port-restricted' }, { nat: 'port-restricted' }] as const
  await using rig = await openRig({ sites: [...sites], strategies: '[direct, relay]', verify: false })
  const [ann, bob] = rig.peers
  if (!ann || !bob) return t.fail()
  const tried = await ann.connect(bob, 1000)
  t.is(tried.path?.kind, 'relay')
  await using world = await World.open()
  const file = await world.write('trace.json', JSON.stringify(await rig.trace(tried.path?.trace ?? '')))
  const { code, events, stderr } = await world.run(['explain', file, '--json'])
  t.is(code, 0, stderr)
  t.like(events[0], { answer: { helps: 'yes', by: ['stun'] }, probability: 1 })
  const same = await world.run(['explain', file, '--strategies', '[direct, relay]', '--json'])
  t.like(same.events[0], { answer: { helps: 'no' }, probability: 0 })
})

test('an explanation fits 80 columns, however long names and reasons are', async t => {
  const record = await recorded
  const long = 'a reason of many words '.repeat(20).trim()
  const before = { outcome: 'failed', reason: long, ms: 1234.5 }
  const strategies: Replay['strategies'] = [
    {
      name: 'a-strategy-with-a-long-name',
      lastResort: false,
      before,
      now: { tries: [{ probability: 0.4, judged: true, why: long }] },
      probability: 0.4
    },
    {
      name: 'stun',
      lastResort: false,
      before,
      now: { tries: [{ probability: 1, judged: false, why: long }] },
      probability: 0
    },
    { name: 'mute', lastResort: false, now: { tries: [] }, probability: 0 }
  ]
  const found: Replay = {
    verdict: { ...record.verdict, code: 'unexplained', sentence: long },
    order: ['stun'],
    masked: true,
    strategies,
    probability: 0.4,
    probabilityThen: 0.1,
    inVain: [{ name: 'stun', ms: 1234.5 }],
    inVainMs: 1234.5,
    answer: { helps: 'perhaps', by: ['a-strategy-with-a-long-name'] }
  }
  const text = explanationText(record, found, { width: 80, paint: unpainted })
  for (const line of text.split('\n')) t.true(stripVTControlCharacters(line).length <= 80, line)
  const whole = flat(text.split('\n'))
  t.regex(whole, /mute then had no turn now passes: has no plan/)
  t.regex(whole, /now tries, the same, which was in vain: a reason/)
  t.regex(whole, /perhaps: the chance of a direct path is 40 % with these, by a-strategy-with-a-long-name; it was 10 %/)
  t.regex(whole, /who shares one looks like a neighbour here/)
  t.regex(whole, /1235 ms of them in vain \(stun 1235 ms\)/)
})

test('whatever the answer is, it is a sentence', async t => {
  const record = await recorded
  const base = { verdict: record.verdict, order: [], masked: false, strategies: [], inVain: [], inVainMs: 0 }
  const told = (found: Pick<Replay, 'answer' | 'probability' | 'probabilityThen'>) =>
    flat(explanationText(record, { ...base, ...found }, { width: 80, paint: unpainted }).split('\n'))
  t.regex(
    told({ answer: { helps: 'sooner', ms: 900 }, probability: 1, probabilityThen: 0 }),
    /yes, by 900 ms: what was in vain before relay/
  )
  t.regex(
    told({ answer: { helps: 'missing', winner: 'stun' }, probability: 0, probabilityThen: 0 }),
    /no: stun, which found/
  )
  t.regex(
    told({ answer: { helps: 'no' }, probability: 0, probabilityThen: 0 }),
    /no: none of these strategies has a plan/
  )
  t.regex(
    told({ answer: { helps: 'no' }, probability: 0.3, probabilityThen: 0.3 }),
    /no: the chance .* 30 % .* and was 30 %/
  )
  t.regex(told({ answer: { helps: 'yes', by: ['x'] }, probability: 0.999, probabilityThen: 0 }), /yes: .*99\.9 %/)
  const direct = { ...record, path: 'direct', by: 'stun' } as const
  const already = { ...base, answer: { helps: 'no' }, probability: 1, probabilityThen: 0 } as const
  t.regex(
    flat([explanationText(direct, already, { width: 80, paint: unpainted })]),
    /no: it was direct already, by stun/
  )
  t.regex(told({ answer: { helps: 'no' }, probability: 0.006, probabilityThen: 0 }), /0\.6 %/)
})
