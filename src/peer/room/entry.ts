// By what a peer joins: the token of a gateway, or the link of a room.

import { PosternError } from '../../errors.ts'
import { roomKeys } from '../../wire/room/keys.ts'
import { parseRoomLink } from '../../wire/room/link.ts'
import { type Entry, entryProof } from '../../wire/room/proof.ts'
import { type Assure, Assuring } from './assuring.ts'

/** A room that a peer is a guest of. */
export interface RoomEntry {
  /** The place of its gateway. */
  readonly gateway: string
  readonly room: string
  /** Proves to have its secret: in base64. */
  prove(entry: Omit<Entry, 'room'>): Promise<string>
  /** Proves to another guest, and has it proved, that nobody stands between the two. */
  readonly assure: Assure
}

export interface Pass {
  readonly gateway?: string
  readonly token?: string | undefined
  readonly name?: string | undefined
  /** The link of a room, in the place of gateway, token and name. */
  readonly room?: string
}

/** Where to join, and by what. Throws `bad-config` where that is not said, or said twice. */
export async function entryOf({ gateway, token, name, room }: Pass): Promise<{ gateway: string; entry?: RoomEntry }> {
  if (room === undefined) {
    if (gateway !== undefined && token !== undefined) return { gateway }
    throw new PosternError('bad-config', 'a peer joins by a gateway and its token, or by the link of a room')
  }
  if (token !== undefined || name !== undefined)
    throw new PosternError('bad-config', 'a guest of a room has no token, and a name that the gateway makes up')
  const entry = await entryBy(room)
  return { gateway: gateway ?? entry.gateway, entry }
}

/** What a link is good for, in Node and in pages. Throws `bad-config` where it is none, or `unsupported`. */
export async function entryBy(link: string): Promise<RoomEntry> {
  const { gateway, name: room, secret } = parseRoomLink(link)
  const { members, sign } = await roomKeys({ name: room, secret })
  return {
    gateway,
    room,
    prove: entry => sign(entryProof({ room, ...entry })),
    assure: beginning => new Assuring(members, beginning)
  }
}
