import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { pino } from 'pino'
import { parseConfig } from '../../src/config/config.ts'
import { PosternError } from '../../src/errors.ts'
import { openGateway } from '../../src/gateway/gateway.ts'
import { World } from '../world.ts'

// By itself: the environment is that of the whole process.
test.serial(
  'a variable of the collector that is wrong keeps the gateway from starting, and no file is opened',
  async t => {
    process.env.OTEL_TRACES_SAMPLER = 'sometimes'
    t.teardown(() => delete process.env.OTEL_TRACES_SAMPLER)
    process.env.OTEL_TRACES_EXPORTER = 'otlp'
    t.teardown(() => delete process.env.OTEL_TRACES_EXPORTER)
    const folder = await mkdtemp(join(tmpdir(), 'postern-'))
    t.teardown(() => rm(folder, { recursive: true }))
    const config = parseConfig('traces: { file: traces.jsonl }', join(folder, 'postern.yaml'), {})
    await t.throwsAsync(openGateway(config), { instanceOf: PosternError, code: 'bad-config', message: /SAMPLER/ })
    t.deepEqual(await readdir(folder), [])
  }
)

test('tokens are made up once, kept with the names for the owner alone, and are the same after a restart', async t => {
  await using world = await World.open()
  const { joinToken, adminToken } = world.gateway
  t.not(joinToken, adminToken)
  t.true(Buffer.from(joinToken, 'base64url').length >= 12)
  for (const file of ['join-token', 'admin-token'])
    t.is((await stat(join(world.folder, 'state', file))).mode & 0o777, 0o600)
  t.is((await stat(join(world.folder, 'state'))).mode & 0o777, 0o700)
  await world.gateway.close()
  await world.start()
  t.deepEqual([world.gateway.joinToken, world.gateway.adminToken], [joinToken, adminToken])
})

test('a folder that others can write to, and a token that they can read, are in the log with what to do', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'postern-'))
  t.teardown(() => rm(folder, { recursive: true }))
  const state = join(folder, 'state')
  await mkdir(state)
  for (const name of ['join-token', 'admin-token']) await writeFile(join(state, name), 'sixteen-letters-\n')
  await chmod(join(state, 'join-token'), 0o644)
  await chmod(join(state, 'admin-token'), 0o600)
  await chmod(state, 0o777)
  const lines: string[] = []
  const log = pino({ level: 'warn' }, { write: (line: string) => void lines.push(JSON.parse(line).msg) })
  const yaml = "listen: { http: '127.0.0.1:0', udp: { addresses: [127.0.0.1], ports: [0] } }"
  const gateway = await openGateway(parseConfig(yaml, join(folder, 'postern.yaml'), {}), { log })
  await gateway.close()
  t.deepEqual(
    lines.map(line => /chmod \d+ [^\s,]+/.exec(line)?.[0]),
    [`chmod 700 ${state}`, `chmod 600 ${join(state, 'join-token')}`]
  )
})

test('a configured token is used and written nowhere', async t => {
  await using world = await World.open({ more: 'join: { token: token-from-the-file }' })
  t.is(world.gateway.joinToken, 'token-from-the-file')
  await t.throwsAsync(readFile(join(world.folder, 'state', 'join-token')))
})

test('an HTTP port that is taken is told, and no UDP port stays open', async t => {
  await using world = await World.open()
  const free = createSocket('udp4').bind(0, '127.0.0.1')
  await once(free, 'listening')
  const { port } = free.address()
  await new Promise<void>(resolve => free.close(() => resolve()))
  const config = `
listen: { http: '127.0.0.1:${world.gateway.http.port}', udp: { addresses: [127.0.0.1], ports: [${port}] } }
state: ./other
`
  const opening = openGateway(parseConfig(config, join(world.folder, 'postern.yaml'), {}))
  const error = await t.throwsAsync(opening, { instanceOf: PosternError, code: 'port-in-use' })
  t.regex(error?.message ?? '', /^TCP 127\.0\.0\.1:\d+ is already in use$/)
  const again = createSocket('udp4').bind(port, '127.0.0.1')
  await once(again, 'listening')
  again.close()
})

test('a gateway that is closed has left its ports, and a table that is none keeps it from starting', async t => {
  const world = await World.open()
  const { port } = world.gateway.http
  await world.gateway.close()
  const server = createServer().listen(port, '127.0.0.1')
  await once(server, 'listening')
  server.close()
  await once(server, 'close')
  await writeFile(join(world.folder, 'state', 'names.json'), '[1]')
  await t.throwsAsync(world.start(), { instanceOf: PosternError, code: 'io', message: /names\.json/ })
  await writeFile(join(world.folder, 'state', 'names.json'), '{}')
  await world.start()
  await world[Symbol.asyncDispose]()
})

test('a plugin is started with its options, told when the gateway stops, and closed', async t => {
  const heard: string[] = []
  const listener = (what: string) => heard.push(what)
  process.on('test-plugin' as never, listener as never)
  const lives = `
const say = what => process.emit('test-plugin', what)
export default {
  name: 'lives',
  defaults: { waitMs: '1s' },
  async start({ waitMs }, { signal, log }) {
    log.info('hello')
    say('started ' + waitMs)
    signal.addEventListener('abort', () => say('stopped'))
    return { plan: () => [], close: async () => say('closed') }
  }
}`
  const world = await World.open({ strategies: '[./lives.mjs: { waitMs: 2s }]', files: { 'lives.mjs': lives } })
  await world[Symbol.asyncDispose]()
  process.off('test-plugin' as never, listener as never)
  t.deepEqual(heard, ['started 2000', 'stopped', 'closed'])
})

test('a plugin that cannot start keeps the gateway from starting, and nothing stays open', async t => {
  const broken = `export default { name: 'broken', defaults: {}, start() { throw new Error('no licence') } }`
  await t.throwsAsync(World.open({ strategies: '[./broken.mjs]', files: { 'broken.mjs': broken } }), {
    message: 'no licence'
  })
})
