// The types of a plugin: evidence in, plans out. docs/plugins.md tells the contract, from the life of a plugin to what it must
// not do. Types only: a plugin needs nothing from here to run.

import type { DurationText, RateText } from '../units.ts'
import type { Proposal } from './plan.ts'
import type { Remedies } from './remedy.ts'
import type { Scene } from './scene.ts'

/**
 * The options as documented to the user: each with its default, which says what type is expected. A duration or a rate is
 * written with its unit; `start` gets milliseconds or bits per second. The table is in docs/plugins.md.
 */
export type Defaults<Options> = {
  readonly [Name in keyof Options]: Options[Name] | (Options[Name] extends number ? DurationText | RateText : never)
}

/** What a number may be, a duration in milliseconds, or a rate in bits per second: its least, its most, and whether it has to be whole. */
export interface OptionRange {
  readonly least: number
  readonly most: number
  readonly whole?: boolean
}

export interface Plugin<Options extends object = object> {
  /** The name in the YAML list, in logs and in spans: a short word in lower case. */
  readonly name: string
  /** Schema, type and documentation of the options at once; `{}` if there are none. */
  readonly defaults: Defaults<Options>
  /** What options may be whose default is a number, a duration or a rate. One that is left out may be any. */
  readonly ranges?: { readonly [Name in keyof Options]?: OptionRange }
  /** True if it gets its turn even after the deadline of the strategies. */
  readonly lastResort?: boolean
  /** For verdicts: the pairs that it is made for, and what to change if it tried one in vain. */
  readonly remedies?: Remedies
  /** Called once, with the user's options over the defaults. May throw: the gateway then does not start. */
  start(options: Options, toolbox: Toolbox): Planner | Promise<Planner>
}

export interface Planner {
  /** Proposals for one connection, best first. The next one is asked for only after the one before was tried. */
  plan(scene: Scene): Iterable<Proposal> | AsyncIterable<Proposal>
  /** Left out if there is nothing to give back. */
  close?(): void | Promise<void>
}

/** What a plugin is given at its start. */
export interface Toolbox {
  readonly log: { info(message: string): void; warn(message: string): void }
  /** Aborted when the gateway stops. */
  readonly signal: AbortSignal
}
