// How far the clock of a peer is from ours.

/** As the peer measured it, in milliseconds. */
export interface Clock {
  /** The gateway's clock less the peer's. */
  readonly offsetMs: number
  /** Either way. */
  readonly uncertaintyMs: number
}
