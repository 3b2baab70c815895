import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'ava'
import { findTool } from '../lab/sandbox.ts'
import { World } from './world.ts'

test('a gateway that others can reach over UDP takes the token on loopback too, for a proxy may stand there', async t => {
  const answers = async (udp: string, admin = '') => {
    await using world = await World.open()
    const yaml = `listen: { http: '127.0.0.1:0', udp: { addresses: [${udp}], ports: [0, 0] } }\n${admin}`
    const child = world.start(['gateway', '--config', await world.write('some.yaml', yaml), '--json'])
    const { http, open } = await child.event('listening')
    const { status } = await fetch(`http://${http}/api/status`)
    return [open, status]
  }
  t.deepEqual(await answers('0.0.0.0'), [false, 401])
  t.deepEqual(await answers('127.0.0.1', 'admin: { open: loopback }'), [true, 200])
  t.deepEqual(await answers('0.0.0.0', 'admin: { open: loopback }'), [false, 401])
  t.deepEqual(await answers('127.0.0.1'), [false, 401])
})

/** The link, as nothing else that is printed looks. */
const link = /http:\S+\/login\?link=[\w-]{32}/

const atTerminal = findTool('python3') ? test : test.skip

/** Tokens are made up. */
const bare = `listen: { http: '127.0.0.1:0', udp: { addresses: [127.0.0.1], ports: [0, 0] } }\n`

const noTokens = { POSTERN_TOKEN: '', POSTERN_ADMIN_TOKEN: '' }

atTerminal(
  'a login link and a token that was made up are told at a terminal, and the link logs a browser in',
  async t => {
    await using world = await World.open()
    const terminal = ['python3', '-c', 'import pty, sys; pty.spawn(sys.argv[1:])']
    const argv = ['gateway', '--config', await world.write('bare.yaml', bare)]
    const gateway = world.start(argv, { through: terminal, stdin: 'open', env: noTokens })
    await gateway.line(line => line.includes('--token '))
    const token = (await readFile(join(world.folder, 'state', 'join-token'), 'utf8')).trim()
    t.true(gateway.lines.some(line => line.includes(`--token ${token}`)))
    const [found = ''] = link.exec(await gateway.line(line => link.test(line))) ?? []
    const body = new URLSearchParams({ link: new URL(found).searchParams.get('link') ?? '' })
    const answer = await fetch(new URL('/login', found), { method: 'POST', body, redirect: 'manual' })
    t.is(answer.status, 303)
  }
)

test('where the output goes to a program or a file, no link is told, nor does any stand in the log', async t => {
  await using world = await World.open()
  for (const more of [[], ['--json']]) {
    const gateway = world.start(['gateway', '--config', await world.config(), ...more])
    await gateway.line(line => /postern traces|"listening"/.test(line))
    gateway.signal('SIGTERM')
    t.is(await gateway.ended, 0)
    t.notRegex(gateway.lines.join('\n') + gateway.stderr, /link/)
    if (more.length === 0) t.regex(gateway.lines.join('\n'), /postern peer bob --receive \.\/received /)
  }
})

test('a token that was made up is in no output but a terminal: its file is told', async t => {
  await using world = await World.open()
  const argv = ['gateway', '--config', await world.write('bare.yaml', bare)]
  const gateway = world.start(argv, { env: noTokens })
  const line = await gateway.line(line => line.includes('--token '))
  const file = join(world.folder, 'state', 'join-token')
  t.true(line.includes(`--token "$(cat ${file})"`), line)
  await gateway.line(line => /postern traces/.test(line))
  const token = (await readFile(file, 'utf8')).trim()
  t.false((gateway.lines.join() + gateway.stderr).includes(token))
})

test('SIGHUP ends neither gateway nor peer, and both say so', async t => {
  await using world = await World.open()
  const gateway = await world.gateway()
  const bob = await world.peer('bob')
  gateway.signal('SIGHUP')
  bob.signal('SIGHUP')
  await bob.event('hangup')
  t.is((await fetch(`${world.url}/healthz`)).status, 200)
  for (const child of [bob, gateway]) {
    child.signal('SIGTERM')
    t.is(await child.ended, 0)
  }
  t.regex(gateway.stderr, /SIGHUP is ignored/)
})
