// The processes the port models are measured against, and one trial: a simulated NAT is observed as the gateway would
// observe it, a model is fitted, and its first n candidates are weighed by the truth beside the best n there are.

import { fit, type Observation, type PortModel } from '../../src/nat/assignment.ts'
import * as allocators from './allocators.ts'
import { between, type Course, type Dice, dice, type Nat, nobody } from './allocators.ts'

export interface Process {
  readonly name: string
  make(roll: Dice): Nat
  /** Sockets observed before the fresh one, 5 to 20 seconds apart, as a warm socket's refreshes give them. */
  readonly earlier?: number
}

export const TRIES = [1, 3, 10, 30, 100, 1000] as const

export interface Score {
  readonly name: string
  /** By number of tries: what the model's candidates are worth, what the best are, and what the model says its own are. */
  readonly rows: readonly { readonly n: number; readonly model: number; readonly best: number; readonly said: number }[]
  /** Mappings that the simulated NATs made. */
  readonly made: number
}

/** Enough to tell a rate from the counts between them. */
const FEW = 6

const whole = { low: 1024, high: 65535 }

/** A counter somewhere in the range, far enough from its end. */
const amid = (roll: Dice, step: number): Course => ({
  ...whole,
  step,
  from: aligned(step, between(roll, 10_000, 50_000))
})
const aligned = (step: number, port: number) =>
  step > 0 ? port - ((port - whole.low) % step) : port + ((whole.high - port) % -step)

const steady = (step: number): Process => ({
  name: `step ${step > 0 ? '+' : ''}${step}`,
  make: roll => allocators.stepping(amid(roll, step), nobody)
})

const drifting = (step: number, perSecond: number): Process => ({
  name: `step ${step > 0 ? '+' : ''}${step}, ${perSecond}/s by others`,
  make: roll => allocators.stepping(amid(roll, step), allocators.poisson(roll, perSecond)),
  earlier: FEW
})

/** A range of the administrator's, and a counter so close to its end that it goes over it while it is observed. */
const wrapping = (step: number): Process => ({
  name: `step ${step > 0 ? '+' : ''}${step} over the end of a range`,
  make: roll => {
    const pace = Math.abs(step)
    const low = between(roll, 1024, 40_000)
    const high = low + pace * between(roll, 1000, Math.min(20_000, Math.floor((65535 - low) / pace))) - 1
    const before = between(roll, 2, 4) * pace
    const from =
      step > 0
        ? low + pace * Math.floor((high - low) / pace) - before + pace
        : high - pace * Math.floor((high - low) / pace) + before - pace
    return allocators.stepping({ low, high, step, from }, nobody)
  }
})

const block = (size: number): Process => ({
  name: `block of ${size}`,
  make: roll => {
    const low = size * between(roll, 1024 / Math.min(size, 1024), 65536 / size - 1)
    return allocators.scattered(roll, Math.max(1024, low), low + size - 1)
  }
})

export const processes: readonly Process[] = [
  { name: "kept, the socket's own", make: roll => allocators.kept(roll, true) },
  { name: 'kept, another', make: roll => allocators.kept(roll, false) },
  ...[1, -1, 2, -2, 7, -7].map(steady),
  drifting(1, 5),
  drifting(1, 20),
  drifting(1, 50),
  drifting(2, 20),
  drifting(-1, 20),
  {
    // A few counts cannot tell for certain whether others come singly or in bursts, so the best is Bayes's: see oneOf.
    name: 'step +1, 10/s by others, single or in bursts',
    make: roll => {
      const others = allocators.oneOf(roll, [allocators.poisson(roll, 10), allocators.bursts(roll, 2, 5)])
      return allocators.stepping(amid(roll, 1), others)
    },
    earlier: FEW
  },
  {
    // Nor do four mappings within two milliseconds tell a rate: from one in two seconds to 200 a second, in every
    // decade alike.
    name: 'step +1, a rate nobody knows',
    make: roll => {
      const rates = Array.from({ length: 40 }, (_, i) => 0.5 * 400 ** ((i + 0.5) / 40))
      const others = allocators.oneOf(
        roll,
        rates.map(rate => allocators.poisson(roll, rate))
      )
      return allocators.stepping(amid(roll, 1), others)
    }
  },
  ...[64, 128, 256, 512, 1024, 2048].map(block),
  // Where a block lies cannot be known from four ports either: see blockAnywhere.
  ...[64, 512, 2048].map(size => ({
    name: `block of ${size}, not aligned`,
    make: (roll: Dice) => allocators.blockAnywhere(roll, size)
  })),
  { name: 'random', make: roll => allocators.scattered(roll, 1024, 65535) },
  { name: 'random, ephemeral range', make: roll => allocators.scattered(roll, 32768, 60999) },
  {
    name: 'random in a band of 10,000',
    make: roll => {
      const low = between(roll, 1024, 55_000)
      return allocators.scattered(roll, low, low + 9999)
    }
  },
  {
    name: 'two addresses in turn',
    make: roll => allocators.pools(roll, [amid(roll, 1), amid(roll, 1)], true),
    // Where two of four swapped places on their way, nobody can tell who began; of eight, everybody can.
    earlier: 1
  },
  {
    // An address that was never seen cannot be guessed, hence an earlier socket: eight mappings miss one in 1 of 128.
    name: 'two addresses at random',
    make: roll => allocators.pools(roll, [amid(roll, 2), amid(roll, 2)], false),
    earlier: 1
  },
  {
    name: 'parity kept, 2.5/s by others on each',
    make: roll => {
      const [even, odd] = [amid(roll, 2), amid(roll, 2)]
      const others = () => allocators.poisson(roll, 2.5)
      return allocators.parityKeeping([even, { ...odd, low: 1025, from: odd.from + 1 }], [others(), others()])
    },
    earlier: FEW
  },
  ...[1, -1, 2, -2].map(wrapping),
  {
    name: 'step +1 up to 65535, on at 1024',
    make: roll => allocators.stepping({ ...whole, step: 1, from: 65535 - between(roll, 4, 6) }, nobody)
  }
]

/** Runs a process some times from a seed. */
export function measure(process: Process, trials: number, seed: number): Score {
  const roll = dice(seed)
  const totals = TRIES.map(n => ({ n, model: 0, best: 0, said: 0 }))
  let made = 0
  for (let trial = 0; trial < trials; trial++) {
    const nat = process.make(roll)
    const { observations, localPort } = observe(nat, process.earlier ?? 0, roll)
    const elapsedMs = between(roll, 50, 500)
    const worth = weigh(fit(observations), elapsedMs, nat.next(localPort, elapsedMs))
    for (const [i, total] of totals.entries()) {
      total.model += (worth[i]?.model ?? 0) / trials
      total.best += (worth[i]?.best ?? 0) / trials
      total.said += (worth[i]?.said ?? 0) / trials
    }
    made += nat.made
  }
  return { name: process.name, rows: totals, made }
}

function observe(nat: Nat, earlier: number, roll: Dice): { observations: Observation[]; localPort: number } {
  const observations: Observation[] = []
  let atMs = 1e6
  let localPort = 0
  for (let socket = 0; socket <= earlier; socket++) {
    if (socket > 0) {
      const pauseMs = between(roll, 5000, 20_000)
      nat.pass(pauseMs)
      atMs += pauseMs
    }
    localPort = between(roll, 1024, 65535)
    observations.push(...arrivals(nat, localPort, atMs, roll))
    atMs += 4 * SPACING_MS
  }
  return { observations, localPort }
}

const SPACING_MS = 0.3
const JITTER_MS = 0.4

/** Four requests sent one right after another, each with jitter, so that now and then two swap places; whole milliseconds. */
function arrivals(nat: Nat, localPort: number, startMs: number, roll: Dice): Observation[] {
  return Array.from({ length: 4 }, (_, i) => {
    const mapped = nat.map(localPort)
    nat.pass(SPACING_MS)
    return { ...mapped, localPort, at: startMs + i * SPACING_MS + roll() * JITTER_MS }
  })
    .sort((a, b) => a.at - b.at)
    .map(({ at, ...seen }) => ({ ...seen, atMs: Math.floor(at) }))
}

function weigh(model: PortModel, elapsedMs: number, truth: allocators.Truth) {
  const worth: number[] = []
  const said: number[] = []
  for (const candidate of model.candidates({ elapsedMs })) {
    worth.push((worth.at(-1) ?? 0) + truth.probability(candidate))
    said.push((said.at(-1) ?? 0) + candidate.probability)
    if (worth.length >= (TRIES.at(-1) ?? 0)) break
  }
  const best: number[] = []
  for (const chance of truth.best) best.push((best.at(-1) ?? 0) + chance)
  const upTo = (sums: readonly number[], n: number) => sums[Math.min(n, sums.length) - 1] ?? 0
  return TRIES.map(n => ({ model: upTo(worth, n), best: upTo(best, n), said: upTo(said, n) }))
}
