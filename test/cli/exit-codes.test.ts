import { readFile } from 'node:fs/promises'
import test from 'ava'
import { exitCodes } from '../../src/cli/exit-codes.ts'
import { World } from './world.ts'

test('the document has the codes of the list, each with its meaning', async t => {
  const document = await readFile(new URL('../../docs/command-line.md', import.meta.url), 'utf8')
  const rows = exitCodes.map(({ code, meaning }) => `| ${code} | ${meaning} |\n`).join('')
  t.true(document.includes(`| exit code | meaning |\n|---|---|\n${rows}\n`), rows)
})

test.serial('each code is what a command ends with, and --help has them all', async t => {
  await using world = await World.withGateway()
  /** Asks sixteen sockets, which takes seconds, unless it is told to end. */
  const ended = async (name: 'SIGINT' | 'SIGTERM') => {
    const child = world.start(['nat', '--sockets', '16', '--json'])
    await child.event('joined')
    child.signal(name)
    return await child.ended
  }
  /** A shell says 128 and the number where the signal itself ends a command. */
  const hungUp = async () => {
    const through = ['sh', '-c', '"$@" & echo "{\\"event\\":\\"pid\\",\\"pid\\":$!}"; wait $!', 'sh']
    const child = world.start(['nat', '--sockets', '16', '--json'], { through })
    const { pid } = await child.event('pid')
    await child.event('joined')
    process.kill(Number(pid), 'SIGHUP')
    return await child.ended
  }
  const [help, failed, wrong, hup, int, term] = await Promise.all([
    world.run(['--help']),
    world.run(['ping', 'nobody']),
    world.run(['doctor', 'http://127.0.0.1:1']),
    hungUp(),
    ended('SIGINT'),
    ended('SIGTERM')
  ])
  const seen = [help.code, failed.code, wrong.code, hup, int, term]
  t.deepEqual(
    seen,
    exitCodes.map(({ code }) => code),
    failed.stderr
  )
  for (const { code, meaning } of exitCodes)
    t.true(
      help.lines.some(line => line === `  ${String(code).padEnd(4)} ${meaning}`),
      meaning
    )
  t.true(
    help.lines.every(line => line.length <= 80),
    'at 80 columns'
  )
})
