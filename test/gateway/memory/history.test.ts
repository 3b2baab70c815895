import test from 'ava'
import { History } from '../../../src/gateway/memory/history.ts'

const seen = (localPort: number, port: number, address = '198.51.100.7') => ({
  address,
  port,
  atMs: 10 * localPort + port,
  localPort
})
const portsOf = (observations: readonly { port: number }[]) => observations.map(({ port }) => port)

test('the mappings of earlier sockets come before those of the socket in use', t => {
  const history = new History()
  history.learn('ann', [seen(1, 5000), seen(1, 5001)])
  t.deepEqual(portsOf(history.learn('ann', [seen(2, 5002), seen(2, 5003)])), [5000, 5001, 5002, 5003])
  t.deepEqual(portsOf(history.learn('ann', [seen(1, 5000), seen(1, 5001)])), [5000, 5001, 5002, 5003])
  t.deepEqual(portsOf(history.learn('bob', [seen(3, 7000)])), [7000], 'and are those of one certificate')
})

test('mappings that nobody saw are counted with the next one that is seen', t => {
  const history = new History()
  history.learn('ann', [seen(1, 5000)])
  history.unseen('ann', 3)
  history.unseen('ann', 2)
  const [, next, after] = history.learn('ann', [seen(2, 5006), seen(2, 5007)])
  t.is(next?.unseen, 5)
  t.is(after?.unseen, undefined)
  t.is(history.learn('ann', [seen(2, 5006), seen(2, 5007)])[1]?.unseen, 5, 'once, and it stays with it')
})

test('a peer that changed networks begins anew, and one with a pool of addresses does not', t => {
  const history = new History()
  history.learn('ann', [seen(1, 5000, '198.51.100.7'), seen(1, 5001, '198.51.100.8')])
  t.deepEqual(portsOf(history.learn('ann', [seen(2, 6000, '203.0.113.9')])), [6000])
  const pooled = history.learn('ann', [seen(300, 5002, '198.51.100.8'), seen(300, 5003, '198.51.100.9')])
  t.deepEqual(portsOf(pooled), [5000, 5001, 5002, 5003])
})

test('an idle socket that is older than all that is remembered comes first, behind a gap that tells nothing', t => {
  const history = new History()
  const idle = [seen(1, 1000), seen(1, 1001)]
  history.learn('ann', idle)
  for (let n = 0; n < 50; n++) history.learn('ann', [seen(2 + n, 2000 + n)])
  for (let again = 0; again < 3; again++) {
    history.unseen('ann', 1)
    const all = history.learn('ann', idle)
    t.deepEqual(portsOf(all).slice(0, 3), [1000, 1001, 2018])
    t.deepEqual(
      all.slice(0, 4).map(({ unseen }) => unseen),
      [undefined, undefined, Infinity, undefined]
    )
  }
  t.is(history.learn('ann', [seen(99, 3000)]).at(-1)?.unseen, 3, 'and what was not seen is kept for what comes next')
})

test('a peer that shows ever more mappings is remembered by the last of them', t => {
  const history = new History()
  for (let port = 1000; port < 1100; port++) history.learn('ann', [seen(port, port)])
  t.deepEqual(portsOf(history.learn('ann', [seen(9000, 1)])).length, 32)
})

test('a mapping that was proved is that of one peer at one address', t => {
  const history = new History()
  history.proved('ann', '198.51.100.7')
  t.true(history.isProved('ann', '198.51.100.7'))
  t.false(history.isProved('ann', '198.51.100.8'))
  t.false(history.isProved('bob', '198.51.100.7'))
})
