// What is counted while peers are served. This file stands alone because programs see these counters (`Gateway.status`), and
// need no WebSocket for them.

export interface SignallingCounters {
  joined: number
  refused: number
  malformed: number
  /** How often the gateway stopped reading for a while from a peer that sent too much. */
  slowed: number
  /** Refused joins that are in no trace because there were too many. */
  unrecorded: number
}
