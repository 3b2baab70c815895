// Simulated NATs that give every destination a port of its own, each with the truth about its next mapping: what somebody
// knows who knows the process, its parameters and its state, but not its dice. Seeded; times are simulated.

/** Numbers between 0 (inclusive) and 1 (exclusive), the same for the same seed (mulberry32). */
export type Dice = () => number

export function dice(seed: number): Dice {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

export const between = (roll: Dice, low: number, high: number) => low + Math.floor(roll() * (high - low + 1))

export interface Mapped {
  readonly address: string
  readonly port: number
}

/** The next mapping's distribution. */
export interface Truth {
  probability(mapped: { readonly address: string | undefined; readonly port: number }): number
  /** The probabilities of the likeliest endpoints, descending. */
  readonly best: readonly number[]
}

export interface Nat {
  /** A mapping for a new destination of the socket with this port. */
  map(localPort: number): Mapped
  /** Time passes; others behind the NAT make their mappings. */
  pass(ms: number): void
  /** The truth about the socket's next mapping, made some time from now. */
  next(localPort: number, ms: number): Truth
  /** Mappings made so far, by anybody. */
  readonly made: number
}

/** Mappings that others make. */
export interface Foreign {
  /** How many within some milliseconds. */
  draw(ms: number): number
  /** Probability of 0, 1, 2 … within some milliseconds. */
  chances(ms: number): number[]
}

export const nobody: Foreign = { draw: () => 0, chances: () => [1] }

/** Single flows that come independently of each other. */
export function poisson(roll: Dice, perSecond: number): Foreign {
  return bursts(roll, perSecond, 1)
}

/** Pages and clients that open several flows at once: bursts come independently, their sizes are geometric. */
export function bursts(roll: Dice, burstsPerSecond: number, meanSize: number): Foreign {
  const more = 1 - 1 / meanSize
  return {
    draw(ms) {
      let count = 0
      for (let t = wait(roll, burstsPerSecond); t < ms; t += wait(roll, burstsPerSecond)) {
        do count++
        while (roll() < more)
      }
      return count
    },
    chances: ms => polyaAeppli((burstsPerSecond * ms) / 1000, more)
  }
}

const wait = (roll: Dice, perSecond: number) => (-1000 * Math.log(1 - roll())) / perSecond

/** Poisson many bursts of geometric sizes; with `more` 0, Poisson itself (Johnson, Kotz, Kemp, "Univariate Discrete Distributions", 9.6). */
function polyaAeppli(mean: number, more: number): number[] {
  const chances = [Math.exp(-mean)]
  for (let n = 0, total = chances[0] ?? 0; total < 1 - 1e-9 && n < 5000; n++) {
    const [now, before] = [chances[n] ?? 0, chances[n - 1] ?? 0]
    const next = ((mean * (1 - more) + 2 * more * n) * now - more ** 2 * (n - 1) * before) / (n + 1)
    chances.push(next)
    total += next
  }
  return chances
}

/**
 * Others of one of several kinds, all alike likely, and nobody knows which. The chances are those of somebody who has seen
 * the counts so far and weighs the kinds by them (Bayes): the best there is with what can be observed.
 */
export function oneOf(roll: Dice, kinds: readonly Foreign[]): Foreign {
  const own = kinds[between(roll, 0, kinds.length - 1)] ?? nobody
  const weights = kinds.map(() => 1)
  return {
    draw(ms) {
      const count = own.draw(ms)
      for (const [i, kind] of kinds.entries()) weights[i] = (weights[i] ?? 0) * (kind.chances(ms)[count] ?? 0)
      return count
    },
    chances: ms =>
      average(
        kinds.map(kind => kind.chances(ms)),
        weights
      )
  }
}

function average(all: readonly (readonly number[])[], weights: readonly number[]): number[] {
  const length = Math.max(...all.map(one => one.length))
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  return Array.from({ length }, (_, k) =>
    all.reduce((sum, one, i) => sum + ((one[k] ?? 0) * (weights[i] ?? 0)) / total, 0)
  )
}

const HOME = '198.51.100.1'
const POOL = [HOME, '198.51.100.2'] as const
const MOST = 1000

/** The same port for every destination: the socket's own, or one drawn for it. */
export function kept(roll: Dice, preserving: boolean): Nat {
  const drawn = new Map<number, number>()
  const portOf = (localPort: number) => {
    const port = drawn.get(localPort) ?? (preserving ? localPort : between(roll, 1024, 65535))
    drawn.set(localPort, port)
    return port
  }
  return counted({
    map: localPort => ({ address: HOME, port: portOf(localPort) }),
    pass: () => 0,
    next: localPort => certainly({ address: HOME, port: portOf(localPort) })
  })
}

export interface Course {
  readonly low: number
  readonly high: number
  readonly step: number
  /** The port given before the first. */
  readonly from: number
}

/** One counter for all, that starts anew at the end of its range. */
export function stepping(course: Course, foreign: Foreign): Nat {
  let at = course.from
  return counted({
    map: () => {
      at = onward(course, at, 1)
      return { address: HOME, port: at }
    },
    pass: ms => {
      const others = foreign.draw(ms)
      at = onward(course, at, others)
      return others
    },
    next: (_, ms) =>
      spread(foreign.chances(ms).map((chance, k) => [{ address: HOME, port: onward(course, at, 1 + k) }, chance]))
  })
}

/** Two public addresses, each with a counter, used in turn or at random by everybody. */
export function pools(roll: Dice, courses: readonly [Course, Course], inTurn: boolean): Nat {
  const at = courses.map(({ from }) => from)
  let turn = 0
  const take = () => (inTurn ? turn++ % 2 : between(roll, 0, 1))
  const ahead = (index: number) => ({
    address: POOL[index] ?? HOME,
    port: onward(courses[index] ?? courses[0], at[index] ?? 0, 1)
  })
  return counted({
    map: () => {
      const index = take()
      const mapped = ahead(index)
      at[index] = mapped.port
      return mapped
    },
    pass: () => 0,
    next: () => (inTurn ? certainly(ahead(turn % 2)) : spread([0, 1].map(index => [ahead(index), 0.5])))
  })
}

/** A counter for the even ports and one for the odd, by the parity of the socket's port; others use both alike. */
export function parityKeeping(courses: readonly [Course, Course], foreign: readonly [Foreign, Foreign]): Nat {
  const halves = courses.map((course, parity) => stepping(course, foreign[parity] ?? nobody))
  const half = (localPort: number) => halves[localPort % 2] as Nat
  return {
    map: localPort => half(localPort).map(localPort),
    pass: ms => {
      for (const one of halves) one.pass(ms)
    },
    next: (localPort, ms) => half(localPort).next(localPort, ms),
    get made() {
      return halves.reduce((sum, one) => sum + one.made, 0)
    }
  }
}

/** Free ports of a range at random. */
export function scattered(roll: Dice, low: number, high: number): Nat {
  const used = new Set<number>()
  return counted({
    map: () => ({ address: HOME, port: draw(roll, low, high, used) }),
    pass: () => 0,
    next: () => {
      const chance = 1 / (high - low + 1 - used.size)
      return {
        probability: ({ port }) => (port >= low && port <= high && !used.has(port) ? chance : 0),
        best: new Array(Math.min(MOST, high - low + 1 - used.size)).fill(chance)
      }
    }
  })
}

/**
 * Free ports of a block that may lie anywhere. The truth here is told by somebody who knows its size and what was seen, but
 * not where it lies: from four ports nobody can tell. Every position that holds all ports seen is equally likely.
 */
export function blockAnywhere(roll: Dice, blockSize: number): Nat {
  const low = between(roll, 1024, 65536 - blockSize)
  const used = new Set<number>()
  const over = (port: number) => {
    const [first, last] = [Math.min(...used), Math.max(...used)]
    const positions = blockSize - (last - first)
    const missed = Math.max(0, first - port, port - last)
    return used.has(port) ? 0 : Math.max(0, positions - missed) / positions / (blockSize - used.size)
  }
  return counted({
    map: () => ({ address: HOME, port: draw(roll, low, low + blockSize - 1, used) }),
    pass: () => 0,
    next: () => {
      const from = Math.max(...used) - blockSize + 1
      const chances = Array.from({ length: 2 * blockSize }, (_, i) => over(from + i)).filter(chance => chance > 0)
      return { probability: ({ port }) => over(port), best: chances.sort((a, b) => b - a).slice(0, MOST) }
    }
  })
}

function draw(roll: Dice, low: number, high: number, used: Set<number>): number {
  for (;;) {
    const port = between(roll, low, high)
    if (used.has(port)) continue
    used.add(port)
    return port
  }
}

function onward({ low, high, step }: Course, from: number, count: number): number {
  const places = Math.floor((high - low) / Math.abs(step)) + 1
  const place = Math.round((step > 0 ? from - low : high - from) / Math.abs(step))
  const next = (place + count) % places
  return step > 0 ? low + next * step : high + next * step
}

const certainly = (mapped: Mapped): Truth => spread([[mapped, 1]])

function spread(chances: readonly (readonly [Mapped, number])[]): Truth {
  const byName = new Map<string, number>()
  for (const [mapped, chance] of chances) byName.set(nameOf(mapped), (byName.get(nameOf(mapped)) ?? 0) + chance)
  return {
    probability: mapped => byName.get(nameOf(mapped)) ?? 0,
    best: [...byName.values()].sort((a, b) => b - a).slice(0, MOST)
  }
}

const nameOf = ({ address, port }: { address: string | undefined; port: number }) => `${address} ${port}`

/** Counts the mappings of a process whose `pass` says how many others made. */
function counted(process: Pick<Nat, 'map' | 'next'> & { pass(ms: number): number }): Nat {
  let made = 0
  return {
    map(localPort) {
      made++
      return process.map(localPort)
    },
    pass(ms) {
      made += process.pass(ms)
    },
    next: process.next,
    get made() {
      return made
    }
  }
}
