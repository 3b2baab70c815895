import test from 'ava'
import type { PosternError } from '../../../src/errors.ts'
import { Sides } from '../../../src/gateway/session/sides.ts'
import { NO_SOCKET } from '../../../src/wire/order.ts'
import type { SideName } from '../../../src/wire/side.ts'
import { pace } from '../../agent-pace.ts'
import { awake, endpoints, Hand, Home, pair, socket } from './made.ts'

const both: readonly SideName[] = ['caller', 'callee']

/** Two sides, each with a warm socket that was seen, and how the session of theirs ends. */
function open(home: Home, peers = pair(home)) {
  const gone = new AbortController()
  return { ...peers, gone, sides: new Sides(home, { ...peers, gone: gone.signal }) }
}

const fresh = (round: number, number: number) =>
  ({ type: 'fresh', session: 's', round, socket: number, port: 4000 + number }) as const

test('a side that is waited for keeps the other’s socket from nobody', async t => {
  using home = new Home()
  const [caller, callee] = [new Hand('ann'), new Hand('bob')]
  home.observer.sees(caller, 1, '192.0.2.1')
  home.observer.sees(callee, 0, '192.0.2.2')
  caller.warmed(socket(0))
  const { sides } = open(home, { caller, callee })
  const taking = sides.take(both, () => {})
  t.is((await caller.takeSocket())?.number, 0, 'for the session of another')
  callee.warmed(socket(0))
  caller.warmed(socket(1))
  await taking
  t.deepEqual(sides.missing, [])
  t.deepEqual(
    both.map(side => sides.ordered(side)),
    [1, 0]
  )
})

test('where one of the two is snatched away, the other is given back before both are waited for again', async t => {
  using home = new Home()
  const { sides, caller, callee } = open(home)
  const takeSocket = callee.takeSocket.bind(callee)
  callee.takeSocket = async () => {
    callee.takeSocket = takeSocket
    return undefined
  }
  await sides.take(both, () => {})
  t.deepEqual(
    both.map(side => sides.ordered(side)),
    [0, 0]
  )
  t.false(caller.isWarm)
})

test('a side whose UDP is blocked needs no socket where a door leads to it, and nothing is known of its NAT', async t => {
  using home = new Home()
  const { sides, callee } = open(home)
  callee.cooled(0, 'silence', { doors: ['websocket'], rttMs: 30 })
  const shown: unknown[] = []
  await sides.take(both, ({ side, isWarm }) => shown.push([side, isWarm]))
  t.deepEqual(shown, [
    ['caller', true],
    ['callee', false]
  ])
  t.deepEqual(sides.missing, [])
  t.deepEqual(
    both.map(side => sides.ordered(side)),
    [0, NO_SOCKET]
  )
  t.is(sides.rttMs('callee'), 30)
  t.like(await sides.side('callee'), { doors: ['websocket'], observations: [], mapped: { address: '0.0.0.0' } })
  t.deepEqual(await sides.untested(), [])
})

test('a browser whose UDP is blocked takes part with the agent that it has prepared, and gets it back where nothing was ordered', async t => {
  using home = new Home()
  const ice = { ufrag: 'Xy7+', pwd: 'x'.repeat(22) }
  const web = new Hand('web', { iceOnly: pace })
  const { caller, sides } = open(home, { ...pair(home), callee: web })
  web.cooled(4, 'silence', { doors: ['tcp'], rttMs: 30, ice })
  await sides.take(both, () => {})
  t.deepEqual(sides.missing, [])
  t.is(sides.iceOf('callee'), ice)
  t.false(web.isPrepared)
  t.like(await sides.side('callee'), { doors: ['tcp'], mapped: { address: '0.0.0.0' } })
  sides.giveBack()
  t.true(web.isPrepared && caller.isWarm)
  await sides.take(both, () => {})
  t.is(sides.ordered('callee'), 4)
  sides.drop('callee')
  t.deepEqual(sides.missing, ['callee'])
  const taking = sides.take(['callee'], () => {})
  web.cooled(5, 'silence', { doors: ['tcp'], ice })
  await taking
  t.is(sides.ordered('callee'), 5)
})

test('a side that is cold fails the taking with its reason, and what became of each is shown', async t => {
  using home = new Home()
  const { sides, caller, callee } = open(home)
  callee.cooled(0, 'silence')
  const shown: unknown[] = []
  const taking = sides.take(both, ({ side, isWarm, reason }) => shown.push([side, isWarm, reason]))
  await t.throwsAsync(taking, { message: 'no UDP datagram from bob reaches the gateway: silence' })
  t.deepEqual(shown, [
    ['caller', true, undefined],
    ['callee', false, 'silence']
  ])
  t.true(caller.isWarm)
  t.deepEqual(await sides.takeWarm(), ['caller'])
})

test('the end of the session ends the waiting', async t => {
  using home = new Home()
  const { sides, gone } = open(home, { caller: new Hand('ann'), callee: new Hand('bob') })
  const taking = sides.take(both, () => {})
  gone.abort(new Error('ann left'))
  await t.throwsAsync(taking, { message: 'ann left' })
})

test('a fresh socket takes the place of the one before only where it was seen', async t => {
  using home = new Home()
  const { sides, caller, callee } = open(home)
  await sides.take(both, () => {})
  const over = new AbortController()
  const renewing = sides.renew(
    both,
    (side, round) => {
      sides.shown(side, fresh(round - 1, 8))
      sides.shown(side, fresh(round, 9))
      if (side === 'caller') home.observer.sees(caller, 9, '192.0.2.1')
      else over.abort()
    },
    over.signal
  )
  t.deepEqual(
    (await renewing).map(({ isWarm, reason }) => [isWarm, reason]),
    [
      [true, undefined],
      [false, 'no sample of bob came in time']
    ]
  )
  t.deepEqual(
    both.map(side => sides.ordered(side)),
    [9, 0]
  )
  t.is((await caller.takeSocket())?.number, 0, 'the one before is as warm as it was')
  t.false(callee.isWarm)
})

test('a peer that shows nothing when it is asked to is told so', async t => {
  using home = new Home()
  const { sides } = open(home)
  await sides.take(both, () => {})
  const [showing] = await sides.renew(['callee'], () => {}, AbortSignal.abort())
  t.is(showing?.reason, 'bob showed no fresh socket in time')
})

test('only what was neither ordered nor fresh is given back', async t => {
  using home = new Home()
  const given = async (uses: (sides: Sides, caller: Hand) => unknown) => {
    const { sides, caller, callee } = open(home)
    await sides.take(both, () => {})
    await uses(sides, caller)
    sides.giveBack()
    sides.giveBack()
    return [caller.isWarm, callee.isWarm]
  }
  t.deepEqual(await given(() => {}), [true, true])
  t.deepEqual(await given(sides => sides.ordered('caller')), [false, true])
  t.deepEqual(await given(sides => sides.drop('callee')), [true, true], 'no order has named it')
  const dropped = given(sides => {
    sides.ordered('callee')
    sides.drop('callee')
  })
  t.deepEqual(await dropped, [true, false])
  const renewed = given(async (sides, caller) => {
    home.observer.sees(caller, 9, '192.0.2.1')
    const never = new AbortController().signal
    await sides.renew(['caller'], (side, round) => sides.shown(side, fresh(round, 9)), never)
    await caller.takeSocket()
  })
  t.deepEqual(await renewed, [false, true])
})

test('filters matter where a port has to be guessed, and are known where there is no test', async t => {
  using home = new Home()
  const untested = async (peers: ReturnType<typeof pair>) => {
    const { sides } = open(home, peers)
    await sides.take(both, () => {})
    return await sides.untested()
  }
  const silent = (more = {}) => {
    const peers = { caller: new Hand('ann'), callee: new Hand('bob', more) }
    for (const peer of [peers.caller, peers.callee]) peer.warmed(socket(0))
    for (const peer of [peers.caller, peers.callee]) home.observer.sees(peer, 0, '192.0.2.1')
    return peers
  }
  t.deepEqual(await untested(silent()), [])
  const hard = silent()
  home.observer.sees(hard.caller, 0, '192.0.2.1', [1, 2, 3, 4])
  t.deepEqual(await untested(hard), ['callee'], 'what the hard side lets in changes nothing')
  home.observer.sees(hard.callee, 0, '192.0.2.1', [1, 2, 3, 4])
  hard.caller.giveBack(socket(0))
  hard.callee.giveBack(socket(0))
  t.deepEqual(await untested(hard), both)
  hard.caller.giveBack(socket(0))
  hard.callee.giveBack(socket(0))
  hard.caller.filters({ port: true })
  t.deepEqual(await untested(hard), ['callee'])
  const one = silent({ endpoints: [endpoints[0]] })
  home.observer.sees(one.callee, 0, '192.0.2.1', [1])
  t.deepEqual(await untested(one), ['caller'])
})

test('if the gateway has one address, filters matter where a port has to be guessed, or where there is no NAT', async t => {
  const own = '10.0.0.2'
  for (const [address, ports, matter] of [
    ['192.0.2.1', [4001, 4001], []],
    ['192.0.2.1', [4001, 4002], ['callee']],
    [own, [4000, 4000], ['caller']]
  ] as const) {
    using home = new Home()
    const peers = { caller: new Hand('ann'), callee: new Hand('bob') }
    for (const peer of [peers.caller, peers.callee]) peer.warmed(socket(0))
    home.observer.sees(peers.caller, 0, address, ports)
    home.observer.sees(peers.callee, 0, '192.0.2.2', [4001, 4001])
    const { sides } = open(home, peers)
    await sides.take(both, () => {})
    t.deepEqual(await sides.untested(), matter, `${address} ${ports}`)
  }
})

test('a filtering test that is waited for ends the waiting when it comes', async t => {
  using home = new Home()
  const { sides, callee } = open(home, { caller: new Hand('ann'), callee: new Hand('bob') })
  const known = sides.filteringKnown(['callee'])
  callee.filters({ port: true })
  await known
  t.false(callee.isTesting)
})

test('a side without a socket, or whose socket nobody has seen, has no scene', async t => {
  using home = new Home()
  const { sides, caller } = open(home)
  await t.throwsAsync(sides.side('caller'), { message: 'no socket of ann was observed' })
  t.throws(() => sides.ordered('caller'), { message: 'no socket of ann was observed' })
  await sides.take(both, () => {})
  home.observer.sees(caller, 0, '192.0.2.1', [])
  await t.throwsAsync(sides.side('caller'), { message: 'no UDP datagram from ann reached the gateway' })
  t.like(await sides.side('callee'), {
    name: 'bob',
    mapped: { address: '192.0.2.2', port: 4000 },
    rttMs: 10,
    probes: 100
  })
})

test('a side that has no socket and gives no sign of life is silent, and one that does is blocked', async t => {
  using home = new Home()
  using _ = awake()
  const taking = async (heardMs: number) => {
    const { sides, callee } = open(home)
    await callee.takeSocket()
    callee.link.heardMs = heardMs
    const codes: unknown[] = []
    const error = await t.throwsAsync<PosternError>(sides.take(both, ({ code }) => codes.push(code)))
    return { code: error?.code, codes }
  }
  const [silent, blocked] = await Promise.all([taking(0), taking(Number.POSITIVE_INFINITY)])
  t.deepEqual(silent, { code: 'silent-peer', codes: [undefined, 'silent-peer'] })
  t.deepEqual(blocked, { code: 'udp-blocked', codes: [undefined, undefined] })
})

test('a socket that nothing was heard of for long is not taken, and its side is silent', async t => {
  using home = new Home()
  using _ = awake()
  const [caller, callee] = [new Hand('ann'), new Hand('bob')]
  for (const peer of [caller, callee]) peer.warmed(socket(0))
  home.observer.sees(caller, 0, '192.0.2.1')
  callee.link.heardMs = 0
  const { sides } = open(home, { caller, callee })
  const codes: unknown[] = []
  const taking = sides.take(both, ({ side, code }) => codes.push([side, code]))
  await t.throwsAsync(taking, { code: 'silent-peer', message: /^bob shows no mapping any more/ })
  t.deepEqual(codes, [['callee', 'silent-peer']])
})

test('a round trip is no longer than what the gateway has measured, whatever the side says', async t => {
  using home = new Home()
  home.observer.rttMs = peer => (peer === 'ann' ? 40 : 900)
  const { sides } = open(home, pair(home, { rttMs: 600 }))
  await sides.take(both, () => {})
  t.deepEqual(
    both.map(side => sides.rttMs(side)),
    [40, 600]
  )
  t.deepEqual(await Promise.all(both.map(async side => (await sides.side(side)).rttMs)), [40, 600])
})
