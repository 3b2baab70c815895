// What a peer made by hand waits for in vain is told at once: a test that hangs says nothing.

import test from 'ava'
import { handMade } from './gateway/signalling/room.ts'

const cold = { type: 'cold', socket: 0, reason: 'silence' }

test('who waits for an order of a session that fails is told why it failed', async t => {
  await using room = await handMade(['ann', 'bob'])
  const [ann, bob] = room.peers
  bob.say(cold)
  ann.say({ type: 'connect', request: 0, to: 'bob' })
  await t.throwsAsync(ann.hears('order'), { message: /^no order came: over \(no UDP datagram from bob .* silence\)/ })
  const { session } = await bob.hears('session')
  await t.throwsAsync(bob.hearsOf(session, 'order'), { message: /^no order came: over \(.* silence\)/ })
  await t.throwsAsync(bob.hearsOf(session, 'cancel'), { message: /heard was over/ }, 'long after it was over')
})

test('who waits for a session and is refused is told why', async t => {
  await using room = await handMade(['ann'])
  const [ann] = room.peers
  ann.say({ type: 'connect', request: 0, to: 'bob' })
  await t.throwsAsync(ann.hears('session'), { message: /^no session came: refused \(nobody has ever joined as bob\)/ })
})

test('who waits at a link that closes, or is closed, is told so', async t => {
  await using room = await handMade(['ann'])
  const [ann] = room.peers
  const waiting = [ann.hears('session'), ann.hears('order')]
  ann.say('no message')
  for (const message of waiting) await t.throwsAsync(message, { message: /came: (refused|the WebSocket was closed)/ })
  t.is(await ann.closed, 1008)
  await t.throwsAsync(ann.hears('pong'), {
    message: /^no pong came: the WebSocket was closed with 1008; heard was refused/
  })
})

test('the end of one session is not that of another, and two may wait at once', async t => {
  await using room = await handMade(['ann', 'bob', 'carol'])
  const [ann, bob, carol] = room.peers
  await Promise.all([ann.warm(0), carol.warm(0)])
  ann.say({ type: 'connect', request: 0, to: 'bob' })
  ann.say({ type: 'connect', request: 1, to: 'carol' })
  const { session } = await carol.hears('session')
  const [order] = await Promise.all([ann.hearsOf(session, 'order'), carol.hears('order'), bob.say(cold)])
  t.is(order.session, session)
  t.is((await ann.hears('over')).reason, 'no UDP datagram from bob reaches the gateway: silence')
})
