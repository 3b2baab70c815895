// What peers and the gateway say of rooms.
//
//   maker                              gateway
//    | --- room (name, entry key) -----> |
//    | <-- room (expires) -------------- |    or refused
//    | --- close-room -----------------> |    answered the same
//
//   guest                              gateway                              member
//    | --- hello (room, proof) --------> |
//    | <-- roster (waits) -------------- | --- roster (who is there) ------> |
//    |                                   | <-- admit | turn-away ----------- |
//    | <-- roster (who is there) ------- | --- roster ---------------------> |

import { z } from 'zod'
import { epochMs, memberId, name, word } from '../shapes.ts'
import { INSIDE, MOST_HOURS, WAITING } from './places.ts'

const request = z.int().nonnegative()

/** The public half of an entry key (keys.ts). */
export const entryKey = z.string().regex(/^[\w-]{43}$/)

/** In a hello, in the place of the token. */
export const entering = z.strictObject({
  name,
  /** Of `entryProof`, by the entry key. */
  proof: z.base64().max(128)
})

export const roomAsked = z.strictObject({
  type: z.literal('room'),
  request,
  name,
  entry: entryKey,
  /** For how long; left out: as long as the gateway has it. */
  hours: z.number().positive().max(MOST_HOURS).optional()
})

export const roomClosed = z.strictObject({ type: z.literal('close-room'), request, name })

const about = { id: memberId }
export const admit = z.strictObject({ type: z.literal('admit'), ...about })
export const turnAway = z.strictObject({ type: z.literal('turn-away'), ...about })

export const roomMade = z.strictObject({
  type: z.literal('room'),
  request,
  name,
  /** When its link is good no more, in milliseconds since the epoch. */
  expiresMs: epochMs,
  /** Where others find this gateway, if its operator has said so. */
  url: word.optional()
})

/** Whoever waits learns that it waits, and how many are inside. */
export const roster = z.strictObject({
  type: z.literal('roster'),
  room: name,
  /** Whether the one who hears this is inside. */
  isIn: z.boolean(),
  inside: z.int().min(0).max(INSIDE),
  /** Who is there, the one who hears this included. */
  members: z
    .array(z.strictObject({ id: memberId, name, isIn: z.boolean() }))
    .max(INSIDE + WAITING)
    .readonly()
})
