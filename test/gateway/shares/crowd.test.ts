import test from 'ava'
import { Crowd } from '../../../src/gateway/shares/crowd.ts'
import { networkOf } from '../../../src/gateway/shares/network.ts'

test('while there is room nobody has to go', t => {
  const crowd = new Crowd<number>(100)
  for (let index = 0; index < 90; index++) t.is(crowd.enter(index, 'a'), undefined)
  t.is(crowd.size, 90)
  t.is(crowd.shed, 0)
})

test('where there is no room the oldest of the network that has most makes some', t => {
  const crowd = new Crowd<string>(20)
  for (let index = 1; index <= 4; index++) crowd.enter(`b${index}`, 'b')
  for (let index = 1; index <= 14; index++) crowd.enter(`a${index}`, 'a')
  t.is(crowd.size, 15, 'above three quarters the share of each is ten, and a newcomer of `a` replaces one of its own')
  t.is(crowd.enter('a15', 'a'), 'a4')
  for (let index = 5; index <= 7; index++) t.is(crowd.enter(`b${index}`, 'b'), undefined)
  t.is(crowd.enter('b8', 'b'), 'a5')
  t.is(crowd.enter('c1', 'c'), undefined, 'a place is kept for who has none')
  t.is(crowd.size, 19)
})

test('among equals the network of the newcomer gives way', t => {
  const crowd = new Crowd<string>(4)
  for (const item of ['a1', 'a2']) crowd.enter(item, 'a')
  for (const item of ['b1', 'b2']) crowd.enter(item, 'b')
  t.is(crowd.enter('b3', 'b'), 'b1')
})

test('who has left is not put out, and leaves once', t => {
  const crowd = new Crowd<string>(10)
  for (let index = 1; index <= 9; index++) crowd.enter(`a${index}`, 'a')
  crowd.leave('a1', 'a')
  crowd.leave('a1', 'a')
  t.is(crowd.size, 8)
  t.is(crowd.enter('a10', 'a'), undefined)
  t.is(crowd.enter('a11', 'a'), 'a2')
})

test('an address stands for its /24, an IPv6 one for its /56', t => {
  t.is(networkOf('203.0.113.10'), networkOf('203.0.113.200'))
  t.not(networkOf('203.0.113.10'), networkOf('203.0.114.10'))
  t.is(networkOf('2001:db8:0:1200::1'), networkOf('2001:db8::12ff:1:2:3:4'))
  t.not(networkOf('2001:db8:0:1200::1'), networkOf('2001:db8:0:1300::1'))
})

test('an address is of its network however it is written, and what is no address is of one', t => {
  t.is(networkOf('::ffff:203.0.113.10'), networkOf('203.0.113.10'))
  t.is(networkOf('2001:0db8:0:1200::1'), networkOf('2001:db8:0:1201::1'))
  t.is(networkOf('fe80::1%eth0'), networkOf('fe80::2'))
  t.is(networkOf('nonsense'), networkOf(''))
})

test('of whoever comes and goes, those who are here are counted, and the network that has most gives way', t => {
  const crowd = new Crowd<string>(40)
  const here = new Map<string, string[]>()
  for (let turn = 0; turn < 2000; turn++) {
    const network = 'abcde'[(turn * turn) % 5] ?? ''
    const mine = here.get(network) ?? []
    here.set(network, mine)
    if (turn % 3 === 0) {
      const [first] = mine.splice(0, 1)
      if (first) crowd.leave(first, network)
      continue
    }
    const most = Math.max(...[...here.values()].map(({ length }) => length))
    const out = crowd.enter(`${network}${turn}`, network)
    if (out) {
      const left = here.get(out[0] ?? '') ?? []
      t.is(left.length, most)
      t.is(left.shift(), out, 'the oldest')
    }
    mine.push(`${network}${turn}`)
    t.is(crowd.size, [...here.values()].flat().length)
  }
  t.true(crowd.shed > 0)
})

test('somebody can be put out although there is room, until nobody is left', t => {
  const crowd = new Crowd<string>(10)
  for (const item of ['b1', 'a1', 'a2']) crowd.enter(item, item[0] ?? '')
  t.is(crowd.putOut(), 'a1')
  t.is(crowd.putOut(), 'b1')
  t.is(crowd.putOut(), 'a2')
  t.is(crowd.putOut(), undefined)
  t.is(crowd.size, 0)
})
