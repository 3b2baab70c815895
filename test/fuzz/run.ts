// Runs one target: operation after operation, each timed, with a look at the memory now and then. What is thrown, what takes longer
// than a second, and memory that grows are faults. A fault is told with the seed and the number of its operation, by which it can
// be seen again.

import { setImmediate as turn } from 'node:timers/promises'
import { inspect } from 'node:util'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { Odd } from './odd.ts'
import { Random } from './random.ts'
import type { Subject, Target } from './target.ts'

/** An operation that takes longer is a hang. */
const HANG_MS = 1000

/** Bytes by which the heap may grow from the first look to the last. What is bounded may still be filling up. */
const GROWTH_BYTES = 16 * 2 ** 20

/** Sockets, timers and files by which the open ones may become more. */
const GROWTH_OPEN = 500

/** Looks at the memory, evenly over a target's time, or its operations. */
const LOOKS = 8

/** The first looks do not count: code is compiled, and tables fill up. */
const WARM_UP = 2

/** Operations in a row that nothing else gets a turn for, in milliseconds. */
const TURN_MS = 20

/** Characters of an input that are shown. */
const SHOWN = 2000

export interface Fault {
  readonly target: string
  readonly operation: number
  readonly what: string
  readonly input?: unknown
}

export interface Result {
  readonly target: string
  readonly operations: number
  readonly ms: number
  readonly slowestMs: number
  readonly slowest: number
  readonly grownBytes: number
  readonly faults: number
}

export interface RunSpec {
  readonly seed: number
  /** Milliseconds after which no operation begins. */
  readonly ms: number
  /** How many operations at most; as many as the time allows if left out. */
  readonly operations?: number
  /** The number of the first one; 0 if left out. */
  readonly first?: number
  readonly tell: (fault: Fault) => void
  /** Is told what is under way, so that somebody else may notice that it never ends; undefined: nothing is. */
  readonly begins?: (operation: number | undefined) => void
  readonly hangMs?: number
  readonly growthBytes?: number
}

export async function run(target: Target, spec: RunSpec): Promise<Result> {
  const odd = new Odd(spec.seed)
  const subject = await target.open(odd)
  const running = new Running(target, subject, spec)
  const stray = (error: unknown) => running.fails(error)
  process.on('uncaughtException', stray).on('unhandledRejection', stray)
  try {
    return await running.toEnd()
  } finally {
    await subject.close?.()
    await turn()
    process.off('uncaughtException', stray).off('unhandledRejection', stray)
  }
}

interface Look {
  readonly bytes: number
  readonly open: number
}

class Running {
  readonly #target: Target
  readonly #subject: Subject
  readonly #spec: RunSpec
  readonly #looks: Look[] = []
  /** What was spent when others had their last turn. */
  #turned = spentMs()
  #operation = 0
  #input: unknown
  #slowest = { ms: 0, operation: 0 }
  #faults = 0

  constructor(target: Target, subject: Subject, spec: RunSpec) {
    this.#target = target
    this.#subject = subject
    this.#spec = spec
    this.#operation = spec.first ?? 0
  }

  async toEnd(): Promise<Result> {
    const { ms, first = 0, operations = Number.POSITIVE_INFINITY, begins } = this.#spec
    const startMs = performance.now()
    let turnMs = startMs
    for (; this.#operation < first + operations; this.#operation++) {
      const nowMs = performance.now()
      if (nowMs - startMs > ms) break
      if (nowMs - turnMs > TURN_MS) {
        const part = Math.max((nowMs - startMs) / ms, (this.#operation - first) / operations)
        if (part > this.#looks.length / LOOKS) await this.#look()
        await turn()
        turnMs = performance.now()
        this.#turned = spentMs()
      }
      begins?.(this.#operation)
      const checked = this.#one()
      if (checked) await checked
    }
    begins?.(undefined)
    await this.#look()
    const grownBytes = this.#grown()
    return {
      target: this.#target.name,
      operations: this.#operation - first,
      ms: performance.now() - startMs,
      slowestMs: this.#slowest.ms,
      slowest: this.#slowest.operation,
      grownBytes,
      faults: this.#faults
    }
  }

  /** A fault of the operation that is under way, or of something that it left behind. */
  fails(error: unknown): void {
    this.#faults++
    const { operation, what, input } = { operation: this.#operation, what: whatOf(error), input: this.#input }
    this.#spec.tell({ target: this.#target.name, operation, what, input })
  }

  #one(): Promise<void> | undefined {
    this.#input = undefined
    let startMs = performance.now()
    try {
      this.#input = this.#subject.input(new Random(this.#spec.seed, this.#target.name, this.#operation))
      startMs = performance.now()
      const checked = this.#subject.check(this.#input)
      if (checked) return this.#later(checked, startMs)
    } catch (error) {
      this.fails(error)
    }
    this.#took(performance.now() - startMs)
    return undefined
  }

  async #later(checked: Promise<void>, startMs: number): Promise<void> {
    await checked.catch(error => this.fails(error))
    this.#took(performance.now() - startMs)
  }

  /** On a computer that has other things to do as well, an operation takes no longer than what is spent on it since the last turn. */
  #took(passedMs: number): void {
    const { hangMs = HANG_MS } = this.#spec
    const ms = passedMs < hangMs / 10 ? passedMs : Math.min(passedMs, spentMs() - this.#turned)
    if (ms > this.#slowest.ms) this.#slowest = { ms, operation: this.#operation }
    if (ms > hangMs) this.fails(new Error(`it took ${Math.round(ms)} ms`))
  }

  async #look(): Promise<void> {
    this.#input = undefined
    await this.#subject.rest?.()
    await turn()
    collect()
    const { heapUsed, external } = process.memoryUsage()
    this.#looks.push({ bytes: heapUsed + external, open: process.getActiveResourcesInfo().length })
  }

  #grown(): number {
    const { growthBytes = GROWTH_BYTES } = this.#spec
    const [first, last] = [this.#looks.at(Math.min(WARM_UP, this.#looks.length - 2)), this.#looks.at(-1)]
    const grown = (last?.bytes ?? 0) - (first?.bytes ?? 0)
    const more = (last?.open ?? 0) - (first?.open ?? 0)
    if (grown > growthBytes) this.fails(new Error(`the heap grew by ${Math.round(grown / 1024)} KiB`))
    if (more > GROWTH_OPEN) this.fails(new Error(`${more} more sockets, timers or files are open`))
    return grown
  }
}

/** Milliseconds that this thread has computed, or waited for something to happen; not those in which others had its processor. */
function spentMs(): number {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1000 + performance.eventLoopUtilization().idle
}

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

const whatOf = (error: unknown): string =>
  error instanceof Error
    ? error.name === 'AssertionError'
      ? error.message
      : (error.stack ?? String(error))
    : inspect(error)

/** How an input is told. */
export const shownInput = (input: unknown): string =>
  shown(inspect(input, { depth: 12, maxArrayLength: 20, maxStringLength: SHOWN, breakLength: 140 }))

/** A text in characters that any terminal shows, and not for ever. */
export function shown(text: string): string {
  const escaped = text.replace(/[^\n\x20-\x7e]/gu, one => `\\u{${one.codePointAt(0)?.toString(16)}}`)
  return escaped.length > SHOWN ? `${escaped.slice(0, SHOWN)} … ${escaped.length - SHOWN} more characters` : escaped
}
