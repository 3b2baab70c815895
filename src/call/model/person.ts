// One of the others in the call: the connection to it, what it says of itself, what comes from it, and how. It outlives its connection,
// since another one may follow.

import { batch, computed, effect, signal } from '@preact/signals'
import type { Connection } from '../../browser/connection.ts'
import { asPosternError, PosternError } from '../../errors.ts'
import type { GatewayNotice, PathReport } from '../../peer/connection/path.ts'
import { TokenBucket } from '../../token-bucket.ts'
import { strings } from '../words/strings.ts'
import type { Devices } from './devices.ts'
import { type Figures, figuresOf, type Look, type Stat } from './figures.ts'
import type { Incoming, Outgoing } from './files.ts'
import { type Level, levelOf } from './level.ts'
import { LINES_BURST, LINES_PER_SECOND } from './limits.ts'
import { type About, LINES } from './line.ts'
import { follow } from './sending.ts'
import { Talk } from './talk.ts'

export type State = 'connecting' | 'connected' | 'lost' | 'failed'

export interface PersonHooks {
  readonly devices: Devices
  /** What this side says of itself. */
  readonly about: () => About
  /** It has said for the first time who it is. */
  readonly came: (person: Person) => void
  readonly said: (person: Person, text: string) => void
  readonly offered: (person: Person, file: Incoming) => void
}

/** Between two looks at the figures, in milliseconds. */
const LOOK_MS = 1000

/** Whoever has not been connected with for so long counts as not to be reached, in milliseconds: the side that is called hears no reason. */
const PATIENCE_MS = 20_000

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
  readonly #pace = new TokenBucket({ perSecond: LINES_PER_SECOND, capacity: LINES_BURST })
  readonly #endTelling: () => void
  #talk: Talk | undefined
  #level: Level | undefined
  #heard: MediaStreamTrack | undefined
  #patience: ReturnType<typeof setTimeout> | undefined

  constructor(id: string, address: string, hooks: PersonHooks) {
    this.id = id
    this.address = address
    this.#hooks = hooks
    this.#endTelling = effect(() => {
      const about = this.#own
      this.#talk?.tell(about)
    })
    this.#wait()
  }

  /** A connection to it is there: in the turn in which it comes, its streams and tracks are taken. */
  attach(connection: Connection): void {
    const before = this.connection.peek()
    if (before) this.#detach()
    void before?.close()
    clearTimeout(this.#patience)
    batch(() => {
      this.connection.value = connection
      this.path.value = connection.path
      this.notice.value = connection.notice
      this.error.value = undefined
      this.state.value = 'connected'
    })
    const isNow = () => this.connection.peek() === connection
    connection.on('path', () => {
      if (!isNow()) return
      this.path.value = connection.path
      this.state.value = connection.isAdrift ? 'lost' : 'connected'
    })
    connection.on('notice', notice => {
      if (isNow()) this.notice.value = notice
    })
    connection.on('track', track => {
      const takes = () => isNow() && this.#takes(track.stream)
      takes()
      track.on('end', takes)
    })
    const { devices, said, offered } = this.#hooks
    this.#talk = new Talk(connection, {
      about: () => this.#own,
      pace: this.#pace,
      told: (about, version) => isNow() && this.#told(about, version),
      said: text => said(this, text),
      offered: file => offered(this, file)
    })
    follow(connection, devices, ({ picture }) => {
      if (isNow()) this.isPaused.value = !picture.isActive
    })
    this.#measure(connection)
    connection.closed.addEventListener('abort', () => isNow() && this.#lost(), { once: true })
  }

  /** No connection could be made; another one is tried later. */
  failed(thrown: unknown): void {
    if (this.connection.peek()) return
    clearTimeout(this.#patience)
    batch(() => {
      this.error.value = asPosternError(thrown)
      this.state.value = 'failed'
    })
  }

  /** False where it does not hear it now. */
  say(text: string): boolean {
    return this.#talk?.say(text) ?? false
  }

  /** Undefined where it cannot be offered now. */
  offer(file: File): Outgoing | undefined {
    return this.#talk?.offer(file)
  }

  /** It has said who it is. */
  get hasCome(): boolean {
    return this.about.peek() !== NOTHING
  }

  close(): void {
    void this.connection.peek()?.close()
  }

  /** It is in the call no more. */
  dispose(): void {
    clearTimeout(this.#patience)
    this.#endTelling()
    this.#level?.stop()
    this.close()
  }

  /** Whoever gets no picture for want of room is told that there is none, and does not look at the last one. */
  get #own(): About {
    const about = this.#hooks.about()
    return this.isPaused.value ? { ...about, picture: 'none' } : about
  }

  #told(about: About, version: number): void {
    const isFirst = !this.hasCome
    batch(() => {
      this.isOther.value = version !== LINES
      this.about.value = about
    })
    if (isFirst) this.#hooks.came(this)
  }

  #wait(): void {
    const late = new PosternError(
      'timeout',
      'no connection came about; it is tried again, and the other side has the reason'
    )
    this.#patience = setTimeout(() => this.failed(late), PATIENCE_MS)
  }

  #takes(stream: MediaStream): void {
    batch(() => {
      this.stream.value = stream
      this.#kinds.value = stream.getTracks().map(({ kind }) => kind)
    })
    this.#listen(stream)
  }

  /** On another path the browser's tracks are others, and no event tells of it. */
  #listen(stream: MediaStream | undefined): void {
    const [track] = stream?.getAudioTracks() ?? []
    if (track === this.#heard) return
    this.#heard = track
    this.#level?.stop()
    this.speaks.value = false
    this.#level = track && levelOf(track)
    this.#level?.speaks.subscribe(speaks => {
      this.speaks.value = speaks
    })
  }

  #measure(connection: Connection): void {
    let before: Look | undefined
    let isUnderWay = false
    const look = async () => {
      const [stats, rttMs] = await Promise.all([connection.stats(), connection.ping()])
      const now = { atMs: performance.now(), stats: [...(stats?.values() ?? [])] as Stat[] }
      if (before) this.figures.value = figuresOf(before, now)
      this.rttMs.value = rttMs
      before = now
    }
    const timer = setInterval(() => {
      this.#listen(this.stream.peek())
      if (isUnderWay) return
      isUnderWay = true
      // It may be on its way to another path, or over.
      look()
        .catch(() => {})
        .finally(() => {
          isUnderWay = false
        })
    }, LOOK_MS)
    connection.closed.addEventListener('abort', () => clearInterval(timer), { once: true })
  }

  #lost(): void {
    this.#detach()
    this.state.value = 'connecting'
    this.#wait()
  }

  /** What belonged to a connection is over with it. */
  #detach(): void {
    this.#talk = undefined
    this.#listen(undefined)
    batch(() => {
      this.connection.value = undefined
      this.path.value = undefined
      this.notice.value = undefined
      this.figures.value = undefined
      this.rttMs.value = undefined
      this.stream.value = undefined
      this.#kinds.value = []
      this.isPaused.value = false
    })
  }
}
