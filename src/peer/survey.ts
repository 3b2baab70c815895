// Finds out what a peer's network is like. Sockets that were never used show their mappings at the gateway one after the
// other. So the gateway sees how the NAT's ports move and how fast others use them up. Then it is asked for its judgement.
//
//   pause, show, pause, show … -> ask -> report; then all of them are closed

import { setTimeout as sleep } from 'node:timers/promises'
import { PosternError } from '../errors.ts'
import type { NatReport } from '../wire/nat-report.ts'
import type { Address } from '../wire/shapes.ts'
import type { FromPeer, Message } from '../wire/signal.ts'
import type { Interfaces } from './punch/interfaces.ts'
import { type Membership, WarmSocket } from './punch/warm.ts'

export interface NatOptions {
  /** How many sockets are shown, 1 to 16; 5 if left out. With more of them, steps are told from drift with more certainty. */
  readonly sockets?: number
  /** Called before each of them, with 1 for the first. */
  readonly onSocket?: (number: number) => void
  readonly signal?: AbortSignal
}

/**
 * If UDP is blocked, or has no IPv4 to go by, that is a finding like any other. `own` are the addresses of this host's
 * interfaces that the gateway was told, `deadPorts` local ports that were not answered, while others were.
 */
export type NatFindings =
  | {
      readonly udp: 'open'
      readonly own: readonly Address[]
      readonly deadPorts: readonly number[]
      readonly report: NatReport
    }
  | {
      readonly udp: 'blocked'
      readonly code: 'udp-blocked' | 'wrong-family'
      readonly own: readonly Address[]
      readonly reason: string
    }

/** The question, without the fields that make it a message. */
export type Question = Omit<Message<FromPeer, 'nat'>, 'type' | 'request'>

/** Enough sockets to show a step although mappings of others fall in between, in less than two seconds. */
export const SOCKETS = 5

/** The pause before each socket, in milliseconds: long enough for others' mappings to be counted, short enough to wait for. */
const PAUSE_MS = 300

/** How long the report is waited for, in milliseconds. The gateway itself waits 2 s for the test of the filter. */
const ANSWER_MS = 10_000

/**
 * Shows the sockets and asks the gateway. Throws what the gateway refuses with, `io`, `timeout`, or what `signal` aborts
 * with.
 */
export async function survey(
  membership: Membership,
  { sockets = SOCKETS, onSocket }: NatOptions,
  {
    interfaces,
    nextSocket,
    ask
  }: { interfaces: Interfaces; nextSocket: () => number; ask: (question: Question) => Promise<NatReport> },
  signal: AbortSignal
): Promise<NatFindings> {
  const own = await interfaces.told(membership.endpoints[0])
  const shown: WarmSocket[] = []
  const deadPorts: number[] = []
  const show = async () => {
    // The first socket waits as well, so that the mappings a peer makes when it joins are not taken for mappings of others.
    await sleep(PAUSE_MS, undefined, { signal })
    onSocket?.(shown.length + 1)
    const { candidate, dead } = await WarmSocket.open(nextSocket, membership, signal)
    shown.push(candidate)
    deadPorts.push(...dead.map(({ port }) => port))
  }
  try {
    while (shown.length < sockets) await show()
    return { udp: 'open', own, deadPorts, report: await ask(questionOf(shown, own)) }
  } catch (thrown) {
    signal.throwIfAborted()
    if (shown.length > 0 || !isBlocked(thrown)) throw thrown
    return { udp: 'blocked', code: thrown.code, own, reason: thrown.message }
  } finally {
    await Promise.all(shown.map(({ raw }) => raw.close()))
  }
}

/** The questions that were not answered yet. */
export class Questions<Answer> {
  readonly #asked = new Map<number, PromiseWithResolvers<Answer>>()
  readonly #what: string

  /** @param what the gateway is to do, as it stands in a sentence */
  constructor(what: string) {
    this.#what = what
  }

  /** Throws what the gateway refuses with, `gateway-unreachable`, `timeout`, or what `signal` aborts with. */
  async ask(
    message: FromPeer & { readonly request: number },
    send: (message: FromPeer) => boolean,
    signal: AbortSignal
  ): Promise<Answer> {
    const asked = Promise.withResolvers<Answer>()
    const late = new PosternError('timeout', `the gateway did not ${this.#what} within ${ANSWER_MS / 1000} s`)
    const timer = setTimeout(asked.reject, ANSWER_MS, late)
    const abort = () => asked.reject(signal.reason)
    signal.addEventListener('abort', abort)
    this.#asked.set(message.request, asked)
    try {
      signal.throwIfAborted()
      if (!send(message)) throw new PosternError('gateway-unreachable', 'the connection to the gateway is down')
      return await asked.promise
    } finally {
      clearTimeout(timer)
      signal.removeEventListener('abort', abort)
      this.#asked.delete(message.request)
    }
  }

  answer(request: number, answer: Answer): void {
    this.#asked.get(request)?.resolve(answer)
  }

  refuse(request: number, error: PosternError): void {
    this.#asked.get(request)?.reject(error)
  }
}

function questionOf(shown: readonly WarmSocket[], addresses: Address[]): Question {
  return {
    sockets: shown.map(({ number, port }) => ({ socket: number, port })),
    addresses,
    // The smallest round trip is the path's own; the others waited for something.
    rttMs: Math.min(...shown.map(({ rttMs }) => rttMs))
  }
}

type Blocked = PosternError & { readonly code: 'udp-blocked' | 'wrong-family' }

const isBlocked = (thrown: unknown): thrown is Blocked =>
  thrown instanceof PosternError && (thrown.code === 'udp-blocked' || thrown.code === 'wrong-family')
