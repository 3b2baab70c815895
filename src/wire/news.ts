// What a peer tells of a connection's path after the request that made it is over, so that the trace can say it. Only what is
// told is bounded here; the gateway believes none of it, and repeats it as what a side says.
//
//   lost      nothing comes through the path any more, and the streams wait
//   moved     the streams run over another path, and the old one had not been lost
//   resumed   the streams run over another path after one was lost
//   slept     this side did not run for a while, and goes on
//   network   this side has other addresses, or another default route
//   proved    packets of the size `mtu` pass in both directions of the first path; on later ones before they are used
//   narrow    another path was opened and left, since packets of that size do not pass
//   ended     the connection is over: a side has closed it, or nothing came of `lost` in time

import { z } from 'zod'
import { epochMs, ms, packetBytes, sentence, session, word } from './shapes.ts'

/** What a connection runs over: both sides reach each other, or their datagrams go through the relay. */
export const pathKinds = ['direct', 'relay'] as const

export const happenings = ['lost', 'moved', 'resumed', 'proved', 'narrow', 'slept', 'network', 'ended'] as const

/** How a side comes to the relay: by datagrams, or through a door where UDP is blocked; a later version may have others. */
const door = z.string().regex(/^[a-z][a-z0-9-]{0,15}$/)

export const news = z.strictObject({
  type: z.literal('news'),
  /** Of the request that made the connection, however often its path has changed since. */
  session,
  what: z.enum(happenings),
  /** Why, in one sentence: what was seen, or what closed it. */
  reason: sentence.optional(),
  /** Of the path that was lost, or that the streams run over now, or that they ran over at the end. */
  kind: z.enum(pathKinds).optional(),
  door: door.optional(),
  /** Who saw it: the side that tells (`here`), or the far one, which told this one (`there`); left out: `here`. */
  seen: z.enum(['here', 'there']).optional(),
  /**
   * `lost`: for how long nothing was heard. `moved`, `resumed`: how long no stream could send. `slept`: how long it did not run. In
   * milliseconds.
   */
  ms: ms.optional(),
  /** `lost`: how long before an answer was asked for, in milliseconds. */
  askedMs: ms.optional(),
  /** `moved`, `resumed`: for how long nothing had been heard on the path before, in milliseconds. */
  quietMs: ms.optional(),
  /** `resumed`: the path that was lost is heard again. */
  back: z.literal(true).optional(),
  /** Bytes of streams that were sent once more, by the side that tells. */
  resentBytes: z.int().nonnegative().optional(),
  /** The largest IP packet of that path, in bytes: one that passes, or with `lost` and `narrow` one that does not. */
  mtu: packetBytes.optional(),
  /** `ended`: the code of the error that it ended with. */
  code: word.optional(),
  /** When it happened, in milliseconds since the epoch on the peer's clock (see `clock`). */
  atMs: epochMs.optional()
})

export type News = z.infer<typeof news>
