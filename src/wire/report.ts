// The report on an order, by the side that obeyed it.

import { z } from 'zod'
import { endpoint, epochMs, ms, word } from './shapes.ts'

/** The most sources of the far side's datagrams that a report names. */
export const HEARD = 8

/** First and last, in milliseconds since the order arrived. */
const span = z.tuple([ms, ms])

/**
 * `steps` has the name of each step, and milliseconds since the order arrived. `sent` and `received` count datagrams. `flows`
 * counts the pairs of an own socket and a far endpoint that it sent to. An address-and-port-dependent NAT has made that many
 * mappings for the order. `held` counts datagrams that the peer's own bounds held back, and `sockets` is there if fewer could be
 * bound than were ordered.
 */
export const report = z.strictObject({
  /** When the order arrived, in milliseconds since the epoch on the peer's clock (see `clock`). */
  startedMs: epochMs.optional(),
  steps: z.array(z.tuple([word, ms])).max(32),
  sent: z.int().nonnegative(),
  received: z.int().nonnegative(),
  flows: z.int().nonnegative().optional(),
  held: z.int().nonnegative().optional(),
  sockets: z.int().positive().optional(),
  /** When datagrams of the search were sent and received; left out if there were none. */
  sentMs: span.optional(),
  receivedMs: span.optional(),
  /** The sources of the far side's datagrams that were heard first. */
  heard: z.array(endpoint).max(HEARD).optional()
})

export type Report = z.infer<typeof report>
