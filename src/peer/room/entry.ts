// By what a peer joins: the token of a gateway, or the link of a room.

import { PosternError } from '../../errors.ts'
import { type RoomKeys, roomKeys } from '../../wire/room/keys.ts'
import { parseRoomLink } from '../../wire/room/link.ts'
import { type Entry, entryProof } from '../../wire/room/proof.ts'

/** A room that a peer is a guest of. */
export interface RoomEntry {
  readonly room: string
  /** Proves to have its secret: in base64. */
  prove(entry: Omit<Entry, 'room'>): Promise<string>
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
  const link = parseRoomLink(room)
  const keys = await roomKeys(link)
  return { gateway: gateway ?? link.gateway, entry: { room: link.name, prove: proverOf(link.name, keys) } }
}

const proverOf =
  (room: string, { sign }: RoomKeys): RoomEntry['prove'] =>
  entry =>
    sign(entryProof({ room, ...entry }))
