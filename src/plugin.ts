// What a plugin imports: `import type { Plugin } from 'postern/plugin'`. It is the whole contract, including the scene that a
// planner is shown and the proposals that it may yield. It consists of types only, so a plugin needs no code of postern to
// run.

export type { Observation } from './nat/assignment.ts'
export type { Profile } from './nat/profile.ts'
export type { Cause, Pass, PassCause, Plan, Proposal, RelayLimits, Sampling } from './strategy/plan.ts'
export type { Defaults, OptionRange, Planner, Plugin, Toolbox } from './strategy/plugin.ts'
export type { Nat, Remedies } from './strategy/remedy.ts'
export type { Attempt, Outcomes, Scene, Side } from './strategy/scene.ts'
export type { DurationText, RateText } from './units.ts'
export type { Endpoint } from './wire/endpoint.ts'
export type { Order } from './wire/order.ts'
export type { Address } from './wire/shapes.ts'
export type { SideName } from './wire/side.ts'
export type { Outcome } from './wire/signal.ts'
