// A peer joins a gateway, keeps a socket warm behind its NAT, and obeys the orders of its sessions. `connect` asks for a path
// to another peer by name; `onConnection` gets the connections that others asked for.
//
//   join -> warm socket -> connect -> session -> order … -> open channel -> Connection

import { isIPv4 } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { isSpanContextValid, trace } from '@opentelemetry/api'
import { within } from '../clock.ts'
import { asPosternError, PosternError } from '../errors.ts'
import { checkName, type PeerName } from '../wire/name.ts'
import type { NatReport } from '../wire/nat-report.ts'
import { ASTRAY, isToRelay, SETTING_UP } from '../wire/obeying.ts'
import { natureOf } from '../wire/order.ts'
import { checkPacketSize } from '../wire/packet-size.ts'
import type { Address } from '../wire/shapes.ts'
import type { Continues, FromGateway, FromPeer, Message } from '../wire/signal.ts'
import { type Reached, reach } from './checks/reach.ts'
import { Connecting, type ConnectOptions, doubtful, traceparentOf } from './connecting.ts'
import { Connection } from './connection/connection.ts'
import type { Carried, OpenPath } from './connection/path.ts'
import { checkResumeMs, RESUME_MS } from './connection/resume.ts'
import { type Door, doorsOf } from './doors/door.ts'
import { type Around, DoorWatch } from './doors/watch.ts'
import { type ForwardNews, Forwards } from './forwards.ts'
import { GatewayLink, type LinkOptions, type Welcome } from './gateway-link.ts'
import type { Identity } from './identity/identity.ts'
import type { KnownPeers } from './identity/known-peers.ts'
import { Mappings } from './mappings.ts'
import { Network } from './network.ts'
import { failure, PeerSession } from './peer-session.ts'
import { Allowance } from './punch/allowance.ts'
import { testFiltering } from './punch/filtering.ts'
import { Interfaces, localAddress } from './punch/interfaces.ts'
import {
  bindFirst,
  checkFree,
  forwardTo,
  type OwnPorts,
  ownPortsOf,
  type PortOptions,
  portsOf
} from './punch/own-ports.ts'
import type { RawSocket } from './punch/raw.ts'
import { type Membership, WarmSocket } from './punch/warm.ts'
import { Requests } from './requests.ts'
import { entryOf, type RoomEntry } from './room/entry.ts'
import { GuestRoom } from './room/guest-room.ts'
import { type MadeRoom, makeRoom, type RoomOptions } from './room/making.ts'
import { Standings } from './standing.ts'
import { type NatFindings, type NatOptions, type Question, Questions, survey } from './survey.ts'
import { Timekeeper } from './timekeeper.ts'
import { openNative, startNative } from './transport/native.ts'

export type { ConnectOptions, PathNotice, StrategyReport } from './connecting.ts'
export type { ForwardNews } from './forwards.ts'
export type { GuestRoom, GuestRoomEvents, RoomMember, Roster } from './room/guest-room.ts'
export type { MadeRoom, RoomOptions } from './room/making.ts'

/** Another computer that is joined with this peer's certificate. */
export type TwinNews = Pick<Message<FromGateway, 'twin'>, 'name' | 'from'>

export interface PeerOptions extends Omit<LinkOptions, 'gateway' | 'entry'>, PortOptions {
  /** The gateway's URL, with `http:`, `https:`, `ws:` or `wss:`. With `room` it may be left out. */
  readonly gateway?: string
  /** The link of a room, in the place of token and name: this peer is a guest, who reaches others in it and nobody else (`peer.room`). */
  readonly room?: string
  /** Remembers the fingerprints of peers met before. */
  readonly known: KnownPeers
  /**
   * Names of interfaces whose addresses are told to nobody and not used on a LAN; `*` stands for any characters. None if left
   * out.
   */
  readonly excludeInterfaces?: readonly string[]
  /** Called with a connection that another peer asked for. Serve its streams in the same turn. */
  readonly onConnection?: (connection: Connection) => void
  /** Whether the router may be asked for a port where this peer's NAT is hard; true if left out. */
  readonly map?: boolean
  /** Called when the peer has joined (again), and when the link was lost. It is for the terminal. */
  readonly onState?: (state: { joined: true } | { joined: false; error: PosternError; final: boolean }) => void
  /**
   * How long a connection waits for another path when its own is lost, in milliseconds, 10 minutes at most; a minute if left out. Of
   * both sides the one that waits longer counts, unless one of them never does (0).
   */
  readonly resumeMs?: number
  /** Called with what came of a forward that leads to this peer: once, and again when that changes. */
  readonly onForward?: (news: ForwardNews) => void
  /** Called when another computer is joined with this peer's certificate as well: a clone of this one, or a thief. */
  readonly onTwin?: (news: TwinNews) => void
  /** Called when the gateway is about to stop, with how long what is relayed may go on, in milliseconds. */
  readonly onDraining?: (ms: number) => void
  /** The watch over this host's network, which ends with the peer; one of its own if left out. */
  readonly network?: Network
}

type RoomQuestion = Omit<Message<FromPeer, 'room'>, 'request'> | Omit<Message<FromPeer, 'close-room'>, 'request'>

/** The longest reason in a `cold` message. */
const COLD_CHARACTERS = 256

/** The wait after a socket could not be mapped, before another one is tried, in milliseconds. */
const COLD_MS = 3000

/** A new socket is shown within a round trip or two, or after this time without it, in milliseconds. */
const RENEWAL_MS = 1000

/** How often a port that a connection has let go is tried: the system frees it a moment after the connection is closed. */
const FREED = { tries: 20, afterMs: 100 } as const

type Asked = Connecting<Connection>

export class Peer {
  readonly identity: Identity
  /** Tells when this host's network has changed, and when the host slept. */
  readonly network: Network
  readonly #options: PeerOptions
  readonly #entry: RoomEntry | undefined
  readonly #interfaces: Interfaces
  readonly #link: GatewayLink
  readonly #sessions = new Map<string, PeerSession>()
  /** Orders that are being obeyed or given up. They are waited for at the end, because a file may be written on the way. */
  readonly #orders = new Set<Promise<void>>()
  readonly #requests = new Requests<Connection>({
    send: message => this.#link.send(message),
    leave: (session, error) => void this.#sessions.get(session)?.leave(error)
  })
  /** The room that this peer is a guest of; undefined where it has joined by the token. */
  readonly room: GuestRoom | undefined
  readonly #questions = new Questions<NatReport>('judge the network')
  readonly #rooms = new Questions<Message<FromGateway, 'room'>>('answer')
  readonly #timekeeper = new Timekeeper(message => this.#link.send(message))
  readonly #standings = new Standings<Connection>({
    another: ({ peer: { name }, path: { trace } }, continues, signal) =>
      this.#ask(new Connecting<Connection>({ name }, { signal, traceparent: traceparentOf(trace) }), continues),
    isContinued: session => [...this.#sessions.values()].some(one => one.continues === session && !one.isOpen),
    suspected: () => {
      this.remapWarm()
      this.probeLink()
    },
    renew: () => this.#renew(),
    send: news => this.#link.send(news),
    over: () => void this.#warmOwn()
  })
  readonly #ports: OwnPorts | undefined
  readonly #forwards: Forwards
  readonly #mappings: Mappings
  readonly #allowance = new Allowance()
  /** Doors of the gateway's relay besides UDP, in the order in which they are tried. */
  #doors: readonly Door[] = []
  #watch: DoorWatch | undefined
  /** The NAT gives a flow another port after packets that nobody asked for. */
  #remaps = false
  readonly #warm = new Map<number, WarmSocket>()
  /** The shortest round trip of a warm socket since it joined, in milliseconds: what a busy host adds to one is no distance. */
  #rttMs = 0
  /** Whether the last warm socket had one mapping for all of the gateway's endpoints. */
  #isMappedOnce = false
  /** The default route by which the router was asked for ports. */
  #route: string | undefined
  /** The gateway takes a second word on the same socket; an older one would take it for another socket. */
  #mayTellAgain = false
  #membership: Membership | undefined
  #renewal: { stale: readonly WarmSocket[]; signal: AbortSignal; done: () => void } | undefined
  #joined = new AbortController()
  #sockets = 0
  #name = ''

  private constructor(link: GatewayLink, network: Network, options: PeerOptions, entry: RoomEntry | undefined) {
    this.room = entry && new GuestRoom(entry.room, message => link.send(message))
    this.#entry = entry
    this.identity = options.identity
    this.#options = options
    this.#interfaces = new Interfaces(options.excludeInterfaces)
    this.#link = link
    this.#ports = ownPortsOf(options)
    this.#forwards = new Forwards(
      message => link.send(message),
      news => options.onForward?.(news)
    )
    this.#mappings = new Mappings(this.#forwards, news => link.send({ type: 'router', ...news }))
    link.onMessage = message => this.#receive(message)
    link.onWelcome = welcome => this.#welcomed(welcome)
    link.onLost = (error, final) => this.#lost(error, final)
    this.network = network
    this.#route = network.route
    this.network.on('changed', () => this.#moved())
    this.network.on('woke', ({ sleptMs }) => {
      this.remapWarm()
      this.#standings.tell('slept', sleptMs)
    })
  }

  /**
   * Joins a gateway. Throws `gateway-unreachable`, `bad-token`, `wrong-gateway`, `name-taken`, `bad-config`, `port-in-use`, of a guest
   * `no-room` or `room-full`, or what the signal aborts with.
   */
  static async join(options: PeerOptions, signal?: AbortSignal): Promise<Peer> {
    const ports = ownPortsOf(options)
    checkResumeMs(options.resumeMs ?? RESUME_MS)
    checkPacketSize(options.mtu)
    const { gateway, entry } = await entryOf(options)
    if (ports) await checkFree(ports)
    const network = options.network ?? new Network()
    try {
      const joining = GatewayLink.join({ ...options, gateway, entry }, signal, network)
      startNative()
      const { link, welcome } = await joining
      const peer = new Peer(link, network, options, entry)
      peer.#welcomed(welcome)
      return peer
    } catch (error) {
      network.close()
      throw error
    }
  }

  /** The name by which others reach it, or the one that the gateway made up. */
  get name(): string {
    return this.#name
  }

  /** Opens a connection to a peer. Throws the code the request failed with; its message says what was tried. */
  async connect(to: PeerName, options: ConnectOptions = {}): Promise<Connection> {
    options.signal?.throwIfAborted()
    return await this.#ask(new Connecting<Connection>(to, options))
  }

  /** @param continues the connection that stands and wants another path */
  #ask(connecting: Asked, continues?: Continues): Promise<Connection> {
    const traceparent = connecting.options.traceparent ?? activeTraceparent()
    return this.#requests.ask(connecting, { continues, traceparent })
  }

  /** The gateway's judgement of this peer's network. Throws as `survey` does, and when the gateway is lost. */
  async nat(options: NatOptions = {}): Promise<NatFindings> {
    if (!this.#membership) throw new PosternError('internal', 'the peer has not joined')
    const signal = AbortSignal.any([this.#joined.signal, ...(options.signal ? [options.signal] : [])])
    const send = (message: FromPeer) => this.#link.send(message)
    const peer = {
      interfaces: this.#interfaces,
      nextSocket: () => this.#sockets++,
      ask: (question: Question) =>
        this.#questions.ask({ type: 'nat', request: this.#requests.next(), ...question }, send, signal)
    }
    return await survey(this.#membership, options, peer, signal)
  }

  /** Asks each UDP endpoint and each door that the gateway has named, and says what came of it. Throws what `signal` aborts with. */
  async reach(signal?: AbortSignal): Promise<Reached> {
    if (!this.#membership) throw new PosternError('internal', 'the peer has not joined')
    const over = AbortSignal.any([this.#joined.signal, ...(signal ? [signal] : [])])
    return await reach(this.#membership, { number: this.#sockets++, doors: () => this.#doors }, over)
  }

  /**
   * Makes a room whose link lets others in (docs/library.md), or makes one of its own anew: the link before is good no more then. Throws
   * `name-taken`, `relay-full`, `bad-config`, `no-room` where the gateway has none, `gateway-disk`, or as `nat` does.
   */
  async makeRoom(name: string, options: RoomOptions = {}): Promise<MadeRoom> {
    return await makeRoom(name, options, this.#link.place, asked => this.#askRoom({ type: 'room', ...asked }))
  }

  /** Closes a room of its own: whoever is there has to go. Throws `no-room` where there is none, or as `makeRoom` does. */
  async closeRoom(name: string): Promise<void> {
    await this.#askRoom({ type: 'close-room', name: checkName(name) })
  }

  async #askRoom(asked: RoomQuestion): Promise<Message<FromGateway, 'room'>> {
    const send = (message: FromPeer) => this.#link.send(message)
    return await this.#rooms.ask({ ...asked, request: this.#requests.next() }, send, this.#joined.signal)
  }

  /** Asks the gateway for a sign of life, and joins again if there is none. For whoever has lost a path. */
  probeLink(): void {
    this.#link.probeLink()
  }

  /** Shows the gateway at once what the NAT has made of the idle sockets: it may have started anew, or be another one. */
  remapWarm(): void {
    this.#mappings.renew()
    for (const warm of this.#warm.values()) warm.refresh()
  }

  /** The host may be in another network: what was found out about the NAT is of no use, nor is what another router gave. */
  #moved(): void {
    const { route } = this.network
    if (route !== this.#route) {
      for (const port of this.#mappings.ports) this.#silenced(port)
      this.#mappings.reset()
    }
    this.#route = route
    this.#rttMs = 0
    this.remapWarm()
    if (this.#membership && !this.#joined.signal.aborted)
      void this.#testFiltering(this.#membership, this.#joined.signal)
    this.#standings.again()
    this.#standings.tell('network')
  }

  /** Closes every connection and leaves. */
  async close(): Promise<void> {
    const left = new PosternError('io', 'the peer left')
    this.network.close()
    this.#joined.abort(left)
    this.#requests.fail(left)
    await this.#standings.close()
    await Promise.all([...this.#sessions.values()].map(session => session.end(left)))
    await Promise.all(this.#orders)
    await Promise.all([this.#mappings.close(), ...[...this.#warm.values()].map(warm => warm.raw.close())])
    this.#warm.clear()
    await this.#link.close()
  }

  #welcomed(welcome: Welcome): void {
    this.#joined = new AbortController()
    this.#isMappedOnce = false
    this.#forwards.joined()
    this.#mayTellAgain = false
    this.#doors = []
    this.#rttMs = 0
    this.#name = welcome.name
    const { signal } = this.#joined
    const key = Buffer.from(welcome.key, 'base64')
    const blocked = (around: Around) => void this.#blocked(around)
    this.#watch = new DoorWatch({ username: `p:${welcome.peer}:0`, key }, { doors: () => this.#doors, blocked, signal })
    this.#membership = {
      peer: welcome.peer,
      key,
      silence: this.#watch,
      // UDP is IPv4 alone. An older gateway tells whatever family it was reached by.
      endpoints: welcome.endpoints.filter(({ address }) => isIPv4(address)),
      refreshMs: welcome.refreshMs,
      reachedAt: this.#link.reachedAt
    }
    void this.#timekeeper.keep(signal)
    void this.#keepWarm(this.#membership, signal)
    void this.#testFiltering(this.#membership, signal)
    this.#standings.joined()
    this.#options.onState?.({ joined: true })
  }

  /** Open connections do not need the gateway. Only requests that are still under way fail. */
  #lost(error: PosternError, final: boolean): void {
    this.#joined.abort(error)
    this.#requests.fail(error)
    this.#requests.clear()
    for (const session of [...this.#sessions.values()]) if (!session.isOpen) void session.end(error)
    for (const warm of this.#warm.values()) void warm.raw.close()
    this.#warm.clear()
    this.#mappings.reset()
    this.room?.lost()
    this.#options.onState?.({ joined: false, error, final })
  }

  /** Warms a socket and keeps it warm, or another in its place. Tries again if the gateway is not heard over UDP. */
  async #keepWarm(membership: Membership, signal: AbortSignal, bound?: RawSocket): Promise<void> {
    const nextNumber = () => this.#sockets++
    let warm: WarmSocket | undefined
    try {
      const raw = bound ?? (await bindFirst(this.#ownPorts))
      const told = () => this.#interfaces.told(membership.endpoints[0])
      let [answered, addresses] = await Promise.all([WarmSocket.open(nextNumber, membership, signal, raw), told()])
      for (;;) {
        warm = answered.candidate
        this.#died(answered.dead)
        this.#warmed(warm, addresses, signal)
        answered = await warm.keep(nextNumber, AbortSignal.any([signal, warm.taken]))
        addresses = await told()
        if (answered.candidate === warm && warm.taken.aborted) return
      }
    } catch (thrown) {
      if (warm?.taken.aborted) return
      if (signal.aborted) return void warm?.raw.close()
      await this.#cooled(warm, asPosternError(thrown))
      if (signal.aborted) return void warm?.raw.close()
      if (warm) this.#silenced(warm.port)
      await warm?.raw.close()
      await sleep(COLD_MS, undefined, { signal }).catch(() => {})
      if (!signal.aborted) void this.#keepWarm(membership, signal)
    }
  }

  #warmed(warm: WarmSocket, addresses: Address[], signal: AbortSignal): void {
    const { number: socket, port } = warm
    const isNew = !this.#warm.has(socket)
    this.#warm.set(socket, warm)
    this.#watch?.warmed()
    this.#isMappedOnce = warm.isMappedOnce
    const rttMs = Math.min(this.#rttMs || warm.rttMs, warm.rttMs)
    this.#rttMs = rttMs
    const endpoint = forwardTo(this.#ports, port)
    const idle = AbortSignal.any([signal, warm.taken])
    if (endpoint) this.#forwards.claim(warm, { endpoint, by: 'given' }, idle)
    else this.#mappings.claim(warm, idle)
    if (isNew || this.#mayTellAgain) this.#link.send({ type: 'warm', socket, port, addresses, rttMs })
    if (isNew && this.#renewal?.signal === signal) this.#retire()
    this.#mapIdle()
  }

  /**
   * Looks at the NAT as if for the first time, with a new socket in the place of the idle one, because it may be another NAT now: it
   * goes on as it was for flows that it knows. Resolves when the socket is shown, or could not be within a second.
   */
  async #renew(): Promise<void> {
    const { signal } = this.#joined
    if (!this.#membership || signal.aborted || this.#ports || this.#renewal) return
    const renewal = Promise.withResolvers<void>()
    const late = new AbortController()
    const kept = AbortSignal.any([signal, late.signal])
    this.#renewal = { stale: [...this.#warm.values()], signal: kept, done: renewal.resolve }
    void this.#keepWarm(this.#membership, kept)
    void this.#testFiltering(this.#membership, signal)
    await within(RENEWAL_MS, renewal.promise, signal)
    // Otherwise it would be kept warm, or tried again and again, beside the one whose place it was to take.
    if (this.#renewal?.signal === kept) late.abort(new PosternError('timeout', 'no other socket was shown in time'))
    if (this.#renewal?.signal === kept) this.#renewal = undefined
  }

  /** Lets the sockets go in whose place there is a new one. */
  #retire(): void {
    const { stale = [], done } = this.#renewal ?? {}
    this.#renewal = undefined
    for (const warm of stale) {
      if (warm.taken.aborted) continue
      warm.take()
      this.#warm.delete(warm.number)
      void warm.raw.close()
      this.#link.send({ type: 'cold', socket: warm.number, reason: 'another socket has taken its place' })
    }
    done?.()
  }

  /** Nothing comes back to the ports of these sockets, and to others of this host it does. */
  #died(dead: readonly WarmSocket[]): void {
    for (const { number: socket, port } of dead) {
      this.#warm.delete(socket)
      this.#silenced(port)
      const reason = `nothing comes back to the local port ${port}, and to others it does`
      this.#link.send({ type: 'cold', socket, reason, code: 'dead-port', port })
    }
  }

  /** What leads to this port is of no use any more. */
  #silenced(port: number): void {
    this.#forwards.unclaim(port)
    this.#mappings.release(port)
  }

  /** @param warm the socket that was warm until now; if there was none, none could be warmed */
  async #cooled(warm: WarmSocket | undefined, { code, message }: PosternError): Promise<void> {
    const socket = warm?.number ?? this.#sockets++
    this.#warm.delete(socket)
    const why = code === 'wrong-family' ? { code } : {}
    const around = (await this.#watch?.answer()) ?? ''
    const said = typeof around === 'string' && around !== '' ? `${message}; ${around}` : message
    const doors = typeof around === 'string' ? {} : { doors: [...around.doors], rttMs: around.rttMs }
    this.#link.send({ type: 'cold', socket, reason: said.slice(0, COLD_CHARACTERS), ...why, ...doors })
  }

  /** Nothing comes back over UDP, and a door of the relay answers: the gateway need not wait until that is certain. */
  async #blocked({ doors, rttMs }: Around): Promise<void> {
    const [first] = doors
    const [idle] = this.#warm.keys()
    const [primary] = this.#membership?.endpoints ?? []
    // Without a route to the gateway over IPv4 no firewall is in the way.
    const hasRoute = primary !== undefined && (await localAddress(primary)) !== '0.0.0.0'
    const silence = hasRoute ? 'nothing has come back over UDP' : 'this host has no IPv4 route to the gateway'
    const reason = `${silence}, while the gateway answers by ${first} in ${Math.round(rttMs)} ms`
    const why = hasRoute ? {} : { code: 'wrong-family' }
    this.#link.send({ type: 'cold', socket: idle ?? this.#sockets++, reason, ...why, doors: [...doors], rttMs })
  }

  /** Ports that something leads to, in the order in which they are taken: those that the user has chosen, or the router gave. */
  get #ownPorts(): number[] {
    return this.#ports ? portsOf(this.#ports) : this.#mappings.ports
  }

  /**
   * Such a port is about to be free again: it is warmed beside the socket that had to take another one. Earlier ones come
   * first, because they are proved already, or are the only ones that are forwarded.
   */
  async #warmOwn(): Promise<void> {
    const { signal } = this.#joined
    for (let tries = 0; tries < FREED.tries && this.#ownPorts.length > 0; tries++) {
      await sleep(FREED.afterMs, undefined, { signal }).catch(() => {})
      if (signal.aborted || !this.#membership) return
      const idle = new Set([...this.#warm.values()].map(({ port }) => port))
      const own = this.#ownPorts
      const last = own.findIndex(port => idle.has(port))
      const raw = await bindFirst(last < 0 ? own : own.slice(0, last)).catch(() => undefined)
      if (raw) return await this.#keepWarm(this.#membership, signal, raw)
      if (last === 0) return
    }
  }

  /**
   * Asks the router for ports that lead to the idle sockets, if the NAT is hard, and no forward by hand leads there. It waits
   * until nothing is being connected.
   */
  #mapIdle(): void {
    const { signal } = this.#joined
    const isConnecting = this.#requests.size > 0 || this.#settingUp > 0
    const { map = true, relayOnly = false } = this.#options
    if (!map || relayOnly || isConnecting || signal.aborted || !this.#forwards.isServed) return
    for (const warm of this.#warm.values())
      if ((warm.isHard || this.#remaps) && !forwardTo(this.#ports, warm.port))
        void this.#mappings.map(warm, AbortSignal.any([signal, warm.taken]))
  }

  async #testFiltering(membership: Membership, signal: AbortSignal): Promise<void> {
    const options = { isMappedOnce: () => this.#isMappedOnce, signal }
    try {
      for await (const found of testFiltering(membership, options)) {
        this.#link.send({ type: 'filtering', ...found })
        this.#remaps = found.remaps === true
      }
      this.#mapIdle()
    } catch {
      // Nothing is said if nothing was found out. If UDP is blocked, the warm socket says so.
    }
  }

  #receive(message: FromGateway): void {
    switch (message.type) {
      case 'session':
        return this.#begin(message)
      case 'sample':
        return this.#sample(message)
      case 'beacon':
      case 'watch':
        return void this.#meet(message)
      case 'order':
        return this.#order(message)
      case 'cancel':
        return this.#sessions.get(message.session)?.cancel(message.plan)
      case 'strategy':
        return this.#requests.ofSession(message.session)?.options.onStrategy?.(message)
      case 'over':
        return void this.#sessions.get(message.session)?.end(failure(message))
      case 'refused':
        return this.#refused(message)
      case 'nat':
        return this.#questions.answer(message.request, message.report)
      case 'room':
        return this.#rooms.answer(message.request, message)
      case 'roster':
        return this.room?.heard(message)
      case 'path':
        return this.#agreed(message)
      case 'limit':
        return this.#standings.noticed(message)
      case 'trace':
        return this.#requests.of(message.request)?.mayRead(message)
      case 'pong':
        return this.#timekeeper.answer(message)
      case 'features':
        return this.#featured(message)
      case 'claimed':
        return this.#forwards.answered(message)
      case 'draining':
        this.#standings.again()
        return this.#options.onDraining?.(message.ms)
      case 'twin':
        return this.#options.onTwin?.(message)
      case 'welcome':
      case 'challenge':
        return
    }
  }

  #featured(message: Message<FromGateway, 'features'>): void {
    this.#mayTellAgain = message.features.includes('rejoin')
    this.#forwards.serves(message.features.includes('proofs'))
    this.#mapIdle()
    this.#doors = doorsOf(message, {
      place: this.#link.place,
      primary: this.#membership?.endpoints[0],
      ca: this.#link.trusted
    })
  }

  async #meet(message: Message<FromGateway, 'beacon' | 'watch'>): Promise<void> {
    // Whoever is on a link of this host would see its address.
    if (this.#options.relayOnly) return
    await this.#sessions.get(message.session)?.meet(message, await this.#links())
  }

  #links(): Promise<Address[]> {
    return this.#interfaces.told(this.#membership?.endpoints[0])
  }

  #refused(message: Message<FromGateway, 'refused'>): void {
    const { request = -1 } = message
    this.#requests.of(request)?.fail(failure(message))
    this.#questions.refuse(request, failure(message))
    this.#rooms.refuse(request, failure(message))
  }

  #begin(message: Message<FromGateway, 'session'>): void {
    if (this.#sessions.has(message.session)) return
    const connecting = this.#requests.of(message.request)
    const standing = message.continues === undefined ? undefined : this.#standings.continuedBy(message)
    if (message.continues !== undefined && !standing) return this.#requests.disown(message.session)
    if (this.#settingUp >= SETTING_UP) return this.#requests.turnAway(message.session, connecting)
    const session = new PeerSession(message, {
      link: this.#link,
      identity: this.identity,
      interfaces: this.#interfaces,
      links: () => this.#links(),
      allowance: this.#allowance,
      open: openNative,
      doors: () => this.#doors,
      startMs: connecting?.startMs ?? performance.now(),
      // Who holds a connection has proved who it is.
      trust: async peer => {
        if (!standing) await this.#trust(peer, connecting?.to)
      },
      opened: path => (standing ? this.#carry(standing, path, connecting) : this.#opened(path, message, connecting)),
      ended: error => {
        this.#sessions.delete(message.session)
        connecting?.fail(error)
        this.#mapIdle()
        void this.#warmOwn()
      }
    })
    this.#sessions.set(message.session, session)
    if (connecting) connecting.begins(message)
    else if (message.role === 'caller') void session.leave(new PosternError('io', 'the request was given up'))
    const doubt = connecting && !standing && doubtful(message.peer, connecting.to, this.room !== undefined)
    if (doubt) void session.leave(doubt)
  }

  /** Connections that are being set up; those that stand do not count. */
  get #settingUp(): number {
    return [...this.#sessions.values()].filter(({ isOpen }) => !isOpen).length
  }

  /** Throws `fingerprint-mismatch` unless the name is met for the first time or had this fingerprint before. */
  async #trust(
    { name, fingerprint, named }: Message<FromGateway, 'session'>['peer'],
    asked: PeerName | undefined
  ): Promise<void> {
    // By the name that was asked for, which the gateway may write in another way.
    if (named) await this.#options.known.check(this.#link.url, asked?.name ?? name, fingerprint, asked?.pin)
  }

  #sample({ session, round }: Message<FromGateway, 'sample'>): void {
    if (!this.#membership) return
    const sampling = { nextNumber: () => this.#sockets++, membership: this.#membership, rttMs: this.#rttMs }
    void this.#sessions
      .get(session)
      ?.sample(round, sampling)
      .then(dead => this.#died(dead))
  }

  /**
   * If the order takes a warm socket, a new one is warmed in its place. This waits while ports are guessed: each mapping of a
   * new socket would be one that a stepping NAT was not predicted to make.
   */
  #order(message: Message<FromGateway, 'order'>): void {
    const session = this.#sessions.get(message.session)
    const reserved = this.#warm.get(message.socket)
    this.#warm.delete(message.socket)
    reserved?.take()
    // The gateway has given the socket away, and does not know yet that the session is over.
    if (!session && reserved) void reserved.raw.close().then(() => this.#replace(undefined))
    if (!session) return
    // A gateway that leads elsewhere keeps no promise: nothing more comes of the session.
    if (this.#options.relayOnly && !isToRelay(message.order, this.#membership?.endpoints))
      void session.leave(new PosternError('io', ASTRAY))
    const settled = session.order(message, reserved).finally(() => this.#orders.delete(settled))
    this.#orders.add(settled)
    if (reserved) void this.#replace(guesses(message) ? settled : undefined)
  }

  async #replace(settled: Promise<void> | undefined): Promise<void> {
    const { signal } = this.#joined
    await settled
    // A socket on a chosen port that was warmed beside another one leaves that one behind.
    if (this.#membership && !signal.aborted && this.#warm.size === 0) await this.#keepWarm(this.#membership, signal)
  }

  #agreed(message: Message<FromGateway, 'path'>): void {
    this.#requests.agreed(message)
    this.#standings.noticed(message)
    this.#mapIdle()
  }

  #opened(path: OpenPath, { peer, role }: Message<FromGateway, 'session'>, connecting: Asked | undefined): Carried {
    const { resumeMs = RESUME_MS } = this.#options
    const connection = new Connection({
      ...{ ...path, peer, role, resumeMs, assure: this.#entry?.assure },
      traceKey: connecting?.traceKey
    })
    this.#standings.add(connection, peer.id)
    const { closed } = connection
    closed.addEventListener('abort', () => connecting?.fail(closed.reason))
    connecting?.connection.catch(() => connection.close())
    connection.whenAssured(() => {
      if (connecting) connecting.done(connection)
      else if (this.#options.onConnection) this.#options.onConnection(connection)
      else void connection.close()
    })
    return { over: connection.pathOver(path.session), close: () => void connection.close() }
  }

  /** The connection goes on over another path. */
  #carry(connection: Connection, path: OpenPath, connecting: Asked | undefined): Carried {
    connection.carry(path, { proveMs: this.#standings.proveMs(connection, path.path) }).then(
      () => connecting?.done(connection),
      error => connecting?.fail(asPosternError(error))
    )
    const { session } = path
    return { over: connection.pathOver(session), close: () => connection.leavePath(session) }
  }
}

/** The application's active span as a W3C traceparent (Trace Context, section 3.2). */
function activeTraceparent(): string | undefined {
  const active = trace.getActiveSpan()?.spanContext()
  if (!active || !isSpanContextValid(active)) return undefined
  return `00-${active.traceId}-${active.spanId}-${(active.traceFlags & 1).toString().padStart(2, '0')}`
}

const guesses = ({ order }: Message<FromGateway, 'order'>): boolean =>
  (natureOf(order).effort?.guesses?.length ?? 0) > 0
