// The doors of the relay besides UDP: TCP connections and WebSockets that bring datagrams, from whom UDP is blocked. Each is a way
// (way.ts) on which one source comes. What it brings is taken as what comes over UDP is (udp/binding.ts): a request is answered, a
// proof latches a side of a session, and what comes from a latched side goes to the other, whatever door that one has.
//
// Whoever has shown nothing is a stranger, as on any other connection of the gateway (http/connections.ts), and so is bounded there.

import type { Socket } from 'node:net'
import type { StreamDoor } from '../../wire/doors/door.ts'
import { type BinarySocket, type Line, type LineEvents, tcpLine, webSocketLine } from '../../wire/doors/line.ts'
import { type Endpoint, formatEndpoint, plainAddress } from '../../wire/endpoint.ts'
import { looksLikeStun } from '../../wire/stun.ts'
import { Way } from './way.ts'

/** How long a connection may show nothing valid, and a frame may take to come, in milliseconds. */
const PATIENCE_MS = 10_000

/** How often connections are looked at for that, in milliseconds. */
const LOOK_MS = 1000

export interface DoorCounters {
  /** Connections that bring datagrams now. */
  open: number
  /** Connections there ever were. */
  opened: number
  /** Closed: what came is no datagram, or none that anybody sends first. */
  broken: number
  /** Closed: nothing valid came in time, or a datagram did not end. */
  idle: number
  /** Datagrams that were not sent: others waited before them for too long. */
  dropped: number
}

/** Who came through a door. */
export interface Guest {
  readonly source: Endpoint
  readonly local: Endpoint
  /** Whoever sends on the connection has proved itself. */
  readonly prove: () => void
}

/** Takes a datagram; true if it is from a latched side, or from somebody with a key of ours. */
export type TakeDatagram = (way: Way, source: Endpoint, datagram: Buffer) => boolean

export class Doors implements Disposable {
  readonly counters: Readonly<Record<StreamDoor, DoorCounters>> = { tcp: none(), websocket: none() }
  readonly #take: TakeDatagram
  readonly #patienceMs: number
  /** By door, source, and the port where it came. */
  readonly #ways = new Map<string, Way>()
  readonly #timer: NodeJS.Timeout

  constructor(take: TakeDatagram, { patienceMs = PATIENCE_MS }: { readonly patienceMs?: number } = {}) {
    this.#take = take
    this.#patienceMs = patienceMs
    this.#timer = setInterval(() => this.#look(), Math.min(LOOK_MS, patienceMs / 4)).unref()
  }

  tcp(socket: Socket, guest: Guest): void {
    this.#enter('tcp', guest, events => tcpLine(socket, events))
  }

  webSocket(ws: BinarySocket, guest: Guest): void {
    this.#enter('websocket', guest, events => webSocketLine(ws, events))
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
    for (const way of this.#ways.values()) this.#end(way)
  }

  #enter(door: StreamDoor, guest: Guest, open: (events: LineEvents) => Line): void {
    const counters = this.counters[door]
    counters.open++
    counters.opened++
    const way = this.#wayOf(door, guest)
    const line: Line = open({
      datagram: datagram => this.#receive(way, line, datagram),
      broken: () => this.#refuse(way, line, 'broken'),
      dropped: () => counters.dropped++,
      closed: () => {
        counters.open--
        if (way.line === line) this.#cut(way)
      }
    })
    way.goesOver(line)
    if (way.isLatched) guest.prove()
  }

  /** The way of a source that is latched here already, or a new one. */
  #wayOf(door: StreamDoor, { local, source: { address, port }, prove }: Guest): Way {
    const source = { address: plainAddress(address), port }
    const key = keyOf({ door, source, local })
    const known = this.#ways.get(key)
    if (known) return known
    const way: Way = new Way(door, { local, source }, { latched: prove, over: () => this.#end(way) })
    this.#ways.set(key, way)
    return way
  }

  #receive(way: Way, line: Line, datagram: Buffer): void {
    if (way.line !== line) return
    // DTLS comes first only from a side that dials again, as Firefox does.
    if (!way.isLatched && !looksLikeStun(datagram)) return this.#refuse(way, line, 'broken')
    if (this.#take(way, way.source, datagram)) way.validMs = performance.now()
  }

  #refuse(way: Way, line: Line, why: 'broken' | 'idle'): void {
    if (way.line !== line) return
    this.counters[way.door][why]++
    this.#cut(way)
  }

  /** The connection is over. A side that is latched here may dial again; nobody else is waited for. */
  #cut(way: Way): void {
    way.goesOver(undefined)
    if (!way.isLatched) this.#end(way)
  }

  #end(way: Way): void {
    const key = keyOf(way)
    if (this.#ways.get(key) === way) this.#ways.delete(key)
    way.goesOver(undefined)
  }

  #look(): void {
    const beforeMs = performance.now() - this.#patienceMs
    for (const way of this.#ways.values()) {
      const { line } = way
      if (!line) continue
      const isIdle = !way.isLatched && way.validMs < beforeMs
      const isSlow = (line.partialSinceMs ?? Number.POSITIVE_INFINITY) < beforeMs
      if (isIdle || isSlow) this.#refuse(way, line, 'idle')
    }
  }
}

/** A host may dial several ports of ours from one of its own. */
const keyOf = ({ door, source, local }: Pick<Way, 'door' | 'source' | 'local'>): string =>
  `${door} ${formatEndpoint(source)} ${local.port}`

const none = (): DoorCounters => ({ open: 0, opened: 0, broken: 0, idle: 0, dropped: 0 })
