// How a punch loop goes over what it was ordered to probe: in which order, and how fast.
//
//   endpoints   the targets, then the guesses, each in the order given: a NAT that steps makes its mappings in this order
//   flows       each endpoint from every socket before the next endpoint
//   pace        all flows in one turn, or so many per second

import { setTimeout as sleep } from 'node:timers/promises'
import { TokenBucket } from '../../token-bucket.ts'
import type { Endpoint } from '../../wire/endpoint.ts'
import type { Effort } from '../../wire/order.ts'

export function endpointsOf({ targets, guesses = [] }: Effort): Endpoint[] {
  return [...targets, ...guesses.flatMap(({ address, ports }) => ports.map(port => ({ address, port })))]
}

/** Sockets may be added while it is under way, and have their turn from then on. */
export function* flowsOf<Socket>(
  endpoints: readonly Endpoint[],
  sockets: readonly Socket[]
): Generator<{ socket: Socket; to: Endpoint }> {
  for (const to of endpoints) for (const socket of sockets) yield { socket, to }
}

/** The interval at which a paced walk goes on, in milliseconds. At 1000 datagrams per second it sends four at a time. */
const TICK_MS = 4

/**
 * A walk that was held up because the process was busy catches up with at most this many milliseconds. More would be a flood.
 */
const CATCH_UP_MS = 20

/** The longest sleep, in milliseconds, because a timer cannot be set to more than 2^31. */
const LONGEST_MS = 60_000

/**
 * Each datagram takes a token, and `perSecond` tokens come in a second. Tokens that were not taken are kept, up to the number
 * that comes in 20 ms, and one more. So the walk keeps the rate on average by catching up after a late timer, and within any
 * t milliseconds at most perSecond × (t + 20) / 1000 + 1 datagrams leave.
 */
export class Pace {
  readonly #bucket: TokenBucket | undefined

  /** @param perSecond if left out, there is always a token */
  constructor(perSecond?: number) {
    if (perSecond !== undefined)
      this.#bucket = new TokenBucket({ perSecond, capacity: 1 + (CATCH_UP_MS * perSecond) / 1000, tokens: 1 })
  }

  take(): boolean {
    return this.#bucket?.take() ?? true
  }

  /** Resolves when tokens may have come. Throws what `signal` aborts with. */
  async refill(signal: AbortSignal): Promise<void> {
    const missingMs = this.#bucket?.untilMs() ?? 0
    await sleep(Math.min(LONGEST_MS, Math.max(TICK_MS, missingMs)), undefined, { signal })
  }
}
