// The punch loop against far sides made by hand. What it sent is counted where it arrives.

import { setImmediate as turn } from 'node:timers/promises'
import test from 'ava'
import { Allowance, KEPT } from '../../../src/peer/punch/allowance.ts'
import { Diary } from '../../../src/peer/punch/diary.ts'
import { answer, probe } from '../../../src/peer/punch/packets.ts'
import { findPath, type Punch } from '../../../src/peer/punch/probe.ts'
import { RawSocket } from '../../../src/peer/punch/raw.ts'
import type { Endpoint } from '../../../src/wire/endpoint.ts'
import type { Effort, Handover } from '../../../src/wire/order.ts'
import { transactionId } from '../../../src/wire/stun.ts'
import { until } from '../../until.ts'
import { Far, handovers, openSockets, probeKey } from '../far.ts'

test.serial('what was ordered is walked over endpoint by endpoint, each from every socket', async t => {
  await using world = await Ordered.open()
  const { far } = world
  const again = { address: '127.0.0.1', ports: [far.endpoint.port, far.endpoint.port] }
  world.punch('passive', { targets: [far.endpoint], guesses: [again], sockets: 3 })
  const ports = (await far.has(9)).slice(0, 9).map(({ from }) => from.port)
  t.is(ports[0], world.raw.port, 'the socket that was ordered is the first')
  t.is(new Set(ports.slice(0, 3)).size, 3)
  t.deepEqual(ports, [...ports.slice(0, 3), ...ports.slice(0, 3), ...ports.slice(0, 3)])
})

test.serial('targets come before guesses, and guesses in the order given', async t => {
  await using world = await Ordered.open()
  await using another = await Far.open()
  await using third = await Far.open()
  const order: number[] = []
  for (const far of [world.far, another, third]) far.onArrival = () => order.push(far.endpoint.port)
  const ports = [third.endpoint.port, world.far.endpoint.port, third.endpoint.port]
  // Slow enough that each arrives before the next one leaves.
  const effort = { targets: [another.endpoint], guesses: [{ address: '127.0.0.1', ports }], perSecond: 50 }
  world.punch('passive', effort)
  await until(() => order.length >= 4)
  t.deepEqual(order.slice(0, 4), [another.endpoint.port, ...ports])
})

test.serial('a probe that nobody guessed is heard on the socket it came to, and that socket wins', async t => {
  await using world = await Ordered.open()
  await using unforeseen = await Far.open()
  const before = openSockets()
  const path = world.punch('passive', { targets: [world.far.endpoint], sockets: 4 })
  const { from } = (await world.far.has(4))[2] ?? t.fail()
  unforeseen.onArrival = arrived => arrived.message.class === 'request' && unforeseen.answer(arrived)
  unforeseen.probe('active', from)
  const { raw, remote } = await path
  t.is(raw.port, from.port)
  t.not(raw, world.raw)
  t.deepEqual(remote, unforeseen.endpoint)
  const heard = unforeseen.arrived.map(({ message, from: { port } }) => [message.class, port])
  // The request is repeated until its answer comes.
  t.deepEqual(heard, [['success', raw.port], ...heard.slice(1).map(() => ['request', raw.port])])
  t.true(heard.length > 1)
  // The one that won is open in place of the one that was ordered.
  await until(() => openSockets() === before)
  await raw.close()
  await until(() => openSockets() === before - 1)
  t.deepEqual(world.steps, ['walked', 'heard', 'answered'])
})

test.serial('the active side answers the check on whichever socket it comes to, and hands that one over', async t => {
  await using world = await Ordered.open()
  const path = world.punch('active', { targets: [world.far.endpoint], sockets: 4 })
  const { from } = (await world.far.has(4))[3] ?? t.fail()
  world.far.check(from)
  const { raw, remote } = await path
  t.is(raw.port, from.port)
  t.deepEqual(remote, world.far.endpoint)
  const { message } = await until(() => world.far.arrived.find(({ message }) => message.class === 'success'))
  t.true(message.verify(handovers.active.local.pwd))
  await raw.close()
})

test.serial(
  'an agent is sent checks in place of probes, and the first of its own that comes in shows the path',
  async t => {
    await using world = await Ordered.open()
    const path = world.punch('passive', { targets: [world.far.endpoint], sockets: 4, bindOn: 'checked' })
    const { message, from } = (await world.far.has(4))[2] ?? t.fail()
    const { local, remote } = handovers.passive
    t.is(message.username, `${remote.ufrag}:${local.ufrag}`)
    t.true(message.verify(remote.pwd))
    t.like(message, { controlled: 1n, controlling: undefined })
    world.far.check(from, 'passive')
    const found = await path
    t.deepEqual([found.raw.port, found.remote, found.isHeard], [from.port, world.far.endpoint, true])
    t.deepEqual(
      world.far.arrived.filter(({ message }) => message.class !== 'request'),
      [],
      'our own agent will answer it'
    )
    await found.raw.close()
  }
)

test.serial('an agent that was heard from elsewhere is asked back, and the answer shows the path', async t => {
  await using world = await Ordered.open()
  await using elsewhere = await Far.open()
  const path = world.punch('passive', { targets: [world.far.endpoint], bindOn: 'checked' })
  const [{ from } = t.fail()] = await world.far.has(1)
  elsewhere.check(from, 'passive')
  const [asked = t.fail()] = await elsewhere.has(1)
  const { pwd } = handovers.passive.remote
  elsewhere.send(answer(asked.message.transaction, from, probeKey), from)
  elsewhere.send(answer(asked.message.transaction, from, pwd), from)
  const { raw, remote } = await path
  t.deepEqual(remote, elsewhere.endpoint)
  t.deepEqual(world.steps.slice(-2), ['checked', 'answered'])
  await raw.close()
})

test.serial('all sockets but the ordered one are closed when the order is called off', async t => {
  await using world = await Ordered.open()
  const before = openSockets()
  const path = world.punch('passive', { targets: [world.far.endpoint], sockets: 256 })
  await world.far.has(256)
  t.is(openSockets(), before + 255)
  world.over.abort(new Error('called off'))
  await t.throwsAsync(path, { message: 'called off' })
  await until(() => openSockets() === before)
  t.notThrows(() => world.raw.send(Buffer.from('x'), world.far.endpoint))
})

test.serial('sockets that are still being bound when the order is called off are closed as well', async t => {
  await using world = await Ordered.open()
  const before = openSockets()
  const path = world.punch('passive', { targets: [world.far.endpoint, world.far.endpoint], sockets: 64 })
  world.over.abort(new Error('called off'))
  await t.throwsAsync(path, { message: 'called off' })
  // Sockets are bound in order: when ours are, those of the order are as well.
  const later = await RawSocket.bindMany(64)
  await Promise.all(later.map(raw => raw.close()))
  await until(() => openSockets() === before)
  // The one datagram that left at once, and none of a walk that nobody wants any more; then one that is sent now.
  world.raw.send(probe('active', transactionId(), probeKey), world.far.endpoint)
  await world.far.has(2)
  t.deepEqual(
    world.far.arrived.map(({ message }) => message.username),
    ['probe:passive', 'probe:active']
  )
})

test.serial('a budget is never exceeded, answers and repetitions included', async t => {
  await using world = await Ordered.open()
  const { far } = world
  const path = world.punch('active', { targets: [far.endpoint], sockets: 10, probes: 50 })
  await far.has(34)
  // The far side's own probes from ever new ports would cost an answer and a probe each.
  const others = await Promise.all(Array.from({ length: 30 }, () => Far.open()))
  for (const other of others) other.probe('passive', { address: '127.0.0.1', port: world.raw.port })
  const all = () => [far, ...others].flatMap(({ arrived }) => arrived)
  await until(() => all().length >= 49)
  await rounds(7)
  t.is(all().length, 49)
  t.true(world.steps.includes('spent'))
  t.is(world.diary.sent, 49)
  // The last one was kept for what everything else was for.
  others[7]?.check({ address: '127.0.0.1', port: world.raw.port })
  const { raw } = await path
  await until(() => all().length === 50)
  t.is(raw, world.raw)
  for (const other of others) await other[Symbol.asyncDispose]()
})

test.serial('a walk leaves some of its budget for who is heard after it', async t => {
  await using world = await Ordered.open()
  const ports = Array.from({ length: 100 }, () => world.far.endpoint.port)
  const path = world.punch('passive', { targets: [], guesses: [{ address: '127.0.0.1', ports }], probes: 64 })
  t.is((await world.far.has(48)).length, 48)
  await until(() => world.steps.includes('spent'))
  await using late = await Far.open()
  late.onArrival = arrived => arrived.message.class === 'request' && late.answer(arrived)
  late.probe('active', { address: '127.0.0.1', port: world.raw.port })
  t.deepEqual((await path).remote, late.endpoint)
  // An answer and a probe; more of them where the far side's answer took its time.
  t.true(world.diary.sent >= 50 && world.diary.sent <= 64, `${world.diary.sent}`)
})

test.serial('a budget of one is one datagram', async t => {
  await using world = await Ordered.open()
  world.punch('active', { targets: [world.far.endpoint], probes: 1 })
  await world.far.has(1)
  world.far.probe('passive', { address: '127.0.0.1', port: world.raw.port })
  await until(() => world.steps.includes('heard'))
  await rounds(6)
  t.is(world.far.arrived.length, 1)
})

test.serial('a pace is kept on average and over every tenth of a second, one socket or many', async t => {
  for (const sockets of [1, 32]) {
    await using world = await Ordered.open()
    const ports = Array.from({ length: 640 / sockets }, () => world.far.endpoint.port)
    await using other = await Ordered.open()
    other.punch('passive', { targets: [other.far.endpoint] })
    const startMs = performance.now()
    world.punch('passive', { targets: [], guesses: [{ address: '127.0.0.1', ports }], sockets, perSecond: 800 })
    const times = (await world.far.has(640)).slice(0, 640).map(({ atMs }) => atMs)
    const tookMs = (times.at(-1) ?? 0) - startMs
    t.true(tookMs > 770, `640 at 800 in a second took ${tookMs} ms`)
    // Who repeats every 200 ms does so as late as this process is busy.
    const repeated = other.far.arrived.filter(({ atMs }) => atMs < (times.at(-1) ?? 0)).length
    t.true(repeated <= 11, `640 at 800 in a second took as long as ${repeated} probes, the last 200 ms apart`)
    // What arrives late in this busy process arrives together with what comes next: by as much as is caught up with.
    const most = Math.max(...times.map(fromMs => times.filter(atMs => atMs >= fromMs && atMs < fromMs + 100).length))
    t.true(most <= 800 * 0.14 + 1, `${most} within 100 ms`)
  }
})

test.serial('what a busy process missed of its pace does not come as a flood', async t => {
  await using world = await Ordered.open()
  const ports = Array.from({ length: 1000 }, () => world.far.endpoint.port)
  world.punch('passive', { targets: [], guesses: [{ address: '127.0.0.1', ports }], perSecond: 1000 })
  await world.far.has(10)
  const { sent } = world.diary
  for (const endMs = performance.now() + 300; performance.now() < endMs; );
  const busyMs = performance.now()
  while (world.diary.sent === sent) await turn()
  // What is missed is 20 ms of it at most, and what comes meanwhile is due: the computer may be busy as well.
  const due = 21 + Math.ceil(performance.now() - busyMs)
  t.true(world.diary.sent - sent <= due, `${world.diary.sent - sent} at once, ${due} due`)
})

test.serial('without a pace all flows leave in one turn, also when there are a thousand', async t => {
  await using world = await Ordered.open()
  const ports = Array.from({ length: 1000 }, () => world.far.endpoint.port)
  void world.punch('passive', { targets: [], guesses: [{ address: '127.0.0.1', ports }], probes: 1016 })
  t.is(world.diary.sent, 1000)
  t.deepEqual(world.steps, ['walked'])
})

test.serial(
  'where it is told to, the passive side binds as soon as it heard a probe, and answers it first',
  async t => {
    await using world = await Ordered.open()
    const path = world.punch('passive', { targets: [world.far.endpoint], bindOn: 'heard' })
    await world.far.has(1)
    world.far.probe('active', { address: '127.0.0.1', port: world.raw.port })
    const { raw, remote } = await path
    t.is(raw, world.raw)
    t.deepEqual(remote, world.far.endpoint)
    await until(() => world.far.arrived.at(-1)?.message.class === 'success')
  }
)

test.serial(
  'a probe from elsewhere does not prove that answers get there, so that having heard it is not enough',
  async t => {
    await using world = await Ordered.open()
    await using elsewhere = await Far.open()
    const path = world.punch('passive', { targets: [world.far.endpoint], bindOn: 'heard' })
    elsewhere.probe('active', { address: '127.0.0.1', port: world.raw.port })
    const asked = (await elsewhere.has(2))[1] ?? t.fail()
    t.is(await Promise.race([path, rounds(4)]), 'waiting')
    elsewhere.answer(asked)
    t.deepEqual((await path).remote, elsewhere.endpoint)
  }
)

test.serial('otherwise having heard is not enough', async t => {
  await using world = await Ordered.open()
  const path = world.punch('passive', { targets: [] })
  world.far.probe('active', { address: '127.0.0.1', port: world.raw.port })
  const asked = (await world.far.has(2))[1] ?? t.fail()
  t.is(await Promise.race([path, rounds(4)]), 'waiting')
  world.far.answer(asked)
  t.deepEqual((await path).remote, world.far.endpoint)
})

for (const role of ['active', 'passive'] as const)
  test.serial(`the ${role} side sends nothing before its time`, async t => {
    await using world = await Ordered.open()
    await using other = await Ordered.open()
    const startMs = performance.now()
    other.punch('passive', { targets: [other.far.endpoint] })
    world.punch(role, { targets: [world.far.endpoint] }, { afterMs: 300 })
    const [first] = await world.far.has(1)
    const afterMs = (first?.atMs ?? 0) - startMs
    t.true(afterMs >= 299, `${afterMs} ms`)
    // Who is to send at once has sent again after 20, 50, 100 and 200 ms then, and not yet after 600 ms.
    const before = (await other.far.has(7)).filter(({ atMs }) => atMs < (first?.atMs ?? 0)).length
    t.true(before <= 6, `${before} datagrams of another side before the first`)
  })

test.serial('who is heard before that time is answered and probed at once', async t => {
  await using world = await Ordered.open()
  await using early = await Far.open()
  const path = world.punch('passive', { targets: [world.far.endpoint] }, { afterMs: 60_000 })
  early.onArrival = arrived => arrived.message.class === 'request' && early.answer(arrived)
  early.probe('active', { address: '127.0.0.1', port: world.raw.port })
  t.deepEqual((await path).remote, early.endpoint)
  t.is(world.far.arrived.length, 0)
})

test.serial('a lost answer is asked for again, though the walk is over and its budget spent', async t => {
  await using world = await Ordered.open()
  const ports = Array.from({ length: 20 }, () => world.far.endpoint.port)
  const path = world.punch('passive', { targets: [], guesses: [{ address: '127.0.0.1', ports }], probes: 24 })
  await world.far.has(18)
  await using late = await Far.open()
  late.probe('active', { address: '127.0.0.1', port: world.raw.port })
  // One answer and one probe come at once; the second probe is the one that is answered.
  late.onArrival = arrived => late.arrived.length === 3 && late.answer(arrived)
  t.deepEqual((await path).remote, late.endpoint)
  t.is(world.far.arrived.length, 18)
})

test.serial('checks of its own go to a few endpoints, of many to the targets, and not to guesses', async t => {
  await using world = await Ordered.open()
  await using guessed = await Far.open()
  const isCheck = ({ message }: { message: { priority?: number } }) => message.priority !== undefined
  const effort = (guesses: number): Effort => ({
    targets: [world.far.endpoint],
    guesses: [{ address: '127.0.0.1', ports: Array.from({ length: guesses }, () => guessed.endpoint.port) }]
  })
  const path = world.punch('active', effort(16))
  await until(() => world.far.arrived.some(isCheck))
  t.false(guessed.arrived.some(isCheck))
  world.over.abort(new Error('enough'))
  await t.throwsAsync(path)
  await using few = await Ordered.open()
  few.punch('active', effort(15))
  await until(() => guessed.arrived.some(isCheck))
  t.pass()
})

test.serial('flows are pairs of an own socket and a far endpoint, however often it was sent to', async t => {
  await using world = await Ordered.open()
  await using guessed = await Far.open()
  const guesses = [{ address: '127.0.0.1', ports: [guessed.endpoint.port] }]
  world.punch('passive', { targets: [world.far.endpoint], guesses, sockets: 5, probes: 200 })
  await guessed.has(10)
  t.is(world.diary.flows, 10)
  await using heard = await Far.open()
  heard.probe('active', { address: '127.0.0.1', port: world.raw.port })
  await heard.has(2)
  t.is(world.diary.flows, 11)
})

test.serial('the active side answers a flow once and is silent on it, until it is asked again', async t => {
  await using world = await Ordered.open()
  const to = { address: '127.0.0.1', port: world.raw.port }
  world.punch('active', { targets: [] })
  for (let probes = 0; probes < 3; probes++) world.far.probe('passive', to)
  await until(() => world.diary.report().received === 3)
  const [first, ...others] = await world.far.has(2)
  t.is(first?.message.class, 'success')
  // It probes what it heard by its schedule, but not just when the far side lets its socket go.
  t.deepEqual([...new Set(others.map(({ message }) => message.class))], ['request'])
  t.true((others[0]?.atMs ?? 0) - (first?.atMs ?? 0) > 90)
  world.far.probe('passive', to)
  await until(() => world.far.arrived.filter(({ message }) => message.class === 'success').length === 2)
})

test.serial('what all orders together may send holds a walk up, and no answer; and the report says so', async t => {
  await using world = await Ordered.open()
  let nowMs = 0
  const allowance = new Allowance(() => nowMs)
  while (allowance.take(KEPT));
  world.punch('passive', { targets: [world.far.endpoint] }, { allowance: allowance.order() })
  await using other = await Far.open()
  other.probe('active', { address: '127.0.0.1', port: world.raw.port })
  await other.has(2)
  t.is(world.far.arrived.length, 0)
  t.is(world.diary.report().held, 1)
  nowMs = 1000
  await world.far.has(1)
  t.deepEqual(world.steps.toSorted(), ['heard', 'walked'])
})

test.serial('two sides that have guessed each other meet', async t => {
  await using ann = await Ordered.open()
  await using bob = await Ordered.open()
  await using elsewhere = await Far.open()
  const wrong = elsewhere.endpoint.port
  const passive = bob.punch('passive', { targets: [elsewhere.endpoint], sockets: 8 })
  const ports = [wrong, wrong, bob.raw.port, wrong]
  const active = ann.punch('active', {
    targets: [],
    guesses: [{ address: '127.0.0.1', ports }],
    perSecond: 200,
    probes: 64
  })
  const { remote } = await passive
  t.is(remote.port, ann.raw.port)
  t.is(await Promise.race([active, rounds(4)]), 'waiting', 'for the check of the agent that has the port now')
})

/**
 * Lets time pass, by the schedule of another loop beside those under test: when that one has probed so often, they have
 * done what they do until then, however busy this process is.
 */
async function rounds(count: number): Promise<'waiting'> {
  await using other = await Ordered.open()
  other.punch('passive', { targets: [other.far.endpoint] })
  await other.far.has(count)
  return 'waiting'
}

/** A socket that an order was given for, and a far side. */
class Ordered implements AsyncDisposable {
  readonly diary = new Diary()
  readonly over = new AbortController()
  readonly raw: RawSocket
  readonly far: Far
  path: Promise<{ raw: RawSocket; remote: Endpoint }> | undefined

  private constructor(raw: RawSocket, far: Far) {
    this.raw = raw
    this.far = far
  }

  static async open(): Promise<Ordered> {
    return new Ordered(await RawSocket.bind(), await Far.open())
  }

  get steps(): string[] {
    return this.diary.report().steps.map(([name]) => name)
  }

  punch(role: Handover['role'], effort: Effort, timing: Partial<Punch> = {}) {
    const allowance = new Allowance().order()
    const punch = { effort, probeKey, handover: handovers[role], allowance, signal: this.over.signal, ...timing }
    const path = findPath(this.raw, punch, this.diary)
    path.catch(() => {})
    this.path = path
    return path
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.over.abort(new Error('the test is over'))
    const path = await this.path?.catch(() => undefined)
    await path?.raw.close()
    await this.raw.close()
    await this.far[Symbol.asyncDispose]()
  }
}
