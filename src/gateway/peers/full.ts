// The error when there is no room, with the bound that was reached.

import { type Code, PosternError } from '../../errors.ts'
import type { SideName } from '../../wire/side.ts'

/**
 *   sessions, relay     all that the gateway carries
 *   sessionsPerPeer     one peer's share of them; sessionsPerPair: the share of two peers together
 *   peers, strangers    peers that have joined, and those just about to
 *   joinsPerCertificate how often one certificate may be joined
 *   judging             the time for judging networks and planning
 *   names               the table of names
 */
export type Bound =
  | 'sessions'
  | 'sessionsPerPeer'
  | 'sessionsPerPair'
  | 'relay'
  | 'peers'
  | 'strangers'
  | 'joinsPerCertificate'
  | 'judging'
  | 'names'

export class Full extends PosternError {
  readonly bound: Bound
  /** The side whose share was reached, if it is the share of one side. */
  readonly side: SideName | undefined
  /** After how many milliseconds to ask again; undefined where waiting alone does not help. */
  readonly retryMs: number | undefined

  /** @param message one sentence for a person. */
  constructor(bound: Bound, message: string, { side, code = 'relay-full', retryMs }: FullOptions = {}) {
    super(code, message)
    this.bound = bound
    this.side = side
    this.retryMs = retryMs
  }
}

export interface FullOptions {
  readonly side?: SideName
  readonly code?: Code
  readonly retryMs?: number
}

/** What a `refused` message says about asking again. */
export const retryOf = (error: unknown): { retryMs?: number } =>
  error instanceof Full && error.retryMs !== undefined ? { retryMs: error.retryMs } : {}

/** The error for somebody who has to wait, and need do nothing else. It says when to ask again. */
export const later = (bound: Bound, sentence: string, waitMs: number, more: FullOptions = {}): Full =>
  new Full(bound, `${sentence}; ask again in ${Math.ceil(waitMs / 1000)} s`, { ...more, retryMs: Math.ceil(waitMs) })
