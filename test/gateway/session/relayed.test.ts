import test from 'ava'
import { Relayed } from '../../../src/gateway/session/relayed/relayed.ts'
import { Home } from './made.ts'

const counted = {
  sentBytes: 5,
  sentDatagrams: 1,
  queued: 0,
  droppedBytes: 0,
  delayed: 4,
  delayedMs: 50,
  dropped: { session: 1, peer: 0, network: 0, total: 2, unlatched: 0 }
}

test('a side that flaps has sixteen changes in the trace at most, and the end is recorded all the same', async t => {
  using home = new Home()
  await home.step(async step => {
    const relayed = new Relayed(step)
    for (let port = 1; port <= 20; port++)
      relayed.changed({ kind: 'relatched', side: 'callee', source: { address: '192.0.2.1', port, door: 'tcp' } })
    relayed.ended('callee', { caller: counted, callee: { ...counted, sentBytes: 7 } })
  })
  const changes = home.spans.filter(({ name }) => name === 'postern.change').map(({ attributes }) => attributes)
  t.is(changes.length, 17)
  t.is(changes[15]?.['network.peer.port'], 16)
  t.like(changes[16], { 'postern.change': 'ended', 'postern.side': 'callee', 'postern.caller.bytes': 5 })
  t.like(changes[16], { 'postern.callee.bytes': 7, 'postern.callee.dropped': 3 })
})
