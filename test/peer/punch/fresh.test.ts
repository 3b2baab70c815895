// Fresh sockets: shown to the gateway when a session asks, used by the order that names them, closed otherwise. And what
// peers do with orders that guess, from the order to the open connection.

import test from 'ava'
import type { Order } from '../../../src/wire/order.ts'
import { endNative } from '../../end-native.ts'
import { until } from '../../until.ts'
import { Far, openSockets } from '../far.ts'
import { type Guest, HandMadeGateway, session } from '../hand-made-gateway.ts'

test.after.always(endNative)

test.serial('a fresh socket is shown at every endpoint in order, and proved there', async t => {
  await using gateway = await HandMadeGateway.open()
  const guest = await inSession(gateway)
  guest.sample(7)
  const fresh = await guest.heard('fresh')
  t.like(fresh, { session, round: 7, socket: 1 })
  await until(() => gateway.showing(1).filter(({ proves }) => proves).length === 3)
  t.deepEqual(
    gateway.showing(1).slice(0, 3),
    [0, 1, 2].map(at => ({ at, port: fresh.port, username: 'p:guest:1', proves: false }))
  )
})

test.serial('a gateway that does not answer over UDP costs the session nothing', async t => {
  await using gateway = await HandMadeGateway.open()
  const guest = await inSession(gateway)
  gateway.answers = false
  guest.sample(0)
  const { socket, port } = await guest.heard('fresh')
  await until(() => gateway.showing(socket).length >= 6)
  await using far = await Far.open()
  guest.order(socket, punch(far), { role: 'passive', fingerprint })
  const [probe] = await far.has(1)
  t.is(probe?.from.port, port)
  const before = gateway.showing(socket).length
  // The last of these leaves 800 ms after the order: a request that was still repeated would have come before.
  await far.has(8)
  t.is(gateway.showing(socket).length, before, 'what proved it has stopped: each datagram could be another mapping')
})

test.serial('the order that names a fresh socket uses it, and nothing is warmed behind it', async t => {
  await using gateway = await HandMadeGateway.open()
  const guest = await inSession(gateway)
  guest.sample(0)
  const { socket, port } = await guest.heard('fresh')
  await using far = await Far.open()
  guest.order(socket, punch(far), { role: 'passive', fingerprint })
  const [probe] = await far.has(1)
  t.is(probe?.from.port, port)
  // Sockets are numbered as they are bound.
  guest.sample(1)
  t.is((await guest.heard('fresh')).socket, socket + 1)
  t.false(guest.said.some(({ type }) => type === 'warm'))
})

test.serial('a fresh socket is closed by the next sample, by an order for another, and by the end', async t => {
  await using gateway = await HandMadeGateway.open()
  const guest = await inSession(gateway)
  const before = openSockets()
  guest.sample(0)
  await guest.heard('fresh')
  t.is(openSockets(), before + 1)
  guest.sample(1)
  await guest.heard('fresh')
  t.is(openSockets(), before + 1)
  await using far = await Far.open()
  guest.order(0, punch(far, [1]), { role: 'passive', fingerprint })
  await far.has(1)
  t.is(openSockets(), before + 1, 'the far side')
  guest.sample(2)
  guest.sample(3)
  guest.say({ type: 'over', session, code: 'io', reason: 'enough', trace: '0'.repeat(32) })
  // The end closes the socket of the order too, and a new one is in reserve.
  await guest.heard('warm')
  t.is(openSockets(), before + 1)
})

test.serial('samples for a session that is over, or was never there, are ignored', async t => {
  await using gateway = await HandMadeGateway.open()
  const guest = await inSession(gateway)
  const before = openSockets()
  guest.sample(0)
  guest.say({ type: 'over', session, code: 'io', reason: 'enough', trace: '0'.repeat(32) })
  guest.sample(1)
  guest.say({ type: 'sample', session: 'f'.repeat(16), round: 0 })
  guest.begin({ fingerprint })
  guest.sample(2)
  await until(() => guest.said.some(message => message.type === 'fresh' && message.round === 2))
  await until(() => openSockets() === before + 1)
  t.true(guest.said.filter(({ type }) => type === 'fresh').length <= 2)
  t.false(guest.said.some(message => message.type === 'fresh' && message.round === 1))
})

test.serial(
  'behind a socket out of reserve another is warmed at once, but where ports are guessed when that is over',
  async t => {
    await using gateway = await HandMadeGateway.open()
    const guest = await inSession(gateway)
    await using far = await Far.open()
    guest.order(0, punch(far), { role: 'passive', fingerprint })
    t.is((await guest.heard('warm')).socket, 1)
    const plan = guest.order(1, punch(far, [1]), { role: 'passive', fingerprint })
    // Sockets are numbered as they are bound.
    guest.sample(0)
    t.is((await guest.heard('fresh')).socket, 2)
    t.false(guest.said.some(({ type }) => type === 'warm'))
    guest.say({ type: 'cancel', session, plan })
    t.is((await guest.heard('warm')).socket, 3)
  }
)

test.serial('a side of many sockets and a side of many guesses get a connection of it, and close the rest', async t => {
  await using gateway = await HandMadeGateway.open()
  const [hard, easy] = await facing(gateway)
  await using nobody = await Far.open()
  hard.guest.sample(0)
  easy.guest.sample(0)
  const [{ socket }, { socket: other, port }] = await Promise.all([
    hard.guest.heard('fresh'),
    easy.guest.heard('fresh')
  ])
  const before = openSockets()
  const target = { address: '127.0.0.1', port }
  const guesses = [{ address: '127.0.0.1', ports: Array.from({ length: 200 }, () => nobody.endpoint.port) }]
  easy.guest.order(other, { kind: 'punch', targets: [], guesses, perSecond: 1000, probes: 300 }, easy.spec)
  hard.guest.order(socket, { kind: 'punch', targets: [target], sockets: 64, probes: 100 }, hard.spec)
  const opened = await Promise.all([hard.guest.heard('opened'), easy.guest.heard('opened')])
  t.deepEqual(opened[0].local.port, opened[1].remote.port)
  t.deepEqual(opened[0].remote.port, port)
  t.is(opened[0].report.flows, 64)
  t.true(opened[0].report.sent <= 100)
  t.true(opened[1].report.sent <= 300)
  t.true(openSockets() <= before + 2, 'two agents in place of two raw sockets')
})

test.serial('an ice order that guesses probes all, and waits for the check of the far side', async t => {
  await using gateway = await HandMadeGateway.open()
  const [passive, active] = await facing(gateway)
  await using nobody = await Far.open()
  passive.guest.sample(0)
  active.guest.sample(0)
  const [bound, guessing] = await Promise.all([passive.guest.heard('fresh'), active.guest.heard('fresh')])
  const ports = [nobody.endpoint.port, bound.port]
  const guesses = [{ address: '127.0.0.1', ports }]
  active.guest.order(guessing.socket, { kind: 'ice', targets: [], guesses }, active.spec)
  await nobody.has(1)
  const targets = [{ address: '127.0.0.1', port: guessing.port }]
  passive.guest.order(bound.socket, { kind: 'ice', targets }, passive.spec)
  const opened = await Promise.all([passive.guest.heard('opened'), active.guest.heard('opened')])
  t.is(opened[1].remote.port, bound.port)
  t.is(opened[0].report.flows, 1)
  t.true(opened[1].report.steps.some(([name]) => name === 'checked'))
})

const fingerprint = 'AA:'.repeat(31).concat('AA')

const punch = ({ endpoint }: Far, guesses: number[] = []): Order => ({
  kind: 'punch',
  targets: [endpoint],
  guesses: guesses.length > 0 ? [{ address: '127.0.0.1', ports: guesses }] : []
})

/** A peer that somebody calls whom it will never hear of. */
async function inSession(gateway: HandMadeGateway): Promise<Guest> {
  const { guest } = await gateway.join('bob')
  guest.begin({ fingerprint })
  return guest
}

/** Two peers that call each other: the passive one first. */
async function facing(gateway: HandMadeGateway) {
  const [bob, ann] = [await gateway.join('bob'), await gateway.join('ann')]
  bob.guest.begin(ann.peer.identity)
  ann.guest.begin(bob.peer.identity)
  return [
    { ...bob, spec: { role: 'passive', fingerprint: ann.peer.identity.fingerprint } },
    { ...ann, spec: { role: 'active', fingerprint: bob.peer.identity.fingerprint } }
  ] as const
}
