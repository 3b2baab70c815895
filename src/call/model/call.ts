// One call: the room, who is in it, and a connection to each of the others.
//
//   ready ─► entering ─► inside ─► over
//                └─► waiting ─┘
//
// Of two that are inside, the one with the lesser id calls, and calls again where that fails or what it had is lost for good. A person
// stays as long as it is in the room or a connection to it stands: while the gateway is away, nobody is told who is there.

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

const NOBODY: Roster = { isIn: false, inside: 0, members: [] }

export class Call {
  readonly room: string
  readonly phase = signal<Phase>({ at: 'ready' })
  readonly devices = new Devices()
  readonly chat = new Chat()
  readonly people = signal<readonly Person[]>([])
  readonly waiting = signal<readonly RoomMember[]>([])
  readonly isFull = computed(() => this.people.value.length + 1 >= INSIDE)
  /** The gateway cannot be reached now. */
  readonly isAway = signal(false)
  readonly #link: string
  #peer: Peer | undefined
  #roster = NOBODY
  /** Why the room is no more, where its call goes on. */
  #closed: PosternError | undefined
  /** Who is being called. */
  #calling = new Set<string>()
  #over = new AbortController()

  constructor(room: string, link: string) {
    this.room = room
    this.#link = link
    addEventListener('pagehide', () => this.devices.close())
  }

  /** Enters the room, or waits before it. */
  async enter(): Promise<void> {
    this.#over = new AbortController()
    this.#calling = new Set()
    this.#closed = undefined
    this.phase.value = { at: 'entering' }
    try {
      const room = await entryBy(this.#link)
      const peer = await join({
        room,
        keptIn: await databaseFor(room),
        relayOnly: settings.peek().relayOnly,
        accept: connection => this.#accept(connection),
        onRoster: roster => this.#told(roster),
        onState: state => {
          this.isAway.value = !state.joined
          if (!state.joined && state.final) this.#refused(state.error)
        },
        signal: this.#over.signal
      })
      this.#peer = peer
      if (this.#over.signal.aborted) await peer.close()
      else this.#told(this.#roster)
    } catch (thrown) {
      if (!this.#over.signal.aborted) this.#end(thrown)
    }
  }

  /** Shows the lobby once more. */
  again(): void {
    this.phase.value = { at: 'ready' }
  }

  async leave(): Promise<void> {
    this.phase.value = { at: 'over' }
    await this.#close()
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
    for (const person of this.people.peek()) person.say(text)
  }

  /** Offers a file to everybody. */
  offer(file: File): void {
    if (file.size > FILE_BYTES) return tell(strings.chat.tooLarge('1 GB'))
    const to = this.people.peek().flatMap(person => {
      const outgoing = person.offer(file)
      return outgoing ? [{ name: person.name.peek(), file: outgoing }] : []
    })
    if (to.length > 0) this.chat.add({ kind: 'sent', name: file.name, size: file.size, to })
  }

  /** Calls somebody at once that could not be reached. */
  retry(person: Person): void {
    void this.#call(person)
  }

  get #about(): About {
    const { screen, camera, microphone, isMicrophoneOn } = this.devices
    return {
      name: settings.value.name.trim(),
      microphone: isMicrophoneOn.value && microphone.value !== undefined,
      picture: screen.value ? 'screen' : camera.value ? 'camera' : 'none'
    }
  }

  #told(roster: Roster): void {
    this.#roster = roster
    const phase = this.phase.peek().at
    // The first roster may come before `join` has resolved.
    if (phase === 'over' || !this.#peer) return
    if (!roster.isIn) {
      this.phase.value = { at: 'waiting', inside: roster.inside }
      return
    }
    batch(() => {
      if (phase !== 'inside') this.phase.value = { at: 'inside' }
      this.waiting.value = roster.members.filter(({ isIn }) => !isIn)
      for (const { id, name } of this.#others) this.#person(id, name)
      this.#sweep()
    })
    for (const person of this.people.peek()) void this.#call(person)
  }

  get #others(): readonly RoomMember[] {
    return this.#roster.members.filter(({ isIn, name }) => isIn && name !== this.#peer?.name)
  }

  get #ownId(): string {
    return this.#roster.members.find(({ name }) => name === this.#peer?.name)?.id ?? ''
  }

  #person(id: string, address: string): Person {
    const known = this.people.peek().find(person => person.id === id && person.address === address)
    if (known) return known
    const person = new Person(id, address, {
      devices: this.devices,
      about: () => this.#about,
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
    for (const person of gone) if (person.about.peek().name) this.#event(strings.chat.went(person.name.peek()))
    this.people.value = this.people.peek().filter(person => !gone.includes(person))
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
    connection.closed.addEventListener(
      'abort',
      () => {
        if (this.#over.signal.aborted) return
        this.#sweep()
        if (this.#closed && this.people.peek().length === 0) return this.#end(this.#closed)
        if (this.people.peek().includes(person)) void this.#call(person)
      },
      { once: true }
    )
  }

  /** Calls somebody until there is a connection, or one of the two is in the room no more. */
  async #call(person: Person): Promise<void> {
    const calling = this.#calling
    if (calling.has(person.id) || this.#ownId >= person.id) return
    calling.add(person.id)
    const { signal } = this.#over
    for (let waitMs: number = AGAIN_MS.first; this.#isWanted(person); waitMs = Math.min(2 * waitMs, AGAIN_MS.most)) {
      try {
        const connection = await this.#peer?.connect({ name: person.address, signal })
        if (connection) this.#attach(person, connection)
      } catch (thrown) {
        if (signal.aborted) break
        person.failed(thrown)
        await new Promise(resolve => setTimeout(resolve, waitMs))
      }
    }
    calling.delete(person.id)
  }

  #isWanted(person: Person): boolean {
    const isThere = this.#others.some(({ id, name }) => id === person.id && name === person.address)
    return isThere && !person.connection.peek() && !this.#over.signal.aborted
  }

  /** The gateway has this guest no more. Connections that stand go on without it, and the call is over with the last of them. */
  #refused(error: PosternError): void {
    const isInCall = this.people.peek().some(({ connection }) => connection.peek())
    if (error.code !== 'no-room' || !isInCall) return this.#end(error)
    this.#closed = error
    this.#roster = NOBODY
    batch(() => {
      this.isAway.value = false
      this.waiting.value = []
      this.#sweep()
    })
    tell(strings.call.closed)
  }

  #end(thrown: unknown): void {
    const { code, message } = asPosternError(thrown)
    this.phase.value = { at: 'over', problem: problemOf(code), sentence: message }
    void this.#close()
  }

  async #close(): Promise<void> {
    this.#over.abort()
    this.devices.close()
    const peer = this.#peer
    this.#peer = undefined
    this.#roster = NOBODY
    batch(() => {
      this.people.value = []
      this.waiting.value = []
    })
    await peer?.close()
  }
}
