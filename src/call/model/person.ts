// One of the others in the call: the connection to it, what it says of itself, what comes from it, and how. It outlives its connection,
// since another one may follow.

import { batch, computed, effect, signal } from '@preact/signals'
import type { Connection } from '../../browser/connection.ts'
import type { Stream } from '../../browser/stream.ts'
import { asPosternError, type PosternError } from '../../errors.ts'
import type { GatewayNotice, PathReport } from '../../peer/connection/path.ts'
import { TokenBucket } from '../../token-bucket.ts'
import { strings } from '../words/strings.ts'
import type { Devices } from './devices.ts'
import { type Figures, figuresOf, type Look, type Stat } from './figures.ts'
import { Incoming, Outgoing } from './files.ts'
import { type Level, levelOf } from './level.ts'
import { FILES_OFFERED, LINES_BURST, LINES_PER_SECOND } from './limits.ts'
import { type About, LINES, type Line, Lines, lineText, parseLine } from './line.ts'
import { follow } from './sending.ts'

export type State = 'connecting' | 'connected' | 'lost' | 'failed'

export interface PersonHooks {
  readonly devices: Devices
  /** What this side says of itself. */
  readonly about: () => About
  readonly said: (person: Person, text: string) => void
  readonly offered: (person: Person, file: Incoming) => void
}

/** The stream on which the lines go. */
const LABEL = 'call'

const FIGURES_MS = 1000

const NOTHING: About = { name: '', microphone: true, picture: 'none' }

export class Person {
  /** The gateway's id for it. */
  readonly id: string
  /** By which it is called. */
  readonly address: string
  readonly state = signal<State>('connecting')
  readonly about = signal<About>(NOTHING)
  /** It has another version of the page. */
  readonly isOther = signal(false)
  readonly stream = signal<MediaStream | undefined>(undefined)
  readonly hasPicture = computed(() => this.#kinds.value.includes('video') && this.about.value.picture !== 'none')
  readonly path = signal<PathReport | undefined>(undefined)
  /** What the gateway says of that path: why it is relayed, and what the relay lets through. */
  readonly notice = signal<GatewayNotice | undefined>(undefined)
  readonly connection = signal<Connection | undefined>(undefined)
  /** Why there is no connection. */
  readonly error = signal<PosternError | undefined>(undefined)
  readonly figures = signal<Figures | undefined>(undefined)
  readonly rttMs = signal<number | undefined>(undefined)
  readonly speaks = signal(false)
  /** Too little passes for this side's picture. */
  readonly isPaused = signal(false)
  readonly name = computed(() => this.about.value.name || strings.call.nameless)
  readonly #hooks: PersonHooks
  readonly #kinds = signal<readonly string[]>([])
  readonly #offers = new Map<number, Outgoing>()
  readonly #incoming = new Map<number, Incoming>()
  /** Of its lines, however many streams and connections they come by. */
  readonly #pace = new TokenBucket({ perSecond: LINES_PER_SECOND, capacity: LINES_BURST })
  #say: ((line: Line) => void) | undefined
  #level: Level | undefined
  #count = 0

  constructor(id: string, address: string, hooks: PersonHooks) {
    this.id = id
    this.address = address
    this.#hooks = hooks
    effect(() => {
      const about = this.#hooks.about()
      this.#say?.({ type: 'about', v: LINES, ...about })
    })
  }

  /** A connection to it is there: in the turn in which it comes, its streams and tracks are taken. */
  attach(connection: Connection): void {
    const before = this.connection.peek()
    batch(() => {
      this.connection.value = connection
      this.path.value = connection.path
      this.notice.value = connection.notice
      this.error.value = undefined
      this.state.value = 'connected'
    })
    void before?.close()
    const isNow = () => this.connection.peek() === connection
    connection.on('path', ({ what }) => {
      if (!isNow()) return
      this.path.value = connection.path
      this.state.value = what === 'lost' ? 'lost' : 'connected'
    })
    connection.on('notice', notice => {
      if (isNow()) this.notice.value = notice
    })
    connection.on('track', track => {
      this.#takes(track.stream)
      track.on('end', () => isNow() && this.#takes(track.stream))
    })
    connection.serve(LABEL, stream => this.#converse(stream, connection))
    follow(connection, this.#hooks.devices, ({ picture }) => {
      if (isNow()) this.isPaused.value = !picture.isActive
    })
    this.#measure(connection)
    connection.closed.addEventListener('abort', () => isNow() && this.#lost(), { once: true })
    if (connection.role === 'caller') void this.#begin(connection)
  }

  /** No connection could be made; another one is tried later. */
  failed(thrown: unknown): void {
    if (this.connection.peek()) return
    batch(() => {
      this.error.value = asPosternError(thrown)
      this.state.value = 'failed'
    })
  }

  say(text: string): void {
    this.#say?.({ type: 'chat', text })
  }

  /** Undefined where it cannot be offered now. */
  offer(file: File): Outgoing | undefined {
    if (!this.#say || [...this.#offers.values()].filter(isOpen).length >= FILES_OFFERED) return undefined
    const id = this.#count++
    const outgoing = new Outgoing(file, () => this.#say?.({ type: 'withdraw', id }))
    this.#offers.set(id, outgoing)
    this.#say({ type: 'file', id, name: file.name, size: file.size })
    return outgoing
  }

  close(): void {
    void this.connection.peek()?.close()
  }

  async #begin(connection: Connection): Promise<void> {
    try {
      await this.#converse(await connection.open(LABEL), connection)
    } catch {
      // What the connection ends with is told elsewhere.
    }
  }

  /** Says and hears lines until the stream is over. The connection is of no use without it. */
  async #converse(stream: Stream, connection: Connection): Promise<void> {
    const writer = stream.writable.getWriter()
    const encoder = new TextEncoder()
    const say = (line: Line) => void writer.write(encoder.encode(lineText(line))).catch(() => {})
    this.#say = say
    say({ type: 'about', v: LINES, ...this.#hooks.about() })
    const lines = new Lines()
    try {
      // Not every browser iterates over a stream.
      const reader = stream.readable.getReader()
      for (let next = await reader.read(); !next.done; next = await reader.read())
        for (const text of lines.of(next.value)) if (this.#pace.take()) this.#heard(parseLine(text), connection)
    } finally {
      if (this.#say === say) this.#say = undefined
      void connection.close()
    }
  }

  #heard(line: Line | undefined, connection: Connection): void {
    switch (line?.type) {
      case 'about': {
        const { v, name, microphone, picture } = line
        this.isOther.value = v !== LINES
        this.about.value = { name, microphone, picture }
        return
      }
      case 'chat':
        return this.#hooks.said(this, line.text)
      case 'file':
        return this.#offered(line, connection)
      case 'take':
        return void this.#offers.get(line.id)?.send(connection, line.id)
      case 'refuse':
        return this.#offers.get(line.id)?.refused()
      case 'withdraw':
        return this.#incoming.get(line.id)?.lost()
    }
  }

  #offered({ id, ...file }: Extract<Line, { type: 'file' }>, connection: Connection): void {
    const open = [...this.#incoming.values()].filter(isOpen)
    if (this.#incoming.has(id) || open.length >= FILES_OFFERED) return this.#say?.({ type: 'refuse', id })
    const incoming = new Incoming({ id, ...file }, connection, {
      take: () => this.#say?.({ type: 'take', id }),
      refuse: () => this.#say?.({ type: 'refuse', id })
    })
    this.#incoming.set(id, incoming)
    this.#hooks.offered(this, incoming)
  }

  #takes(stream: MediaStream): void {
    const tracks = stream.getTracks()
    batch(() => {
      this.stream.value = stream
      this.#kinds.value = tracks.map(({ kind }) => kind)
    })
    this.#listen(stream)
    // On another path the browser's tracks are others.
    stream.onaddtrack = () => this.#listen(stream)
  }

  #listen(stream: MediaStream): void {
    this.#level?.stop()
    const [track] = stream.getAudioTracks()
    this.#level = track && levelOf(track)
    this.#level?.speaks.subscribe(speaks => {
      this.speaks.value = speaks
    })
  }

  #measure(connection: Connection): void {
    let before: Look | undefined
    const timer = setInterval(async () => {
      try {
        const [stats, rttMs] = await Promise.all([connection.stats(), connection.ping()])
        const look = { atMs: performance.now(), stats: [...(stats?.values() ?? [])] as Stat[] }
        if (before) this.figures.value = figuresOf(before, look)
        this.rttMs.value = rttMs
        before = look
      } catch {
        // It is on its way to another path, or over.
      }
    }, FIGURES_MS)
    connection.closed.addEventListener('abort', () => clearInterval(timer), { once: true })
  }

  #lost(): void {
    this.#level?.stop()
    for (const offer of this.#offers.values()) offer.lost()
    this.#offers.clear()
    this.#incoming.clear()
    batch(() => {
      this.connection.value = undefined
      this.path.value = undefined
      this.notice.value = undefined
      this.figures.value = undefined
      this.rttMs.value = undefined
      this.stream.value = undefined
      this.#kinds.value = []
      this.speaks.value = false
      this.state.value = 'connecting'
    })
  }
}

const isOpen = ({ state }: Incoming | Outgoing): boolean => ['offered', 'waits', 'moving'].includes(state.peek())
