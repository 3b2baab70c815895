// The rooms of a gateway. Whoever has joined by the token makes one, and leaves the public half of its entry key here (wire/room/keys.ts).
// Whoever has the link proves that, and is a guest of that room alone. What guests use is their maker's.
//
//   made ─► guests come and go ─► closed, made anew by its maker, or expired: whoever is there has to go

import { createPublicKey, generateKeyPairSync, type KeyObject, verify } from 'node:crypto'
import type { Logger } from 'pino'
import { idly, nowMs, type Timer } from '../../clock.ts'
import { PosternError } from '../../errors.ts'
import { troubleOf } from '../../state-file.ts'
import { fold } from '../../wire/name.ts'
import { type Entry, entryProof } from '../../wire/room/proof.ts'
import type { FromPeer, Message } from '../../wire/signal.ts'
import { Full, later } from '../peers/full.ts'
import { GUESSING_MS, type GuardedToken } from '../peers/guarded-token.ts'
import type { Joined } from '../peers/joined.ts'
import { Rate } from '../shares/rate.ts'
import { type Asker, Shares } from '../shares/shares.ts'
import { Room, type RoomOptions } from './room.ts'
import { type KeptRoom, RoomsFile } from './rooms-file.ts'

/** Knocks at one room within a minute: whoever has its link may not wear out those inside. */
const KNOCKS = 20
const MINUTE_MS = 60_000

/** Rooms that one certificate makes or closes within a minute: each time the file is written. */
const CHANGES = 30

const HOUR_MS = 3_600_000

export interface RoomsOptions {
  /** Most rooms at once. */
  readonly max: number
  /** How long a link is good at most, in hours. */
  readonly hours: number
  readonly log: Pick<Logger, 'warn'>
}

/** What a guest shows in the place of a token, and where it came from. */
export interface Knock extends Entry {
  /** In base64. */
  readonly proof: string
  /** The address that it came from. */
  readonly from: string
}

type Asked = Message<FromPeer, 'room'>

export class Rooms implements AsyncDisposable {
  /** Rooms that were made; those for which there was no room, or no disk. */
  readonly counters = { made: 0, refused: 0, unkept: 0 }
  readonly #options: RoomsOptions
  readonly #token: Pick<GuardedToken, 'judge'>
  readonly #shares: Shares
  /** By folded name. */
  readonly #all = new Map<string, { readonly room: Room; readonly expiry: Timer }>()
  readonly #knocks = new Rate(KNOCKS, MINUTE_MS)
  readonly #changes = new Rate(CHANGES, MINUTE_MS)
  /** Proofs for rooms that are not there take as long as others. */
  readonly #nobodys = generateKeyPairSync('ed25519').publicKey
  #file!: RoomsFile
  /** What is on disk from when the gateway began to stop. */
  #last: readonly KeptRoom[] | undefined

  private constructor(token: Pick<GuardedToken, 'judge'>, options: RoomsOptions) {
    this.#token = token
    this.#options = options
    this.#shares = new Shares({ capacity: () => options.max })
  }

  /**
   * Reads the rooms in `folder`. Throws `bad-config` where that cannot be used.
   * @param token counts what is shown wrongly, by network
   */
  static async open(folder: string, token: Pick<GuardedToken, 'judge'>, options: RoomsOptions): Promise<Rooms> {
    const rooms = new Rooms(token, options)
    const { file, before } = await RoomsFile.open(folder, () => rooms.#kept, options.log)
    rooms.#file = file
    for (const room of before.filter(({ expiresMs }) => expiresMs > nowMs()).slice(0, options.max)) rooms.#add(room)
    return rooms
  }

  get size(): number {
    return this.#all.size
  }

  /** Guests inside all rooms, and those that wait. */
  get guests(): { readonly inside: number; readonly waiting: number } {
    const rooms = [...this.#all.values()].map(({ room }) => room)
    const sum = (of: 'inside' | 'waiting') => rooms.reduce((count, room) => count + room[of], 0)
    return { inside: sum('inside'), waiting: sum('waiting') }
  }

  /**
   * Makes a room, or makes the maker's own anew, and gives when it expires, in milliseconds since the epoch. Rejects with `name-taken`,
   * `relay-full`, `bad-config` or `gateway-disk`.
   */
  async make({ account }: Joined, { name, entry, hours = this.#options.hours }: Asked): Promise<number> {
    if (this.#last) throw new PosternError('gateway-unreachable', 'the gateway is about to stop')
    this.#charge(account)
    const most = this.#options.hours
    if (hours > most) throw new PosternError('bad-config', `a room of this gateway is open for ${most} hours at most`)
    const before = this.#owned(name, account.certificate)
    if (!before && !this.#shares.hasRoom(account)) {
      this.counters.refused++
      throw new Full('rooms', `the gateway has no room for another room: ${this.size} of ${this.#options.max} are open`)
    }
    const made = { name, entry, maker: account, expiresMs: nowMs() + hours * HOUR_MS }
    if (before) this.#remove(before)
    const room = this.#add(made)
    await this.#write(() => {
      this.#remove(room)
      if (before) this.#add(before)
    })
    before?.close(new PosternError('no-room', 'this room was made anew; ask for its new link'))
    this.counters.made++
    return made.expiresMs
  }

  /** Closes a room of the peer's own. Rejects with `no-room` where it has none of this name, or with `gateway-disk`. */
  async close({ account }: Joined, name: string): Promise<void> {
    this.#charge(account)
    const room = this.#all.get(fold(name))?.room
    if (room?.maker.certificate !== account.certificate)
      throw new PosternError('no-room', `no open room called ${name} was made by this certificate`)
    this.#remove(room)
    await this.#write(() => this.#add(room))
    room.close(closed)
  }

  /**
   * The room whose secret a guest has proved to have, and where there is a place for it. Throws `no-room`, in the same words whatever is
   * wrong, or `room-full`.
   */
  knocked({ proof, from, ...entry }: Knock): Room {
    const room = this.#open(entry.room)
    const key = room ? keyOf(room.entry) : this.#nobodys
    const isRight = verify(null, entryProof(entry), key, Buffer.from(proof, 'base64')) && room !== undefined
    const found = this.#token.judge(isRight, from, true)
    if (found === 'limited')
      throw later('wrongTokens', 'too many links that are not good came from this network', GUESSING_MS, NO_ROOM)
    if (!isRight) throw new PosternError('no-room', notGood)
    room.checkPlace(entry.fingerprint)
    // Whoever was lost comes back as often as it has to.
    if (!room.isBack(entry.fingerprint) && !this.#knocks.admits(fold(room.name)))
      throw later('knocks', `${KNOCKS} have knocked at this room within a minute`, MINUTE_MS, { code: 'room-full' })
    return room
  }

  /** The gateway stops: whoever is inside now comes back when it starts again, though all links end before. */
  async stop(): Promise<void> {
    this.#last = this.#kept
    await this.#file.write().catch(() => {})
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { expiry } of this.#all.values()) clearTimeout(expiry)
    await this.#file.close()
  }

  get #kept(): readonly KeptRoom[] {
    return this.#last ?? [...this.#all.values()].map(({ room }) => keptOf(room))
  }

  #charge({ certificate }: Asker): void {
    if (this.#changes.admits(certificate)) return
    this.counters.refused++
    throw later('rooms', `this certificate has made or closed ${CHANGES} rooms within a minute`, MINUTE_MS)
  }

  /** The clock may have been set, or the host may have slept: timers are late then. */
  #open(name: string): Room | undefined {
    const room = this.#all.get(fold(name))?.room
    return room && room.expiresMs > nowMs() ? room : undefined
  }

  /** The room of this name, where this certificate made it. Throws `name-taken` where another one did. */
  #owned(name: string, certificate: string): Room | undefined {
    const room = this.#open(name)
    if (room && room.maker.certificate !== certificate)
      throw new PosternError(
        'name-taken',
        `a room called ${room.name} is open that another certificate made; choose another name`
      )
    return this.#all.get(fold(name))?.room
  }

  #add(made: Room | Omit<RoomOptions, 'onChange'>): Room {
    const room = made instanceof Room ? made : new Room({ ...made, onChange: () => this.#file.soon() })
    const expiry = idly(setTimeout(() => this.#expire(room), Math.max(0, room.expiresMs - nowMs())))
    this.#all.set(fold(room.name), { room, expiry })
    this.#shares.charge(room.maker)
    return room
  }

  #remove(room: Room): void {
    const held = this.#all.get(fold(room.name))
    if (held?.room !== room) return
    clearTimeout(held.expiry)
    this.#all.delete(fold(room.name))
    this.#shares.giveBack(room.maker)
  }

  #expire(room: Room): void {
    this.#remove(room)
    room.close(new PosternError('no-room', 'the link of this room has expired; ask for a new one'))
    // What is not written is dropped at the next start.
    this.#file.write().catch(() => {})
  }

  /** Throws `gateway-disk`, after what was changed is as it was before. */
  async #write(takeBack: () => void): Promise<void> {
    try {
      await this.#file.write()
    } catch (cause) {
      takeBack()
      this.counters.unkept++
      this.#options.log.warn(`rooms cannot be written: ${(cause as Error).message}`)
      throw new PosternError('gateway-disk', `the gateway cannot keep its rooms now: ${troubleOf(cause)}`, { cause })
    }
  }
}

const NO_ROOM = { code: 'no-room' } as const

const notGood = 'this link leads to no room: it is not whole, it has expired, or its room was closed; ask for a new one'

const closed = new PosternError('no-room', 'whoever made this room has closed it')

const keptOf = ({ name, entry, maker, expiresMs, back }: Room): KeptRoom => ({ name, entry, maker, expiresMs, back })

const keyOf = (entry: string): KeyObject =>
  createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: entry }, format: 'jwk' })
