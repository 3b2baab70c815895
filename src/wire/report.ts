// What came of an order, as the side that obeyed it tells.

import { z } from 'zod'
import { endpoint, epochMs, ms, word } from './shapes.ts'

/** Sources of the far side's datagrams that a report names. */
export const HEARD = 8

/** First and last, in milliseconds since the order arrived. */
const span = z.tuple([ms, ms])

/**
 * Milliseconds since the order arrived, by name of the step; datagram counts by name. `flows` counts pairs of an own
 * socket and a far endpoint that was sent to: so many mappings an address-and-port-dependent NAT has made for it.
 */
export const report = z.strictObject({
  /** When the order arrived, in milliseconds since the epoch on the peer's clock (see `clock`). */
  startedMs: epochMs.optional(),
  steps: z.array(z.tuple([word, ms])).max(32),
  sent: z.int().nonnegative(),
  received: z.int().nonnegative(),
  flows: z.int().nonnegative().optional(),
  /** When datagrams of the search were sent and received; left out where there was none. */
  sentMs: span.optional(),
  receivedMs: span.optional(),
  /** Sources of the far side's datagrams, the first ones heard. */
  heard: z.array(endpoint).max(HEARD).optional()
})

export type Report = z.infer<typeof report>
