// Watches the network of this host: its addresses, its default route, and whether it slept. Node hears nothing of the kernel's
// own news (rtnetlink, RFC 3549) without native code, so it looks twice a second, which costs 0.02 % of a core (65 µs a look).
//
//   look ─► as before
//     ├──► differs: look again soon, until two looks are alike ─► no network: wait ─► `changed`
//     └──► far later than it was due: the process was stopped, or the computer slept ─► `woke`
//
// One change that comes as three (an address goes, its route goes, another address comes) is one change. Nothing is said while
// there is no network: nobody could do anything about it.

import { closeSync, openSync, readSync } from 'node:fs'
import { type NetworkInterfaceInfo, networkInterfaces } from 'node:os'
import { isLinkLocal, isLoopback } from '../wire/endpoint.ts'
import { defaultRouteIn, ROUTES } from './router/default-gateway.ts'

/** What the network is like at a moment. */
export interface Reading {
  /** By interface and family, loopback and link-local ones left out. Undefined: this system does not tell. */
  readonly addresses: readonly string[] | undefined
  /** Interface and next hop of the default route; undefined where there is none, or it is not told. */
  readonly route: string | undefined
}

export interface NetworkEvents {
  /** A network is there, and it is another one than before, or was away. `what` says in words what changed. */
  readonly changed: { readonly what: string }
  /** This process did not run, because it was stopped or the computer slept, for about so many milliseconds. */
  readonly woke: { readonly sleptMs: number }
}

export interface NetworkOptions {
  readonly read?: () => Reading
  /** Milliseconds by the time of day, and on a clock that is not set; some of these stand still while a computer sleeps. */
  readonly clocks?: () => readonly number[]
  /** Who did not run for longer than this has slept, in milliseconds. A busy event loop hardly takes so long. */
  readonly sleptMs?: number
  /** False: looks only when it is told to. */
  readonly looks?: boolean
}

/** Between two looks, and between those after a difference was seen, in milliseconds. */
const LOOK_MS = 500
const SETTLE_MS = 100

/** A network that goes on changing is told of after so many looks. */
const SETTLING = 10

const SLEPT_MS = 5000

type Listener<Event extends keyof NetworkEvents> = (news: NetworkEvents[Event]) => void

export class Network {
  readonly #read: () => Reading
  readonly #clocks: () => readonly number[]
  readonly #sleptMs: number
  readonly #listeners = { changed: new Set<Listener<'changed'>>(), woke: new Set<Listener<'woke'>>() }
  #looks: boolean
  #timer: NodeJS.Timeout | undefined
  /** The network that everybody knows of. */
  #told: Reading
  #last: Reading
  #lastMs: readonly number[]
  #differed = 0
  #wasAway = false

  constructor({ read = reading, clocks = bothClocks, sleptMs = SLEPT_MS, looks = true }: NetworkOptions = {}) {
    this.#read = read
    this.#clocks = clocks
    this.#sleptMs = sleptMs
    this.#looks = looks
    this.#told = read()
    this.#last = this.#told
    this.#wasAway = !this.isUp
    this.#lastMs = clocks()
    this.#lookIn(LOOK_MS)
  }

  /** Calls a listener whenever that happens. It is not called any more once what this returns was called. */
  on<Event extends keyof NetworkEvents>(event: Event, listener: Listener<Event>): () => void {
    const listeners = this.#listeners[event] as Set<Listener<Event>>
    listeners.add(listener)
    return () => void listeners.delete(listener)
  }

  /** False while this host has no address at all. */
  get isUp(): boolean {
    return isUp(this.#last)
  }

  /** Interface and next hop of the default route; undefined where there is none, or it is not told. */
  get route(): string | undefined {
    return this.#last.route
  }

  /** Whether an interface of this host has the address. */
  has(address: string): boolean {
    const { addresses } = this.#last
    return addresses === undefined || isLoopback(address) || isLinkLocal(address) || addresses.includes(address)
  }

  /** Looks now. Tells of a change once two looks are alike. */
  look(): void {
    this.#wake()
    const before = this.#last
    this.#last = this.#read()
    const isSettled = sameReading(before, this.#last)
    if (!this.isUp) this.#wasAway = true
    const differs = this.#wasAway || !sameReading(this.#told, this.#last)
    this.#differed = differs && this.isUp ? this.#differed + 1 : 0
    if (this.#differed > 0 && (isSettled || this.#differed >= SETTLING)) this.#change()
    this.#lookIn(this.#differed > 0 ? SETTLE_MS : LOOK_MS)
  }

  close(): void {
    clearTimeout(this.#timer)
    this.#looks = false
    for (const listeners of Object.values(this.#listeners)) listeners.clear()
  }

  #lookIn(waitMs: number): void {
    clearTimeout(this.#timer)
    if (this.#looks) this.#timer = setTimeout(() => this.look(), waitMs).unref()
  }

  #change(): void {
    const what = differenceOf(this.#told, this.#last, this.#wasAway)
    this.#told = this.#last
    this.#wasAway = false
    this.#differed = 0
    for (const listener of this.#listeners.changed) listener({ what })
  }

  /** The clock of `performance.now` stands still while a computer sleeps, and the time of day may be set. */
  #wake(): void {
    const nowMs = this.#clocks()
    const passed = nowMs.map((ms, index) => ms - (this.#lastMs[index] ?? ms))
    const sleptMs = Math.max(...passed) - LOOK_MS
    this.#lastMs = nowMs
    if (sleptMs > this.#sleptMs) for (const listener of this.#listeners.woke) listener({ sleptMs })
  }
}

const bothClocks = (): readonly number[] => [Date.now(), performance.now()]

const isUp = ({ addresses }: Reading): boolean => addresses === undefined || addresses.length > 0

const sameReading = (a: Reading, b: Reading): boolean => textOf(a) === textOf(b)

const textOf = ({ addresses, route }: Reading): string => [...(addresses ?? []), route].join(' ')

/** In words, such as `192.168.1.5 is gone, 10.0.0.2 is new, the default route is wlan0 10.0.0.1`. */
function differenceOf(before: Reading, after: Reading, wasAway: boolean): string {
  const [old, now] = [before.addresses ?? [], after.addresses ?? []]
  const changes = [
    ...old.filter(address => !now.includes(address)).map(address => `${address} is gone`),
    ...now.filter(address => !old.includes(address)).map(address => `${address} is new`),
    ...(before.route === after.route ? [] : [`the default route is ${after.route ?? 'gone'}`])
  ]
  if (changes.length > 0) return changes.join(', ')
  return wasAway ? 'the network was away, and is back' : 'the network changed'
}

/** What this host's network is like now. */
export function reading(): Reading {
  return { addresses: addressesNow(), route: defaultRouteIn(routesNow()) }
}

/** Some systems do not let a program ask (Android). */
function addressesNow(): readonly string[] | undefined {
  try {
    return Object.values(networkInterfaces()).flatMap((list = []) =>
      list.filter(isOutward).map(({ address }) => address)
    )
  } catch {
    return undefined
  }
}

/** An interface has a link-local address as soon as it is up, whether a network is there or not. */
const isOutward = ({ internal, address }: NetworkInterfaceInfo): boolean => !internal && !isLinkLocal(address)

/** The default route is the first: only so much of the table is read. */
const ROUTES_BYTES = 8192
const buffer = Buffer.alloc(ROUTES_BYTES)

function routesNow(): string {
  try {
    const file = openSync(ROUTES, 'r')
    try {
      return buffer.toString('latin1', 0, readSync(file, buffer))
    } finally {
      closeSync(file)
    }
  } catch {
    return ''
  }
}
