// Fifty sessions on a total that is worth ten of them, on two threads: forty that send all they may, fifteen of those by one holder, and
// ten that say little. What each holder gets, and how long those that say little wait.

import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { goal, percentile, summary } from '../means/figures.ts'
import { withRelay } from './line-rate.ts'
import type { Serving } from './serve.ts'

const [LARGE, OF_ONE, LITTLE] = [40, 15, 10]
const PER_SESSION = 4_000_000
/** A call's sound, and more. */
const LITTLE_RATE = 64_000
const [LARGE_BYTES, LITTLE_BYTES] = [1200, 160]
const SETTLE_MS = 2_000
const FOR_MS = 8_000
const serving: Serving = {
  ...{ engine: 'batch', threads: 2, port: 13_998, sessions: LARGE + LITTLE, callers: 20_000, callees: 30_000 },
  limits: { perSession: PER_SESSION, perPeer: PER_SESSION, total: 10 * PER_SESSION },
  ofOne: OF_ONE
}

export async function fairness(): Promise<void> {
  console.log(
    `\n${LARGE + LITTLE} sessions on a total worth 10 of them, two threads, ${OF_ONE} of one holder, ${LITTLE} of ${LITTLE_RATE / 1000} kbit/s`
  )
  const sessions = await Promise.all(Array.from({ length: LARGE + LITTLE }, (_, at) => Session.open(at)))
  await withRelay(serving, async () => {
    const sending = load(sessions)
    await sleep(SETTLE_MS)
    for (const session of sessions) session.begin()
    await sleep(FOR_MS)
    const heard = sessions.map(({ bytes }) => bytes)
    await sending
    const one = sum(heard.slice(0, OF_ONE))
    const holders = [one, ...heard.slice(OF_ONE, LARGE)]
    const mbits = (bytes: number) => (8 * bytes) / FOR_MS / 1000
    console.log(
      `  Mbit/s: all ${mbits(sum(heard)).toFixed(2)}, the one of ${OF_ONE} ${mbits(one).toFixed(2)}, each other ${mbits(Math.min(...holders.slice(1))).toFixed(2)} to ${mbits(Math.max(...holders.slice(1))).toFixed(2)}`
    )
    goal('Jain’s index over holders that send all they may', jain(holders), { atLeast: 0.97 })
    const little = sessions.slice(LARGE)
    const delays = little.flatMap(({ delaysMs }) => delaysMs)
    console.log(`  delay of those that say little: ${summary(delays)}`)
    goal('99th percentile of it, in ms', percentile(delays, 99), { atMost: 80 })
    goal('least part of it that came', Math.min(...little.map(({ bytes }) => mbits(bytes) * 1e6)) / LITTLE_RATE, {
      atLeast: 0.98
    })
  })
  for (const session of sessions) session.close()
}

const sum = (figures: readonly number[]) => figures.reduce((one, other) => one + other, 0)

/** Jain, Chiu, Hawe, DEC-TR-301, 1984: 1 where all have the same, 1/n where one has everything. */
const jain = (shares: readonly number[]) => sum(shares) ** 2 / (shares.length * sum(shares.map(share => share ** 2)))

class Session {
  bytes = 0
  readonly delaysMs: number[] = []
  readonly #caller: Socket
  readonly #callee: Socket
  readonly #payload: Buffer
  readonly #bytesPerMs: number
  #sent = 0

  private constructor(at: number, caller: Socket, callee: Socket) {
    const isLarge = at < LARGE
    this.#caller = caller
    this.#callee = callee
    this.#payload = Buffer.alloc(isLarge ? LARGE_BYTES : LITTLE_BYTES)
    this.#bytesPerMs = (isLarge ? PER_SESSION : LITTLE_RATE) / 8000
    callee.on('message', datagram => {
      this.bytes += datagram.length
      if (!isLarge) this.delaysMs.push(performance.now() - datagram.readDoubleBE(0))
    })
  }

  static async open(at: number): Promise<Session> {
    const bound = [serving.callers + at, serving.callees + at].map(async port => {
      const socket = createSocket({ type: 'udp4', recvBufferSize: 2 ** 20 })
      socket.bind(port, '127.0.0.1')
      await once(socket, 'listening')
      return socket
    })
    const [caller, callee] = (await Promise.all(bound)) as [Socket, Socket]
    return new Session(at, caller, callee)
  }

  /** Counts from now on. */
  begin(): void {
    this.bytes = 0
    this.delaysMs.length = 0
  }

  /** Sends what is due after so long. */
  send(sinceMs: number): void {
    for (; this.#sent < sinceMs * this.#bytesPerMs; this.#sent += this.#payload.length) {
      const datagram = Buffer.from(this.#payload)
      datagram.writeDoubleBE(performance.now(), 0)
      this.#caller.send(datagram, serving.port, '127.0.0.1')
    }
  }

  close(): void {
    this.#caller.close()
    this.#callee.close()
  }
}

/** A little longer than what is counted. */
async function load(sessions: readonly Session[]): Promise<void> {
  const startMs = performance.now()
  for (let sinceMs = 0; sinceMs < SETTLE_MS + FOR_MS + 500; ) {
    await sleep(1)
    sinceMs = performance.now() - startMs
    for (const session of sessions) session.send(sinceMs)
  }
}
