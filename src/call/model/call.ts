// One call: the room, who is in it, and a connection to each of the others.
//
//   ready ─► entering ─► inside ─► over
//                └─► waiting ─┘
//
// Of two that are inside, the one with the lesser id calls, and calls again where that fails or what it had is lost for good. A person
// stays as long as it is in the room or a connection to it stands: while the gateway is away, nobody is told who is there. Whoever has a
// connection is in the call, whatever the gateway says.

import { batch, computed, signal } from '@preact/signals'
import type { Connection } from '../../browser/connection.ts'
import { join, type Peer } from '../../browser/peer.ts'
import { asPosternError, type PosternError } from '../../errors.ts'
import { entryBy } from '../../peer/room/entry.ts'
import type { RoomMember, Roster } from '../../peer/room/guest-room.ts'
import { INSIDE } from '../../wire/room/places.ts'
import { type Problem, strings } from '../words/strings.ts'
import { Chat } from './chat.ts'
import { Devices } from './devices.ts'
import { FILE_BYTES } from './limits.ts'
import type { About } from './line.ts'
import { problemOf } from './link.ts'
import { tell } from './notices.ts'
import { Person } from './person.ts'
import { settings } from './settings.ts'
import { databaseFor } from './who.ts'

export type Phase =
  | { readonly at: 'ready' | 'entering' | 'inside' }
  | { readonly at: 'waiting'; readonly inside: number }
  /** Left out: the person has left. */
  | { readonly at: 'over'; readonly problem?: Problem; readonly sentence?: string }

/** Between two tries to call somebody, at first and at most, in milliseconds. */
const AGAIN_MS = { first: 1000, most: 30_000 } as const

/** A connection that has stood for so long was a good one, in milliseconds. */
const GOOD_MS = 10_000

const NOBODY: Roster = { isIn: false, inside: 0, members: [] }

export class Call {
  readonly room: string
  readonly phase = signal<Phase>({ at: 'ready' })
  readonly devices = new Devices()
  readonly chat = new Chat()
  readonly people = signal<readonly Person[]>([])
  readonly waiting = signal<readonly RoomMember[]>([])
  /** The gateway lets nobody else in. */
  readonly isFull = computed(() => this.#roster.value.inside >= INSIDE)
  /** The gateway cannot be reached now. */
  readonly isAway = signal(false)
  /** The call goes on, and this side would have to be let in again to meet anybody else. */
  readonly isOutside = signal(false)
  readonly #link: string
  readonly #roster = signal(NOBODY)
  #peer: Peer | undefined
  /** Why the gateway has this guest no more, where the call goes on. */
  #refusal: PosternError | undefined
  #closing: Promise<unknown> = Promise.resolve()
  /** Who is being called, and what ends the wait before the next try. */
  #calling = new Map<string, () => void>()
  /** How long is waited before somebody is called again, in milliseconds. */
  readonly #againMs = new WeakMap<Person, number>()
  #over = new AbortController()

  constructor(room: string, link: string) {
    this.room = room
    this.#link = link
    addEventListener('pagehide', () => this.devices.close())
  }

  /** Enters the room, or waits before it. */
  async enter(): Promise<void> {
    this.phase.value = { at: 'entering' }
    this.#over = new AbortController()
    this.#calling = new Map()
    this.#refusal = undefined
    this.isAway.value = false
    this.isOutside.value = false
    const { signal } = this.#over
    /** What comes late of the one before is nothing to this call. */
    const whileOpen =
      <Given>(act: (given: Given) => void) =>
      (given: Given) => {
        if (!signal.aborted) act(given)
      }
    try {
      await this.#closing
      const room = await entryBy(this.#link)
      const peer = await join({
        room,
        keptIn: await databaseFor(room),
        relayOnly: settings.peek().relayOnly,
        accept: connection => (signal.aborted ? void connection.close() : this.#accept(connection)),
        onRoster: whileOpen(roster => this.#told(roster)),
        onState: whileOpen(state => {
          this.isAway.value = !state.joined && !state.final
          if (!state.joined && state.final) this.#refused(state.error)
        }),
        signal
      })
      if (signal.aborted) return await peer.close()
      this.#peer = peer
      this.#told(this.#roster.peek())
    } catch (thrown) {
      if (!signal.aborted) this.#end(thrown)
    }
  }

  /** Shows the lobby once more. */
  again(): void {
    this.phase.value = { at: 'ready' }
  }

  leave(): void {
    this.phase.value = { at: 'over' }
    this.#close()
  }

  admit({ id }: RoomMember): void {
    this.#peer?.admit(id)
  }

  turnAway({ id }: RoomMember): void {
    this.#peer?.turnAway(id)
  }

  /** Writes to everybody. */
  write(text: string): void {
    this.chat.add({ kind: 'text', from: undefined, text })
    const deaf = this.people.peek().filter(person => !person.say(text))
    if (deaf.length > 0) tell(strings.chat.unheard(deaf.map(({ name }) => name.peek()).join(', ')))
  }

  /** Offers a file to everybody. */
  offer(file: File): void {
    if (file.size > FILE_BYTES) return tell(strings.chat.tooLarge('1 GB'))
    const to = this.people.peek().flatMap(person => {
      const outgoing = person.offer(file)
      return outgoing ? [{ name: person.name.peek(), file: outgoing }] : []
    })
    if (to.length > 0) this.chat.add({ kind: 'sent', name: file.name, size: file.size, to })
    else tell(strings.chat.notOffered)
  }

  /** Whether this side is the one that calls. */
  calls(person: Person): boolean {
    return this.#ownId < person.id
  }

  /** Calls somebody at once that could not be reached. */
  retry(person: Person): void {
    const wake = this.#calling.get(person.id)
    if (wake) wake()
    else void this.#call(person)
  }

  get #about(): About {
    const { screen, camera, hears } = this.devices
    return {
      name: settings.value.name.trim(),
      microphone: hears.value,
      picture: screen.value ? 'screen' : camera.value ? 'camera' : 'none'
    }
  }

  #told(roster: Roster): void {
    this.#roster.value = roster
    // The first roster may come before `join` has resolved.
    if (!this.#peer) return
    if (!roster.isIn) return this.#shutOut(roster)
    batch(() => {
      if (this.phase.peek().at !== 'inside') this.phase.value = { at: 'inside' }
      this.isOutside.value = false
      this.waiting.value = roster.members.filter(({ isIn }) => !isIn)
      for (const { id, name } of this.#others) this.#person(id, name)
      this.#sweep()
    })
    for (const person of this.people.peek()) void this.#call(person)
  }

  /** It waits before the room: at first, or where it was away for too long. */
  #shutOut({ inside }: Roster): void {
    this.waiting.value = []
    if (this.#isInCall) this.isOutside.value = true
    else this.phase.value = { at: 'waiting', inside }
  }

  get #isInCall(): boolean {
    return this.people.peek().some(({ connection }) => connection.peek())
  }

  get #others(): readonly RoomMember[] {
    return this.#roster.peek().members.filter(({ isIn, name }) => isIn && name !== this.#peer?.name)
  }

  get #ownId(): string {
    return this.#roster.peek().members.find(({ name }) => name === this.#peer?.name)?.id ?? '~'
  }

  #person(id: string, address: string): Person {
    const known = this.people.peek().find(person => person.id === id && person.address === address)
    if (known) return known
    const person = new Person(id, address, {
      devices: this.devices,
      about: () => this.#about,
      came: one => this.#event(strings.chat.came(one.name.peek())),
      said: (from, text) => this.chat.add({ kind: 'text', from: from.name.peek(), text }),
      offered: (from, file) => this.chat.add({ kind: 'offered', from: from.name.peek(), file })
    })
    this.people.value = [...this.people.peek(), person]
    return person
  }

  /** Whoever is in the room no more, and to whom no connection stands, is gone. */
  #sweep(): void {
    const there = new Set(this.#others.map(({ id }) => id))
    const gone = this.people.peek().filter(({ id, connection }) => !there.has(id) && !connection.peek())
    if (gone.length === 0) return
    this.people.value = this.people.peek().filter(person => !gone.includes(person))
    for (const person of gone) {
      if (person.hasCome) this.#event(strings.chat.went(person.name.peek()))
      person.dispose()
    }
    if (this.#isInCall) return
    if (this.#refusal) this.#end(this.#refusal)
    else if (this.isOutside.peek()) this.#shutOut(this.#roster.peek())
  }

  #event(text: string): void {
    this.chat.add({ kind: 'event', text })
  }

  #accept(connection: Connection): void {
    const { id = '', name } = connection.peer
    this.#attach(this.#person(id, name), connection)
  }

  #attach(person: Person, connection: Connection): void {
    const { fingerprint } = connection.peer
    // The gateway has given it another id, where it has forgotten the one before.
    for (const other of this.people.peek())
      if (other !== person && other.connection.peek()?.peer.fingerprint === fingerprint) other.close()
    person.attach(connection)
    const sinceMs = performance.now()
    connection.closed.addEventListener(
      'abort',
      () => {
        this.#sweep()
        const isGood = performance.now() - sinceMs > GOOD_MS
        if (isGood) this.#againMs.delete(person)
        if (this.people.peek().includes(person)) void this.#call(person, isGood ? 0 : this.#nextMs(person))
      },
      { once: true }
    )
  }

  /** Calls somebody, after a while, until there is a connection, or one of the two is in the room no more. */
  async #call(person: Person, afterMs = 0): Promise<void> {
    const calling = this.#calling
    if (calling.has(person.id) || !this.calls(person)) return
    const { signal } = this.#over
    for (let waitMs = afterMs; ; waitMs = this.#nextMs(person)) {
      const { promise, resolve } = Promise.withResolvers<void>()
      calling.set(person.id, resolve)
      const timer = setTimeout(resolve, waitMs)
      await promise
      clearTimeout(timer)
      if (signal.aborted || !this.#isWanted(person)) break
      try {
        const connection = await this.#peer?.connect({ name: person.address, signal })
        // It may be over already.
        connection?.closed.throwIfAborted()
        if (connection) this.#attach(person, connection)
        break
      } catch (thrown) {
        if (signal.aborted) break
        person.failed(thrown)
      }
    }
    calling.delete(person.id)
  }

  #nextMs(person: Person): number {
    const waitMs = this.#againMs.get(person) ?? AGAIN_MS.first
    this.#againMs.set(person, Math.min(2 * waitMs, AGAIN_MS.most))
    return waitMs
  }

  #isWanted(person: Person): boolean {
    const isThere = this.#others.some(({ id, name }) => id === person.id && name === person.address)
    return isThere && !person.connection.peek()
  }

  /** The gateway has this guest no more. Connections that stand go on without it, and the call is over with the last of them. */
  #refused(error: PosternError): void {
    if (!this.#isInCall) return this.#end(error)
    this.#refusal = error
    tell(error.code === 'no-room' ? strings.call.closed : strings.call.refused)
    this.#roster.value = { ...NOBODY, isIn: true }
    this.waiting.value = []
    this.#sweep()
  }

  #end(thrown: unknown): void {
    const { code, message } = asPosternError(thrown)
    this.phase.value = { at: 'over', problem: problemOf(code), sentence: message }
    this.#close()
  }

  #close(): void {
    this.#over.abort()
    this.devices.close()
    const peer = this.#peer
    this.#peer = undefined
    for (const person of this.people.peek()) person.dispose()
    batch(() => {
      this.#roster.value = NOBODY
      this.people.value = []
      this.waiting.value = []
    })
    this.#closing = peer?.close() ?? Promise.resolve()
  }
}
