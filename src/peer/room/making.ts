// Makes a room: the secret is made up here, and the gateway is left with what shows whether somebody has it.

import { PosternError } from '../../errors.ts'
import { checkName } from '../../wire/name.ts'
import { placeOf } from '../../wire/place.ts'
import { roomKeys } from '../../wire/room/keys.ts'
import { formatRoomLink, newSecret } from '../../wire/room/link.ts'
import { MOST_HOURS } from '../../wire/room/places.ts'
import type { FromGateway, Message } from '../../wire/signal.ts'

export interface RoomOptions {
  /** For how long its link is good, in hours, which need not be whole; as long as the gateway has it if left out. */
  readonly hours?: number
}

export interface MadeRoom {
  /** Whoever has it may knock. */
  readonly link: string
  /** In milliseconds since the epoch. */
  readonly expiresMs: number
}

/** What is asked of the gateway. */
export interface RoomAsked {
  readonly name: string
  readonly entry: string
  readonly hours?: number
}

/**
 * @param place where this peer dialled the gateway
 * @param ask asks the gateway
 */
export async function makeRoom(
  name: string,
  { hours }: RoomOptions,
  place: string,
  ask: (asked: RoomAsked) => Promise<Message<FromGateway, 'room'>>
): Promise<MadeRoom> {
  checkName(name)
  if (hours !== undefined && !(hours > 0 && hours <= MOST_HOURS))
    throw new PosternError('bad-config', `a room is open for more than 0 hours, and for ${MOST_HOURS} at most`)
  const secret = newSecret()
  const keys = await roomKeys({ name, secret })
  const { expiresMs, url } = await ask({ name, entry: await keys.entry(), ...(hours === undefined ? {} : { hours }) })
  // Its operator knows by which URL others find it.
  const gateway = (url === undefined ? undefined : placeOf(url)) ?? place
  return { link: formatRoomLink({ gateway, name, secret }), expiresMs }
}
