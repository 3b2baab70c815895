import test from 'ava'
import { PosternError } from '../../../src/errors.ts'
import { endpoints, Hand, socket } from '../session/made.ts'

const never = new AbortController().signal

test('a peer has eight warm sockets at most, and the oldest is taken first', async t => {
  const ann = new Hand('ann')
  for (let number = 0; number < 9; number++) ann.warmed(socket(number))
  const taken = []
  for (let one = await ann.takeSocket(); one; one = await ann.takeSocket()) taken.push(one.number)
  t.deepEqual(taken, [0, 1, 2, 3, 4, 5, 6, 7])
  t.false(ann.isWarm)
})

test('a socket that is given back comes before those that are younger', async t => {
  const ann = new Hand('ann')
  for (const number of [0, 1]) ann.warmed(socket(number))
  const first = await ann.takeSocket()
  ann.giveBack(first ?? t.fail())
  t.is((await ann.takeSocket())?.number, 0)
  t.is((await ann.takeSocket())?.number, 1)
})

test('a socket that has gone cold is not taken, and the others are', async t => {
  const ann = new Hand('ann')
  for (const number of [0, 1]) ann.warmed(socket(number))
  ann.cooled(0, 'silence')
  ann.cooled(7, 'there is none')
  t.is((await ann.takeSocket())?.number, 1)
  t.is(await ann.takeSocket(), undefined)
})

test('who waits for a warm socket gets on when it comes, and is told why there is none', async t => {
  const ann = new Hand('ann')
  const waiting = ann.warm(never)
  ann.warmed(socket(0))
  await t.notThrowsAsync(waiting)
  await ann.takeSocket()
  const again = t.throwsAsync(ann.warm(never), { instanceOf: PosternError, code: 'udp-blocked' })
  ann.cooled(0, 'the gateway is silent')
  t.is((await again)?.message, 'no UDP datagram from ann reaches the gateway: the gateway is silent')
  ann.warmed(socket(1))
  t.is(ann.cold, undefined)
  await t.notThrowsAsync(ann.warm(never))
})

test('a socket that another session takes first leaves no peer blocked', async t => {
  const ann = new Hand('ann')
  ann.warmed(socket(0))
  const waiting = ann.warm(never)
  t.is((await ann.takeSocket())?.number, 0)
  await t.notThrowsAsync(waiting)
})

test('waiting ends with the signal of who waits, and with the peer', async t => {
  const ann = new Hand('ann')
  const over = new AbortController()
  const [mine, other] = [t.throwsAsync(ann.warm(over.signal)), t.throwsAsync(ann.warm(never))]
  over.abort(new Error('enough'))
  t.is((await mine)?.message, 'enough')
  ann.leave(new Error('gone'))
  t.is((await other)?.message, 'gone')
})

test('a filtering test is waited for where there can be one, and a signal ends that without an error', async t => {
  const ann = new Hand('ann')
  t.true(ann.isTesting)
  const over = new AbortController()
  const [short, long] = [ann.filteringKnown(over.signal), ann.filteringKnown(never)]
  over.abort(new Error('enough'))
  await t.notThrowsAsync(short)
  t.true(ann.isTesting)
  ann.filters({ port: false })
  await t.notThrowsAsync(long)
  t.false(ann.isTesting)
  const one = new Hand('bob', { endpoints: [endpoints[0]] })
  t.false(one.isTesting, 'with one endpoint there is nothing to test by')
  await t.notThrowsAsync(one.filteringKnown(never))
})

test('since when a peer is warm counts from its first socket of late, and its join from the very first', async t => {
  const ann = new Hand('ann')
  t.is(ann.arrival.warmMs, undefined)
  ann.warmed(socket(0))
  const { warmMs } = ann
  ann.warmed(socket(1))
  t.is(ann.warmMs, warmMs)
  for (const _ of [0, 1]) await ann.takeSocket()
  ann.warmed(socket(2))
  t.true(ann.warmMs >= warmMs)
  t.is(ann.arrival.warmMs, warmMs)
})

test('a dead port makes no peer cold, and the latest eight are remembered', async t => {
  const ann = new Hand('ann')
  ann.warmed(socket(0))
  for (let port = 1; port <= 10; port++) ann.cooled(port, 'dead', { code: 'dead-port', port })
  t.deepEqual(ann.deadPorts, [3, 4, 5, 6, 7, 8, 9, 10])
  t.is(ann.cold, undefined)
  t.true(ann.isWarm)
})

test('who says that it has no IPv4, or was told an address that may be wrong, is not called blocked', async t => {
  const gateway = { address: '172.17.0.2', port: 3478 }
  const ann = new Hand('ann')
  const bob = new Hand('bob', { endpoints: [gateway], reachedAt: '2001:db8::1' })
  ann.cooled(0, 'no route', { code: 'wrong-family' })
  bob.cooled(0, 'silence')
  t.like(ann.cold, { code: 'wrong-family', told: undefined })
  t.like(bob.cold, { code: 'wrong-family', told: gateway.address })
  await t.throwsAsync(ann.warm(never), { code: 'wrong-family' })
  ann.cooled(1, 'nonsense', { code: 'direct' })
  t.is(ann.cold?.code, 'udp-blocked', 'a word that says nothing')
})
