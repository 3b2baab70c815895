// Whom a peer may ask for. A guest reaches those inside its room, once it is inside itself, and nobody else; whoever has joined by the
// token reaches no guest. To all others the answer is the one for a name that nobody has.

import type { FromPeer, Message } from '../../wire/signal.ts'
import { nobodyOf, notJoined } from '../peers/directory.ts'
import type { Member, Members } from '../peers/member.ts'

/** Rejects with `peer-offline`, `silent-peer` or `unknown-peer`. */
export async function calleeOf(
  caller: Member,
  { to, continues }: Pick<Message<FromPeer, 'connect'>, 'to' | 'continues'>,
  members: Members
): Promise<Member> {
  if (continues) {
    const callee = members.joined(continues.peer)
    if (reaches(caller, callee)) return callee
    throw notJoined()
  }
  if (!caller.room) return await members.find(to)
  const callee = caller.room.find(to)
  if (callee && reaches(caller, callee)) return callee
  throw nobodyOf(to)
}

const reaches = (caller: Member, callee: Member): boolean =>
  caller.room === callee.room && (caller.room === undefined || (caller.room.has(caller) && caller.room.has(callee)))
