import test from 'ava'
import type { Holder } from '../../../src/gateway/shares/shares.ts'
import { Pace } from '../../../src/gateway/signalling/pace.ts'
import type { FromPeer } from '../../../src/wire/signal.ts'

/** What each holder gets said within so many seconds, if all of them always have something to say. */
function said(
  holders: readonly Holder[],
  { seconds = 2, perSecond = 200, peers = 100, type = 'ping' as FromPeer['type'] } = {}
) {
  let now = 0
  const pace = new Pace(perSecond, peers, () => now)
  const counts = holders.map(() => 0)
  const retry = holders.map(() => 0)
  for (; now < seconds * 1000; now++)
    for (const [index, holder] of holders.entries())
      while ((retry[index] ?? 0) <= now) {
        const restMs = pace.admit(holder)
        if (restMs === 0) {
          pace.charge(holder, type)
          counts[index] = (counts[index] ?? 0) + 1
        } else retry[index] = now + Math.max(1, restMs)
      }
  return counts
}

const sum = (counts: readonly number[]) => counts.reduce((total, count) => total + count, 0)

test('a peer says what it may in a second at once, and the rest at its pace', t => {
  const [one = 0] = said([{ network: 'a', certificate: 'x' }])
  t.true(one > 570 && one <= 600, `${one} in 2 s, with a second's worth that was saved up`)
})

test('another limit holds at once, also for whom was heard before', t => {
  let [now, perSecond] = [0, 5]
  const pace = new Pace(
    () => perSecond,
    () => 100,
    () => now
  )
  const one = { network: 'a', certificate: 'x' }
  const heard = () => {
    let count = 0
    for (; count < 1000 && pace.admit(one) === 0; count++) now += 1
    return count
  }
  t.is(heard(), 5)
  perSecond = 50
  t.true(heard() >= 50)
  perSecond = 3
  t.is(heard(), 3)
})

test('eight links of one certificate get no more than one', t => {
  const links = Array.from({ length: 8 }, () => ({ network: 'a', certificate: 'x' }))
  t.true(sum(said(links)) <= 600)
})

test('however many certificates say all they may, the loop does no more in all, and a little at once', t => {
  const crowd = Array.from({ length: 40 }, (_, index) => ({ network: `${index}`, certificate: `${index}` }))
  const all = sum(said(crowd, { perSecond: 400 }))
  t.true(all > 6000 && all <= 8200, `${all} in 2 s`)
  const pace = new Pace(200, 100, () => 0)
  let atOnce = 0
  for (const holder of crowd) while (pace.admit(holder) === 0) atOnce++
  t.is(atOnce, 200, 'within one moment')
})

test('a network that says all it may leaves another nearly all that it may say', t => {
  const crowd = Array.from({ length: 40 }, (_, index) => ({ network: 'a', certificate: `${index}` }))
  const counts = said([...crowd, { network: 'b', certificate: 'honest' }], { perSecond: 100 })
  t.true((counts.at(-1) ?? 0) > 200, `${counts.at(-1)} of 300`)
})

test('where more peers may be joined, more is said in all: what they say while they are idle is no flood', t => {
  const crowd = Array.from({ length: 80 }, (_, index) => ({ network: `${index}`, certificate: `${index}` }))
  const all = sum(said(crowd, { peers: 20_000 }))
  t.true(all > 15_000 && all <= 20_500, `${all} in 2 s`)
})

test('of all hellos the loop hears so many that those who have joined are heard beside them', t => {
  const strangers = Array.from({ length: 200 }, (_, index) => ({ network: `${index}` }))
  const member = { network: 'a', certificate: 'x' }
  const counts = said([...strangers, member], { peers: 20_000 })
  const hellos = sum(counts.slice(0, -1))
  t.true(hellos > 700 && hellos <= 1300, `${hellos} in 2 s`)
  t.true((counts.at(-1) ?? 0) > 500, `${counts.at(-1)} of 600`)
})

test('what costs more of the loop is served less often', t => {
  const crowd = Array.from({ length: 40 }, (_, index) => ({ network: `${index}`, certificate: `${index}` }))
  const connects = sum(said(crowd, { type: 'connect' }))
  t.true(connects > 1200 && connects <= 1700, `${connects} in 2 s`)
})

test('pings of a WebSocket have their pace too', t => {
  const pace = new Pace(200, 100, () => 0)
  const holder = { network: 'a', certificate: 'x' }
  for (let count = 0; count < 600; count++) pace.frame(holder)
  t.is(pace.untilMs(holder), 0)
  for (let count = 0; count < 600; count++) pace.frame(holder)
  t.true(pace.untilMs(holder) > 0)
})
