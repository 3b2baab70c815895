// `npm run demo`: a gateway, two peers and a file, all with the real command line in processes of their own; behind two
// real NATs where the laboratory can run, else on loopback. It says what happened, and ends with 1 unless all went well.
//
//   world -> gateway -> bob waits -> alice sends -> the copy is hashed -> the trace of the connection -> all of it gone

import { spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { parse, stringify } from 'yaml'
import { report } from '../src/cli/door.ts'
import { type Event, formatMs, formatSeconds, formatThroughput, Output, wrap } from '../src/cli/text/output.ts'
import { renderTrace } from '../src/cli/text/trace-text.ts'
import { PosternError } from '../src/errors.ts'
import type { TraceRecord } from '../src/trace/record/record.ts'
import { formatBytes } from '../src/units.ts'
import type { Host } from '../test/lab/world.ts'
import { Child, postern } from './child.ts'

const fileBytes = 64 * 2 ** 20
/** What all of it may take; some seconds of it are for the NATs to prove what they are. */
const deadlineMs = 30_000

/** Where the three programs run, and what a person should know about it. */
interface Place {
  readonly gateway: Where
  readonly alice: Where
  readonly bob: Where
  readonly told: string
}

interface Where {
  /** The address it listens on, or is known by. */
  readonly address: string
  /** Addresses for the gateway's UDP sockets. */
  readonly addresses: readonly string[]
  start(argv: readonly string[], env: NodeJS.ProcessEnv): Child
}

const output = new Output({ json: false, stream: process.stdout })

try {
  await demo()
} catch (error) {
  report(error)
  process.exitCode = 1
}

async function demo(): Promise<void> {
  await using opened = new AsyncDisposableStack()
  const stop = new AbortController()
  const fail = (why: string) => () => stop.abort(new PosternError('timeout', why))
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, fail('the demo was interrupted'))
  process.stdout.on('error', fail('nobody reads what the demo says'))
  const timer = setTimeout(fail(`the demo was not over after ${deadlineMs / 1000} s`), deadlineMs)
  opened.defer(() => clearTimeout(timer))
  const over = new Promise<never>((_, reject) =>
    stop.signal.addEventListener('abort', () => reject(stop.signal.reason))
  )
  await Promise.race([show(opened, stop.signal), over])
}

async function show(opened: AsyncDisposableStack, signal: AbortSignal): Promise<void> {
  const startMs = performance.now()
  const folder = await mkdtemp(join(tmpdir(), 'postern-demo-'))
  opened.defer(() => rm(folder, { recursive: true, force: true }))
  output.line(output.paint('bold', `Two peers, a gateway between them, and a file of ${formatBytes(fileBytes)}\n`))
  const place = await openPlace(opened, signal)
  say('world', place.told)

  const tokens = { join: randomBytes(12).toString('base64url'), admin: randomBytes(12).toString('base64url') }
  const config = join(folder, 'postern.yaml')
  const strategies = await writeConfig(config, place.gateway, tokens)
  const gateway = opened.use(place.gateway.start(['gateway', '--config', config, '--json'], {}))
  const url = String((await gateway.event('listening')).url)
  say('gateway', `${url}, which tries ${strategies.join(', ')}`)

  // --insecure: in the laboratory the gateway has a public address, and nobody else is there to listen.
  const joining = ['--gateway', url, '--token', tokens.join, '--insecure', '--json']
  const inbox = join(folder, 'inbox')
  const home = (name: string) => ({ POSTERN_HOME: join(folder, name) })
  const bob = opened.use(place.bob.start(['peer', 'bob', '--receive', inbox, ...joining], home('bob')))
  await bob.event('joined')
  say('bob', `${place.bob.address}  $ postern peer bob --receive inbox`)

  const file = await makeFile(folder)
  say('alice', `${place.alice.address}  $ postern send bob random.bin`)
  const alice = opened.use(place.alice.start(['send', 'bob', file.path, ...joining], home('alice')))
  const path = await alice.event('path')
  for (const event of alice.events) if (event.event === 'strategy') sayStrategy(event)
  sayPath(path)
  const done = await alice.event('done')
  if ((await alice.ended) !== 0) throw new PosternError('io', alice.stderr.trim())
  say('sent', `in ${formatSeconds(Number(done.ms) / 1000)}, ${formatThroughput(fileBytes, Number(done.ms))}`)
  await verify(join(inbox, 'random.bin'), file.sha256)
  say('verified', `the copy has the same SHA-256, ${file.sha256.slice(0, 16)}…`)

  const admin = ['--gateway', url, '--admin-token', tokens.admin, '--insecure', '--json']
  const asked = opened.use(place.alice.start(['trace', String(path.trace), ...admin], {}))
  const trace = (await asked.event('trace')) as unknown as TraceRecord
  output.line('\nHow that came about, as `postern trace` shows it for any connection:\n')
  output.line(renderTrace(trace, { width: output.width, paint: output.paint.bind(output) }))
  output.line(
    `\nAll of it took ${formatSeconds((performance.now() - startMs) / 1000)}. Your own begins with: npx postern gateway`
  )
}

/** Two real NATs where the laboratory can run, else loopback; it is said which, and why. */
async function openPlace(opened: AsyncDisposableStack, signal: AbortSignal): Promise<Place> {
  // The laboratory is no part of an installation from a registry.
  const laboratory = await import('../test/lab/world.ts').catch(() => undefined)
  const problem = laboratory ? laboratory.labProblem() : 'it is not part of this installation'
  if (!laboratory || problem) return loopback(signal, problem)
  const sites = [{ nat: 'port-restricted' }, { nat: 'port-restricted-moved' }] as const
  const world = opened.use(await laboratory.openWorld({ sites: [...sites], signal }))
  const [alice, bob] = world.sites.map(({ hosts }) => hosts[0])
  if (!alice || !bob) throw new PosternError('internal', 'the world has no hosts')
  return {
    gateway: inHost(world.gateway, signal),
    alice: inHost(alice, signal),
    bob: inHost(bob, signal),
    told:
      `two real NATs of the Linux kernel, in network namespaces. Alice's keeps the port and lets in only what answers; ` +
      `Bob's does the same, but gives other ports.`
  }
}

function loopback(signal: AbortSignal, why = ''): Place {
  const start = (argv: readonly string[], env: NodeJS.ProcessEnv) => {
    signal.throwIfAborted()
    const [node = '', ...rest] = [...postern, ...argv]
    return new Child(spawn(node, rest, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] }))
  }
  const here = { address: '127.0.0.1', addresses: ['127.0.0.1'], start }
  return {
    gateway: here,
    alice: here,
    bob: here,
    told: `loopback, with no NAT in the way: the laboratory cannot run here (${why})`
  }
}

function inHost(host: Host, signal: AbortSignal): Where {
  return {
    address: host.addresses[0] ?? '',
    addresses: host.addresses,
    start: (argv, env) => {
      signal.throwIfAborted()
      const options = {
        env: { ...process.env, ...env },
        stdio: ['ignore', 'pipe', 'pipe'] as ['ignore', 'pipe', 'pipe']
      }
      return new Child(host.spawn([...postern, ...argv], options))
    }
  }
}

/** The strategies as they are shipped, and ports that are free. */
async function writeConfig(
  path: string,
  { address, addresses }: Where,
  tokens: { join: string; admin: string }
): Promise<string[]> {
  const shipped = await readFile(new URL('../config/postern.yaml', import.meta.url), 'utf8')
  const { strategies } = parse(shipped) as { strategies: (string | Record<string, unknown>)[] }
  const listen = { http: `${address}:0`, udp: { addresses, ports: [0, 0] } }
  const config = { listen, join: { token: tokens.join }, admin: { token: tokens.admin }, state: './state', strategies }
  await writeFile(path, stringify(config))
  return strategies.map(strategy => (typeof strategy === 'string' ? strategy : (Object.keys(strategy)[0] ?? '')))
}

async function makeFile(folder: string): Promise<{ path: string; sha256: string }> {
  const path = join(folder, 'random.bin')
  const bytes = randomBytes(fileBytes)
  await writeFile(path, bytes)
  return { path, sha256: createHash('sha256').update(bytes).digest('hex') }
}

async function verify(path: string, expected: string): Promise<void> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(path), hash)
  if (hash.digest('hex') !== expected) throw new PosternError('io', 'the copy differs from what was sent')
}

function say(word: string, text: string): void {
  output.line(wrap(`${output.paint('bold', word.padEnd(10))}${text}`, output.width, 10))
}

function sayStrategy({ name, outcome, reason, ms }: Event): void {
  say('tried', `${String(name).padEnd(7)} ${String(outcome).padEnd(7)} ${formatMs(Number(ms)).padStart(8)}  ${reason}`)
}

function sayPath({ kind, by, local, remote, ms, rttMs }: Event): void {
  const times = `in ${formatMs(Number(ms))}; a round trip over it takes ${formatMs(Number(rttMs))}`
  say('path', `${kind}, found by ${by} ${times} (${local} to ${remote})`)
}
