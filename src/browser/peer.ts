// A peer in a browser: joins a gateway, keeps a connection prepared that shows the gateway what its NAT does, and obeys the orders of
// its sessions. As src/peer/peer.ts in Node, without raw sockets.
//
//   join -> prepared connection -> connect -> session -> order … -> open channel -> Connection

import { asPosternError, PosternError } from '../errors.ts'
import { Connecting, doubtful, type ConnectOptions as Following, traceparentOf } from '../peer/connecting.ts'
import type { Carried, OpenPath } from '../peer/connection/path.ts'
import { checkResumeMs, RESUME_MS } from '../peer/connection/resume.ts'
import { Requests } from '../peer/requests.ts'
import type { RoomEntry } from '../peer/room/entry.ts'
import type { Roster } from '../peer/room/guest-room.ts'
import { Standings } from '../peer/standing.ts'
import { Timekeeper } from '../peer/timekeeper.ts'
import { normaliseFingerprint } from '../wire/identity/fingerprint.ts'
import { checkName, type PeerName } from '../wire/name.ts'
import { ASTRAY, isToRelay, SETTING_UP } from '../wire/obeying.ts'
import type { Continues, FromGateway, FromPeer, Message } from '../wire/signal.ts'
import { checkAbilities } from './abilities.ts'
import { Connection } from './connection.ts'
import { doorsOf } from './doors.ts'
import { GatewayLink, refusal, type Welcome } from './gateway-link.ts'
import { type Identity, loadIdentity } from './identity.ts'
import { KnownPeers } from './known-peers.ts'
import { Reserve } from './reserve.ts'
import { Session } from './session.ts'
import { Memory, openStore, type Store } from './store.ts'
import { type Membership, Prepared } from './warm.ts'

export interface JoinOptions {
  /** The gateway's URL; if left out, where this module came from, if a gateway has served it, or else the page. */
  readonly gateway?: string | URL
  /** The name by which others reach this peer. It belongs to the key that this browser keeps for the origin of the page (`keptIn`). */
  readonly name?: string
  /** The join token; a guest of a room has none. */
  readonly token?: string
  /**
   * A room, in the place of gateway, token and name: this peer is a guest, who reaches others in it and nobody else. `entryBy` makes it of
   * a link, and is no part of this module, which has no room for it.
   */
  readonly room?: RoomEntry
  /**
   * The name of the IndexedDB database that has the key; `postern` if left out. Pages that are joined at once by one key are one peer, so a
   * guest has one for each tab and room, as `databaseFor` names them, which is no part of this module either.
   */
  readonly keptIn?: string
  /** Called with who is in that room, or waits to be let in, whenever that changes. */
  readonly onRoster?: (roster: Roster) => void
  /** Called with a connection that another peer asked for. Serve its streams in the same turn. If left out, none is accepted. */
  readonly accept?: (connection: Connection) => void
  /** Shows this peer's address to no other: its connections go through the gateway's relay alone. False if left out. */
  readonly relayOnly?: boolean
  /** How long a connection waits for another path when its own is lost, in milliseconds, 10 minutes at most; a minute if left out. */
  readonly resumeMs?: number
  /** Called when the peer has joined (again), and when the link to the gateway was lost. */
  readonly onState?: (state: { joined: true } | { joined: false; error: PosternError; final: boolean }) => void
  /** Ends the joining. */
  readonly signal?: AbortSignal
}

export interface ConnectOptions extends Following {
  readonly name: string
  /** Which fingerprint it has to have, as `AA:BB:…` or 64 digits. If left out, the one that it had the first time. */
  readonly fingerprint?: string
}

/** A browser knows of another address of its host by then, in milliseconds. */
const DOUBT_MS = 3000

type Asked = Connecting<Connection>

/**
 * Joins a gateway. Throws `unsupported` where the browser, or the page's origin, lacks something, `bad-config`, `gateway-unreachable`,
 * the code the gateway refuses with, or what the signal aborts with.
 */
export async function join(options: JoinOptions): Promise<Peer> {
  checkAbilities()
  checkResumeMs(options.resumeMs ?? RESUME_MS)
  if (options.name !== undefined) checkName(options.name)
  return await Peer.join(options)
}

export class Peer {
  /** SHA-256 of the key by which this peer is known, `AA:BB:…`. */
  readonly fingerprint: string
  /** Whether this browser keeps the key. Without, this peer is a guest: nobody reaches it by a name. */
  readonly isKept: boolean
  readonly #options: JoinOptions
  readonly #identity: Identity
  readonly #known: KnownPeers
  readonly #link: GatewayLink
  readonly #sessions = new Map<string, Session>()
  readonly #requests = new Requests<Connection>({
    send: message => this.#link.send(message),
    leave: (session, error) => void this.#sessions.get(session)?.leave(error)
  })
  readonly #timekeeper = new Timekeeper(message => this.#timed(message))
  readonly #standings = new Standings<Connection>({
    another: ({ peer: { name }, path: { trace } }, continues, signal) =>
      this.#ask(new Connecting<Connection>({ name }, { signal, traceparent: traceparentOf(trace) }), continues),
    isContinued: session => [...this.#sessions.values()].some(one => one.continues === session && !one.isOpen),
    suspected: () => {
      this.#suspectedMs = performance.now()
      void this.#reserve.replace()
      this.#link.probeLink()
    },
    renew: () => this.#reserve.renew(),
    send: news => this.#link.send(news),
    over: () => {}
  })
  readonly #left = new AbortController()
  readonly #reserve = new Reserve({
    prepare: () => this.#prepare(),
    send: message => void this.#link.send(message),
    rttMs: () => this.#rttMs,
    restored: () => this.#standings.again()
  })
  #membership: Membership | undefined
  #joined = new AbortController()
  #rttMs = 0
  /** When a path was suspected to be lost last. */
  #suspectedMs = Number.NEGATIVE_INFINITY
  #numbers = 0
  #name = ''

  private constructor(link: GatewayLink, identity: Identity, store: Store, options: JoinOptions) {
    this.#options = options
    this.#identity = identity
    this.#link = link
    this.#known = new KnownPeers(store, new URL(link.place).host)
    this.fingerprint = identity.fingerprint
    this.isKept = store.isKept
    link.onMessage = message => this.#receive(message)
    link.onWelcome = welcome => this.#welcomed(welcome)
    link.onLost = (error, final) => this.#lost(error, final)
    const { signal } = this.#left
    addEventListener('online', () => this.#moved(), { signal })
    addEventListener('pagehide', ({ persisted }) => persisted || void this.close(), { signal })
  }

  /** See `join`. */
  static async join(options: JoinOptions): Promise<Peer> {
    const { room: entry, signal } = options
    const [store, identity] = await remembered(options.keptIn)
    signal?.throwIfAborted()
    const name = store.isKept ? options.name : undefined
    const accepts = options.accept !== undefined && name !== undefined
    const gateway = String(options.gateway ?? entry?.gateway ?? ownGateway())
    const { link, welcome } = await GatewayLink.join({ ...options, gateway, entry, name, accepts, identity }, signal)
    const peer = new Peer(link, identity, store, options)
    peer.#welcomed(welcome)
    return peer
  }

  /** The name by which others reach it, or the one that the gateway made up. */
  get name(): string {
    return this.#name
  }

  /** Opens a connection to a peer. Throws the code the request failed with; its message says what was tried. */
  async connect({ name, fingerprint, ...options }: ConnectOptions): Promise<Connection> {
    options.signal?.throwIfAborted()
    return await this.#ask(new Connecting<Connection>(peerName(name, fingerprint), options))
  }

  /** Lets in a guest that waits, by its id. Nothing happens where this one is not inside itself, or there is no place. */
  admit(id: string): void {
    this.#link.send({ type: 'admit', id })
  }

  /** Sends a guest away that waits, by its id. */
  turnAway(id: string): void {
    this.#link.send({ type: 'turn-away', id })
  }

  /** Forgets which fingerprint a name had: the next one that it shows is remembered. */
  forget(name: string): Promise<void> {
    return this.#known.forget(name)
  }

  /** Closes every connection and leaves. */
  async close(): Promise<void> {
    const left = new PosternError('io', 'the peer left')
    this.#left.abort(left)
    this.#joined.abort(left)
    this.#requests.fail(left)
    await this.#standings.close()
    for (const session of this.#sessions.values()) session.end(left)
    this.#reserve.close()
    this.#link.close()
  }

  /** @param continues the connection that stands and wants another path */
  #ask(connecting: Asked, continues?: Continues): Promise<Connection> {
    return this.#requests.ask(connecting, { continues, traceparent: connecting.options.traceparent })
  }

  #welcomed({ peer, name, key, endpoints }: Welcome): void {
    this.#joined = new AbortController()
    this.#name = name
    this.#rttMs = 0
    this.#membership = { peer, key, endpoints }
    const { signal } = this.#joined
    void this.#timekeeper.keep(signal)
    this.#reserve.open(signal)
    this.#standings.joined()
    this.#options.onState?.({ joined: true })
  }

  /** Open connections do not need the gateway. Only requests that are still under way fail. */
  #lost(error: PosternError, final: boolean): void {
    this.#joined.abort(error)
    this.#requests.fail(error)
    this.#requests.clear()
    for (const session of [...this.#sessions.values()]) if (!session.isOpen) session.end(error)
    this.#reserve.close()
    this.#options.onState?.({ joined: false, error, final })
  }

  /** The network may be another one. */
  #moved(): void {
    this.#rttMs = 0
    void this.#reserve.replace()
    this.#standings.again()
    this.#standings.tell('network')
  }

  /** What the timekeeper measures is the round trip to the gateway, too. */
  #timed(message: FromPeer): void {
    if (message.type === 'clock') {
      const rttMs = 2 * message.uncertaintyMs
      this.#rttMs = Math.min(this.#rttMs || rttMs, rttMs)
    }
    this.#link.send(message)
  }

  #prepare(isShown = true): Prepared {
    if (!this.#membership) throw new PosternError('internal', 'the peer has not joined')
    const membership = { ...this.#membership, ...(isShown ? {} : { endpoints: [] }) }
    // Another document for each of many would take longer than what it is for.
    const looksAnew = isShown && performance.now() - this.#suspectedMs < DOUBT_MS
    return new Prepared(this.#numbers++, membership, this.#identity.certificate, looksAnew)
  }

  #receive(message: FromGateway): void {
    switch (message.type) {
      case 'session':
        return this.#begin(message)
      case 'sample':
        return void this.#sessions.get(message.session)?.sample(message.round)
      case 'order':
        return this.#order(message)
      case 'cancel':
        return this.#sessions.get(message.session)?.cancel(message.plan)
      case 'strategy':
        return this.#requests.ofSession(message.session)?.options.onStrategy?.(message)
      case 'over':
        return this.#sessions.get(message.session)?.end(refusal(message))
      case 'refused':
        return this.#requests.of(message.request)?.fail(refusal(message))
      case 'path':
        this.#standings.noticed(message)
        return this.#requests.agreed(message)
      case 'trace':
        return this.#requests.of(message.request)?.mayRead(message)
      case 'features':
        this.#reserve.doors = doorsOf(message, this.#link.place, this.#membership?.endpoints[0]?.address ?? '')
        return
      case 'limit':
        return this.#standings.noticed(message)
      case 'pong':
        return this.#timekeeper.answer(message)
      case 'draining':
        return this.#standings.again()
      case 'roster':
        return this.#options.onRoster?.(message)
    }
  }

  #begin(message: Message<FromGateway, 'session'>): void {
    if (this.#sessions.has(message.session)) return
    const connecting = this.#requests.of(message.request)
    const standing = message.continues === undefined ? undefined : this.#standings.continuedBy(message)
    if (message.continues !== undefined && !standing) return this.#requests.disown(message.session)
    if (this.#settingUp >= SETTING_UP) return this.#requests.turnAway(message.session, connecting)
    const session = new Session(message, {
      send: said => this.#link.send(said),
      prepare: isShown => this.#prepare(isShown),
      doors: () => this.#reserve.doors,
      silentMs: () => this.#reserve.silentMs,
      certificate: this.#identity.dtls,
      startMs: connecting?.startMs ?? performance.now(),
      // Who holds a connection has proved who it is.
      trust: async peer => {
        if (!standing) await this.#trust(peer, connecting?.to)
      },
      opened: path => (standing ? this.#carry(standing, path, connecting) : this.#opened(path, message, connecting)),
      ended: error => {
        this.#sessions.delete(message.session)
        connecting?.fail(error)
      }
    })
    this.#sessions.set(message.session, session)
    if (connecting) connecting.begins(message)
    else if (message.role === 'caller') session.leave(new PosternError('io', 'the request was given up'))
    const doubt = connecting && !standing && doubtful(message.peer, connecting.to, this.#options.room !== undefined)
    if (doubt) session.leave(doubt)
  }

  /** Connections that are being set up; those that stand do not count. */
  get #settingUp(): number {
    return [...this.#sessions.values()].filter(({ isOpen }) => !isOpen).length
  }

  async #trust(
    { name, fingerprint, named }: Message<FromGateway, 'session'>['peer'],
    asked: PeerName | undefined
  ): Promise<void> {
    // By the name that was asked for, which the gateway may write in another way.
    if (named) await this.#known.check(asked?.name ?? name, fingerprint, asked?.pin)
  }

  #order(message: Message<FromGateway, 'order'>): void {
    const reserved = this.#reserve.take(message.socket)
    const session = this.#sessions.get(message.session)
    if (this.#options.relayOnly && !isToRelay(message.order, this.#membership?.endpoints))
      session?.leave(new PosternError('io', ASTRAY))
    // The gateway has given the socket away, and does not know yet that the session is over.
    if (session) void session.order(message, reserved)
    else reserved?.close()
  }

  #opened(path: OpenPath, { peer, role }: Message<FromGateway, 'session'>, connecting: Asked | undefined): Carried {
    const { resumeMs = RESUME_MS, accept, room } = this.#options
    const connection = new Connection({
      ...{ ...path, peer, role, resumeMs, assure: room?.assure },
      traceKey: connecting?.traceKey
    })
    this.#standings.add(connection, peer.id)
    const { closed } = connection
    closed.addEventListener('abort', () => connecting?.fail(closed.reason))
    connecting?.connection.catch(() => connection.close())
    connection.whenAssured(() => {
      if (connecting) connecting.done(connection)
      else if (accept) accept(connection)
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

/** Some browsers refuse to keep keys, or anything, and say so only when they are asked to. */
async function remembered(keptIn?: string): Promise<[Store, Identity]> {
  const store = await openStore(keptIn)
  try {
    return [store, await loadIdentity(store)]
  } catch {
    const memory = new Memory()
    return [memory, await loadIdentity(memory)]
  }
}

function peerName(name: string, fingerprint: string | undefined): PeerName {
  if (fingerprint === undefined) return { name: checkName(name) }
  const pin = normaliseFingerprint(fingerprint)
  if (pin) return { name: checkName(name), pin }
  const expected = 'expected 64 hexadecimal digits, with or without colons'
  throw new PosternError('bad-config', `the pinned fingerprint of ${checkName(name)} is malformed; ${expected}`)
}

/** A gateway serves this module as postern.js, below its own path; anything else may have bundled it. */
const ownGateway = (): URL =>
  new URL('.', import.meta.url.split(/[?#]/, 1)[0]?.endsWith('/postern.js') ? import.meta.url : location.origin)
