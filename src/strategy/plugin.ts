// The contract of a plugin: evidence in, plans out. A plugin does no I/O and knows no peer: it looks at a scene (two
// peers, what was observed of their NATs) and says what is worth trying, best first, or why it has nothing to offer.
//
//   made      a file's default export, or a built-in
//   checked   its defaults are its schema: the user's options are held against them (load.ts)
//   started   start(options, toolbox) once, when the gateway starts
//   asked     plan(scene) once for each connection whose turn comes to it
//   closed    close() once, when the gateway ends
//
// A plugin that throws passes its turn, and its error is in the trace. Types only: a plugin needs nothing from here to run.

import type { DurationText, RateText } from '../units.ts'
import type { Proposal } from './plan.ts'
import type { Scene } from './scene.ts'

/**
 * The options as documented to the user: each with its default. A default says which type is expected:
 * - `'200ms'` or `'4 Mbit/s'`: a duration or a rate with its unit; `start` is handed milliseconds or bits per second;
 * - a number, any other string, a boolean: the same;
 * - a list of these: a list whose items have the type of the first item, or are strings.
 *
 * Where the name ends in `Ms` or `bitsPerSecond` it says the unit, so that a plain number and a quantity are both taken.
 */
export type Defaults<Options> = {
  readonly [Name in keyof Options]: Options[Name] | (Options[Name] extends number ? DurationText | RateText : never)
}

export interface Plugin<Options extends object = object> {
  /** Stands in the YAML list, in logs and in spans: a short word in lower case. */
  readonly name: string
  /** Schema, type and documentation of the options at once; `{}` where there are none. */
  readonly defaults: Defaults<Options>
  /** True where it gets its turn even after the deadline of the strategies, and is cut short by nothing but the end. */
  readonly lastResort?: boolean
  /** Called once, with the user's options over the defaults. May throw: the gateway then does not start. */
  start(options: Options, toolbox: Toolbox): Planner | Promise<Planner>
}

export interface Planner {
  /**
   * Plans for one connection, best first, or passes with a reason; where a NAT's next port is to be predicted, asks for
   * fresh samples before a plan. Called once for a connection; asked for more only after what it yielded was tried, and the
   * scene may tell more by then. Ending without a plan passes as well.
   */
  plan(scene: Scene): Iterable<Proposal> | AsyncIterable<Proposal>
  /** Left out where there is nothing to give back. */
  close?(): void | Promise<void>
}

/** What a plugin is given at its start. */
export interface Toolbox {
  readonly log: { info(message: string): void; warn(message: string): void }
  /** Aborted when the gateway stops. */
  readonly signal: AbortSignal
}
