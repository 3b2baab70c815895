// How a peer learns what the gateway's clock shows.

import test from 'ava'
import { nowMs } from '../../src/clock.ts'
import { type Clocks, Timekeeper } from '../../src/peer/timekeeper.ts'
import type { FromPeer, Message } from '../../src/wire/signal.ts'
import { endNative } from '../end-native.ts'
import { HandMade } from '../hand-made.ts'
import { until } from '../until.ts'
import { World } from '../world.ts'
import { HandMadeGateway } from './hand-made-gateway.ts'

test.after.always(endNative)

const hourMs = 3_600_000

test('a clock that is an hour ahead is told within the round trip, though its answers come late', async t => {
  const hands = new Hands()
  await using asked = new Asked(hands)
  const { at } = await asked.hears('ping')
  hands.advance(30)
  const timeMs = hands.nowMs() + hourMs
  hands.advance(10)
  asked.timekeeper.answer({ type: 'pong', at, timeMs })
  t.deepEqual(await asked.hears('clock'), { type: 'clock', offsetMs: hourMs + 10, uncertaintyMs: 20 })
})

test('of several answers the one with the smallest round trip is believed', async t => {
  const hands = new Hands()
  await using asked = new Asked(hands)
  const ways = [
    [60, 1],
    [1, 60],
    [4, 2],
    [30, 1],
    [1, 30]
  ] as const
  for (const [number, [thereMs, backMs]] of ways.entries()) {
    const { at } = await asked.hears('ping')
    hands.advance(thereMs)
    const timeMs = hands.nowMs() - hourMs
    hands.advance(backMs)
    asked.timekeeper.answer({ type: 'pong', at, timeMs })
    if (number === 0) await asked.hears('clock')
  }
  t.deepEqual(await asked.hears('clock'), { type: 'clock', offsetMs: 1 - hourMs, uncertaintyMs: 3 })
})

test('an answer that was not asked for is ignored, and so is a second one', async t => {
  await using asked = new Asked()
  asked.timekeeper.answer({ type: 'pong', at: 1, timeMs: 5 })
  const { at } = await asked.hears('ping')
  asked.timekeeper.answer({ type: 'pong', at: at + 1, timeMs: 5 })
  asked.timekeeper.answer({ type: 'pong', at, timeMs: nowMs() })
  asked.timekeeper.answer({ type: 'pong', at, timeMs: 5 })
  t.true(Math.abs((await asked.hears('clock')).offsetMs) < 1000)
  t.deepEqual(
    asked.said.splice(0).map(({ type }) => type),
    ['ping']
  )
})

test.serial(
  'a peer has joined and connects before its clock is known, and measures again when it joins again',
  async t => {
    await using gateway = await HandMadeGateway.open()
    const { peer, guest } = await gateway.join('ann')
    const first = await guest.heard('ping')
    peer.connect({ name: 'bob' }).catch(() => {})
    await guest.heard('connect')
    t.false(
      guest.said.some(({ type }) => type === 'clock'),
      'nothing was answered'
    )
    const again = await gateway.lose(guest)
    const { at } = await again.heard('ping')
    again.say({ type: 'pong', at: first.at, timeMs: 5 })
    again.say({ type: 'pong', at, timeMs: nowMs() + hourMs })
    const { offsetMs, uncertaintyMs } = await again.heard('clock')
    t.true(Math.abs(offsetMs - hourMs) <= uncertaintyMs)
  }
)

test.serial('the real gateway answers, and on one computer the offset is none', async t => {
  await using world = await World.open()
  const made = await HandMade.join(world.url, {
    identity: await world.identity('ann'),
    token: world.gateway.joinToken,
    name: 'ann'
  })
  await using asked = new Asked()
  for (let pings = 0; pings < 5; pings++) {
    made.say(await asked.hears('ping'))
    asked.timekeeper.answer(await made.hears('pong'))
  }
  for (let told = 0; told < 2; told++) t.true(isRight(await asked.hears('clock'), 0))
  await made.close()
})

/** Times since the epoch have a granularity of 0.2 µs. */
const isRight = ({ offsetMs, uncertaintyMs }: { offsetMs: number; uncertaintyMs: number }, trueMs: number): boolean =>
  Math.abs(offsetMs - trueMs) <= uncertaintyMs + 0.01

/** Clocks that go only when a test says so. */
class Hands implements Clocks {
  #elapsedMs = 0
  readonly nowMs = () => 1_700_000_000_000 + this.#elapsedMs
  readonly elapsedMs = () => this.#elapsedMs

  advance(ms: number): void {
    this.#elapsedMs += ms
  }
}

/** A timekeeper at work, and what it says. */
class Asked implements AsyncDisposable {
  readonly said: FromPeer[] = []
  readonly timekeeper: Timekeeper
  readonly #over = new AbortController()
  readonly #kept: Promise<void>

  constructor(clocks?: Clocks) {
    this.timekeeper = new Timekeeper(message => this.said.push(message), clocks)
    this.#kept = this.timekeeper.keep(this.#over.signal)
  }

  async hears<Type extends FromPeer['type']>(type: Type): Promise<Message<FromPeer, Type>> {
    const index = await until(() => {
      const at = this.said.findIndex(message => message.type === type)
      return at >= 0 && { at }
    })
    return this.said.splice(index.at, 1)[0] as Message<FromPeer, Type>
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#over.abort(new Error('the test is over'))
    await this.#kept
  }
}
