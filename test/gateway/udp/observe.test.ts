import test from 'ava'
import type { Port } from '../../../src/gateway/udp/listen.ts'
import { UdpObserver } from '../../../src/gateway/udp/observe.ts'

const port = { local: { address: '203.0.113.1', port: 3478 }, row: 0 } as Port
const mapped = { address: '198.51.100.7', port: 40_000 }

function observer(peers: readonly string[]) {
  const time = { nowMs: 1_000_000 }
  const observed = new UdpObserver({ ports: () => [port], public: [], now: () => time.nowMs })
  for (const peer of peers) observed.admit(peer, Buffer.alloc(20))
  const hears = (peer: string) =>
    observed.sees({ kind: 'sample', key: Buffer.alloc(20), peer, socket: 0 }, port, mapped, true)
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
