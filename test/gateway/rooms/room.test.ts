import test from 'ava'
import { PosternError } from '../../../src/errors.ts'
import { Room } from '../../../src/gateway/rooms/room.ts'
import { Hand } from '../session/made.ts'

const lost = new PosternError('io', 'its link broke')

function open({ keptMs, back }: { keptMs?: number; back?: string[] } = {}) {
  let changes = 0
  const room = new Room({
    ...{ name: 'standup', entry: '', maker: { network: '', certificate: 'ann' }, expiresMs: 0 },
    ...(keptMs === undefined ? {} : { keptMs }),
    ...(back ? { back } : {}),
    onChange: () => changes++
  })
  const enters = (name: string) => {
    const guest = new Hand(name, { room })
    room.enter(guest)
    return guest
  }
  return { room, enters, changes: () => changes }
}

const latest = ({ said }: Hand) => said.findLast(({ type }) => type === 'roster')

test('whoever waits longest is in once a room is kept for nobody any more', async t => {
  const { room, enters } = open({ keptMs: 50 })
  const [bob, carol, dave] = ['bob', 'carol', 'dave'].map(enters) as [Hand, Hand, Hand]
  bob.leave(lost)
  t.is(room.inside, 0)
  const sinceMs = performance.now()
  while (room.inside === 0) await new Promise(resolve => setTimeout(resolve, 5))
  t.true(performance.now() - sinceMs >= 45)
  t.true(room.has(carol))
  t.false(room.has(dave))
  t.like(latest(carol), { isIn: true, inside: 1 })
  t.like(latest(dave), { isIn: false, inside: 1, members: [] })
})

test('those that were inside when the gateway stopped have their places, and nobody who comes before them', t => {
  const { room, enters } = open({ back: ['print of bob'] })
  const eve = enters('eve')
  t.false(room.has(eve))
  const bob = enters('bob')
  t.true(room.has(bob))
  t.deepEqual(room.back, ['print of bob'])
  eve.leave(lost)
  bob.leave(lost)
  t.deepEqual(room.back, ['print of bob'], 'who waited is nobody to be kept for')
})

test('a guest that comes back by another link is inside by that one alone', t => {
  const { room, enters, changes } = open()
  const before = enters('bob')
  enters('carol')
  before.leave(lost)
  const after = enters('bob')
  t.is(after.id, before.id)
  t.true(room.has(after))
  t.false(room.has(before))
  t.is(changes(), 4)
})

test('a guest is found by its name in any case, if it is inside', t => {
  const { room, enters } = open()
  const bob = enters('bob')
  enters('carol')
  t.is(room.find('BOB'), bob)
  t.is(room.find('carol'), undefined)
})
