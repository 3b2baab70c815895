// Debian's nginx and HAProxy in front of a gateway, with a configuration in a folder of their own. Where one is not installed, tests with it
// are skipped, unless POSTERN_LAB=required.

import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import test, { type ExecutionContext } from 'ava'
import { Child } from '../../../examples/child.ts'
import { endNative } from '../../end-native.ts'
import { authority, certified } from '../../peer/tls.ts'
import { until } from '../../until.ts'

type Kind = keyof typeof commands

/** Both run in the foreground, as whoever runs the tests. */
const commands = {
  nginx: {
    program: '/usr/sbin/nginx',
    args: (file: string, folder: string) => ['-p', folder, '-e', 'stderr', '-c', file]
  },
  haproxy: { program: '/usr/sbin/haproxy', args: (file: string) => ['-db', '-f', file] }
}

/** Tests with it; peers of theirs trust its certificate. */
export function testsOf(kind: Kind): (title: string, run: (t: ExecutionContext) => Promise<void>) => void {
  const { program } = commands[kind]
  const isThere = spawnSync(program, ['-v']).status === 0
  test.before(() => setDefaultCACertificates([...getCACertificates(), authority]))
  test.after.always(endNative)
  return (title, run) => {
    if (isThere || process.env.POSTERN_LAB === 'required') test(title, run)
    else test.skip(`${title} (${program} is not installed)`, run)
  }
}

/** Writes the configuration, with a certificate for 127.0.0.1 beside it, and waits until something listens at the port. */
export async function startProxy(
  kind: Kind,
  port: number,
  config: (folder: string) => string
): Promise<AsyncDisposable> {
  await using opened = new AsyncDisposableStack()
  const folder = await mkdtemp(join(tmpdir(), `postern-${kind}-`))
  opened.defer(() => rm(folder, { recursive: true, force: true }))
  await writeFile(join(folder, 'cert.pem'), certified.cert)
  await writeFile(join(folder, 'key.pem'), certified.key)
  await writeFile(join(folder, 'both.pem'), certified.cert + certified.key)
  const file = join(folder, `${kind}.conf`)
  // HAProxy takes no last line without its end.
  await writeFile(file, `${config(folder)}\n`)
  const { program, args } = commands[kind]
  const child = opened.use(new Child(spawn(program, args(file, folder), { stdio: ['ignore', 'pipe', 'pipe'] })))
  let isOver = false
  void child.ended.then(() => {
    isOver = true
  })
  await until(() => {
    if (isOver) throw new Error(`${kind} has ended: ${child.stderr}`)
    return answers(port)
  }, 20_000)
  return opened.move()
}

/** Below the ports that the system chooses, where nobody is given one by chance; each process begins elsewhere. */
let next = 10_000 + ((process.pid * 50) % 10_000)

/** TCP ports of loopback that are free, each given once. */
export async function freePorts(count: number): Promise<number[]> {
  const found: number[] = []
  while (found.length < count) {
    const port = next++
    if (await isFree(port)) found.push(port)
  }
  return found
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer().listen(port, '127.0.0.1')
  try {
    await once(server, 'listening')
    return true
  } catch {
    return false
  } finally {
    server.close()
  }
}

async function answers(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}
