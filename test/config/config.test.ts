// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these placeholders belong to the YAML.
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { type Config, configSchema, loadConfig, parseConfig } from '../../src/config/config.ts'
import { jsonSchema } from '../../src/config/schema.ts'
import { showConfig } from '../../src/config/show.ts'
import { PosternError } from '../../src/errors.ts'
import { builtIns } from '../../src/plugins/built-in.ts'
import { loadPlugins } from '../../src/plugins/load.ts'
import { certified, renewed } from '../peer/tls.ts'

const shipped = new URL('../../config', import.meta.url).pathname

// Where a strategy stood differs between two texts that mean the same.
function meaning({ strategies, ...rest }: Config): unknown {
  return { ...rest, strategies: strategies.map(({ use, options }) => ({ use, options })) }
}

/** One way to write a strategy, as the JSON schema has it. */
interface Shape {
  readonly enum?: readonly string[]
  readonly pattern?: string
  readonly properties?: object
  readonly patternProperties?: object
}

function problems(t: ExecutionContext, text: string, env = {}): string[] {
  const error = t.throws(() => parseConfig(text, 'x.yaml', env), { instanceOf: PosternError }, text)
  t.is(error?.code, 'bad-config')
  return error?.message.split('\n') ?? []
}

test('the shipped file holds every option, each with its default', t => {
  for (const env of [
    {},
    { POSTERN_TOKEN: 'a'.repeat(16), POSTERN_ADMIN_TOKEN: 'b'.repeat(16), POSTERN_STATE: '/var/lib/postern' }
  ]) {
    const full = loadConfig(join(shipped, 'postern.yaml'), env)
    const empty = parseConfig('', join(shipped, 'postern.yaml'), env)
    t.deepEqual({ ...full, strategies: [] }, { ...empty, strategies: [] })
    t.deepEqual(
      full.strategies.map(s => s.use),
      empty.strategies.map(s => s.use)
    )
  }
})

test('so are the options of the strategies', async t => {
  const full = loadConfig(join(shipped, 'postern.yaml'), {}).strategies
  t.deepEqual(
    full.map(s => Object.keys(s.options)),
    Object.values(builtIns).map(plugin => Object.keys(plugin.defaults))
  )
  const bare = parseConfig('', 'x.yaml', {}).strategies
  t.deepEqual(await loadPlugins(full, builtIns), await loadPlugins(bare, builtIns))
})

test('every option in the schema is named in the shipped file', t => {
  const text = readFileSync(join(shipped, 'postern.yaml'), 'utf8')
  const names = JSON.stringify(configSchema(builtIns)).matchAll(
    /"(\w+)":\{"(?:type":"object","properties|description)"/g
  )
  const missing = [...names].map(match => match[1]).filter(name => !new RegExp(`^ *${name}:`, 'm').test(text))
  t.deepEqual(missing, [])
})

test('the JSON schema for editors is up to date (else: npx postern config schema > config/postern.schema.json)', t => {
  t.deepEqual(JSON.parse(readFileSync(join(shipped, 'postern.schema.json'), 'utf8')), configSchema(builtIns))
})

test('the JSON schema takes built-ins, paths and names of packages as strategies, with options and without', t => {
  const { properties } = configSchema(builtIns) as { properties: { strategies: { items: { anyOf: Shape[] } } } }
  const shapes = properties.strategies.items.anyOf
  const bare = (name: string) =>
    shapes.some(({ enum: words, pattern }) => words?.includes(name) || (pattern && new RegExp(pattern, 'u').test(name)))
  const withOptions = (name: string) =>
    shapes.some(({ properties: known = {}, patternProperties: others = {} }) =>
      [...Object.keys(known).map(word => `^${word}$`), ...Object.keys(others)].some(key =>
        new RegExp(key, 'u').test(name)
      )
    )
  for (const name of ['direct', './mine.ts', '../b.js', '/c.ts', 'postern-plugin-x', '@scope/x'])
    t.deepEqual([bare(name), withOptions(name)], [true, true], name)
  for (const name of ['', 'two words', '@scope', '@scope/x/y', 'https://x', '.hidden'])
    t.deepEqual([bare(name), withOptions(name)], [false, false], name)
})

test('values arrive in the types and units their names say', t => {
  const config = parseConfig(
    'listen: { http: "[::1]:0" }\ndeadline: 1.5s\nlimits: { peers: 7 }\njoin: { token: 0123456789012345 }',
    '/etc/p.yaml',
    {}
  )
  t.deepEqual(config.listen.http, { address: '::1', port: 0 })
  t.is(config.deadlineMs, 1500)
  t.is(config.limits.peers, 7)
  t.is(config.join.token, '0123456789012345')
  t.is(config.state, '/etc/state')
})

test('an option left empty keeps its default', t => {
  const config = parseConfig('limits:\n  # peers: 5\ndeadline:\nstrategies:\n', 'x.yaml', {})
  t.deepEqual(meaning(config), meaning(parseConfig('', 'x.yaml', {})))
})

test('a variable is put in, its default where it is unset or empty', t => {
  const text = 'listen: { http: "${HOST}:${PORT:-80}" }\nlimits:\n  peers: ${PEERS:-9}\n'
  const config = parseConfig(text, 'x.yaml', { HOST: '127.0.0.1', PORT: '', PEERS: '12' })
  t.deepEqual(config.listen.http, { address: '127.0.0.1', port: 80 })
  t.is(config.limits.peers, 12)
})

test('a missing variable is told once, whatever it was for', t => {
  t.deepEqual(problems(t, 'strategies:\n  - ${NOPE}\n  - stun'), [
    'x.yaml:2:5: strategies[0]: the environment variable NOPE is not set; expected it to be, or ${NOPE:-default}'
  ])
})

test('a variable cannot smuggle YAML in', t => {
  t.is(parseConfig('state: ${X}', '/x.yaml', { X: '/a # b' }).state, '/a # b')
})

test('every mistake is told, in the order of the file, each with its line and column', t => {
  const text = `listen:
  http: 8080
  udq: {}
  udp: { ports: 3 }
join: { token: { a: b } }
admin: { token: '\${NOPE}' }
deadline: 10 parsecs
limits: { peers: -1, sessions: 64 KiB }
log: { level: loud }
traces: 5
strategies: [direct, direct, { stun: {}, relay: {} }, stun: 5]
`
  t.deepEqual(problems(t, text), [
    'x.yaml:2:9: listen.http: got "8080"; expected an IP address and a port such as 0.0.0.0:8080 or [::]:8080',
    'x.yaml:3:3: listen.udq: there is no such option (did you mean "udp"?); expected http, tls, url, udp, tcp, trustProxy, proxyProtocol',
    'x.yaml:4:17: listen.udp.ports: got "3"; expected one to three ports',
    'x.yaml:5:16: join.token: got a value that cannot be one; expected a token of letters, digits and signs without spaces',
    'x.yaml:6:17: admin.token: the environment variable NOPE is not set; expected it to be, or ${NOPE:-default}',
    'x.yaml:7:11: deadline: got "10 parsecs"; expected a duration such as 10s, 500ms or 2m, from 100ms to 10m',
    'x.yaml:8:18: limits.peers: got "-1"; expected a whole number from 1 to 1000000',
    'x.yaml:8:32: limits.sessions: got "64 KiB"; expected a whole number from 1 to 1000000',
    'x.yaml:9:15: log.level: got "loud"; expected one of silent, fatal, error, warn, info, debug, trace',
    'x.yaml:10:9: traces: got "5"; expected a map of options',
    'x.yaml:11:22: strategies[1]: direct is there twice; expected each strategy once',
    'x.yaml:11:30: strategies[2]: got a map; expected a name, a path, or one of them with its options',
    'x.yaml:11:61: strategies[3]: got "5"; expected a map of options for stun'
  ])
})

test('a token that could be guessed is refused, wherever it comes from', t => {
  const words = (where: string) =>
    `a token under 16 characters could be guessed; expected a longer one, here or in ${where}`
  const text = "join: { token: 'fifteen-letters' }\nadmin:\n  token: ${ADMIN}"
  t.deepEqual(problems(t, text, { ADMIN: 'short' }), [
    `x.yaml:1:16: join.token: ${words('POSTERN_TOKEN')}`,
    `x.yaml:3:10: admin.token: ${words('POSTERN_ADMIN_TOKEN')}`
  ])
  t.deepEqual(problems(t, '', { POSTERN_TOKEN: 'short' }), [`POSTERN_TOKEN: join.token: ${words('POSTERN_TOKEN')}`])
  t.is(parseConfig('', 'x.yaml', { POSTERN_TOKEN: 'sixteen-letters-' }).join.token, 'sixteen-letters-')
})

test('what is wrong between two options is told beside what is wrong with others', t => {
  const text = `listen: { udp: { addresses: [10.0.0.1, 10.0.0.1], ports: [x], public: [0.0.0.0, 1.2.3.4, 5.6.7.8] } }
traces: { file: x, memory: 0 B, addresses: some }`
  t.deepEqual(problems(t, text), [
    'x.yaml:1:29: listen.udp.addresses: 10.0.0.1 is named twice; expected two different addresses',
    'x.yaml:1:59: listen.udp.ports[0]: got "x"; expected a whole number from 0 to 65535',
    'x.yaml:1:71: listen.udp.public: got a list; expected as many addresses or names as listen.udp.addresses, or none',
    'x.yaml:2:17: traces.file: what is not kept in memory cannot be kept in a file; expected traces.memory above 0 B',
    'x.yaml:2:44: traces.addresses: got "some"; expected one of full, subnet'
  ])
})

test('a syntax error is told once, where it is', t => {
  t.deepEqual(problems(t, 'deadline: 1s\nstrategies: [direct\n').length, 1)
  t.regex(problems(t, 'deadline: 1s\n  log: x')[0] ?? '', /^x\.yaml:1:11: not valid YAML: /)
  t.regex(problems(t, 'join: { token: ${X} }')[0] ?? '', /^x\.yaml:1:\d+: .*expected quotes around a variable/)
})

test('a key written twice, an anchor, an alias, a merge key, a tag, a tab and a file that is no map are refused', t => {
  t.regex(
    problems(t, 'deadline: 1s\ndeadline: 2s')[0] ?? '',
    /^x\.yaml:2:1: .*the option is there twice in this map; expected each one once$/
  )
  const [anchor, alias] = problems(t, 'deadline: &a 1s\nstate: *a')
  t.regex(anchor ?? '', /^x\.yaml:1:14: deadline: got an anchor; .*expected the value itself, written out$/)
  t.regex(alias ?? '', /^x\.yaml:2:8: state: got an alias; .*expected the value itself, written out$/)
  t.regex(problems(t, 'limits:\n  <<: { peers: 5 }')[0] ?? '', /^x\.yaml:2:3: limits\.<<: got a merge key; /)
  t.regex(problems(t, 'limits:\n\tpeers: 5')[0] ?? '', /^x\.yaml:2:1: .*a tab stands where .*; expected spaces$/)
  t.regex(problems(t, 'deadline: 1s\n---\nstate: x')[0] ?? '', /^x\.yaml:2:1: .*a second document begins here/)
  t.regex(problems(t, 'deadline: !!js 1s')[0] ?? '', /^x\.yaml:1:11: .*tag/)
  t.regex(problems(t, '- direct')[0] ?? '', /^x\.yaml:1:1: got a list; expected a map/)
})

test('a missing file is told by its name', t => {
  t.throws(() => loadConfig('/nowhere/x.yaml', {}), {
    message: /^\/nowhere\/x\.yaml:1:1: there is no such file; expected/
  })
})

test('addresses are one or two, IPv4 only, and an unspecified one stands alone', t => {
  const udp = (text: string) => `listen: { udp: { ${text} } }`
  const valid = [
    'addresses: [10.0.0.1, 10.0.0.2]',
    'addresses: [0.0.0.0]',
    'public: [203.0.113.1]',
    'ports: [0, 0]',
    'ports: [3478]'
  ]
  for (const text of valid) t.notThrows(() => parseConfig(udp(text), 'x.yaml', {}), text)
  const invalid: Record<string, RegExp> = {
    'addresses: [0.0.0.0, 10.0.0.1]': /1:29: listen\.udp\.addresses: .*unspecified/,
    'addresses: [10.0.0.1, 10.0.0.1]': /twice/,
    'addresses: ["::"]': /1:30: listen\.udp\.addresses\[0\]: got "::"; expected an IPv4 address .*IPv4 only for now/,
    'addresses: [10.0.0.1, "::1"]': /addresses\[1\]: .*IPv4 only for now/,
    'public: ["2001:db8::1"]': /public\[0\]: .*IPv4 only for now/,
    'addresses: []': /expected one or two IPv4 addresses/,
    'addresses: [10.0.0.1, 10.0.0.2, 10.0.0.3]': /expected one or two IPv4 addresses/,
    'addresses: [example.org]': /listen\.udp\.addresses\[0\]: got "example.org"; expected an IPv4 address/,
    'ports: [1, 1]': /twice/,
    'ports: [65536]': /from 0 to 65535/,
    'public: [203.0.113.1, 203.0.113.2]': /got 2 for 1 in listen.udp.addresses/,
    'public: [0.0.0.0]': /cannot be reached/
  }
  for (const [text, message] of Object.entries(invalid)) t.regex(problems(t, udp(text)).join('\n'), message, text)
})

test('the URLs of a gateway are places, however they are written', t => {
  const { listen } = parseConfig('listen: { url: ["WSS://A.example:443/gate/", "http://[::1]:8080"] }', 'x.yaml', {})
  t.deepEqual(listen.url, ['https://a.example/gate', 'http://[::1]:8080'])
  t.deepEqual(problems(t, 'listen: { url: [postern.example.org] }'), [
    'x.yaml:1:17: listen.url[0]: got "postern.example.org"; expected a URL such as https://postern.example.org'
  ])
  t.regex(problems(t, 'listen: { url: https://a.example }').join(), /expected a list of public URLs$/)
})

test('proxies that are trusted are named one by one or by their networks, never all there are', t => {
  const { listen } = parseConfig(
    'listen: { trustProxy: [127.0.0.1, 10.0.0.0/8, "fd00::/8"], proxyProtocol: true }',
    'x.yaml',
    {}
  )
  t.deepEqual(listen.trustProxy, ['127.0.0.1', '10.0.0.0/8', 'fd00::/8'])
  t.true(listen.proxyProtocol)
  for (const all of ['true', '127.0.0.1', '{ a: b }'])
    t.regex(
      problems(t, `listen: { trustProxy: ${all} }`).join('\n'),
      /^x\.yaml:1:23: listen\.trustProxy: got .*; expected the addresses and networks of your own proxies, such as \[127\.0\.0\.1, 10\.0\.0\.0\/8\]; if everybody were trusted, anybody could say who asks$/
    )
  for (const one of ['0.0.0.0/0', '"::/0"', 'true', 'proxy.example.org', '10.0.0.0/33'])
    t.regex(
      problems(t, `listen: { trustProxy: [127.0.0.1, ${one}] }`).join('\n'),
      /^x\.yaml:1:35: listen\.trustProxy\[1\]: got ".*"; expected an address or a network such as .*; if everybody/
    )
  t.deepEqual(problems(t, 'listen: { proxyProtocol: true }'), [
    'x.yaml:1:26: listen.proxyProtocol: a header is taken of nobody but the proxies in listen.trustProxy; expected their addresses there'
  ])
  t.deepEqual(problems(t, 'listen: { proxyProtocol: v2 }'), [
    'x.yaml:1:26: listen.proxyProtocol: got "v2"; expected true or false'
  ])
})

test('a certificate and its key are both there or neither, beside the file, and can be used', t => {
  const folder = mkdtempSync(join(tmpdir(), 'postern-config-'))
  const file = join(folder, 'x.yaml')
  const read = (tls: string) => parseConfig(`listen: { tls: { ${tls} } }`, file, {}).listen.tls
  const fails = (tls: string, message: RegExp) => t.throws(() => read(tls), { code: 'bad-config', message })
  t.is(read("cert: '', key: ''"), undefined)
  fails('cert: a.pem', /x\.yaml:1:16: listen\.tls\.key: got nothing; expected both cert and key, or neither$/)
  fails('key: a.pem', /x\.yaml:1:16: listen\.tls\.cert: got nothing; expected both cert and key, or neither$/)
  fails('cert: a.pem, key: b.pem', /x\.yaml:1:24: listen\.tls\.cert: .*\/a\.pem: there is no such file; expected/)
  writeFileSync(join(folder, 'a.pem'), certified.cert)
  writeFileSync(join(folder, 'b.pem'), renewed.key)
  fails('cert: a.pem, key: b.pem', /x\.yaml:1:36: listen\.tls\.key: .*\/b\.pem: it does not belong to the certificate/)
  writeFileSync(join(folder, 'b.pem'), certified.key)
  const config = parseConfig('listen: { tls: { cert: a.pem, key: ./b.pem } }', file, {})
  t.deepEqual(config.listen.tls, { cert: join(folder, 'a.pem'), key: join(folder, 'b.pem') })
  t.deepEqual(parseConfig(showConfig(config), '/elsewhere/p.yaml', {}).listen, config.listen)
})

test('rooms are off, and take what lets a browser use a camera: TLS, an https URL or loopback', t => {
  const folder = mkdtempSync(join(tmpdir(), 'postern-config-'))
  t.deepEqual(parseConfig('', 'x.yaml', {}).call, { enabled: false, rooms: 1000, hours: 24 })
  const on = 'call: { enabled: true, hours: 168 }\n'
  t.deepEqual(problems(t, on), [
    'x.yaml:1:18: call.enabled: browsers let a page use cameras only where it came by https; expected listen.tls, or an https URL in listen.url, or listen.http on loopback'
  ])
  t.regex(
    problems(t, `${on}listen: { http: '192.0.2.1:80', url: ['http://a.example'] }`).join(),
    /call\.enabled: browsers/
  )
  writeFileSync(join(folder, 'a.pem'), certified.cert)
  writeFileSync(join(folder, 'b.pem'), certified.key)
  const secure = [
    "http: '127.0.0.1:80'",
    "http: '[::1]:80'",
    'url: [https://a.example]',
    'tls: { cert: a.pem, key: b.pem }'
  ]
  for (const listen of secure)
    t.is(parseConfig(`${on}listen: { ${listen} }`, join(folder, 'x.yaml'), {}).call.hours, 168)
  t.regex(problems(t, 'call: { rooms: 0 }').join(), /expected a whole number from 1 to 10000$/)
  t.regex(problems(t, 'call: { hours: 169 }').join(), /expected a whole number from 1 to 168$/)
})

test('a strategy is a name or a path, with or without options, and knows where each stood', t => {
  const text = 'strategies:\n  - direct\n  - ./mine.ts:\n      waitMs: 200ms\n  - ../b.js\n  - /c.ts:\n  - relay:\n'
  const { strategies } = parseConfig(text, '/etc/postern/p.yaml', {})
  t.deepEqual(
    strategies.map(s => s.use),
    [
      { kind: 'name', name: 'direct' },
      { kind: 'file', file: '/etc/postern/mine.ts' },
      { kind: 'file', file: '/etc/b.js' },
      { kind: 'file', file: '/c.ts' },
      { kind: 'name', name: 'relay' }
    ]
  )
  t.deepEqual(strategies[1]?.options, { waitMs: '200ms' })
  t.deepEqual(strategies[1]?.at, { file: '/etc/postern/p.yaml', line: 3, column: 5 })
  t.deepEqual(strategies[1]?.optionAt, { waitMs: { file: '/etc/postern/p.yaml', line: 4, column: 7 } })
})

test('no strategy at all, and one twice under two paths, are refused', t => {
  t.deepEqual(problems(t, 'strategies: []'), [
    'x.yaml:1:13: strategies: got an empty list; expected at least one strategy'
  ])
  t.regex(problems(t, 'strategies: [./a.ts, ./b/../a.ts]')[0] ?? '', /1:22: strategies\[1\]: .* twice/)
})

test('the effective configuration loads again as the same one', t => {
  const text =
    'deadline: 90s\nstrategies: [direct, ./mine.ts: { waitMs: 5 }]\nlisten: { http: "[::1]:80" }\nlog: { level: debug }'
  const config = parseConfig(text, '/etc/p.yaml', {})
  t.deepEqual(meaning(parseConfig(showConfig(config), '/elsewhere/p.yaml', {})), meaning(config))
})

test('a token is shown in no message and in no listing', t => {
  const secret = 'open-sesame-open'
  const text = `join: { token: ${secret} }\nadmin: { token: '\${T}' }\nstrategies: [./a.ts: { apiToken: ${secret} }]`
  const shown = showConfig(parseConfig(text, 'x.yaml', { T: secret }))
  t.false(shown.includes(secret))
  t.is(shown.match(/\*{8}/g)?.length, 3)
  t.false(problems(t, `join: { token: "${secret} with spaces" }`).join().includes(secret))
  t.false(
    problems(t, `join: { token: ${secret.slice(1)} }`)
      .join()
      .includes(secret.slice(1))
  )
  t.false(problems(t, 'log:\n  level: ${T}', { T: secret }).join().includes(secret))
})

test('a mistake is told without what a terminal takes for a command', t => {
  for (const text of ['"\\e[2J": 1', 'listen: { "a\\u202e": 1 }', '? - "\\a"\n: \x9b2J', 'log: { level: "\\x7f" }'])
    for (const line of problems(t, text)) t.notRegex(line, /[\p{Cc}\p{Cf}]/u, JSON.stringify(line))
})

test('lists and maps that are nested too deeply are told as a mistake like any other', t => {
  for (const [open, close] of ['[]', '{}', ['- ', ''], ['? ', '']])
    t.deepEqual(
      problems(t, `${open?.repeat(6000)}x${close?.repeat(6000)}`).map(line => line.replace(/:\d+:\d+:/, ':')),
      ['x.yaml: not valid YAML: it is nested too deeply; expected a configuration as config/postern.yaml shows it'],
      open
    )
})

test('a mistake on a line of a million brackets is told as soon as any other', t => {
  t.regex(problems(t, `"${'['.repeat(1_000_000)}`)[0] ?? '', /^x\.yaml:1:\d+: not valid YAML: Missing closing "quote$/)
})

test('the options there are are put together once, however many others a file has', t => {
  t.is(jsonSchema(), jsonSchema())
  const others = Array.from({ length: 1000 }, (_, at) => `option${at}: 1`)
  t.is(problems(t, others.join('\n')).length, 1000)
})

test('a file on disk is read', t => {
  const file = join(mkdtempSync(join(tmpdir(), 'postern-config-')), 'p.yaml')
  writeFileSync(file, 'deadline: 3s\n')
  t.is(loadConfig(file, {}).deadlineMs, 3000)
})
