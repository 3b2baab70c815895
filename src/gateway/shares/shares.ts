// Who gets how much of what is bounded. A certificate costs its maker some milliseconds and a connection costs nothing, so
// a bound for each of them is no bound at all. What does cost something is a network to send from. So whatever is taken is
// held by a network, and by a certificate or a caller where there is one, and each of these holders has a share.
//
//   taken so far:  0 ─────────────── 3/4 ─────────────── 9/10 ──────────── all
//                  whoever asks       whoever is below    whoever holds     nobody
//                                     its share           (almost) nothing
//
// Where nobody else wants the room, one holder may have nearly all of it. What was taken is never taken away again.

/** Kinds of holders, and who it is of each kind: `{ network: '203.0.113', certificate: 'AB:CD' }`. */
export type Holder = Readonly<Record<string, string>>

/** Who asks for something: a certificate, and the network that it came from. */
export type Asker = Readonly<{ network: string; certificate: string }>

/** A bound: a number, or what gives it where a reload of the configuration may change it. */
export type Bound = number | (() => number)

export const boundOf = (bound: Bound): number => (typeof bound === 'function' ? bound() : bound)

export interface SharesOptions {
  /** How much there is in all: entries, or whatever amounts are counted in. */
  readonly capacity: Bound
  /** What each holder may have although others are far above their shares; 2 if left out. */
  readonly least?: Bound
  /**
   * The part of the capacity above which no holder ever gets, even if nobody else wants it, or that part for some kinds of
   * holders; 1 if left out.
   */
  readonly most?: number | Readonly<Record<string, number>>
  /**
   * For rates: what was taken fades with this time constant, in milliseconds, so that `capacity` for each `fadeMs` is what can
   * be taken for long. If left out, it stays until it is given back.
   */
  readonly fadeMs?: number
  /** Milliseconds on any clock that does not go back; the process's own clock if left out. */
  readonly now?: () => number
}

/** From here on shares bind. */
const BINDING = 3 / 4

/** This part, as far as it is whole, is for holders that have next to nothing. */
const KEPT = 1 / 10

/** Holders of each kind that are remembered where what they took fades. More of them make the shares forgetful, never large. */
const HOLDERS = 10_000

/** Less than this is nothing: where it fades, it would never be nothing. */
const NOTHING = 1 / 2

/** How long who finds no room is told to wait, in milliseconds, where nothing fades. */
const RETRY_MS = 2000

export class Shares {
  /** How often there was no room. */
  refused = 0
  readonly #bound: Bound
  readonly #ofLeast: Bound
  readonly #mostOf: (kind: string) => number
  readonly #fadeMs: number
  readonly #now: () => number
  readonly #all: Level
  readonly #kinds = new Map<string, Map<string, Level>>()

  constructor({
    capacity,
    least = 2,
    most = 1,
    fadeMs = Number.POSITIVE_INFINITY,
    now = () => performance.now()
  }: SharesOptions) {
    this.#bound = capacity
    this.#ofLeast = least
    this.#mostOf = kind => (typeof most === 'number' ? most : (most[kind] ?? 1))
    this.#fadeMs = fadeMs
    this.#now = now
    this.#all = new Level(fadeMs)
  }

  /** How much there is in all. */
  get capacity(): number {
    return boundOf(this.#bound)
  }

  get #least(): number {
    return boundOf(this.#ofLeast)
  }

  /** What is taken now, by all. */
  get used(): number {
    return this.#all.at(this.#now())
  }

  /** What one holder of a kind has. */
  held(kind: string, who: string): number {
    return this.#kinds.get(kind)?.get(who)?.at(this.#now()) ?? 0
  }

  /** Takes an amount for a holder, and returns true, if there is room for it. */
  take(holder: Holder, amount = 1): boolean {
    if (!this.hasRoom(holder, amount)) {
      this.refused++
      return false
    }
    this.charge(holder, amount)
    return true
  }

  hasRoom(holder: Holder, amount = 1): boolean {
    return this.#isPlenty(holder, amount) || this.left(holder) >= amount
  }

  /** The first stretch of the picture above, where nearly everybody finds room. It is asked for each message of each peer. */
  #isPlenty(holder: Holder, amount: number): boolean {
    const capacity = this.capacity
    if (this.used + amount > capacity * BINDING) return false
    for (const kind in holder) {
      const most = Math.min(1, this.#mostOf(kind)) * capacity
      if (this.held(kind, holder[kind] as string) + amount > most) return false
    }
    return true
  }

  /** The most that a holder may take now. */
  left(holder: Holder): number {
    const used = this.used
    return Math.max(0, ...this.#bounds(holder).map(({ upTo, below }) => Math.min(upTo, below - used)))
  }

  /** Takes an amount whether there is room for it or not. */
  charge(holder: Holder, amount = 1): void {
    const nowMs = this.#now()
    this.#all.add(amount, nowMs)
    for (const [kind, who] of Object.entries(holder)) {
      const levels = this.#levels(kind)
      const level = levels.get(who) ?? new Level(this.#fadeMs)
      level.add(amount, nowMs)
      // At the end stands who took something last.
      levels.delete(who)
      if (level.at(nowMs) >= NOTHING) levels.set(who, level)
      this.#forget(levels, nowMs)
    }
  }

  /** Gives back what was taken. */
  giveBack(holder: Holder, amount = 1): void {
    this.charge(holder, -amount)
  }

  /**
   * After how many milliseconds a holder that found no room may ask again. It is different each time, so that all who were told
   * to wait do not come back at once.
   */
  retryMs(): number {
    const untilMs = Number.isFinite(this.#fadeMs) ? this.#fadeMs * (1 - BINDING) : RETRY_MS
    return Math.ceil(untilMs * (1 / 2 + Math.random()))
  }

  /** The three stretches of the picture above: how much a holder may still take in each, and where the stretch ends. */
  #bounds(holder: Holder): readonly { readonly upTo: number; readonly below: number }[] {
    const kinds = Object.entries(holder).map(([kind, who]) => ({
      own: this.held(kind, who),
      most: this.capacity * this.#mostOf(kind),
      holders: this.#holders(kind, who)
    }))
    // Of the kind of which there are fewest. Otherwise who makes many certificates would make everybody's shares small.
    const holders = Math.min(...kinds.map(kind => kind.holders))
    const upTo = (share: number) =>
      Math.min(Number.POSITIVE_INFINITY, ...kinds.map(({ own, most }) => Math.min(most, share) - own))
    return [
      { upTo: upTo(this.capacity), below: this.capacity * BINDING },
      { upTo: upTo(this.capacity / holders), below: this.capacity - Math.round(this.capacity * KEPT) },
      { upTo: upTo(this.#least), below: this.capacity }
    ]
  }

  /** How many holders of a kind there are, with this one. */
  #holders(kind: string, who: string): number {
    const levels = this.#levels(kind)
    this.#forget(levels, this.#now())
    return levels.size + (levels.has(who) ? 0 : 1)
  }

  #levels(kind: string): Map<string, Level> {
    const known = this.#kinds.get(kind)
    if (known) return known
    const levels = new Map<string, Level>()
    this.#kinds.set(kind, levels)
    return levels
  }

  /** Forgets holders that have nothing any more. */
  #forget(levels: Map<string, Level>, nowMs: number): void {
    if (!Number.isFinite(this.#fadeMs)) return
    for (const [who, level] of levels) {
      if (levels.size <= HOLDERS && level.at(nowMs) >= NOTHING) return
      levels.delete(who)
    }
  }
}

/** An amount that fades. */
class Level {
  readonly #fadeMs: number
  #amount = 0
  #atMs = 0

  constructor(fadeMs: number) {
    this.#fadeMs = fadeMs
  }

  at(nowMs: number): number {
    return this.#amount * Math.exp((this.#atMs - nowMs) / this.#fadeMs)
  }

  add(amount: number, nowMs: number): void {
    this.#amount = Math.max(0, this.at(nowMs) + amount)
    this.#atMs = nowMs
  }
}
