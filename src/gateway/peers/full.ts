// The error when there is no room, with the bound that was reached.

import { type Code, PosternError } from '../../errors.ts'
import type { SideName } from '../../wire/side.ts'

/**
 *   sessions, relay     all that the gateway carries
 *   sessionsPerPeer     one peer's share of them; sessionsPerPair: the share of two peers together
 *   settingUp           what one peer sets up at once
 *   peers, strangers    peers that have joined, and connections that have not yet
 *   joinsPerCertificate how often one certificate may be joined
 *   judging             the time for judging networks and planning
 *   wrongTokens         how often one network may show a wrong join token
 *   tests               tests of networks, of one network within a minute or of all at once
 *   rooms               rooms for calls; knocks: how often guests come to one within a minute
 *   names               the table of names; namesPerCertificate: new ones of one certificate within an hour;
 *                       namesPerNetwork: a network's share of new ones
 */
export type Bound =
  | 'sessions'
  | 'sessionsPerPeer'
  | 'sessionsPerPair'
  | 'settingUp'
  | 'relay'
  | 'peers'
  | 'strangers'
  | 'joinsPerCertificate'
  | 'judging'
  | 'wrongTokens'
  | 'tests'
  | 'rooms'
  | 'knocks'
  | 'names'
  | 'namesPerCertificate'
  | 'namesPerNetwork'

export class Full extends PosternError {
  readonly bound: Bound
  /** The side whose share was reached, if it is the share of one side. */
  readonly side: SideName | undefined

  /** @param message one sentence for a person. */
  constructor(bound: Bound, message: string, { side, code = 'relay-full', retryMs }: FullOptions = {}) {
    super(code, message, { retryMs })
    this.bound = bound
    this.side = side
  }
}

export interface FullOptions {
  readonly side?: SideName
  readonly code?: Code
  readonly retryMs?: number
}

/** The error for somebody who has to wait, and need do nothing else. It says when to ask again. */
export const later = (bound: Bound, sentence: string, waitMs: number, more: FullOptions = {}): Full =>
  new Full(bound, `${sentence}; ask again in ${Math.ceil(waitMs / 1000)} s`, { ...more, retryMs: Math.ceil(waitMs) })
