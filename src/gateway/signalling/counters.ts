// What is counted while peers are served. It stands alone since programs see it (`Gateway.status`), and need no WebSocket for it.

export interface SignallingCounters {
  joined: number
  refused: number
  malformed: number
  /** Times a peer that said too much was not read from for a while. */
  slowed: number
  /** Refused joins that are in no trace, for there were too many. */
  unrecorded: number
}
