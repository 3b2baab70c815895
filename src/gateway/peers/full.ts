// No room: the error of whatever is bounded, with the bound that was reached.

import { type Code, PosternError } from '../../errors.ts'
import type { SideName } from '../../wire/side.ts'

/**
 *   sessions, relay     all that the gateway carries
 *   sessionsPerPeer     one peer's share of them; sessionsPerPair: that of two peers together
 *   peers, strangers    who has joined, and who is just about to
 *   joinsPerCertificate how often one certificate may be joined
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
  | 'names'

export class Full extends PosternError {
  readonly bound: Bound
  /** The side whose share it is, where it is one side's. */
  readonly side: SideName | undefined

  /** @param message one sentence for a person. */
  constructor(bound: Bound, message: string, { side, code = 'relay-full' }: { side?: SideName; code?: Code } = {}) {
    super(code, message)
    this.bound = bound
    this.side = side
  }
}
