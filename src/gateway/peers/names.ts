// Names and the certificates they belong to. The first fingerprint that claims a name keeps it for good. A claim is granted
// when it is on disk (names-file.ts), nothing in the table is evicted, and a full one refuses new names. `forget` is the way
// out.
//
// `Bob` and `bob` are one name, which is shown as it was claimed first. A table of a former release may hold both: then each
// stays with its owner, letter by letter.

import { LRUCache } from 'lru-cache'
import type { Logger } from 'pino'
import { type Code, PosternError } from '../../errors.ts'
import { troubleOf } from '../../state-file.ts'
import { fold } from '../../wire/name.ts'
import { latest } from '../shares/latest.ts'
import { type Bound, boundOf, Shares } from '../shares/shares.ts'
import { Full } from './full.ts'
import { NamesFile, type Table } from './names-file.ts'

/** New names of one certificate within an hour: enough for whoever renames a computer, too few to fill the table. */
const NAMES_PER_HOUR = 16
const HOUR_MS = 3_600_000

/** Certificates whose claims are counted at once. Of more, those that claimed longest ago begin anew. */
const CERTIFICATES = 10_000

/** So much of the table is given out in a day; networks have shares of that. An attacker needs days, and others get names meanwhile. */
const A_DAY = 1 / 4
const DAY_MS = 24 * HOUR_MS

/** The last part of the table is for networks that have claimed less than this within a day. */
const LAST = { part: 1 / 10, claims: 2 } as const

/** Names written in two ways that the log has a line for. */
const TOLD_TWINS = 10

export interface NamesOptions {
  /** Most names in the table. */
  readonly max: Bound
  readonly log: Pick<Logger, 'warn'>
  /** A clock in milliseconds; the monotonic one if left out. */
  readonly now?: () => number
}

export class Names {
  /** Claims that found the table full, that were one too many of a certificate or a network, and changes that the disk did not take. */
  readonly counters = { full: 0, limited: 0, unkept: 0 }
  readonly #file: NamesFile
  readonly #table: Table
  readonly #bound: Bound
  readonly #log: Pick<Logger, 'warn'>
  readonly #now: () => number
  /** By a name in lower case, how it is written; more than one way only in a table of a former release. */
  readonly #spellings = new Map<string, string[]>()
  /** Claims that are not on disk yet. */
  readonly #pending = new Map<string, Promise<void>>()
  /** When a certificate claimed names of late, by its fingerprint. */
  readonly #recent = new LRUCache<string, number[]>(latest(CERTIFICATES))
  /** What networks have claimed of late. */
  readonly #shares: Shares
  #complained = false

  private constructor(file: NamesFile, table: Table, { max, log, now = () => performance.now() }: NamesOptions) {
    this.#file = file
    this.#table = table
    this.#bound = max
    this.#log = log
    this.#now = now
    this.#shares = new Shares({ capacity: () => Math.max(NAMES_PER_HOUR, this.#max * A_DAY), fadeMs: DAY_MS, now })
    for (const name of table.keys()) this.#spell(name)
  }

  get #max(): number {
    return boundOf(this.#bound)
  }

  /** Reads the table in `folder`. Throws `bad-config` where that cannot be used, `io` where the table is lost. */
  static async open(folder: string, options: NamesOptions): Promise<Names> {
    const { file, table } = await NamesFile.open(folder, options.log)
    const names = new Names(file, table, options)
    names.#tellTwins()
    return names
  }

  get size(): number {
    return this.#table.size
  }

  /**
   * Binds a name to a fingerprint at its first use, and resolves to the name as it is written once that is on disk. Rejects
   * with `name-taken`, with `relay-full` where this certificate or network has claimed too many, or with `gateway-disk`.
   * @param network where the claim came from
   */
  async claim(name: string, fingerprint: string, network: string): Promise<string> {
    const known = this.#owned(name, fingerprint)
    if (known !== undefined) {
      await this.#pending.get(known)
      return known
    }
    this.#charge(fingerprint, network)
    await this.#bind(name, fingerprint)
    return name
  }

  /** How a name is written that is known; undefined if it belongs to nobody. */
  spelling(name: string): string | undefined {
    return this.#table.has(name) ? name : this.#spellings.get(fold(name))?.[0]
  }

  list(): [name: string, fingerprint: string][] {
    return [...this.#table]
  }

  /** Frees a name. Resolves to how it was written; undefined if there was no such name. Rejects with `gateway-disk`. */
  async forget(name: string): Promise<string | undefined> {
    const known = this.spelling(name)
    if (known !== undefined) await this.#free([known])
    return known
  }

  /** Frees all names of a fingerprint, and resolves to them. Rejects with `gateway-disk`. */
  async forgetAllOf(fingerprint: string): Promise<string[]> {
    const names = this.list().flatMap(([name, owner]) => (owner === fingerprint ? [name] : []))
    if (names.length > 0) await this.#free(names)
    return names
  }

  /** Waits for what is being written. */
  close(): Promise<void> {
    return this.#file.close()
  }

  /** The name as its owner has it; undefined if it belongs to nobody. Throws `name-taken` if it belongs to another. */
  #owned(name: string, fingerprint: string): string | undefined {
    const spellings = this.#table.has(name) ? [name] : (this.#spellings.get(fold(name)) ?? [])
    const own = spellings.find(one => this.#table.get(one) === fingerprint)
    const [other] = spellings
    if (own !== undefined || other === undefined) return own
    const written = other === name ? '' : `, as ${other}`
    const remedy = `the gateway's operator can free it: postern names forget ${other}`
    throw new PosternError('name-taken', `the name ${name} belongs to another certificate${written}; ${remedy}`)
  }

  #charge(fingerprint: string, network: string): void {
    if (this.#table.size >= this.#max) {
      this.counters.full++
      throw full('names', `the gateway's table of ${this.#max} names is full and takes no new one`, 'name-taken')
    }
    const sinceMs = this.#now() - HOUR_MS
    const recent = (this.#recent.get(fingerprint) ?? []).filter(atMs => atMs > sinceMs)
    if (recent.length >= NAMES_PER_HOUR) {
      this.counters.limited++
      const bound = `this certificate has claimed ${NAMES_PER_HOUR} names within an hour and gets no more for now`
      throw full('namesPerCertificate', `${bound}; join under one of them`, 'relay-full')
    }
    const isScarce = this.#max - this.#table.size <= Math.round(this.#max * LAST.part)
    const isOver = isScarce && Math.round(this.#shares.held('network', network)) >= LAST.claims
    if (isOver || !this.#shares.hasRoom({ network })) {
      this.counters.limited++
      const bound = 'its network has claimed its share of names for now'
      throw full('namesPerNetwork', `${bound}; join under a name that you have, or ask the operator`, 'relay-full')
    }
    this.#shares.charge({ network })
    this.#recent.set(fingerprint, [...recent, this.#now()])
  }

  /** The name is taken at once, so that nobody else gets it meanwhile; it is free again if the disk does not take it. */
  async #bind(name: string, fingerprint: string): Promise<void> {
    this.#table.set(name, fingerprint)
    this.#spell(name)
    const written = this.#write([{ name, fingerprint }], 'keep the name')
    this.#pending.set(name, written)
    try {
      await written
    } catch (error) {
      this.#remove(name, fingerprint)
      throw error
    } finally {
      this.#pending.delete(name)
    }
  }

  async #free(names: readonly string[]): Promise<void> {
    const owners = names.map(name => [name, this.#table.get(name) ?? ''] as const)
    await this.#write(
      names.map(name => ({ name })),
      'forget the name'
    )
    for (const [name, fingerprint] of owners) this.#remove(name, fingerprint)
  }

  /** Throws `gateway-disk`. What a peer is told has no path of the gateway's; the log has it, once until it works again. */
  async #write(changes: Parameters<NamesFile['append']>[0], what: string): Promise<void> {
    try {
      await this.#file.append(changes)
      this.#complained = false
    } catch (cause) {
      this.counters.unkept++
      const remedy = 'who is known still joins, and nobody new under a name until that is mended'
      if (!this.#complained) this.#log.warn(`names cannot be written: ${(cause as Error).message}; ${remedy}`)
      this.#complained = true
      throw new PosternError('gateway-disk', `the gateway cannot ${what} now: ${troubleOf(cause)}`, { cause })
    }
  }

  #spell(name: string): void {
    const others = this.#spellings.get(fold(name)) ?? []
    if (!others.includes(name)) this.#spellings.set(fold(name), [...others, name])
  }

  /** Unless it belongs to somebody else by now. */
  #remove(name: string, fingerprint: string): void {
    if (this.#table.get(name) !== fingerprint) return
    this.#table.delete(name)
    const others = (this.#spellings.get(fold(name)) ?? []).filter(one => one !== name)
    if (others.length > 0) this.#spellings.set(fold(name), others)
    else this.#spellings.delete(fold(name))
  }

  #tellTwins(): void {
    const twins = [...this.#spellings.values()].filter(spellings => spellings.length > 1)
    for (const spellings of twins.slice(0, TOLD_TWINS)) {
      const remedy = `each stays with its owner as it is written; postern names forget ${spellings.at(-1)} leaves one`
      this.#log.warn(`${spellings.join(' and ')} are one name in this release and were two before: ${remedy}`)
    }
    if (twins.length > TOLD_TWINS)
      this.#log.warn(`the same holds for ${twins.length - TOLD_TWINS} other names: postern names list`)
  }
}

const full = (bound: Full['bound'], message: string, code: Code): Full => new Full(bound, message, { code })
