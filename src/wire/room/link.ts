// The link of a room: where its gateway is, what it is called, and a secret that the gateway never has. Browsers send nothing of what
// stands behind the `#`.
//
//   https://postern.example.org/call/standup#nR1cT3bOqCcVbHAh0XW5Nw
//   └────── place.ts ─────────┘      └ name.ts └ 128 random bits in base64url: 22 characters

import { fromBase64Url, toBase64Url } from '../../bytes.ts'
import { PosternError } from '../../errors.ts'
import { nameShape } from '../name.ts'
import { placeOf } from '../place.ts'

export interface RoomLink {
  /** The place of the gateway. */
  readonly gateway: string
  readonly name: string
  /** In base64url. */
  readonly secret: string
}

/** The path of rooms on a gateway. */
export const CALL_PATH = '/call/'

const SECRET_BYTES = 16

/** A secret that nobody can guess. */
export const newSecret = (): string => toBase64Url(crypto.getRandomValues(new Uint8Array(SECRET_BYTES)))

export const formatRoomLink = ({ gateway, name, secret }: RoomLink): string => `${gateway}${CALL_PATH}${name}#${secret}`

/**
 * Throws `bad-config` where it is none. No sentence repeats what was given: most of it may be the secret.
 */
export function parseRoomLink(link: string): RoomLink {
  const url = URL.canParse(link) ? new URL(link) : undefined
  const [, above = '', name = ''] = /^(.*)\/call\/([^/]+)$/.exec(url?.pathname ?? '') ?? []
  const gateway = url && placeOf(`${url.origin}${above}`)
  if (!gateway || !nameShape.test(name))
    throw wrong('this is no link of a room; expected one such as https://postern.example.org/call/NAME#SECRET')
  const secret = url.hash.slice(1)
  if (!isSecret(secret))
    throw wrong('the end of this link is missing or was changed: 22 characters follow its #; copy all of it')
  return { gateway, name, secret }
}

const wrong = (sentence: string) => new PosternError('bad-config', sentence)

/** Of 22 characters the last one has two bits to spare, which are zero: a secret is written in one way only. */
const isSecret = (text: string): boolean => /^[\w-]{22}$/.test(text) && toBase64Url(fromBase64Url(text)) === text
