// What is said of rooms by those who have joined: whoever has joined by the token makes rooms and closes them, and a guest decides who is
// let in.

import { nowMs } from '../../clock.ts'
import { asPosternError, PosternError } from '../../errors.ts'
import type { FromPeer, Message } from '../../wire/signal.ts'
import type { Joined } from '../peers/joined.ts'
import type { GuestRoom } from '../peers/member.ts'
import type { Desk } from './reception.ts'

type OfMaker = Message<FromPeer, 'room' | 'close-room'>

/** Answers with when the room expires, or refuses. Never throws. */
export async function serveMaker(peer: Joined, message: OfMaker, { rooms, url }: Desk): Promise<void> {
  const { request, name } = message
  try {
    if (!rooms) throw new PosternError('no-room', NO_ROOMS)
    if (message.type === 'close-room') {
      await rooms.close(peer, name)
      return peer.send({ type: 'room', request, name, expiresMs: nowMs() })
    }
    const expiresMs = await rooms.make(peer, message)
    peer.send({ type: 'room', request, name, expiresMs, ...(url === undefined ? {} : { url }) })
  } catch (thrown) {
    const { code, message: reason, retryMs } = asPosternError(thrown)
    peer.send({ type: 'refused', request, code, reason, ...(retryMs === undefined ? {} : { retryMs }) })
  }
}

/** True if a guest's message is answered by this. Throws `bad-message` for what no guest says. */
export function serveGuest(peer: Joined, room: GuestRoom, message: FromPeer): boolean {
  switch (message.type) {
    case 'admit':
      room.admit(peer, message.id)
      return true
    case 'turn-away':
      room.turnAway(peer, message.id)
      return true
    case 'nat':
    case 'room':
    case 'close-room':
      peer.send({ type: 'refused', request: message.request, code: 'no-room', reason: NOT_FOR_GUESTS })
      return true
    case 'claim':
    case 'proof':
    case 'unclaim':
      throw new PosternError('bad-message', 'a guest of a room claims no endpoints')
    default:
      return false
  }
}

export const NO_ROOMS = 'this gateway has no rooms; its operator can let it have some: call: { enabled: true }'

const NOT_FOR_GUESTS = 'a guest of a room can connect to others in it, and do nothing else; join by the token'
