// A mapping once it is granted, at an asker that answers what the test says, in a time that passes when the test says so.

import test from 'ava'
import { type Asker, type Grant, LIFETIME_S, type Refusal } from '../../../src/peer/router/asking.ts'
import { Epoch } from '../../../src/peer/router/epoch.ts'
import { Kept } from '../../../src/peer/router/kept.ts'
import { routerAt } from '../../../src/peer/router/router.ts'
import type { Endpoint } from '../../../src/wire/endpoint.ts'
import { FakeTime } from '../../gateway/relay/fake-time.ts'

const minute = 60_000
const at = (port: number, lifetimeS = LIFETIME_S): Grant => ({ external: { address: '203.0.113.9', port }, lifetimeS })
const no = (reason: Refusal['reason']): Refusal => ({ reason, text: reason })

class MadeAsker implements Asker {
  readonly protocol = 'pcp'
  answer: Grant | Refusal = at(5000)
  /** When it was asked, and given back. */
  readonly log: string[] = []
  /** When set, an asking waits for it. */
  held: PromiseWithResolvers<void> | undefined
  readonly #time: FakeTime

  constructor(time: FakeTime) {
    this.#time = time
  }

  async ask(): Promise<Grant | Refusal> {
    this.log.push(`ask ${this.#time.now() / 1000}`)
    await this.held?.promise
    return this.answer
  }

  async release(): Promise<void> {
    this.log.push('release')
  }
}

function keep(grant = at(5000)) {
  const time = new FakeTime()
  const asker = new MadeAsker(time)
  const router = routerAt('192.0.2.1')
  const mapping = new Kept(asker, router, 5000, grant, time)
  const changes: (number | undefined)[] = []
  mapping.onChange = (external: Endpoint | undefined) => changes.push(external?.port)
  /** Time passes in small steps, and what was asked for meanwhile is answered. */
  const pass = async (ms: number) => {
    for (let passed = 0; passed < ms; passed += 1000) {
      time.advance(1000)
      await settled()
    }
  }
  return { time, asker, router, mapping, changes, pass }
}

const settled = () => new Promise(resolve => setImmediate(resolve))

test('it is renewed after half its lifetime, again and again, and tells nothing while nothing changes', async t => {
  const { asker, mapping, changes, pass } = keep()
  await pass(35 * minute)
  t.deepEqual(asker.log, ['ask 600', 'ask 1200', 'ask 1800'])
  t.deepEqual(changes, [])
  t.is(mapping.external?.port, 5000)
})

test('a lifetime is believed from a minute up to what was asked for', async t => {
  for (const [lifetimeS, renewedS] of [
    [0, 30],
    [10, 30],
    [120, 60],
    [86_400, 600],
    [2 ** 32 - 1, 600]
  ] as const) {
    const { asker, pass } = keep(at(5000, lifetimeS))
    asker.answer = at(5000, lifetimeS)
    await pass(11 * minute)
    t.is(asker.log[0], `ask ${renewedS}`)
    t.is(asker.log.length, Math.floor(660 / renewedS), `${lifetimeS}`)
  }
})

test('another endpoint is told', async t => {
  const { asker, mapping, changes, pass } = keep()
  asker.answer = at(5001)
  await pass(10 * minute)
  t.deepEqual(changes, [5001])
  t.is(mapping.external?.port, 5001)
})

test('a router that is silent is asked more often until the time is over; then the mapping is lost, and may come back', async t => {
  const { asker, mapping, changes, pass } = keep()
  asker.answer = no('silent')
  await pass(19 * minute)
  t.deepEqual(asker.log, ['ask 600', 'ask 900', 'ask 1050', 'ask 1125'])
  t.is(mapping.external?.port, 5000)
  await pass(2 * minute)
  t.deepEqual(changes, [undefined])
  t.is(mapping.external, undefined)
  const asked = asker.log.length
  asker.answer = at(5000)
  await pass(10 * minute)
  t.is(asker.log.length, asked + 1)
  t.deepEqual(changes, [undefined, 5000])
})

test('what the router refuses to renew is lost at once', async t => {
  for (const reason of ['refused', 'carrier'] as const) {
    const { asker, changes, pass } = keep()
    asker.answer = no(reason)
    await pass(25 * minute)
    t.deepEqual(changes, [undefined])
    t.deepEqual(asker.log, ['ask 600', 'ask 1200'])
  }
})

test('whoever misses what should arrive has it asked for again, but not more often than every 30 seconds', async t => {
  const { mapping, asker, pass } = keep()
  mapping.renew()
  mapping.renew()
  await pass(29_000)
  t.deepEqual(asker.log, [])
  await pass(2000)
  t.deepEqual(asker.log, ['ask 30'])
  await pass(minute)
  mapping.renew()
  await pass(1000)
  t.deepEqual(asker.log, ['ask 30', 'ask 91'])
})

test('when the router has started anew, the port is asked for again', async t => {
  const { router, asker, pass } = keep()
  await pass(minute)
  router.epoch.dispatchEvent(new Event('restarted'))
  await pass(1000)
  t.deepEqual(asker.log, ['ask 60'])
})

test('closed, it asks for nothing any more, and gives back what was being asked for', async t => {
  const { router, asker, mapping, changes, time, pass } = keep()
  asker.held = Promise.withResolvers()
  await pass(10 * minute)
  const closing = Promise.all([mapping.close(), mapping.close()])
  await settled()
  t.deepEqual(asker.log, ['ask 600'])
  asker.held.resolve()
  await closing
  t.deepEqual(asker.log, ['ask 600', 'release'])
  mapping.renew()
  router.epoch.dispatchEvent(new Event('restarted'))
  await pass(30 * minute)
  t.deepEqual(asker.log, ['ask 600', 'release'])
  t.deepEqual(changes, [])
  t.is(time.alarms, 0)
})

test('the epoch tells a restart by RFC 6887 section 8.5, and not a clock that is a little off', t => {
  const story = (...told: readonly (readonly [atS: number, toldS: number])[]) => {
    let nowMs = 0
    let restarts = 0
    const epoch = new Epoch(() => nowMs)
    epoch.addEventListener('restarted', () => restarts++)
    for (const [atS, toldS] of told) {
      nowMs = atS * 1000
      epoch.told(toldS)
    }
    return restarts
  }
  t.is(story([0, 1000]), 0)
  t.is(story([0, 1000], [600, 1600], [1200, 2200]), 0)
  t.is(story([0, 1000], [0, 999]), 0, 'answers overtook each other')
  t.is(story([0, 1000], [600, 1565]), 0, 'slow by a sixteenth')
  t.is(story([0, 1000], [600, 1640]), 0, 'fast by a sixteenth')
  t.is(story([0, 1000], [600, 3]), 1)
  t.is(story([0, 10], [600, 300]), 1, 'it has started anew since, and counts more than before')
  t.is(story([0, 10], [60, 5000]), 1)
  t.is(story([0, 1000], [600, 3], [1200, 603]), 1, 'one restart is told once')
})
