// Which door opens: they are tried in their order, each a moment after the one before, and the first that takes the proof is it. The
// relay has one way for a side, that which proved itself last. So where others were tried as well, the winner proves itself once more.
//
//   TCP ───────────── 250 ms ──┬── proved: it stays
//                              └── WebSocket ───────── proved: it stays, and TCP is closed

import { setTimeout as sleep } from 'node:timers/promises'
import { timeoutSignal } from '../../clock.ts'
import { messageOf, PosternError } from '../../errors.ts'
import { type Door, nameOf } from './door.ts'
import { DoorLine, type Proof } from './line.ts'

/** How long a door is tried alone, in milliseconds: a connection attempt delay (RFC 8305 section 5). */
const ALONE_MS = 250

/** How long a door is waited for, in milliseconds: a handshake of TCP, of TLS and of WebSocket, and a lost packet. */
const DOOR_MS = 3000

export interface Entered {
  readonly line: DoorLine
  /** Round trip to the gateway over it, in milliseconds. */
  readonly rttMs: number
}

/** Rejects with `udp-blocked` and what each door said, or with what `signal` aborts with. */
export async function enter(doors: readonly Door[], proof: Proof, signal: AbortSignal): Promise<Entered> {
  signal.throwIfAborted()
  const won = new AbortController()
  const over = AbortSignal.any([signal, won.signal])
  const tries: Promise<Entered>[] = []
  const begun: Door[] = []
  let before: Promise<unknown> = Promise.resolve()
  for (const [index, door] of doors.entries()) {
    const begin = index === 0 ? before : Promise.race([before, sleep(index * ALONE_MS, undefined, { signal: over })])
    const trying = begin
      .catch(() => {})
      .then(() => {
        over.throwIfAborted()
        begun.push(door)
        return tryDoor(door, proof, over)
      })
    before = trying.catch(() => {})
    tries.push(trying)
  }
  try {
    const entered = await Promise.any(tries)
    won.abort(new PosternError('timeout', 'another door was open first'))
    for (const trying of tries) void trying.then(({ line }) => line !== entered.line && line.close()).catch(() => {})
    if (begun.length > 1) await entered.line.prove(proof, signal)
    return entered
  } catch (error) {
    signal.throwIfAborted()
    won.abort(error)
    const said = error instanceof AggregateError ? error.errors.map(messageOf) : [messageOf(error)]
    throw new PosternError('udp-blocked', `no door of its relay opens: ${said.join(', ') || 'it has none'}`)
  }
}

async function tryDoor(door: Door, proof: Proof, signal: AbortSignal): Promise<Entered> {
  using late = timeoutSignal(DOOR_MS)
  const over = AbortSignal.any([signal, late])
  let line: DoorLine | undefined
  try {
    line = await DoorLine.dial(door, over)
    return { line, rttMs: await line.prove(proof, over) }
  } catch (error) {
    line?.close()
    signal.throwIfAborted()
    if (late.aborted) throw new PosternError('timeout', `${nameOf(door)} (no answer within ${DOOR_MS / 1000} s)`)
    throw error
  }
}
