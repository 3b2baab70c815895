// One way in through a door: what the UDP ports and the relay know of it is a port of its own, at which one source comes. It may
// outlive its connection: a side that is latched here may dial again from the same address and port, and go on where it was.
//
//   connection ─► stranger ─► latched ─► cut ─► the same source dials again ─► latched
//                    │           ├─► the session is over ─► closed
//                    │           └─► another way took its place ─► stranger
//                    └─► nothing valid for 10 s ─► closed

import type { DoorKind, StreamDoor } from '../../wire/doors/door.ts'
import type { Line } from '../../wire/doors/line.ts'
import type { Endpoint } from '../../wire/endpoint.ts'
import type { Port } from '../udp/listen.ts'

/** What a way says of itself. */
export interface WayEvents {
  /** A relayed side is latched here: whoever sends on it has proved itself. */
  readonly latched: () => void
  /** It is of no use any more. */
  readonly over: () => void
}

export class Way implements Port {
  readonly door: DoorKind & StreamDoor
  readonly local: Endpoint
  readonly source: Endpoint
  /** It is none of the UDP ports, so it has no place among them. */
  readonly row = -1
  readonly column = -1
  /** When something valid came last, on the clock of `performance.now`. */
  validMs = performance.now()
  #line: Line | undefined
  #isLatched = false
  readonly #events: WayEvents

  constructor(door: StreamDoor, { local, source }: { local: Endpoint; source: Endpoint }, events: WayEvents) {
    this.door = door
    this.local = local
    this.source = source
    this.#events = events
  }

  get isLatched(): boolean {
    return this.#isLatched
  }

  /** Nothing comes on it, or goes out, until its source dials again. */
  get isCut(): boolean {
    return this.#line === undefined
  }

  get line(): Line | undefined {
    return this.#line
  }

  /** The connection that it goes over from now on; an older one is closed. Undefined: it is cut. */
  goesOver(line: Line | undefined): void {
    const before = this.#line
    this.#line = line
    if (before !== line) before?.close()
  }

  /** What is sent while it is cut is lost, as it would be over UDP. */
  send(datagram: Uint8Array): void {
    this.#line?.send(datagram)
  }

  latched(): void {
    this.#isLatched = true
    this.#events.latched()
  }

  /** Who tries several doors at once may still prove itself here again, so it has the time of a stranger for that. */
  released(why: 'replaced' | 'over'): void {
    this.#isLatched = false
    this.validMs = performance.now()
    if (why === 'over' || !this.#line) this.#events.over()
  }
}
