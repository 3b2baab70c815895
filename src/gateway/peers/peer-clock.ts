// How far the clock of a peer is from ours.

/** As the peer measured it, in milliseconds. */
export interface Clock {
  /** The gateway's clock minus the peer's. */
  readonly offsetMs: number
  /** How far the offset may be wrong, either way. */
  readonly uncertaintyMs: number
}
