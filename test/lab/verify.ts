// Before a world is trusted, each site proves with plain datagrams that it does what its type says (natureOf in nat.ts).
// One prober.js runs in the gateway and one in each host; this file tells them what to send and judges what
// arrived. All sites prove themselves at once, the hosts of a
// site one after the other (a stepping NAT would mix them), in these steps:
//
//   mapping     four fresh sockets each send to up to 2 addresses × 2 ports of the gateway, in one burst
//   admission   a fresh socket contacts one endpoint; the others of the gateway send to its mapping uninvited
//   punching    the same socket then contacts an endpoint that has sent uninvited: does its port stay?
//   TCP         a connection gets through, from the public address
//   ICMP        where an error from inside ends a flow: one whose port was closed for a moment is dead
//   forgetting  where mappings end early: one that was idle for so long lets nobody in
//
// That nothing came is known without waiting: an invited datagram sent after the uninvited ones has arrived.

import type { ChildProcess } from 'node:child_process'
import { createInterface } from 'node:readline'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { type Endpoint, formatEndpoint } from '../../src/wire/endpoint.ts'
import { type Assignment, type Mapping, type NatType, type Nature, natureOf } from './nat.ts'
import type { Host, Site, World } from './world.ts'

/** Throws, naming the site and how it deviates. `types`: what each site is expected to be, its own type when left out. */
export async function verifyWorld(world: World, types: readonly NatType[] = []): Promise<void> {
  using gateway = new Prober(world.gateway)
  const stations = await openStations(gateway, world.gateway.addresses)
  const verdicts = await Promise.allSettled(
    world.sites.map(site => verifySite(gateway, stations, site, types[site.index] ?? site.nat))
  )
  const faults = verdicts.flatMap(verdict => (verdict.status === 'rejected' ? [(verdict.reason as Error).message] : []))
  if (faults.length > 0) throw new Error(faults.join('; '))
}

/** Sockets of the gateway: two on each address, and a TCP listener. */
interface Stations {
  /** By address: [A1, A2, B1, B2] or, with one address, [A1, A2]. */
  udp: Station[]
  tcp: Endpoint
}

interface Station {
  name: string
  at: Endpoint
}

async function openStations(gateway: Prober, addresses: readonly string[]): Promise<Stations> {
  const [first = ''] = addresses
  const udp = addresses.flatMap(address => [1, 2].map(nth => ({ name: `${address}#${nth}`, address })))
  const [tcp, ...ports] = await Promise.all([
    gateway.open('listen', 'tcp', first),
    ...udp.map(({ name, address }) => gateway.open('bind', name, address))
  ])
  return {
    udp: udp.map(({ name, address }, at) => ({ name, at: { address, port: ports[at] as number } })),
    tcp: { address: first, port: tcp }
  }
}

/** One site under examination. */
interface Trial {
  gateway: Prober
  host: Prober
  stations: Stations
  site: Site
  expected: Nature
  /** How long until a datagram that has not arrived counts as lost. */
  resendMs: number
}

async function verifySite(gateway: Prober, stations: Stations, site: Site, type: NatType): Promise<void> {
  const { line: { delayMs = 0, jitterMs = 0 } = {} } = site.spec
  const expected = natureOf(type, site.spec)
  const resendMs = 500 + 2 * (delayMs + jitterMs)
  // Their probers start together: starting is what takes time.
  const trials = site.hosts.map(host => ({ gateway, host: new Prober(host), stations, site, expected, resendMs }))
  try {
    await Promise.all([verifyHosts(trials), forgets(expected) && trials[0] && proveForgetting(trials[0])])
  } catch (error) {
    throw new Error(`site ${site.index} is no ${type}: ${(error as Error).message}`, { cause: error })
  } finally {
    for (const { host } of trials) host[Symbol.dispose]()
  }
}

async function verifyHosts(trials: Trial[]): Promise<void> {
  for (const trial of trials) await verifyHost(trial)
}

async function verifyHost(trial: Trial): Promise<void> {
  if (trial.expected.udp) await Promise.all([proveMapping(trial), proveAdmission(trial), proveTcp(trial)])
  else await proveBlocked(trial)
  if (trial.expected.unsolicited === 'rejected') await proveRefusal(trial)
  if (trial.expected.endsOnIcmp) await proveFragile(trial)
}

// Mapping and allocation.

const sockets = 4
// Drawn from two addresses at random, 24 mappings look drawn from one, or in turn, in one case of 10^7.
const poolSockets = 12

async function proveMapping(trial: Trial): Promise<void> {
  const { host, stations, site, expected } = trial
  const names = Array.from(
    { length: expected.pool === 'at random' ? poolSockets : sockets },
    (_, nth) => `mapping${nth}`
  )
  const ports = await Promise.all(names.map(name => host.open('bind', name, '0.0.0.0')))
  const letters = names.flatMap(name => stations.udp.map(({ at, name: station }) => ({ name, to: at, station })))
  const seen = await deliver(trial, letters)
  for (const { address } of seen) {
    if (!site.publicAddresses.includes(address)) throw new Error(`it was seen at ${address}`)
  }
  const rows = ports.map((own, nth) => ({
    own,
    mapped: seen.slice(nth * stations.udp.length, (nth + 1) * stations.udp.length)
  }))
  judgeMapping(expected.mapping, rows)
  judgePool(expected.pool, rows, site.publicAddresses)
  judgeAllocation(expected, rows)
}

/** A socket's own port, and where it was seen by A1, A2, B1, B2. */
interface Row {
  own: number
  mapped: Endpoint[]
}

function judgeMapping(expected: Mapping, rows: Row[]): void {
  const found = mappingOf(rows)
  // With one address of the gateway an address-dependent mapping looks endpoint-independent.
  const blind = rows[0]?.mapped.length === 2 && expected === 'address-dependent' && found === 'endpoint-independent'
  if (found !== expected && !blind) throw new Error(`its mapping is ${found}, not ${expected}: ${describe(rows)}`)
}

function mappingOf(rows: Row[]): Mapping {
  const seen = rows.map(({ mapped }) => mapped.map(formatEndpoint))
  if (seen.every(mapped => new Set(mapped).size === 1)) return 'endpoint-independent'
  const byAddress = seen.every(([a1, a2, b1, b2]) => a1 === a2 && b1 === b2)
  return byAddress ? 'address-dependent' : 'address-and-port-dependent'
}

function judgePool(expected: Nature['pool'], rows: Row[], addresses: readonly string[]): void {
  const seen = rows.flatMap(({ mapped }) => mapped.map(({ address }) => address))
  const found = poolOf(seen, addresses.length)
  if (found !== expected)
    throw new Error(`its addresses are ${found ?? 'one'}, not ${expected ?? 'one'}: ${seen.join(' ')}`)
}

function poolOf(seen: string[], count: number): Nature['pool'] {
  const distinct = new Set(seen).size
  if (distinct === 1) return undefined
  const inTurn = distinct === count && seen.every((address, at) => address === seen[at % count])
  return inTurn ? 'in turn' : 'at random'
}

function judgeAllocation({ allocation, mapping }: Nature, rows: Row[]): void {
  // Address-dependent boxes may keep a port by chance towards one address.
  const suits = mapping === 'address-dependent' ? !fits({ kind: 'kept' }, rows) : fits(allocation, rows)
  if (!suits) throw new Error(`its ports are not ${name(allocation)}: ${describe(rows)}`)
}

const name = (allocation: Assignment) =>
  allocation.kind === 'step'
    ? `stepping by ${allocation.step}`
    : allocation.kind === 'block'
      ? 'in a block'
      : allocation.kind

// 16 ports drawn from all of them lie within 4096 in one case of 10^16; with one address of the gateway 8, of 10^7.
const randomSpread = 4096

function fits(allocation: Assignment, rows: Row[]): boolean {
  const seen = rows.flatMap(({ mapped }) => mapped)
  const ports = seen.map(({ port }) => port)
  const steps = [...Map.groupBy(seen, ({ address }) => address).values()].flatMap(stepsOf)
  const spread = Math.max(...ports) - Math.min(...ports)
  const regular = new Set(steps).size === 1
  switch (allocation.kind) {
    case 'kept':
      return rows.every(({ own, mapped }) => mapped.every(({ port }) => port === own))
    case 'moved':
      return rows.every(({ own, mapped }) => mapped.every(({ port }) => port !== own))
    case 'step':
      return steps.every(step => step === allocation.step || step === -allocation.step * (allocation.ports - 1))
    case 'block':
      return !regular && spread < allocation.size
    case 'random':
      return !regular && spread > randomSpread
  }
}

const stepsOf = (seen: Endpoint[]) => seen.slice(1).map(({ port }, at) => port - (seen[at] as Endpoint).port)

const describe = (rows: Row[]) =>
  rows.map(({ own, mapped }) => `${own} → ${mapped.map(({ port }) => port).join(' ')}`).join(', ')

// Admission, and what uninvited datagrams do to a mapping.

async function proveAdmission(trial: Trial): Promise<void> {
  const { host, stations, expected } = trial
  const [contacted, ...others] = stations.udp
  if (!contacted) return
  await host.open('bind', 'admission', '0.0.0.0')
  const [mapping] = await deliver(trial, [{ name: 'admission', to: contacted.at, station: contacted.name }])
  if (!mapping) return
  const strangers = await uninvited(trial, mapping, contacted, others)
  judgeAdmission(expected, contacted.at, strangers)
  const near = others[0] as Station
  const [punched] = await deliver(trial, [{ name: 'admission', to: near.at, station: near.name }])
  if (punched && expected.mapping !== 'address-and-port-dependent') judgePunched(expected, mapping, punched)
}

/** Who of `others` reaches the mapping, told once an invited datagram sent after theirs has arrived. */
async function uninvited(trial: Trial, mapping: Endpoint, invited: Station, others: Station[]): Promise<Stranger[]> {
  const { gateway, host, site, resendMs } = trial
  const copies = copiesOf(site)
  const send = () => {
    for (let copy = 0; copy < copies; copy++)
      for (const { name } of others) gateway.tell({ do: 'send', name, to: mapping, text: name })
    gateway.tell({ do: 'send', name: invited.name, to: mapping, text: 'fence' })
  }
  await insist('an invited datagram', send, [host.arrival('admission', 'fence')], resendMs)
  return others.map(({ name, at }) => ({ at, heard: host.heard('admission', name) !== undefined }))
}

/** So seldom may a line lose all copies of a datagram. */
const allLost = 1e-9

/**
 * How often an uninvited datagram is sent, so that the line surely brings one to the box: what the box does with it is what is
 * to be proved, and where it keeps it from the host nobody tells whether it came.
 */
function copiesOf({ spec: { line: { lossPercent = 0 } = {} } }: Site): number {
  return lossPercent === 0 ? 1 : Math.min(1000, Math.ceil(Math.log(allLost) / Math.log(lossPercent / 100)))
}

const welcomes = ({ admits }: Nature, stranger: Endpoint, contacted: Endpoint) =>
  admits === 'anybody' || (admits === 'address' && stranger.address === contacted.address)

interface Stranger {
  at: Endpoint
  heard: boolean
}

function judgeAdmission(expected: Nature, contacted: Endpoint, strangers: Stranger[]): void {
  for (const { at, heard } of strangers) {
    if (heard === welcomes(expected, at, contacted)) continue
    throw new Error(
      `${formatEndpoint(at)} ${heard ? 'got in' : 'was kept out'} though only ${formatEndpoint(contacted)} had been contacted`
    )
  }
}

function judgePunched({ unsolicited }: Nature, mapping: Endpoint, punched: Endpoint): void {
  const moved = punched.port !== mapping.port
  if (moved === (unsolicited === 'accepted')) return
  throw new Error(
    `uninvited input ${moved ? 'moved' : 'did not move'} the mapping: ${mapping.port}, then ${punched.port}`
  )
}

// Longer ones are the kernel's own, and nobody has time to wait for their end.
const forgets = ({ forgetsAfterS: [unanswered, answered] }: Nature) => Math.max(unanswered, answered) <= 10

/** A mapping that was answered, left alone: by then its only correspondent is as uninvited as any. */
async function proveForgetting(trial: Trial): Promise<void> {
  const { gateway, host, stations, expected, resendMs } = trial
  const [station] = stations.udp
  if (!station) return
  await host.open('bind', 'forgetting', '0.0.0.0')
  const [mapping] = await deliver(trial, [{ name: 'forgetting', to: station.at, station: station.name }])
  if (!mapping) return
  const send = (text: string) => gateway.tell({ do: 'send', name: station.name, to: mapping, text })
  await insist('an answer', () => send('soon'), [host.arrival('forgetting', 'soon')], resendMs)
  const marginMs = 500
  await setTimeout(Math.max(...expected.forgetsAfterS) * 1000 + marginMs)
  send('late')
  await setTimeout(resendMs)
  if (host.heard('forgetting', 'late')) throw new Error(`a mapping outlived ${expected.forgetsAfterS.join(' and ')} s`)
}

/** A datagram meets a closed port, the host's kernel says so, and then nothing that leaves this port gets through. */
async function proveFragile(trial: Trial): Promise<void> {
  const { gateway, host, stations, site, resendMs } = trial
  const [station] = stations.udp
  if (!station) return
  await Promise.all(['fragile', 'sound'].map(name => host.open('bind', name, '0.0.0.0')))
  const letters = ['fragile', 'sound'].map(name => ({ name, to: station.at, station: station.name }))
  const [dying, living] = await deliver(trial, letters)
  if (!dying || !living) return
  host.tell({ do: 'close', name: 'fragile' })
  await host.event('fragile closed')
  const send = () => {
    for (let copy = 0; copy < copiesOf(site); copy++)
      gateway.tell({ do: 'send', name: station.name, to: dying, text: 'to nobody' })
    gateway.tell({ do: 'send', name: station.name, to: living, text: 'after it' })
  }
  await insist('an invited datagram', send, [host.arrival('sound', 'after it')], resendMs)
  host.tell({ do: 'rebind', name: 'again', port: dying.port })
  await host.event('again port')
  const both = () => {
    for (const name of ['again', 'sound'])
      host.tell({ do: 'send', name, to: station.at, text: `${host.name} ${name} after ICMP` })
  }
  await insist('a datagram', both, [gateway.arrival(station.name, `${host.name} sound after ICMP`)], resendMs)
  if (gateway.heard(station.name, `${host.name} again after ICMP`)) throw new Error('a flow outlived an ICMP error')
}

async function proveRefusal({ gateway, host, site, resendMs }: Trial): Promise<void> {
  const to = { address: site.publicAddresses[0] as string, port: 9 }
  const name = `refusal ${host.name}`
  gateway.tell({ do: 'refusal', name, to })
  await insist('an ICMP refusal', () => {}, [gateway.event(`${name} refused`)], resendMs)
}

// TCP and UDP that is blocked.

async function proveTcp({ host, stations, site, resendMs }: Trial): Promise<void> {
  // Each attempt calls anew: TCP's own retries are far apart.
  const call = () => host.tell({ do: 'call', name: 'tcp', to: stations.tcp })
  const [answer] = await insist('TCP', call, [host.event('tcp answer')], resendMs)
  if (!site.publicAddresses.includes(String(answer?.answer))) throw new Error(`TCP came from ${answer?.answer}`)
}

async function proveBlocked(trial: Trial): Promise<void> {
  const { gateway, host, stations } = trial
  await host.open('bind', 'blocked', '0.0.0.0')
  for (const { at } of stations.udp) host.tell({ do: 'send', name: 'blocked', to: at, text: `blocked ${host.name}` })
  await proveTcp(trial) // by the time this came back, the datagrams would have come as well
  if (stations.udp.some(({ name }) => gateway.heard(name, `blocked ${host.name}`))) throw new Error('UDP got through')
}

// Getting datagrams through.

interface Letter {
  /** The host's socket. */
  name: string
  to: Endpoint
  station: string
}

/** Sends all letters in order, again those that do not arrive, and returns where the gateway saw each come from. */
async function deliver({ gateway, host, resendMs }: Trial, letters: Letter[]): Promise<Endpoint[]> {
  const text = ({ name }: Letter) => `${host.name} ${name}`
  const send = () => {
    const missing = letters.filter(letter => !gateway.heard(letter.station, text(letter)))
    for (const letter of missing) host.tell({ do: 'send', name: letter.name, to: letter.to, text: text(letter) })
  }
  const arrivals = letters.map(letter => gateway.arrival(letter.station, text(letter)))
  const events = await insist('a datagram to the gateway', send, arrivals, resendMs)
  return events.map(({ from }) => from as Endpoint)
}

// At a loss of 20 % each way a TCP attempt fails in three cases of five.
const attempts = 20

/** Does `send` until everything awaited has happened; throws that `what` did not come. */
async function insist(what: string, send: () => void, awaited: Promise<Event>[], resendMs: number): Promise<Event[]> {
  const all = Promise.all(awaited)
  for (let attempt = 0; attempt < attempts; attempt++) {
    send()
    const late = new AbortController()
    const events = await Promise.race([all, setTimeout(resendMs, undefined, { signal: late.signal })])
    late.abort()
    if (events) return events
  }
  throw new Error(`${what} did not come within ${attempts * resendMs} ms`)
}

/** What prober.js tells. */
interface Event {
  name: string
  port?: number
  text?: string
  from?: Endpoint
  refused?: true
  closed?: true
  answer?: string
  error?: string
}

/** A prober.js in the namespace of a host. */
class Prober implements Disposable {
  readonly name: string
  readonly #child: ChildProcess
  readonly #events = new Map<string, Event>()
  readonly #waiting = new Map<string, PromiseWithResolvers<Event>>()
  #failure: Error | undefined

  constructor(host: Host) {
    this.name = host.name
    const program = fileURLToPath(new URL('programs/prober.js', import.meta.url))
    this.#child = host.spawn([process.execPath, program], { stdio: ['pipe', 'pipe', 'inherit'] })
    this.#child.stdin?.on('error', () => {}) // it was killed with its world
    const lines = createInterface({ input: this.#child.stdout as NodeJS.ReadableStream })
    lines.on('line', line => this.#note(JSON.parse(line) as Event))
    this.#child.once('exit', code => this.#fail(new Error(`the prober of ${host.name} ended with ${code}`)))
  }

  tell(order: { do: string; name: string; to?: Endpoint; text?: string; address?: string; port?: number }): void {
    this.#child.stdin?.write(`${JSON.stringify(order)}\n`)
  }

  /** Opens a socket of that name and returns its port. */
  async open(what: 'bind' | 'listen', name: string, address: string): Promise<number> {
    this.tell({ do: what, name, address })
    const { port } = await this.event(`${name} port`)
    return port as number
  }

  heard(name: string, text: string): Event | undefined {
    return this.#events.get(`${name} heard ${text}`)
  }

  arrival(name: string, text: string): Promise<Event> {
    return this.event(`${name} heard ${text}`)
  }

  event(key: string): Promise<Event> {
    const event = this.#events.get(key)
    if (event) return Promise.resolve(event)
    if (this.#failure) return Promise.reject(this.#failure)
    const waiting = this.#waiting.get(key) ?? Promise.withResolvers<Event>()
    waiting.promise.catch(() => {}) // the one who waits may have given up
    this.#waiting.set(key, waiting)
    return waiting.promise
  }

  #note(event: Event): void {
    const key = `${event.name} ${subject(event)}`
    if (event.error) this.#fail(new Error(`the prober of ${this.name}: ${event.name}: ${event.error}`))
    else this.#events.set(key, event)
    this.#waiting.get(key)?.resolve(event)
  }

  #fail(error: Error): void {
    this.#failure = error
    for (const { reject } of this.#waiting.values()) reject(error)
  }

  [Symbol.dispose](): void {
    this.#child.stdin?.end()
  }
}

function subject({ text, refused, closed, answer }: Event): string {
  if (text !== undefined) return `heard ${text}`
  if (refused) return 'refused'
  if (closed) return 'closed'
  return answer === undefined ? 'port' : 'answer'
}
