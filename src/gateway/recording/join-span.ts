// How a side came to the gateway. It is recorded only if that was shortly before the call, since its join is then a part of
// the wait.

import type { SideName } from '../../wire/side.ts'
import type { Member } from '../peers/member.ts'
import type { Beside } from './step.ts'

/** Longest time between a join and a call that belong together, in milliseconds: a command joins in order to call. */
const SHORTLY_MS = 10_000

/** @param calledMs when the caller called, in milliseconds since the epoch */
export function recordJoin(root: Beside, { side, peer, calledMs }: Joining): void {
  const { cameMs, helloMs, warmMs } = peer.arrival
  if (calledMs - helloMs > SHORTLY_MS) return
  const attributes = { 'postern.side': side, 'postern.peer': peer.name }
  const span = root.beginBeside('postern.join', attributes, cameMs)
  span.addEvent('hello', {}, helloMs)
  if (warmMs !== undefined) span.addEvent('warm', {}, warmMs)
  span.end(warmMs ?? helloMs)
}

interface Joining {
  readonly side: SideName
  readonly peer: Pick<Member, 'name' | 'arrival'>
  readonly calledMs: number
}
