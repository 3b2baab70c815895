// The shapes of fields that several messages have in common, and how text becomes a checked message.

import { z } from 'zod'
import { PosternError } from '../errors.ts'
import { nameShape } from './name.ts'
import { LEAST_PACKET_BYTES, PACKET_BYTES } from './packet-size.ts'
import { printable } from './text.ts'

export interface Address {
  readonly address: string
  readonly prefix: number
}

export const short = z.string().max(256)
export const address = z.union([z.ipv4(), z.ipv6()])
export const subnet = z.union([
  z.strictObject({ address: z.ipv4(), prefix: z.int().min(0).max(32) }),
  z.strictObject({ address: z.ipv6(), prefix: z.int().min(0).max(128) })
])
export const port = z.int().min(1).max(65535)
export const endpoint = z.strictObject({ address, port })
/** How the gateway calls a peer. It stands in each USERNAME, where there is room for 64 bytes. */
export const memberId = z.string().regex(/^[\w-]{1,32}$/)
export const session = z.string().regex(/^[0-9a-f]{16}$/)
export const trace = z.string().regex(/^[0-9a-f]{32}$/)
/** Its letters stand in a header and on a command line as they are. */
export const traceKey = z.string().regex(/^[A-Za-z0-9][\w-]{15,127}$/)
export const plan = z.int().nonnegative()
export const secret = z.base64().max(64)
/** The largest IP packet of a path, in bytes. */
export const packetBytes = z.int().min(LEAST_PACKET_BYTES).max(PACKET_BYTES)
export const ms = z.number().min(0).max(86_400_000)
export const epochMs = z.number().min(0).max(8.64e15)

/** Text for people. It is made printable, because it is shown on the terminals of others and in traces. */
export const words = (most: number) =>
  z
    .string()
    .max(most)
    .transform(text => printable(text, most))
export const word = words(256)
export const sentence = words(512)

export const name = z.string().regex(nameShape)
export const fingerprint = z.string().regex(/^[0-9A-F]{2}(?::[0-9A-F]{2}){31}$/)

/** The longest round trip to the gateway that is believed, in milliseconds. Others wait for a multiple of it. */
const RTT_MS = 3000

/** A round trip to the gateway, as a peer claims it. */
export const rttMs = ms.transform(claimedMs => Math.min(claimedMs, RTT_MS))

/** Few messages: schemas are walked. Many: code is made for them first, which takes a millisecond for each kind. */
export type Messages = 'few' | 'many'

/** Throws `bad-message` if it is none. */
export function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new PosternError('bad-message', 'a message is not JSON', { cause })
  }
}

/** Throws `bad-message` with the first thing that is wrong. */
export function checked<T>(schema: z.ZodType<T>, given: unknown, messages: Messages = 'many'): T {
  const result = schema.safeParse(given, { jitless: messages === 'few' })
  if (result.success) return result.data
  const issue = result.error.issues[0]
  throw new PosternError(
    'bad-message',
    printable(`a message is malformed at ${issue?.path.join('.') || 'its top'}: ${issue?.message}`)
  )
}
