import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import test from 'ava'
import type { TraceRecord } from '../../src/trace/record/record.ts'
import { failed } from './text/traces-made.ts'
import { tokens, World } from './world.ts'

/** What becomes of a connection is up to the name of the callee. */
const choosy = `
const limits = { perSession: 4e6, perPeer: 8e6, total: 1e8 }
const orders = {
  dan: ({ mapped }) => ({ kind: 'punch', targets: [mapped] }),
  rita: (_, { gateway }) => ({ kind: 'splice', target: gateway })
}
export default {
  name: 'choosy',
  defaults: {},
  start: () => ({
    plan: ({ caller, callee }) => {
      const order = orders[callee.name]
      if (!order) return [{ kind: 'pass', reason: 'not for ' + callee.name }]
      const plan = { caller: order(callee, caller), callee: order(caller, callee), waitMs: 3000, why: 'it is asked for' }
      return [{ kind: 'plan', ...plan, ...(callee.name === 'rita' ? { limits } : {}) }]
    }
  })
}
`

/** At its gateway alice has reached dan directly and rita through the relay, and fred not at all. */
const world = await World.open()
const traces = { dan: '', rita: '', fred: '' }
test.after.always(() => world[Symbol.asyncDispose]())

test.before(async () => {
  await world.write('choosy.js', choosy)
  await world.gateway('strategies: [./choosy.js]')
  for (const name of ['dan', 'rita', 'fred'] as const) {
    await world.peer(name)
    const ping = await world.run(['ping', name, '--count', '1', '--name', 'alice', '--json'])
    traces[name] = String(ping.events.at(-1)?.trace)
  }
})

test.serial(
  'traces are filtered by how they ended, peer, verdict and time; an empty list says what is in the way',
  async t => {
    const listed = async (...argv: string[]) => {
      const { code, events, stderr } = await world.run(['traces', ...argv, '--json'])
      t.is(code, 0, stderr)
      return events.map(({ callee }) => callee)
    }
    t.deepEqual(await listed(), ['fred', 'rita', 'dan'])
    t.deepEqual(await listed('--failed'), ['fred'])
    t.deepEqual(await listed('--relayed'), ['rita'])
    t.deepEqual(await listed('--failed', '--relayed', '--since', '1h'), ['fred', 'rita'])
    t.deepEqual(await listed('--peer', 'rita'), ['rita'])
    t.deepEqual(await listed('--peer', 'alice', '--limit', '2'), ['fred', 'rita'])
    t.deepEqual(await listed('--verdict', 'direct'), ['dan'])
    t.deepEqual(await listed('--since', '2020-01-31T12:00'), ['fred', 'rita', 'dan'])
    t.deepEqual(await listed('--since', '2999-01-31'), [])
    const told = async (...argv: string[]) => (await world.run(['traces', ...argv])).lines.join('\n')
    t.is(await told('--verdict', 'deadline'), 'none of the 3 kept is --verdict deadline')
    t.is(await told('--peer', 'danny'), 'none of the 3 kept is --peer danny (did you mean "dan"?)')
    t.is(
      await told('--failed', '--peer', 'dan', '--since', '1h'),
      'none of the 3 kept is --failed --peer dan --since 1h; there are some without --failed, or without --peer dan'
    )
    t.regex(await told('--limit', '1'), /\bfred +failed [\s\S]*\nthe latest 1; --limit shows more$/)
    t.regex(await told(), new RegExp(`^\\S+ ${traces.dan.slice(0, 8)} +alice +dan +direct +choosy +[\\d.]+$`, 'm'))
  }
)

test.serial('a trace is found by the beginning of its id, shown within 80 columns, and kept in a file', async t => {
  const { rita } = traces
  const shown = await world.run(['trace', rita.slice(0, 12), '--save', 'rita.json'])
  t.is(shown.code, 0, shown.stderr)
  t.regex(shown.lines[0] ?? '', /^alice → rita {2}relayed, by choosy {2}in [\d.]+ ms$/)
  t.is(shown.lines.at(-1), 'kept in rita.json; ask again with: postern explain rita.json')
  t.deepEqual(
    shown.lines.filter(line => line.length > 80),
    []
  )
  for (const lane of ['A', 'B', 'G']) t.true(shown.lines.some(line => line.startsWith(`${lane} `)))
  const kept = JSON.parse(await readFile(join(world.folder, 'rita.json'), 'utf8')) as TraceRecord[]
  const told = await world.run(['trace', rita.toUpperCase(), '--json'])
  t.deepEqual(
    told.events.map(({ event: _, ...trace }) => trace),
    JSON.parse(JSON.stringify(kept))
  )
  t.is(kept[0]?.path, 'relay')
})

test.serial('a relayed path is explained where it is told, and a failure with a verdict and its trace', async t => {
  const rita = await world.run(['ping', 'rita', '--count', '1', '--json'])
  const path = rita.events.at(-1) as { verdict?: { code?: string; sentence?: string } }
  t.is(typeof path.verdict?.code, 'string')
  t.true((path.verdict?.sentence ?? '').length > 10)
  const human = await world.run(['ping', 'rita', '--count', '1'])
  t.regex(human.lines.join('\n'), /relayed through the gateway[\s\S]*\n {2}because [\s\S]*\([a-z-]+\)/)
  const fred = await world.run(['ping', 'fred', '--json'])
  const failed = fred.events.at(-1) as { trace?: string; traceKey?: string; verdict?: { code?: string } }
  t.is(typeof failed.verdict?.code, 'string')
  t.regex(fred.stderr, new RegExp(`^postern: no-path: .*\n {2}because [\\s\\S]*\\(${failed.verdict?.code}\\)`))
  t.regex(fred.stderr, new RegExp(`what was tried: postern trace ${failed.trace} --key ${failed.traceKey}\n$`))
})

test.serial(
  'what a failed command prints at its end shows its trace without the admin token, and no other trace',
  async t => {
    const env = { POSTERN_ADMIN_TOKEN: '' }
    const { stderr } = await world.run(['ping', 'fred', '--count', '1'])
    const [, id = '', key = ''] = /postern trace (\S+) --key (\S+)\n$/.exec(stderr) ?? []
    const shown = await world.run(['trace', id, '--key', key], { env })
    t.is(shown.code, 0, shown.stderr)
    t.regex(shown.lines[0] ?? '', /→ fred {2}failed: no-path/)
    const other = await world.run(['trace', traces.dan, '--key', key], { env })
    t.regex(other.stderr, /^postern: bad-token: this key does not read this trace: it is good for one, for an hour/)
    const short = await world.run(['trace', id.slice(0, 8), '--key', key], { env })
    t.regex(short.stderr, /^postern: bad-config: with --key the whole id is needed/)
  }
)

test.serial(
  'a gateway is read with the token that it keeps where the command is run, or without one where it may be; else it is said where the token is',
  async t => {
    await using world = await World.open()
    const env = { POSTERN_ADMIN_TOKEN: '' }
    const start = async (file: string, admin: string) => {
      const config = (await readFile(await world.config(), 'utf8')).replace(/^admin: .*$/m, admin)
      const gateway = world.start(['gateway', '--config', await world.write(file, config), '--json'], { env })
      world.url = String((await gateway.event('listening')).url)
    }
    await start('open.yaml', `admin: { token: ${tokens.admin}, open: loopback }`)
    const open = await world.run(['traces'], { env })
    t.deepEqual(open.lines, ['no connection was asked for yet'], open.stderr)
    await start('kept.yaml', '')
    const kept = await world.run(['traces'], { env })
    t.deepEqual(kept.lines, ['no connection was asked for yet'], kept.stderr)
    const elsewhere = await world.run(['traces'], { env: { ...env, POSTERN_STATE: './elsewhere' } })
    t.is(elsewhere.code, 1)
    await start('strict.yaml', `admin: { token: ${tokens.admin} }\nstate: ./strict`)
    const closed = await world.run(['traces'], { env })
    t.is(closed.code, 1)
    t.regex(
      closed.stderr,
      /^postern: bad-token: this gateway asks for its admin token, which is in admin-token in the .*\n.*\n.*--admin-token/
    )
  }
)

test.serial('wrong options of traces and trace are told, with what was meant', async t => {
  for (const [argv, reason] of [
    [['traces', '--since', 'soon'], /--since.*a duration such as 30m, 2h or 1d/],
    [['traces', '--since', '12'], /--since.*a duration/],
    [['traces', '--verdict', 'both-randon'], /no such verdict \(did you mean "both-random"\?\)/],
    [['traces', '--verdict', 'x'], /no such verdict; expected one of direct, /],
    [['traces', '--limit', '0'], /whole number from 1 to 1000/],
    [['trace', 'xyz'], /xyz is no id of a trace; expected hex digits/],
    [['trace', 'abc'], /no trace is kept whose id begins with abc; see: postern traces/],
    [['trace', 'ab'.repeat(16)], /no trace of this id is kept/]
  ] as const) {
    const { code, stderr } = await world.run(argv)
    t.is(code, 1)
    t.regex(stderr, /^postern: bad-config: [^\n]*\n$/)
    t.regex(stderr, reason)
  }
})

test('what a gateway says of a trace is shown without anything that a terminal would obey', async t => {
  const odd = { ...failed, caller: 'al\u001b]0;x\u0007ice', verdict: { ...failed.verdict, sentence: '\u009b2J' } }
  const server = createServer((_, answer) => answer.end(JSON.stringify([odd]))).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const gateway = ['--gateway', `http://127.0.0.1:${(server.address() as AddressInfo).port}`]
  for (const argv of [['traces'], ['trace', failed.id], ['traces', '--peer', 'zoe']]) {
    const { code, lines, stderr } = await world.run([...argv, ...gateway])
    t.is(code, 0, stderr)
    t.notRegex(lines.join(''), /\p{Cc}/u)
  }
  server.close()
})
