// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these placeholders belong to the YAML.
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { type Besides, checkText, configIn, parseConfig } from '../../src/config/config.ts'
import { variablesOf } from '../../src/config/layers.ts'
import { options } from '../../src/config/schema.ts'
import { showConfig, shownOptions } from '../../src/config/show.ts'
import { PosternError } from '../../src/errors.ts'

const read = (text: string, besides: Besides) => configIn(checkText(text, '/etc/p.yaml', { env: {}, ...besides }), 'p')

function problems(t: ExecutionContext, text: string, besides: Besides): string[] {
  const error = t.throws(() => read(text, besides), { instanceOf: PosternError, code: 'bad-config' })
  return error?.message.split('\n') ?? []
}

test('a flag counts more than a variable, that more than the file, and that more than the default', t => {
  const text = 'limits: { peers: 1, names: 1, sessions: 1 }'
  const env = { POSTERN_LIMITS_PEERS: '2', POSTERN_LIMITS_NAMES: '2' }
  const { limits } = read(text, { env, flags: ['limits.peers=3'] })
  t.like(limits, { peers: 3, names: 2, sessions: 1, sessionsPerPeer: 32 })
})

test('every option has a variable of its own, and it is heard', t => {
  const all = options().map(({ path }) => variablesOf(path))
  t.is(new Set(all.flat()).size, all.flat().length)
  t.deepEqual(variablesOf(['limits', 'sessionsPerPeer']), ['POSTERN_LIMITS_SESSIONS_PER_PEER'])
  t.deepEqual(variablesOf(['join', 'token']), ['POSTERN_JOIN_TOKEN', 'POSTERN_TOKEN'])
  for (const { path } of options()) {
    const [name = ''] = variablesOf(path)
    // What no option takes is told with the name of its variable, so it was read as that option.
    const wrong = path.at(-1)?.startsWith('token') ? 'a b' : 'x: {'
    const { problems, sourceOf } = checkText('', 'x.yaml', { env: { [name]: wrong } })
    t.true(sourceOf(path)?.file === name || problems.some(({ at }) => at.file === name), name)
  }
})

test('a list in a variable or a flag is one value in YAML, strategies with their options too', t => {
  const env = {
    POSTERN_STRATEGIES: '[direct, ./mine.ts, relay: { total: 1 Mbit/s }]',
    POSTERN_LISTEN_URL: '[http://a]'
  }
  const config = read('strategies: [stun]', { env, flags: ['listen.udp.ports=[1, 2]'] })
  t.deepEqual(
    config.strategies.map(({ use, options }) => ({ use, options })),
    [
      { use: { kind: 'name', name: 'direct' }, options: {} },
      { use: { kind: 'file', file: '/etc/mine.ts' }, options: {} },
      { use: { kind: 'name', name: 'relay' }, options: { total: '1 Mbit/s' } }
    ]
  )
  t.deepEqual(config.listen.udp.ports, [1, 2])
  t.deepEqual(config.listen.url, ['http://a'])
})

test('a variable that is no list is taken as it stands', t => {
  const { state, join } = read('', { env: { POSTERN_STATE: '/a # b: ${X}', POSTERN_TOKEN: '#a:{[sixteen-and-' } })
  t.is(state, '/a # b: ${X}')
  t.is(join.token, '#a:{[sixteen-and-')
})

test('an empty variable is as good as none', t => {
  t.is(read('deadline: 3s', { env: { POSTERN_DEADLINE: '', POSTERN_TOKEN: '' } }).deadlineMs, 3000)
})

test('the variable by the rule counts more than the one that peers have their token in', t => {
  const env = { POSTERN_TOKEN: 'a'.repeat(16), POSTERN_JOIN_TOKEN: 'b'.repeat(16) }
  t.is(read('', { env }).join.token, 'b'.repeat(16))
})

test('a mistake in a variable or a flag is told with its name, before those of the file', t => {
  const env = { POSTERN_LIMITS_PEERS: 'many', POSTERN_LISTEN_UDP_PORTS: '[1, x]', POSTERN_STRATEGIES: '[direct' }
  t.deepEqual(problems(t, 'deadline: 1', { env, flags: ['log.level=loud'] }), [
    'POSTERN_STRATEGIES: not valid YAML: Flow sequence must end with a ]',
    'POSTERN_LISTEN_UDP_PORTS: listen.udp.ports[1]: got "x"; expected a whole number from 0 to 65535',
    'POSTERN_LIMITS_PEERS: limits.peers: got "many"; expected a whole number from 1 to 1000000',
    '--set log.level: log.level: got "loud"; expected one of silent, fatal, error, warn, info, debug, trace',
    '/etc/p.yaml:1:11: deadline: got "1"; expected a duration such as 10s, 500ms or 2m, from 100ms to 10m'
  ])
})

test('a variable that begins like an option and is none is told, unless it is that of a service of Kubernetes', t => {
  t.deepEqual(problems(t, '', { env: { POSTERN_LIMITS_PEER: '5', POSTERN_LOG: '' } }), [
    'POSTERN_LIMITS_PEER: there is no such option (did you mean "POSTERN_LIMITS_PEERS"?)'
  ])
  const others = {
    POSTERN_RELAY_PORT: 'tcp://10.0.0.1:80',
    POSTERN_RELAY_PORT_80_TCP_ADDR: '10.0.0.1',
    POSTERN_RELAY_SERVICE_HOST: '10.0.0.1',
    POSTERN_HOME: '/home',
    POSTERN_GATEWAY: 'http://x'
  }
  t.notThrows(() => read('', { env: others }))
})

test('a flag names an option, has a value, and holds no secret', t => {
  t.deepEqual(problems(t, '', { flags: ['limits.peer=1', 'limits={}', 'deadline', 'join.token=x', 'admin.token=y'] }), [
    '--set limits.peer: there is no such option (did you mean "limits.peers"?); expected one that config/postern.yaml has',
    '--set limits: that is a section; expected one of its options: limits.peers, limits.names, limits.sessions, limits.sessionsPerPeer, limits.bindingsPerSource, limits.probesPerAddress, limits.probesInAll, limits.messagesPerSecond',
    '--set deadline: got no value; expected an option and its value, such as limits.peers=500',
    '--set join.token: everybody on this computer can read what is in a command; expected POSTERN_TOKEN, or join.tokenFile',
    '--set admin.token: everybody on this computer can read what is in a command; expected POSTERN_ADMIN_TOKEN, or admin.tokenFile'
  ])
})

test('a token may be in a file, without the line break behind it, and one layer has one of both', t => {
  const folder = mkdtempSync(join(tmpdir(), 'postern-config-'))
  const [secret, other] = ['s'.repeat(20), 'o'.repeat(20)]
  const file = join(folder, 'token')
  writeFileSync(file, `${secret}\n`)
  const token = (text: string, besides: Besides = {}) =>
    configIn(checkText(text, join(folder, 'p.yaml'), { env: {}, ...besides }), 'p').join.token
  t.is(token('join: { tokenFile: token }'), secret)
  t.is(token('', { env: { POSTERN_TOKEN_FILE: file } }), secret)
  t.is(token('', { flags: [`join.tokenFile=${file}`] }), secret)
  t.is(token(`join: { token: ${other} }`, { env: { POSTERN_TOKEN_FILE: file } }), secret)
  t.is(token('join: { tokenFile: token }', { env: { POSTERN_TOKEN: other } }), other)
  t.is(token('', { env: { POSTERN_TOKEN: other }, flags: [`join.tokenFile=${file}`] }), secret)
  for (const both of [
    { text: `join: { token: ${other}, tokenFile: token }`, env: {} },
    { text: '', env: { POSTERN_TOKEN: other, POSTERN_TOKEN_FILE: file } }
  ])
    t.regex(
      problems(t, both.text, both).join(),
      /join\.tokenFile: the token is given already; expected token or tokenFile/
    )
})

test('a file that holds no token is told by its name, and never by what it holds', t => {
  const folder = mkdtempSync(join(tmpdir(), 'postern-config-'))
  const wrong = (content: string | undefined) => {
    const file = join(folder, 'token')
    if (content !== undefined) writeFileSync(file, content)
    return problems(t, '', { env: { POSTERN_ADMIN_TOKEN_FILE: content === undefined ? folder : file } }).join()
  }
  t.regex(
    wrong('two words and more'),
    /^POSTERN_ADMIN_TOKEN_FILE: admin\.tokenFile: \/.*\/token: it holds no token; expected one/
  )
  t.notRegex(wrong('two words and more'), /two words/)
  t.regex(wrong('short\n'), /a token under 16 characters could be guessed; expected a longer one$/)
  t.regex(wrong(''), /it holds no token/)
  t.regex(wrong(`${'a'.repeat(16)}\n${'b'.repeat(16)}\n`), /it holds no token/)
  t.regex(wrong(undefined), /it is not a file; expected one that holds a token$/)
  t.regex(problems(t, '', { flags: ['join.tokenFile=/nowhere/token'] }).join(), /there is no such file; expected one/)
})

test('what is in effect is shown with where each value is from, secrets masked', t => {
  const text =
    'limits:\n  peers: 7\nstrategies:\n  - spray: { sockets: 9 }\n  - relay\nadmin: { token: sixteen-letters! }\n'
  const env = { POSTERN_LOG_LEVEL: 'debug', POSTERN_TOKEN: 'fifteen-letters-and-more' }
  const checked = checkText(text, 'p.yaml', { env, flags: ['listen.udp.ports=[5, 6]'] })
  const origins = { sourceOf: checked.sourceOf, defaultsOf: () => ({ sockets: 256, probes: 2048 }) }
  const config = configIn(checked, 'p.yaml')
  const shown = showConfig(config, origins)
  for (const line of [
    '  http: 0.0.0.0:8080 # default',
    '    ports: [5, 6] # --set listen.udp.ports',
    '  token: "********" # POSTERN_TOKEN',
    '  token: "********" # p.yaml:6:17',
    '  peers: 7 # p.yaml:2:10',
    '      sockets: 9 # p.yaml:4:14',
    '      probes: 2048 # default',
    '  level: debug # POSTERN_LOG_LEVEL'
  ])
    t.true(shown.split('\n').includes(line), `${line}\n${shown}`)
  t.false(shown.includes('letters'))
  const one = (option: string) => shownOptions(config, origins).find(other => other.option === option)
  t.deepEqual(one('strategies[0].spray.sockets'), {
    option: 'strategies[0].spray.sockets',
    value: 9,
    source: 'p.yaml:4:14'
  })
  t.deepEqual(one('listen.udp.ports'), { option: 'listen.udp.ports', value: [5, 6], source: '--set listen.udp.ports' })
  t.is(one('deadline')?.source, 'default')
})

test('a token is from where its file is named, or else from where it stands', t => {
  const folder = mkdtempSync(join(tmpdir(), 'postern-config-'))
  const file = join(folder, 'token')
  writeFileSync(file, 'in-a-file-of-its-own')
  const source = (text: string, env = {}) => {
    const checked = checkText(text, 'p.yaml', { env })
    const shown = shownOptions(configIn(checked, 'p.yaml'), checked)
    return shown.find(({ option }) => option === 'join.token')?.source
  }
  t.is(source(`join: { tokenFile: ${file} }`), 'p.yaml:1:20')
  t.is(source(`join: { tokenFile: ${file} }`, { POSTERN_TOKEN: 'fifteen-letters-and-more' }), 'POSTERN_TOKEN')
  t.is(source('join: { token: sixteen-letters!, tokenFile: "" }'), 'p.yaml:1:16')
  t.is(source('join: { token: sixteen-letters! }', { POSTERN_TOKEN_FILE: file }), 'POSTERN_TOKEN_FILE')
})

test('what is shown has every option, and can be loaded again', t => {
  const config = parseConfig('', '/etc/p.yaml', {})
  const shown = shownOptions(config, { sourceOf: () => undefined }).map(({ option }) => option)
  const missing = options()
    .map(({ path }) => path.join('.'))
    .filter(name => name !== 'strategies' && !name.endsWith('tokenFile') && !shown.includes(name))
  t.deepEqual(missing, [])
  t.notThrows(() => parseConfig(showConfig(config), '/elsewhere/p.yaml', {}))
})

test('the ports and the address that peers are told may be others, and the address a name', t => {
  const told = (text: string) => read(`listen: { udp: { public: [${text}] } }`, {}).listen.udp.public
  t.deepEqual(told('203.0.113.7'), [{ host: '203.0.113.7' }])
  t.deepEqual(told('gw.example.org'), [{ host: 'gw.example.org' }])
  t.deepEqual(told('203.0.113.7:40000-40002'), [{ host: '203.0.113.7', ports: [40000, 40001, 40002] }])
  t.deepEqual(told("'gw.example.org:1,5-6'"), [{ host: 'gw.example.org', ports: [1, 5, 6] }])
  for (const wrong of [
    '203.0.113.256',
    'a_b',
    '-a.org',
    "'a:0'",
    "'a:1-70000'",
    "'a:5-4'",
    "'a:'",
    "'http://a'",
    "'a:x'"
  ])
    t.regex(
      problems(t, `listen: { udp: { public: [${wrong}] } }`, {}).join(),
      /listen\.udp\.public\[0\]: got .*expected/,
      wrong
    )
  t.regex(
    problems(t, "listen: { udp: { public: ['a:1-2'] } }", {}).join(),
    /listen\.udp\.public: a has 2 ports for 3 in listen\.udp\.ports; expected as many$/
  )
  t.true(showConfig(read("listen: { udp: { public: ['a:1,5-6'] } }", {})).includes('public: ["a:1,5,6"]'))
})
