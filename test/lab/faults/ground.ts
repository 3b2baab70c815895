// Where a fault happens: two hosts behind a NAT each, a gateway with the relay at 200 Mbit/s, and the real command line on all
// three. `postern peer bob --pipe` on the callee's host hands numbered bytes on, `postern pipe bob` on the caller's sends them.
// Each trial has a ground of its own, and nothing of one before.

import { mkdtempDisposable, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Child } from '../../../examples/child.ts'
import { Driven } from '../driven.ts'
import type { NatType } from '../nat.ts'
import { type Host, openWorld, type Site, type World } from '../world.ts'
import type { EndDeeds, Told } from './end.ts'
import { verdictsIn } from './verdicts.ts'

export interface GroundSpec {
  /** Of the caller and of the callee. */
  readonly nats: readonly [NatType, NatType]
  /** More options of both peers. */
  readonly options?: readonly string[]
  readonly seed?: number
  /** Postern's own command line when left out. */
  readonly commands?: Commands
}

/** What is started at the ends. Each tells an event in JSON on its standard error: `joined` there, `path` here. */
export interface Commands {
  readonly receiver: (ground: Place) => readonly string[]
  readonly sender: (ground: Place) => readonly string[]
  /** The gateway, once it tells `listening`; undefined where there is none. */
  readonly gateway?: (ground: Place) => readonly string[]
}

/** What a command may depend on. */
export interface Place {
  readonly world: World
  readonly folder: string
  readonly options: readonly string[]
  /** Certificate and key, as `listen.tls` names them: the gateway speaks TLS then, and serves calls. */
  readonly tls?: string
}

/** One of the two peers, and where it is. */
export interface Party {
  readonly site: Site
  readonly host: Host
  readonly end: Driven<EndDeeds>
}

/** How the sender's path began. */
export interface Began {
  readonly kind: string
  /** From the connect request to the open channel, in milliseconds, as the peer tells. */
  readonly ms: number
  /** When the connect request began, on the clock of arrivals. */
  readonly askedAtMs: number
}

export interface Ground extends AsyncDisposable {
  readonly world: World
  readonly caller: Party
  readonly callee: Party
  readonly gateway: GatewayProcess
  /** Starts the receiver, which joins, and then the sender; its path. Throws what the sender says where it gets none. */
  connect(): Promise<Began>
  /** Why its path was lost, as the gateway judges. */
  verdicts(): Promise<string[]>
}

export interface GatewayProcess {
  /** Ends it as no process can resist. */
  kill(): Promise<void>
  /** Starts it over the same state, and resolves when it listens. */
  start(): Promise<void>
}

/** A peer has joined by then, or the laboratory is broken: on a busy computer two processes start first. */
const JOIN_MS = 20_000
/** The deadline of the strategies, the relay's own turn after it, and some. */
const CONNECT_MS = 40_000

export async function openGround({ nats, seed, options = [], commands = postern }: GroundSpec): Promise<Ground> {
  await using opened = new AsyncDisposableStack()
  const folder = opened.use(await mkdtempDisposable(join(tmpdir(), 'postern-faults-'))).path
  const sites = nats.map(nat => ({ nat }))
  const world = opened.use(await openWorld({ sites, verify: false, ...(seed === undefined ? {} : { seed }) }))
  const place = { world, folder, options }
  const gateway = opened.use(await openGateway(place, commands))
  await gateway.start()
  const [caller, callee] = world.sites.map(site => partyOf(site)) as [Party, Party]
  opened.use(caller.end)
  opened.use(callee.end)
  const all = opened.move()
  return {
    ...{ world, caller, callee, gateway },
    verdicts: () => verdictsIn(join(folder, 'traces.jsonl')),
    async connect() {
      const env = (who: string) => ({ ...environment, POSTERN_HOME: join(folder, who) })
      await callee.end.do('start', { argv: commands.receiver(place), env: env('callee') })
      await callee.end.do('event', { name: 'joined', waitMs: JOIN_MS })
      await callee.end.do('finish', {}) // it sends nothing
      await caller.end.do('start', { argv: commands.sender(place), env: env('caller') })
      return began(await caller.end.do('event', { name: 'path', waitMs: CONNECT_MS }))
    },
    [Symbol.asyncDispose]: () => all.disposeAsync()
  }
}

function partyOf(site: Site): Party {
  const host = site.hosts[0] as Host
  return { site, host, end: new Driven<EndDeeds>(host, new URL('end.ts', import.meta.url)) }
}

function began({ atMs, event }: Told): Began {
  const ms = Number(event.ms)
  return { kind: String(event.kind), ms, askedAtMs: atMs - ms }
}

/** Not started yet. */
export async function openGateway(
  place: Place,
  { gateway }: Commands = postern
): Promise<GatewayProcess & AsyncDisposable> {
  let child: Child | undefined
  const kill = async () => {
    child?.signal('SIGKILL')
    await child?.ended
  }
  return {
    kill,
    async start() {
      if (!gateway) return
      await writeConfig(place)
      const env = { ...environment, HOME: place.folder }
      child = new Child(place.world.gateway.spawn(gateway(place), { env, stdio: ['ignore', 'pipe', 'pipe'] }))
      await child.event('listening')
    },
    [Symbol.asyncDispose]: kill
  }
}

const command = [process.execPath, fileURLToPath(new URL('../../../bin/postern.js', import.meta.url))]
export const TOKEN = 'join-token-of-the-laboratory'
export const GATEWAY = '203.0.113.6:8080'
export const GATEWAY_URL = `http://${GATEWAY}`
const environment: Record<string, string> = {
  PATH: process.env.PATH ?? '',
  NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE ?? '',
  POSTERN_TOKEN: TOKEN,
  POSTERN_GATEWAY: GATEWAY_URL
}

const postern: Commands = {
  gateway: ({ folder }) => [...command, 'gateway', '--config', join(folder, 'postern.yaml'), '--json'],
  receiver: ({ options }) => [...command, 'peer', 'bob', '--pipe', '--json', '--insecure', ...options],
  sender: ({ options }) => [...command, 'pipe', 'bob', '--json', '--insecure', ...options]
}

/** The gateway's configuration; its state lies beside it. */
async function writeConfig({ world, folder, tls }: Place): Promise<void> {
  // Whose UDP is blocked has another door where HTTP is by TLS.
  const secure = tls === undefined ? '' : `, tls: ${tls}, tcp: [3478]`
  await writeFile(
    join(folder, 'postern.yaml'),
    `listen: { http: '${GATEWAY}', udp: { addresses: [${world.gateway.addresses.join(', ')}], ports: [3478, 3479, 3480] }${secure} }
call: { enabled: ${tls !== undefined} }
join: { token: ${TOKEN} }
admin: { token: admin-token-of-the-laboratory }
state: ./state
traces: { file: ./traces.jsonl }
strategies:
  - direct
  - stun
  - map
  - predict
  - spray
  - relay: { perSession: 200 Mbit/s, perPeer: 400 Mbit/s, total: 1 Gbit/s }
log: { level: warn }
`
  )
}
