// What a peer sends and sets up at the most, whatever its gateway orders.

import test from 'ava'
import { Allowance, KEPT, PER_SECOND } from '../../../src/peer/punch/allowance.ts'
import { Diary } from '../../../src/peer/punch/diary.ts'
import type { RawSocket } from '../../../src/peer/punch/raw.ts'
import { Sender } from '../../../src/peer/punch/sender.ts'
import { CALLED_OFF } from '../../../src/wire/obeying.ts'
import type { FromPeer, Message } from '../../../src/wire/signal.ts'
import { endNative } from '../../end-native.ts'
import { Far } from '../far.ts'
import { HandMadeGateway, session } from '../hand-made-gateway.ts'

test.after.always(endNative)

const fingerprint = 'AA:'.repeat(31).concat('AA')

test('64 orders at once send 2048 datagrams in any second, and none after a minute', t => {
  let nowMs = 0
  const sentMs: number[] = []
  const raw = { port: 1, send: () => sentMs.push(nowMs) } as unknown as RawSocket
  const allowance = new Allowance(() => nowMs)
  const senders = Array.from({ length: 64 }, () => new Sender({ targets: [] }, new Diary(), allowance.order()))
  const to = { address: '192.0.2.1', port: 9 }
  for (; nowMs < 70_000; nowMs += 10)
    for (const sender of senders) while (sender.send(Buffer.alloc(0), raw, to, 'heard') === 'sent');
  const early = sentMs.filter((atMs, index) => atMs - (sentMs[index - PER_SECOND] ?? Number.NEGATIVE_INFINITY) < 1000)
  t.is(early.length, 0)
  t.is(sentMs.length, 60 * PER_SECOND)
  t.true((sentMs.at(-1) ?? 0) < 60_000)
  const later = new Sender({ targets: [] }, new Diary(), allowance.order())
  t.is(later.send(Buffer.alloc(0), raw, to, 'walk'), 'sent', 'an order that comes then is obeyed')
})

test('walks leave room for answers, also to those of other orders', t => {
  const allowance = new Allowance(() => 0)
  const [walking, answering] = [allowance.order(), allowance.order()]
  let walked = 0
  while (walked < 9999 && walking.take(KEPT)) walked++
  let answered = 0
  while (answered < 9999 && answering.take()) answered++
  t.deepEqual([walked, answered], [PER_SECOND - KEPT, KEPT])
})

test.serial('a gateway has 16 connections set up at once, and is told so of any more', async t => {
  await using gateway = await HandMadeGateway.open()
  const { guest } = await gateway.join('bob')
  const id = (index: number) => index.toString(16).padStart(16, '0')
  for (let index = 0; index < 64; index++) guest.begin({ fingerprint }, { id: id(index) })
  const left: Message<FromPeer, 'leave'>[] = []
  while (left.length < 48) left.push(await guest.heard('leave'))
  t.deepEqual(
    left.map(({ session }) => session),
    Array.from({ length: 48 }, (_, index) => id(16 + index))
  )
  const [{ code, reason } = t.fail()] = left
  t.deepEqual(
    [code, reason],
    ['over-quota', 'it is setting up 16 connections, as many as it does at once; try again in a moment']
  )
  guest.say({ type: 'over', session: id(3), code: 'io', reason: 'enough', trace: '0'.repeat(32) })
  guest.begin({ fingerprint }, { id: id(99) })
  guest.begin({ fingerprint }, { id: id(100) })
  t.is((await guest.heard('leave')).session, id(100))
})

test.serial('a session that is introduced again is the one that was, with its orders', async t => {
  await using gateway = await HandMadeGateway.open()
  const { guest } = await gateway.join('bob')
  await using far = await Far.open()
  const order = () => {
    guest.begin({ fingerprint })
    return guest.order(0, { kind: 'punch', targets: [far.endpoint] }, { role: 'passive', fingerprint })
  }
  const first = order()
  await far.has(1)
  order()
  t.like(await guest.heard('failed'), { session, plan: first, code: CALLED_OFF })
})
