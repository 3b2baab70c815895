import test from 'ava'
import { PosternError } from '../../../src/errors.ts'
import { pace } from '../../agent-pace.ts'
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

test('a second word on a socket is about the same one, and changes nothing for who has taken it', async t => {
  const ann = new Hand('ann')
  const addresses = [{ address: '10.0.0.77', prefix: 24 }]
  ann.warmed(socket(0))
  ann.warmed({ ...socket(0), addresses })
  const taken = await ann.takeSocket()
  t.deepEqual(taken?.addresses, addresses)
  ann.warmed(socket(0))
  t.is(await ann.takeSocket(), undefined)
  ann.giveBack(taken ?? t.fail())
  ann.warmed(socket(0))
  t.deepEqual((await ann.takeSocket())?.addresses, socket(0).addresses)
  t.false(ann.isWarm)
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

test('who is blocked and has a door is no longer waited for; a warm socket is more than that', async t => {
  const ann = new Hand('ann')
  const waiting = ann.warm(never)
  ann.cooled(0, 'silence', { doors: ['tcp'], rttMs: 5000 })
  await t.notThrowsAsync(waiting)
  t.like(ann.cold, { code: 'udp-blocked', doors: ['tcp'] })
  t.is(ann.cold?.rttMs, 1000, 'what nobody has measured is believed so far')
  ann.warmed(socket(0))
  t.is(ann.cold, undefined)
})

const ice = { ufrag: 'Xy7+', pwd: 'x'.repeat(22) }

test('a browser that is blocked is waited for until an agent of its own is prepared for the door, and each is taken once', async t => {
  const web = new Hand('web', { iceOnly: pace })
  web.cooled(0, 'silence', { doors: ['tcp'] })
  t.false(web.isPrepared)
  const waiting = web.warm(never)
  web.cooled(1, 'silence', { doors: ['tcp'], rttMs: 20, ice })
  await t.notThrowsAsync(waiting)
  const taken = await web.takePrepared()
  t.like(taken, { number: 1, ice, isBlocked: true })
  t.is(await web.takePrepared(), undefined)
  web.cooled(1, 'silence', { doors: ['tcp'], ice })
  t.false(web.isPrepared, 'whoever has taken it has it')
  web.giveBack(taken ?? t.fail())
  t.is((await web.takePrepared())?.number, 1)
  t.false(web.isWarm)
})

test('the end of one agent of a blocked browser changes nothing while another is prepared, and UDP ends all that', async t => {
  const web = new Hand('web', { iceOnly: pace })
  web.warmed(socket(0))
  web.cooled(1, 'silence', { doors: ['tcp'], ice })
  web.cooled(0, 'another socket has taken its place')
  t.like(web.cold, { doors: ['tcp'] })
  t.true(web.isPrepared)
  const taken = await web.takePrepared()
  web.warmed(socket(2))
  web.giveBack(taken ?? t.fail())
  t.false(web.isPrepared)
  await web.takeSocket()
  const over = new AbortController()
  const waiting = web.warm(over.signal)
  over.abort(new Error('enough'))
  await t.throwsAsync(waiting, { message: 'enough' }, 'it has neither')
})

test('a peer has eight agents prepared at most, a peer with raw sockets has none', async t => {
  const web = new Hand('web', { iceOnly: pace })
  const ann = new Hand('ann')
  for (let number = 0; number < 9; number++) web.cooled(number, 'silence', { doors: ['tcp'], ice })
  ann.cooled(0, 'silence', { doors: ['tcp'], ice })
  t.false(ann.isPrepared)
  web.cooled(8, 'another socket has taken its place')
  const taken = []
  for (let one = await web.takePrepared(); one; one = await web.takePrepared()) taken.push(one.number)
  t.deepEqual(taken, [1, 2, 3, 4, 5, 6, 7])
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

test('a socket that was closed while somebody had it is not given back', async t => {
  const web = new Hand('web', { iceOnly: pace })
  web.warmed(socket(1))
  const taken = await web.takeSocket()
  web.warmed(socket(2))
  web.cooled(1, 'another socket has taken its place')
  web.giveBack(taken ?? t.fail())
  t.is((await web.takeSocket())?.number, 2)
  t.false(web.isWarm)
})

test('a socket that goes while another one is warm makes nobody cold', async t => {
  const web = new Hand('web', { iceOnly: pace })
  web.warmed(socket(1))
  web.warmed(socket(2))
  web.cooled(1, 'another socket has taken its place')
  t.is(web.cold, undefined)
  web.cooled(2, 'nothing comes back')
  t.like(web.cold, { reason: 'nothing comes back' })
})
