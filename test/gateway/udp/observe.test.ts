import test from 'ava'
import type { Port } from '../../../src/gateway/udp/listen.ts'
import { UdpObserver } from '../../../src/gateway/udp/observe.ts'

const port = { local: { address: '203.0.113.1', port: 3478 }, row: 0 } as Port
const mapped = { address: '198.51.100.7', port: 40_000 }

function observer(peers: readonly string[]) {
  const time = { nowMs: 1_000_000 }
  const observed = new UdpObserver({ ports: () => [port], public: () => [], now: () => time.nowMs })
  for (const peer of peers) observed.admit(peer, Buffer.alloc(20))
  const hears = (peer: string, proved = true, from = mapped) =>
    observed.sees({ kind: 'sample', key: Buffer.alloc(20), peer, socket: 0 }, port, from, { proved })
  return { observed, hears, time }
}

test('another peer than the two that was heard of late is known, however many were, and whether it stayed or not', t => {
  const peers = ['a', 'b', 'c', 'd']
  const { observed, hears, time } = observer(peers)
  const heard = () => observed.heardOthers(['a', 'b'], 60_000)
  t.false(heard())
  for (const peer of ['a', 'b', 'a']) hears(peer)
  t.false(heard(), 'they are the two themselves')
  for (const peer of ['c', 'd', 'a', 'b', 'a']) hears(peer)
  observed.dismiss('d')
  t.true(heard())
  t.true(observed.heardOthers(['d'], 60_000))
  time.nowMs += 59_000
  for (const peer of ['a', 'b']) hears(peer)
  t.true(heard())
  time.nowMs += 2000
  t.false(heard(), 'that was too long ago')
})

test('what nobody was admitted for is not heard', t => {
  const { observed, hears } = observer(['a'])
  hears('stranger')
  t.false(observed.heardOthers(['a'], 60_000))
})

test('a round trip takes no longer than until a nonce has come back, and repetitions make it no shorter', t => {
  const { observed, hears, time } = observer(['a'])
  t.is(observed.rttMs('a'), 0, 'nothing was measured')
  hears('a', false)
  time.nowMs += 300
  hears('a', false)
  time.nowMs += 300
  hears('a')
  t.is(observed.rttMs('a'), 600, 'the first nonce may be the one that came back')
  hears('a', false)
  time.nowMs += 10
  hears('a')
  t.is(observed.rttMs('a'), 600, 'what was still on its way')
})

test('the shortest round trip of a peer counts, over all its sockets, until it leaves', t => {
  const { observed, hears, time } = observer(['a', 'b'])
  for (const [index, ms] of [900, 40, 3000].entries()) {
    const from = { ...mapped, port: 40_000 + index }
    hears('a', false, from)
    time.nowMs += ms
    hears('a', true, from)
  }
  t.is(observed.rttMs('a'), 40)
  t.is(observed.rttMs('b'), 0)
  observed.dismiss('a')
  t.is(observed.rttMs('a'), 0)
})

test('a socket that is seen at another mapping than before is known, also once its peer has joined again', t => {
  const { observed, hears, time } = observer(['a', 'b'])
  for (const peer of ['a', 'b']) hears(peer)
  t.is(observed.remapped('a'), undefined)
  time.nowMs += 500
  hears('a', true, { ...mapped, port: 41_000 })
  observed.dismiss('a')
  observed.admit('a', Buffer.alloc(20))
  t.deepEqual(observed.remapped('a'), { was: mapped, mapped: { ...mapped, port: 41_000 }, atMs: time.nowMs })
  t.is(observed.remapped('b'), undefined)
})
