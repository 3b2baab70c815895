// How many datagrams a relay carries on one core, beside others, in interleaved trials: the engines of this build, and TURN servers that are
// named. The relay has one core, and the load another one, which is not what holds it up.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { goal, median } from '../means/figures.ts'
import type { Carried, Load } from './load.ts'
import type { Serving } from './serve.ts'

export interface Relay {
  readonly name: string
  /** Starts it on a core, at a port; resolves when it serves so many sessions. */
  start(port: number, sessions: number): Promise<ChildProcess>
  readonly turn?: Load['turn']
}

/** Datagrams on their way, by their bytes: what a socket's buffer of 512 KiB holds of single ones. */
const IN_ALL = { 200: 480, 1200: 180 }

/** How many times as much as the first of the others, and as the second one: a release of today with all that makes it quick. */
const LEAST = { 200: [3, 2], 1200: [2.2, 1.6] } as const

const [CALLERS, CALLEES] = [20_000, 30_000]

const pinned = (core: number, command: string, args: readonly string[]): ChildProcess =>
  spawn('taskset', ['-c', String(core), command, ...args], { stdio: ['ignore', 'pipe', 'inherit'] })

const serve = new URL('serve.ts', import.meta.url).pathname

/** An engine of this build. */
export const engine = (name: 'batch' | 'dgram', threads = 1, more: Partial<Serving> = {}): Relay => ({
  name: threads > 1 ? `${name}, ${threads} threads` : name,
  async start(port, sessions) {
    const serving: Serving = {
      ...{ engine: name, threads, port, sessions, callers: CALLERS, callees: CALLEES },
      ...more
    }
    const child = pinned(0, process.execPath, [serve, JSON.stringify(serving)])
    await isReady(child)
    return child
  }
})

/** Has a relay serve, on any core, for as long as it is used. */
export async function withRelay<Result>(
  serving: Serving,
  use: (relay: ChildProcess) => Promise<Result>,
  nodeOptions: readonly string[] = []
): Promise<Result> {
  const argv = [...nodeOptions, serve, JSON.stringify(serving)]
  const child = spawn(process.execPath, argv, { stdio: ['ignore', 'pipe', 'inherit'] })
  try {
    await isReady(child)
    return await use(child)
  } finally {
    child.kill('SIGKILL')
    await once(child, 'exit')
  }
}

/** Resolves when the relay serves. */
async function isReady(child: ChildProcess): Promise<void> {
  for await (const chunk of child.stdout ?? []) if (String(chunk).includes('ready')) return
  throw new Error('the relay ended before it was ready')
}

const credentials = { user: 'bench', password: 'bench' }

/** coturn, by its path, with options of its own behind it. */
export function coturn(given: string): Relay {
  const [path = '', ...more] = given.split(' ')
  const version = execFileSync(path, ['--version'], { encoding: 'utf8' }).trim().split('\n').at(-1) ?? ''
  return {
    name: `coturn ${version}${more.length > 0 ? ` ${more.join(' ')}` : ''}`,
    turn: credentials,
    async start(port) {
      const options = [
        ...[
          '-n',
          '--log-file',
          '/dev/null',
          '--no-tls',
          '--no-dtls',
          '--no-tcp',
          '--no-cli',
          '--allow-loopback-peers',
          '-m',
          '1'
        ],
        ...['-L', '127.0.0.1', '-E', '127.0.0.1', '-p', String(port), '--lt-cred-mech', '--realm', 'bench'],
        ...[
          '--user',
          `${credentials.user}:${credentials.password}`,
          '--min-port',
          '40000',
          '--max-port',
          '49000',
          ...more
        ]
      ]
      const child = pinned(0, path, options)
      child.stdout?.resume()
      // It says nothing when it is ready.
      await new Promise(resolve => setTimeout(resolve, 700))
      return child
    }
  }
}

type Offer = Pick<Load, 'sessions' | 'bytes' | 'window' | 'inAll' | 'run'> & Pick<Partial<Load>, 'perSecond'>

/** One trial of a relay. */
export async function carried(relay: Relay, offer: Offer, forMs = 3000): Promise<Carried> {
  const port = 13_000 + Math.floor(Math.random() * 500)
  const child = await relay.start(port, offer.sessions)
  try {
    const load: Load = {
      ...{ port, callers: CALLERS, callees: CALLEES, settleMs: 1000, forMs, pid: child.pid ?? 0 },
      ...offer,
      ...(relay.turn ? { turn: relay.turn } : {})
    }
    const program = new URL('load.ts', import.meta.url).pathname
    const loader = pinned(1, process.execPath, [program, JSON.stringify(load)])
    let text = ''
    for await (const chunk of loader.stdout ?? []) text += chunk
    return JSON.parse(text) as Carried
  } finally {
    child.kill('SIGKILL')
    await once(child, 'exit')
  }
}

const thousands = (perSecond: number) => `${Math.round(perSecond / 1000)}`.padStart(5)

/**
 * Bursts of both directions, and thin flows of single datagrams; prints the medians.
 * @param others in the order of what is compared: the first is what goals are beside
 */
export async function lineRate(others: readonly Relay[], trials: number): Promise<void> {
  const ours = [engine('batch'), engine('dgram')]
  console.log(
    `\nbursts through a relay on one core, medians of ${trials} interleaved trials: thousand datagrams a second, CPU s a million`
  )
  for (const bytes of [200, 1200] as const)
    for (const sessions of [8, 200]) {
      const offer = { sessions, bytes, window: 60, inAll: IN_ALL[bytes], run: 60 }
      const found = await interleaved([...ours, ...others], offer, trials)
      console.log(`\n${sessions} sessions, ${bytes} bytes`)
      for (const [name, all] of found) print(name, all)
      const [batch = 0, dgram = 0, ...theirs] = [...found.values()].map(all =>
        median(all.map(({ perSecond }) => perSecond))
      )
      goal('batch beside dgram', batch / dgram, { atLeast: 6 })
      for (const [at, other] of others.entries())
        goal(`batch beside ${other.name}`, batch / (theirs[at] ?? 0), { atLeast: LEAST[bytes][at] ?? 1 })
    }
  const [beside] = others
  if (beside) await halfLoad(ours[0] as Relay, beside, trials)
  await twoThreads(trials)
  for (const sessions of [64, 1000]) {
    const offer = { sessions, bytes: 200, window: 1, inAll: 1, run: 1, perSecond: sessions * 50 }
    const found = await interleaved([...ours, ...others], offer, trials)
    console.log(`\n${sessions} thin flows, 50 single datagrams a second each`)
    for (const [name, all] of found) print(name, all)
    const cpus = [...found.values()].map(all => median(all.map(({ cpu }) => cpu)))
    goal('lost by batch', median((found.get('batch') ?? []).map(({ lost }) => lost)), { atMost: 0.0001 })
    if (cpus[0] && cpus[2] && others[0])
      goal(`CPU a datagram beside ${others[0].name}`, cpus[0] / cpus[2], { atMost: 0.9 })
  }
}

/** What a relay adds to the way of a datagram at half of what the other one carries, and this one at half of its own. */
async function halfLoad(batch: Relay, beside: Relay, trials: number): Promise<void> {
  for (const bytes of [200, 1200] as const) {
    const offer = { sessions: 200, bytes, window: 60, inAll: IN_ALL[bytes], run: 10 }
    const most = await interleaved([batch, beside], offer, 1)
    const [own = 0, theirs = 0] = [...most.values()].map(([one]) => (one as Carried).perSecond)
    const found = await interleaved([batch, beside], { ...offer, perSecond: theirs / 2 }, trials)
    console.log(
      `\n200 sessions, ${bytes} bytes, runs of 10, ${thousands(theirs / 2).trim()} k/s: half of what ${beside.name} carries so`
    )
    for (const [name, all] of found) print(name, all)
    for (const p of ['p50', 'p99'] as const) {
      const [ours, others] = [...found.values()].map(all => median(all.map(one => one[p])))
      if (ours && others) goal(`${p} of the delay beside ${beside.name}`, ours / others, { atMost: 1 })
    }
    print(`${batch.name} at half of its own`, [await carried(batch, { ...offer, perSecond: own / 2 })])
  }
}

/** More threads than cores: what that costs. */
async function twoThreads(trials: number): Promise<void> {
  const relays = [engine('batch'), engine('batch', 2)]
  for (const bytes of [200, 1200] as const) {
    const found = await interleaved(relays, { sessions: 200, bytes, window: 60, inAll: IN_ALL[bytes], run: 60 }, trials)
    console.log(`\ntwo threads on one core, 200 sessions, ${bytes} bytes`)
    for (const [name, all] of found) print(name, all)
    const [one, two] = [...found.values()].map(all => median(all.map(({ cpu }) => cpu)))
    if (one && two) goal('datagrams a CPU second, beside one thread', one / two, { atLeast: 0.9 })
  }
}

async function interleaved(relays: readonly Relay[], offer: Offer, trials: number): Promise<Map<string, Carried[]>> {
  const found = new Map<string, Carried[]>(relays.map(({ name }) => [name, []]))
  for (let trial = 0; trial < trials; trial++)
    for (const relay of relays) found.get(relay.name)?.push(await carried(relay, offer))
  return found
}

function print(name: string, all: readonly Carried[]): void {
  const of = (figure: keyof Carried) => median(all.map(carried => carried[figure]))
  console.log(
    `${name.slice(0, 30).padEnd(31)}${thousands(of('perSecond'))} k/s  ${of('cpu').toFixed(2).padStart(6)} s  lost ${(100 * of('lost')).toFixed(2)} %  p50 ${of('p50').toFixed(2)} p99 ${of('p99').toFixed(2)} ms`
  )
}
