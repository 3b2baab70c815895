// Each verdict from a trace that is made up of what would be recorded, and what a verdict is whatever was.

import test from 'ava'
import fc from 'fast-check'
import { knownStrategies } from '../../../src/plugins/built-in.ts'
import type { Known } from '../../../src/strategy/remedy.ts'
import type { SpanRecord } from '../../../src/trace/record/record.ts'
import { FAULT, judge as judgeWith } from '../../../src/trace/verdict/judge.ts'
import { type Verdict, type VerdictCode, verdicts } from '../../../src/verdict.ts'
import { type SideName, sideNames } from '../../../src/wire/side.ts'
import { parseFromGateway } from '../../../src/wire/signal.ts'
import { block, endpoints, MadeUp, random, stepping } from '../made-up.ts'

const judge = (spans: readonly SpanRecord[]) => judgeWith(spans, knownStrategies([]))

interface Expected {
  readonly side: Verdict['side']
  readonly sentence: RegExp
  /** Of one of its lines. */
  readonly evidence?: RegExp
  readonly also?: readonly VerdictCode[]
}

interface Case extends Expected {
  readonly code: VerdictCode
  readonly what: string
  readonly made: MadeUp
}

const cases: Case[] = []

function when(what: string, code: VerdictCode, made: MadeUp, expected: Expected): void {
  cases.push({ code, what, made, ...expected })
}

const failed = (code: string, more: Record<string, unknown> = {}) => {
  const { outcome = 'failed', reason = `it ended with ${code}`, ...others } = more
  return new MadeUp({ outcome, code, reason, path: undefined, plugin: undefined, ...others })
}
const early = (code: string, more: Record<string, unknown> = {}) => failed(code, { session: undefined, ...more })
const join = (code: string, more: Record<string, unknown> = {}) =>
  new MadeUp({ outcome: 'failed', code, reason: `refused with ${code}`, peer: 'carol', ...more }, 'join')

const both = (one: Record<string, unknown>, two = one, root = {}) =>
  new MadeUp(root).profile('caller', one).profile('callee', two)
const easy = {}
const unheard = { caller: {}, callee: {} }

when('a path is direct', 'direct', new MadeUp({ path: 'direct', plugin: 'stun' }), {
  side: 'none',
  sentence: /^a direct path was found by stun$/
})

when('nobody has joined under the name', 'unknown-peer', early('unknown-peer'), {
  side: 'callee',
  sentence: /^nobody has ever joined as bob$/
})
when('the callee is not joined', 'peer-offline', early('peer-offline'), {
  side: 'callee',
  sentence: /^bob has not joined now/
})
when('the callee is lost midway', 'peer-lost', failed('peer-offline', { side: 'callee' }), {
  side: 'callee',
  sentence: /^bob lost its connection/
})
when('the caller gives it up', 'peer-left', failed('timeout', { side: 'caller' }), {
  side: 'caller',
  sentence: /^alice gave the request up/
})
when('a peer asks for itself', 'self-connect', early('self-connect'), { side: 'caller', sentence: /to itself$/ })
when('the join token is wrong', 'bad-token', join('bad-token'), {
  side: 'caller',
  sentence: /^carol showed a wrong join token$/
})
when('a name is taken', 'join-refused', join('name-taken'), {
  side: 'caller',
  sentence: /^carol could not join: the name belongs to another certificate$/
})
when(
  'packets of no size pass, directly or through the relay',
  'too-narrow',
  new MadeUp({ path: 'direct', plugin: 'stun', reason: 'x' })
    .change('lost', { mtu: 1280, reason: 'packets of 1280 bytes do not pass directly' })
    .change('narrow', { mtu: 1280, reason: 'packets of 1280 bytes do not pass through the relay' })
    .change('ended', { code: 'too-narrow' }),
  { side: 'path', sentence: /between alice and bob/, evidence: /through the relay/ }
)

when('the gateway has no room for a peer', 'join-refused', join('relay-full', { limit: 'peers' }), {
  side: 'gateway',
  sentence: /^carol could not join: the gateway has no room for it \(peers\)$/
})
when('a pin is not met', 'fingerprint-mismatch', early('fingerprint-mismatch', { side: 'caller' }), {
  side: 'callee',
  sentence: /^alice refused bob: its certificate/
})
when('the callee refuses the caller', 'fingerprint-mismatch', failed('fingerprint-mismatch', { side: 'callee' }), {
  side: 'caller',
  sentence: /^bob refused alice: its certificate/
})
when('the gateway carries as many sessions as it may', 'relay-full', early('relay-full', { limit: 'sessions' }), {
  side: 'gateway',
  sentence: /^the gateway has no room/
})
when('a peer has its share', 'over-quota', early('relay-full', { limit: 'sessionsPerPeer', side: 'caller' }), {
  side: 'caller',
  sentence: /^alice has as many sessions as limits\.sessionsPerPeer allows$/
})
when('there is no time to judge networks', 'relay-full', early('relay-full', { limit: 'judging' }), {
  side: 'gateway',
  sentence: /^the gateway has no room for another session$/
})

when(
  'the gateway knows that a peer sets up as many',
  'over-quota',
  early('relay-full', { limit: 'settingUp', side: 'callee' }),
  {
    side: 'callee',
    sentence: /^bob is setting up as many connections as it does at once$/
  }
)

when('a peer sets up as many connections as it does at once', 'over-quota', failed('over-quota', { side: 'callee' }), {
  side: 'callee',
  sentence: /^bob is setting up as many connections as it does at once$/
})
when('a pair has its share', 'over-quota', early('relay-full', { limit: 'sessionsPerPair' }), {
  side: 'both',
  sentence: /^alice and bob have as many sessions as limits\.sessionsPerPeer allows a pair$/
})
when(
  'the relay has no room after the others',
  'relay-full',
  failed('relay-full', { limit: 'relay' })
    .profile('caller', random)
    .profile('callee', random)
    .turn('spray', 'passed', 'unlikely', { expected: 0.001 })
    .turn('relay', 'failed', 'relay-full'),
  {
    side: 'gateway',
    sentence: /^the relay has no room for another session, and there was no direct path: the NATs of/,
    evidence: /^alice: mapping address-and-port-dependent/,
    also: ['both-random']
  }
)

const blocked = (cold: readonly SideName[], root = {}) =>
  failed('udp-blocked', root).observe(
    sideNames,
    { outcome: 'failed', cause: 'no-sample' },
    sideNames.map(side => [cold.includes(side) ? 'cold' : 'warm', { side }] as const)
  )
when('the callee cannot send UDP', 'udp-blocked', blocked(['callee']), {
  side: 'callee',
  sentence: /^no UDP datagram of bob reached the gateway$/,
  evidence: /^alice: UDP was heard$/
})
when('neither can, and others can', 'udp-blocked', blocked(sideNames), { side: 'both', sentence: /of alice and bob/ })
when('nobody can', 'gateway-ports', blocked(sideNames, { 'gateway.heard': false }), {
  side: 'gateway',
  sentence: /nor of anybody else$/
})
when('nobody reaches a port', 'gateway-ports', blocked(sideNames, { 'gateway.deaf': endpoints.slice(0, 1) }), {
  side: 'gateway',
  sentence: /^neither side could show a mapping, and nobody reaches the gateway at 192\.0\.2\.1:3478$/,
  evidence: /^nobody was heard at 192\.0\.2\.1:3478/
})
const absent = (code: string, side: SideName, more = {}) =>
  failed(code).observe(sideNames, { outcome: 'failed', cause: 'no-sample' }, [
    ['warm', { side: side === 'caller' ? 'callee' : 'caller' }],
    ['cold', { side, code, reason: 'why', ...more }]
  ])
when('the callee has no IPv4', 'wrong-family', absent('wrong-family', 'callee'), {
  side: 'callee',
  sentence: /^bob has no IPv4 path to the gateway, and UDP is IPv4 alone$/,
  evidence: /^bob: why$/,
  also: []
})
when('the callee was told a private address', 'wrong-family', absent('wrong-family', 'callee', { told: '10.0.0.5' }), {
  side: 'gateway',
  sentence: /^bob came to the gateway by IPv6, UDP is IPv4 alone, and 10\.0\.0\.5, .* does not answer$/,
  also: []
})
when('a gateway without IPv4 is reached by IPv6', 'wrong-family', join('wrong-family'), {
  side: 'gateway',
  sentence: /^carol came by IPv6/
})
when('the callee is silent', 'silent-peer', absent('silent-peer', 'callee'), {
  side: 'callee',
  sentence: /^bob is joined and answers nothing now/,
  evidence: /^bob: why$/,
  also: []
})
when(
  'the caller is blocked, and the callee is silent',
  'silent-peer',
  failed('udp-blocked').observe(sideNames, { outcome: 'failed', cause: 'no-sample' }, [
    ['cold', { side: 'caller', code: 'udp-blocked' }],
    ['cold', { side: 'callee', code: 'silent-peer' }]
  ]),
  { side: 'callee', sentence: /^bob is joined/, also: ['udp-blocked'] }
)
when(
  'the callee shows its address to nobody',
  'relay-only',
  new MadeUp({ 'callee.relay_only': true }).turn('stun', 'passed', 'unsuited'),
  {
    side: 'callee',
    sentence: /^bob shows its address to no other peer$/,
    evidence: /^bob joined as "relay only"$/,
    also: []
  }
)
when(
  'both show their addresses to nobody, and UDP of one is blocked',
  'relay-only',
  new MadeUp({ 'caller.relay_only': true, 'callee.relay_only': true }).observe(sideNames, {}, [
    ['cold', { side: 'caller', code: 'udp-blocked' }]
  ]),
  { side: 'both', sentence: /^alice and bob show their addresses to no other peer$/, also: ['udp-blocked'] }
)
when(
  'fresh ports of the callee are dead',
  'dead-port',
  both(easy, stepping, { 'callee.dead_ports': [10_001, 20_002] })
    .observe(['callee'], { fresh: true, outcome: 'failed', cause: 'no-sample' }, [['cold', { side: 'callee' }]])
    .turn('predict', 'failed', 'no-sample'),
  {
    side: 'callee',
    sentence: /^UDP ports of bob are dead, and no mapping of a fresh one was seen in time/,
    evidence: /^bob: nothing came back to its local ports 10001, 20002, while others were answered$/,
    also: []
  }
)
when(
  'the caller was warm already, and the callee is waited for',
  'udp-blocked',
  failed('udp-blocked').observe(['callee'], { outcome: 'failed', cause: 'no-sample' }),
  { side: 'callee', sentence: /of bob/ }
)
when(
  'UDP stops before the relay',
  'udp-blocked',
  failed('no-path')
    .profile('caller')
    .profile('callee')
    .turn('relay', 'failed', 'unheard')
    .plan('unheard', { caller: { events: ['latched'] }, callee: {} }),
  { side: 'callee', sentence: /^UDP of bob reached the gateway before/, evidence: /^bob sent 12/ }
)
when(
  'UDP of both stops before the relay',
  'gateway-ports',
  both(random, random, { outcome: 'failed', code: 'no-path', path: undefined, plugin: undefined })
    .turn('spray', 'passed', 'unlikely', { expected: 0.001 })
    .turn('relay', 'failed', 'unheard')
    .plan('unheard', unheard),
  { side: 'gateway', sentence: /^UDP of both sides reached the gateway before/, also: ['both-random'] }
)
when(
  'one is not heard, and the other is no more',
  'gateway-ports',
  blocked(['caller']).observe(['callee'], { fresh: true, outcome: 'failed', cause: 'no-sample' }, [
    ['cold', { side: 'callee' }]
  ]),
  { side: 'gateway', sentence: /^UDP of bob reached the gateway before, and nobody's does now$/, also: [] }
)
when(
  'one is not heard, and the other is still',
  'udp-blocked',
  blocked(['caller']).observe(['callee'], { fresh: true }, [['warm', { side: 'callee' }]]),
  { side: 'caller', sentence: /of alice/ }
)
when(
  'an endpoint is reached by neither',
  'gateway-ports',
  new MadeUp()
    .profile('caller', { mapping: 'unknown' }, endpoints.slice(0, 2))
    .profile('callee', { mapping: 'unknown' }, endpoints.slice(0, 2))
    .turn('stun', 'failed', 'unheard')
    .plan('unheard', unheard),
  { side: 'gateway', sentence: /more than 2 of the gateway's 4 UDP endpoints/, also: ['nothing-through'] }
)
const hairpin = { hairpin: true, beyond_subnet: true }
when(
  'both sent to the one address that both are behind',
  'hairpin',
  both(easy).turn('stun', 'failed', 'unheard').plan('unheard', unheard, hairpin),
  { side: 'path', sentence: /^alice and bob are behind one public address/, evidence: /^stun: alice sent 12 datagrams/ }
)
when(
  'the one address that both are behind was tried with ports that could have missed',
  'spray-too-small',
  both(random, easy)
    .turn('spray', 'failed', 'unheard', { expected: 0.62 })
    .plan('unheard', unheard, { ...hairpin, expected: 0.62 }),
  { side: 'caller', sentence: /searched with a chance of 62 %/ }
)
when(
  'one was heard through the one address that both are behind',
  'one-way',
  both(easy)
    .turn('stun', 'failed', 'unheard')
    .plan('unheard', { caller: {}, callee: { received: 3 } }, hairpin),
  { side: 'caller', sentence: /nothing of bob reached alice/ }
)
when(
  'a side has the address of the other itself',
  'own-address',
  both(easy).turn('stun', 'failed', 'own-address').plan('own-address', {}, { 'callee.own': true }),
  { side: 'callee', sentence: /^bob has on an interface the very address/, evidence: /^stun: stun said why$/ }
)
when(
  'both sides found the address to be their own',
  'own-address',
  both(easy)
    .turn('direct', 'failed', 'own-address')
    .plan(
      'own-address',
      { caller: { sent: 0, code: 'own-address' }, callee: { sent: 0, code: 'own-address' } },
      { 'caller.own': true, 'callee.own': true }
    ),
  { side: 'both', sentence: /^alice and bob each have/ }
)
when(
  'endpoints that others reach are reached by neither',
  'nothing-through',
  new MadeUp({ 'gateway.deaf': [] })
    .profile('caller', { mapping: 'unknown' }, endpoints.slice(0, 2))
    .profile('callee', { mapping: 'unknown' }, endpoints.slice(0, 2))
    .turn('stun', 'failed', 'unheard')
    .plan('unheard', unheard),
  { side: 'path', sentence: /neither alice nor bob/ }
)
when(
  'some endpoints are reached by one side alone',
  'udp-blocked',
  new MadeUp()
    .profile('caller')
    .profile('callee', { mapping: 'unknown' }, endpoints.slice(0, 1))
    .turn('stun', 'failed', 'unheard')
    .plan('unheard', unheard),
  { side: 'callee', sentence: /^bob reaches 1 of the gateway's 4/ }
)
when(
  'the gateway has one address',
  'one-address',
  new MadeUp({ 'gateway.addresses': 1, 'gateway.ports': 2 })
    .profile('caller', {}, endpoints.slice(0, 2))
    .profile('callee', { mapping: 'unknown' }, endpoints.slice(0, 2))
    .turn('stun', 'failed', 'unheard')
    .plan('unheard', unheard),
  { side: 'gateway', sentence: /how bob is mapped/, evidence: /^1 address and 2/, also: ['nothing-through'] }
)

const hidden = { hidden: true, mapping: 'unknown', filtering: 'unknown', reached: '203.0.113.6:3478', observed: [] }
when(
  'something hides sources from a gateway of one address',
  'hidden-sources',
  both({ ...hidden, mapped: '127.0.0.1:40001' }, { ...hidden, mapped: '127.0.0.1:40002' }, { 'gateway.addresses': 1 })
    .turn('stun', 'passed', 'unsuited')
    .plan('handover-lost', { caller: { received: 1 }, callee: {} }),
  {
    side: 'gateway',
    sentence: /hides where peers come from: it sees alice at 127\.0\.0\.1 and bob at 127\.0\.0\.1$/,
    evidence: /^bob reached the gateway at 203\.0\.113\.6:3478, and is seen at 127\.0\.0\.1:40002$/
  }
)
when(
  'sources of one side are hidden, and stun is not in the list',
  'hidden-sources',
  both(hidden, easy, { strategies: ['relay'] }),
  { side: 'gateway', sentence: /it sees alice at/ }
)

when('both NATs are random', 'both-random', both(random).turn('spray', 'passed', 'unlikely', { expected: 0.001 }), {
  side: 'both',
  sentence:
    /^the NATs of alice and bob both choose their ports at random; with all its probes spray would have met with a chance of 0\.1 %$/,
  evidence: /^bob: mapping address-and-port-dependent, .* ports random in 1024-65535$/
})
when(
  'a search of one random NAT was not worth it',
  'spray-too-small',
  both(easy, random).turn('spray', 'passed', 'unlikely', { expected: 0.12 }),
  { side: 'callee', sentence: /^the NAT of bob chooses its ports at random; with all its probes .* of 12 %$/ }
)
when(
  'a search missed',
  'spray-too-small',
  both(random, easy)
    .turn('spray', 'failed', 'unheard', { expected: 0.62 })
    .plan('unheard', unheard, { expected: 0.62, 'caller.sockets': 256, 'caller.ports': 1, 'caller.probes': 496 }),
  {
    side: 'caller',
    sentence: /; spray searched with a chance of 62 %, and missed$/,
    evidence: /^alice: 256 sockets, 1 port, 12 of 496 probes sent, 0 received$/
  }
)
when(
  'a search that could hardly miss heard nothing',
  'nothing-through',
  both(random, easy)
    .turn('spray', 'failed', 'unheard', { expected: 0.999 })
    .plan('unheard', unheard, { expected: 0.999 }),
  {
    side: 'path',
    sentence: /^both sides sent to ports that could hardly miss/,
    evidence: /^expected with 99\.9 %$/,
    also: []
  }
)
when(
  'predictions that could hardly miss heard nothing, and nobody else uses up ports',
  'nothing-through',
  both({ ...stepping, drift: 0 }, easy)
    .turn('predict', 'failed', 'unheard', { expected: 0.95 })
    .plan('unheard', unheard, { expected: 0.95 })
    .plan('unheard', unheard, { expected: 0.95 }),
  { side: 'path', sentence: /could hardly miss/, also: [] }
)
when(
  'predictions that could hardly miss do so where others use up ports',
  'prediction-missed',
  both(stepping, easy)
    .turn('predict', 'failed', 'unheard', { expected: 0.95 })
    .plan('unheard', unheard, { expected: 0.95 })
    .plan('unheard', unheard, { expected: 0.95 }),
  { side: 'caller', sentence: /others behind that NAT use up 53/ }
)
when(
  'others use up the ports',
  'prediction-missed',
  both(stepping, easy)
    .turn('predict', 'failed', 'unheard', { expected: 0.8 })
    .plan('unheard', unheard, { expected: 0.8, 'callee.ports': 256 }),
  {
    side: 'caller',
    sentence: /^the next port of alice could not be told: others behind that NAT use up 53 ports per second$/,
    evidence: /^tried 256 ports with 1 socket, 80 % expected/
  }
)
when(
  'both count, and neither can be told',
  'prediction-missed',
  both(stepping).turn('predict', 'passed', 'unlikely', { expected: 0.04 }),
  { side: 'both', sentence: /^the next port of alice and bob/, evidence: /^predict expected 4 %$/ }
)
when(
  'a router tells that it has no public address',
  'carrier-above-home',
  both({ ...random, router: 'carrier', 'router.outside': '100.64.1.2' }, { ...random, router: 'silent' }).turn(
    'spray',
    'passed',
    'unlikely',
    { expected: 0.001 }
  ),
  {
    side: 'caller',
    sentence: /^a carrier's NAT lies above the router of alice, so no port forwarded there leads in$/,
    evidence: /^alice: its router has the outside address 100\.64\.1\.2, and the gateway sees /,
    also: ['both-random']
  }
)
when(
  'a forward leads nowhere, and the session has used another socket since',
  'both-random',
  both({ ...random, forward: 'unheard' }, random)
    .turn('spray', 'passed', 'unlikely', { expected: 0.001 })
    .profile('caller', random),
  { side: 'both', sentence: /both choose their ports at random/, evidence: /^alice: its forward leads nowhere/ }
)
when(
  'a router gives a port of an address that is not the one others see, and nothing comes in',
  'carrier-above-home',
  both({ ...random, router: 'granted', 'router.outside': '198.51.100.250', forward: 'unheard' }, easy).turn(
    'spray',
    'failed',
    'unheard',
    { expected: 0.9 }
  ),
  { side: 'caller', sentence: /above the router of alice/, also: ['spray-too-small'] }
)
when(
  'the probes are used up',
  'budget-shared-out',
  both(easy, { ...random, probes_left: 40 }).turn('spray', 'passed', 'budget-shared-out', { expected: 0.01 }),
  { side: 'gateway', sentence: /aimed at bob are used up: 40 were left for these two$/, also: ['spray-too-small'] }
)
when(
  'a fresh socket is not seen',
  'no-sample',
  both(easy, stepping)
    .turn('predict', 'failed', 'no-sample')
    .observe(['callee'], { fresh: true, outcome: 'failed', cause: 'no-sample' }),
  { side: 'callee', sentence: /^no mapping of a fresh socket of bob/ }
)
when(
  'a search that was worth it wanted a fresh socket, and did not see it',
  'no-sample',
  both(random, stepping)
    .turn('spray', 'failed', 'no-sample')
    .observe(['callee'], { fresh: true, outcome: 'failed', cause: 'no-sample' }),
  { side: 'callee', sentence: /of bob/, also: ['spray-too-small'] }
)
when(
  'the callee reports nothing',
  'never-obeyed',
  both(easy).turn('stun', 'failed', 'unheard').plan('unheard', { caller: {} }),
  { side: 'callee', sentence: /^bob was joined and did nothing/, evidence: /bob reported nothing$/ }
)
when(
  'the caller cannot obey',
  'never-obeyed',
  both(easy)
    .turn('stun', 'failed', 'never-obeyed')
    .plan('never-obeyed', { caller: { code: 'io', reason: 'too many open files' }, callee: {} }),
  { side: 'caller', sentence: /^alice could not do what stun told$/, evidence: /^alice: too many open files$/ }
)
when(
  'one side heard the other',
  'one-way',
  both(easy)
    .turn('stun', 'failed', 'unheard')
    .plan('unheard', { caller: { received: 4, heard: ['198.51.100.2:40000'] }, callee: {} }),
  { side: 'callee', sentence: /^alice heard bob, but nothing of alice reached bob$/, evidence: /^bob was heard from/ }
)
when(
  'the passive agent never has an answer',
  'one-way',
  both(stepping)
    .turn('predict', 'failed', 'handover-lost')
    .plan('handover-lost', {
      caller: {},
      callee: { received: 2, events: ['heard'], handover: { said: { outcome: 'failed' }, events: [] } }
    }),
  { side: 'caller', sentence: /^bob heard alice/, also: ['prediction-missed'] }
)
when('nothing gets through', 'nothing-through', both(easy).turn('stun', 'failed', 'unheard').plan('unheard', unheard), {
  side: 'path',
  sentence: /neither alice nor bob heard the other$/
})
when(
  'a NAT remaps',
  'remapped',
  both({ remaps: true }, easy).turn('stun', 'failed', 'unheard').plan('unheard', unheard),
  { side: 'caller', sentence: /^the NAT of alice gives a flow another port/, also: ['nothing-through'] }
)
const latched = (at: string) =>
  both(easy)
    .turn('stun', 'failed', 'unheard')
    .plan('unheard', unheard)
    .turn('relay', 'path')
    .plan(
      undefined,
      { caller: { handover: { said: { 'network.local.port': 5000 } } }, callee: {} },
      { 'caller.latched': at }
    )
when('the relay sees another mapping of the same socket', 'mapping-timed-out', latched('198.51.100.1:41234'), {
  side: 'caller',
  sentence: /^the NAT of alice forgot a mapping/,
  evidence: /198\.51\.100\.1:40000 was seen .* 198\.51\.100\.1:41234 when/
})
when('the relay sees the same', 'nothing-through', latched('198.51.100.1:40000'), { side: 'path', sentence: /neither/ })
when(
  'a socket was seen with two ports, a while apart',
  'mapping-timed-out',
  both(easy, { observed: ['198.51.100.2:40000 31000 5000', '198.51.100.2:41111 1000 5000'] })
    .turn('stun', 'failed', 'unheard')
    .plan('unheard', unheard),
  { side: 'callee', sentence: /of bob/, evidence: /became 198\.51\.100\.2:41111 30 s later$/ }
)
when(
  'a socket got another port minutes ago, and has it still',
  'nothing-through',
  both(easy, { observed: ['198.51.100.2:40000 391000 5000', '198.51.100.2:41111 361000 5000'] })
    .turn('stun', 'failed', 'unheard')
    .plan('unheard', unheard),
  { side: 'path', sentence: /neither/, also: [] }
)
when(
  'DTLS is lost',
  'handover-lost',
  both(easy)
    .turn('stun', 'failed', 'handover-lost')
    .plan('handover-lost', {
      caller: { received: 2, handover: { events: ['ice'] } },
      callee: { received: 3, handover: { events: ['ice', 'dtls'] } }
    }),
  {
    side: 'path',
    sentence: /^stun found the path, and DTLS did not come/,
    evidence: /bob sent 12 .* reached ice, dtls$/
  }
)
when(
  'ICE is lost',
  'handover-lost',
  both(easy)
    .turn('stun', 'failed', 'handover-lost')
    .plan('handover-lost', {
      caller: { received: 2, events: ['heard'] },
      callee: { received: 3, handover: { said: { outcome: 'failed' }, events: [] } }
    }),
  { side: 'path', sentence: /^stun found the path, and ICE did not come/, also: [] }
)
when(
  'a datagram was refused while the port changed hands',
  'handover-gap',
  both(easy)
    .turn('stun', 'failed', 'handover-lost')
    .plan('handover-lost', {
      caller: { received: 2, events: ['heard'] },
      callee: { received: 3, handover: { said: { outcome: 'failed' }, events: ['refused'] } }
    }),
  {
    side: 'callee',
    sentence: /^the port of bob was closed for a moment/,
    evidence: /^bob: its host refused a datagram/,
    also: ['handover-lost']
  }
)
when(
  'the relay lets nothing through',
  'handover-lost',
  failed('no-path')
    .profile('caller')
    .profile('callee')
    .turn('relay', 'failed', 'unheard')
    .plan(
      'unheard',
      { caller: { events: ['latched'] }, callee: { events: ['latched'] } },
      {
        'caller.latched': '198.51.100.1:40000',
        'callee.latched': '198.51.100.2:40000',
        'caller.dropped': 9,
        'callee.dropped': 8
      }
    ),
  { side: 'gateway', sentence: /^alice and bob came to the relay/, evidence: /^the relay dropped 17 datagrams$/ }
)
when(
  'the certificate on the path is another',
  'dtls-fingerprint',
  both(easy)
    .turn('stun', 'failed', 'handover-lost')
    .plan('handover-lost', {
      caller: { received: 2, handover: { said: { code: 'fingerprint-mismatch', reason: 'not the announced one' } } },
      callee: { received: 2 }
    }),
  { side: 'callee', sentence: /^the certificate that bob showed/, evidence: /^alice: not the announced one$/ }
)
when(
  'the relay is off',
  'relay-off',
  both(random, random, {
    outcome: 'failed',
    code: 'no-path',
    path: undefined,
    'relay.configured': false,
    strategies: ['direct', 'stun', 'predict', 'spray']
  }).turn('spray', 'passed', 'unlikely', { expected: 0.001 }),
  {
    side: 'gateway',
    sentence: /^the relay is not among the strategies, and there was no direct path: the NATs of /,
    also: ['both-random']
  }
)
when(
  'the time is over before anything was heard',
  'deadline',
  both(random, easy, { deadline: 50 }).turn('stun', 'passed', 'unsuited').turn('spray', 'passed', 'deadline'),
  {
    side: 'gateway',
    sentence: /^the deadline of 50 ms was over before spray had a turn$/,
    also: ['spray-too-small']
  }
)
when(
  'the time is over in the last turn, and what came before it ran to its end',
  'both-random',
  both(random)
    .turn('spray', 'failed', 'unheard')
    .plan('unheard', { caller: { sent: 9 }, callee: { sent: 9 } })
    .turn('mine', 'failed', 'deadline'),
  { side: 'both', sentence: /^the NATs of alice and bob both choose/, also: ['deadline'] }
)
when(
  'what was heard has used up the time',
  'one-way',
  both(easy)
    .turn('stun', 'failed', 'deadline')
    .plan('deadline', { caller: { received: 9 }, callee: {} }),
  { side: 'callee', sentence: /^alice heard bob/, also: ['deadline'] }
)
when(
  'a plugin throws',
  'plugin-threw',
  both(random).turn('mine', 'passed', 'plugin-threw').turn('spray', 'passed', 'unlikely'),
  {
    side: 'gateway',
    sentence: /^the plugin mine threw/,
    evidence: /^mine passed: mine said why$/,
    also: ['both-random']
  }
)
for (const [fitting, one, two] of [
  ['stun', easy, easy],
  ['predict', stepping, easy],
  ['spray', easy, block]
] as const)
  when(
    `${fitting} would fit and is not in the list`,
    'not-tried',
    both(one, two, { strategies: ['direct', 'relay'] }).turn('direct', 'passed', 'unsuited'),
    {
      side: 'gateway',
      sentence: new RegExp(`^${fitting}, which suits`),
      evidence: /^strategies: direct, relay$/
    }
  )
when(
  'no strategy would fit, whatever the list',
  'spray-too-small',
  both(stepping, random, { strategies: ['direct', 'stun', 'relay'] }).turn('stun', 'passed', 'unsuited'),
  { side: 'callee', sentence: /^the NAT of bob chooses its ports at random$/ }
)
when('nothing was recorded that explains it', 'unexplained', new MadeUp().turn('mine', 'passed', 'unsuited'), {
  side: 'none',
  sentence: /does not explain/,
  evidence: /^mine passed: mine said why$/
})

for (const { code, what, made, side, sentence, evidence, also } of cases)
  test(`${what}: ${code}`, t => {
    const verdict = judge(made.spans)
    t.is(verdict.code, code, verdict.sentence)
    t.is(verdict.side, side)
    t.regex(verdict.sentence, sentence)
    if (evidence)
      t.true(
        verdict.evidence.some(line => evidence.test(line)),
        verdict.evidence.join('\n')
      )
    if (code !== 'direct') t.true(verdict.evidence.length > 0 && verdict.advice.length > 0)
    for (const other of also ?? []) t.true(verdict.also.includes(other), verdict.also.join())
  })

test('the remedy for two networks of one router is named until it was tried', t => {
  const advice = (made: MadeUp) => judge(made.spans).advice
  const stun = () => both(easy).turn('stun', 'failed', 'unheard')
  t.regex(advice(stun().plan('unheard', unheard, hairpin)), /beyondSubnet: true/)
  t.notRegex(advice(stun().plan('unheard', unheard, { hairpin: true, beyond_subnet: false })), /beyondSubnet/)
  const tried = both(easy).turn('direct', 'failed', 'unheard').plan('unheard', unheard, { label: 'beyond-subnet' })
  t.notRegex(advice(tried.turn('stun', 'failed', 'unheard').plan('unheard', unheard, hairpin)), /beyondSubnet/)
})

test('every code has a trace that leads to it', t => {
  const missing = Object.keys(verdicts).filter(code => !cases.some(one => one.code === code))
  t.deepEqual(missing, [])
})

test('a side that hears probes at mappings that its answers do not leave from makes nobody deaf', t => {
  const loose = { ...stepping, filtering: 'address-dependent' }
  const made = both(easy, loose)
    .turn('predict', 'failed', 'unheard')
    .plan('unheard', { caller: {}, callee: { received: 3 } })
  t.is(judge(made.spans).code, 'prediction-missed')
})

test('names as long as may be leave a sentence its end, and no text of a peer is more than a line', t => {
  const name = 'x'.repeat(64)
  const { sentence, evidence } = judge(
    failed('fingerprint-mismatch', { caller: name, callee: name, side: 'callee', reason: `\u001b[2J${name.repeat(9)}` })
      .spans
  )
  t.regex(sentence, /^x+… refused x+…: its certificate is not the pinned or remembered one$/)
  t.is(evidence.length, 1)
  t.true((evidence[0]?.length ?? 0) <= 200)
  t.false(evidence.join().includes('\u001b'))
})

const nonsense = fc.oneof(
  fc.anything(),
  fc.constantFrom(
    'caller',
    'callee',
    'failed',
    'path',
    'no-path',
    'udp-blocked',
    'handover-lost',
    'unheard',
    'plugin-threw',
    true
  ),
  fc.array(fc.string()),
  fc.string()
)

/** Spans of the cases above, mixed, some attributes of them turned into something else. */
const torn: fc.Arbitrary<SpanRecord[]> = fc
  .tuple(
    fc.constantFrom(...cases),
    fc.array(fc.constantFrom(...cases.flatMap(({ made }) => made.spans)), { maxLength: 12 }),
    fc.array(fc.tuple(fc.nat(20), fc.nat(20), nonsense), { maxLength: 12 }),
    fc.array(fc.nat(20), { maxLength: 4 })
  )
  .map(([{ made }, others, changes, dropped]) => {
    const spans = structuredClone([...made.spans, ...others]) as SpanRecord[]
    for (const [at, which, value] of changes) {
      const attributes = spans[at % spans.length]?.attributes as Record<string, unknown>
      const names = Object.keys(attributes)
      const name = names[which % names.length]
      if (name !== undefined) attributes[name] = value
    }
    return spans.filter((_, at) => !dropped.includes(at))
  })

test('whatever was recorded, a verdict is one that fits the wire, and says something', t => {
  fc.assert(
    fc.property(torn, spans => {
      const verdict = judge(spans)
      const sent = { type: 'path', session: '0123456789abcdef', by: 'relay', kind: 'relay', verdict }
      t.deepEqual(parseFromGateway(JSON.stringify(sent)), sent as never)
      return (
        Object.hasOwn(verdicts, verdict.code) &&
        verdict.sentence.length > 0 &&
        verdict.sentence.length <= 200 &&
        !verdict.also.includes(verdict.code) &&
        !verdict.evidence.some(line => line.startsWith(FAULT)) &&
        (verdict.code !== 'direct' || verdict.side === 'none')
      )
    }),
    { numRuns: 300 }
  )
})

test('a fault in a rule is told as one, and ends no connection', t => {
  const attributes = new Proxy(
    {},
    {
      get: () => {
        throw new Error('not this one')
      }
    }
  )
  const { code, evidence } = judge([{ id: '1', name: 'postern.connect', startMs: 0, endMs: 1, attributes, events: [] }])
  t.is(code, 'unexplained')
  t.deepEqual(evidence, [`${FAULT}: not this one`])
})

test('the same spans have the same verdict, and are only read', t => {
  fc.assert(
    fc.property(torn, spans => {
      const before = structuredClone(spans)
      t.deepEqual(judge(spans), judge(before))
      t.deepEqual(spans, before)
    }),
    { numRuns: 100 }
  )
})

test('a strategy that did not come with postern is recommended where it suits the pair, and tells what to change', t => {
  const tunnel: Known = {
    name: 'tunnel',
    lastResort: false,
    remedies: { suits: ({ callee }) => callee.assignment === 'random', advice: 'raise the speed of tunnel' }
  }
  const known = knownStrategies([tunnel])
  const never = both(random, random, { strategies: ['direct', 'relay'] }).turn('direct', 'passed', 'unsuited')
  const missing = judgeWith(never.spans, known)
  t.deepEqual([missing.code, missing.advice], ['not-tried', 'add tunnel to strategies'])
  const tried = both(easy, random, { strategies: ['tunnel', 'relay'] }).turn('tunnel', 'passed', 'unlikely', {
    expected: 0.04
  })
  const small = judgeWith(tried.spans, known)
  t.is(small.code, 'spray-too-small')
  t.regex(small.sentence, /with all its probes tunnel would have met with a chance of 4/)
  t.regex(small.advice, /^raise the speed of tunnel; or forward a UDP port to bob/)
})

test('where the mapping could not be told, a side is as hard to the verdict as it was to the strategies', t => {
  const observed = ['203.0.113.7:4001 12.5 5000', '203.0.113.7:4002 11 5000']
  const unknown = { mapping: 'unknown', allocation: 'random', observed }
  t.is(judge(both(unknown).turn('spray', 'passed', 'unlikely', { expected: 0.001 }).spans).code, 'both-random')
  const once = { ...unknown, observed: observed.slice(0, 1) }
  t.not(judge(both(once).turn('spray', 'passed', 'unsuited').spans).code, 'both-random')
})

test('a search is told as one even if a strategy that searches for nothing suits the pair, and had its turn first', t => {
  const open = { ...easy, filtering: 'endpoint-independent' }
  const searched = both(random, open)
    .turn('stun', 'failed', 'unheard')
    .plan('unheard', {})
    .turn('spray', 'failed', 'unheard', { expected: 0.5 })
    .plan('unheard', {}, { expected: 0.5 })
  const { code, sentence, advice } = judge(searched.spans)
  t.is(code, 'spray-too-small')
  t.regex(sentence, /spray searched with a chance of 50/)
  t.regex(advice, /^raise sockets and probes of spray/)
  const predicted = both(stepping, open)
    .turn('stun', 'failed', 'unheard')
    .plan('unheard', {})
    .turn('predict', 'failed', 'unheard', { expected: 0.9 })
    .plan('unheard', {}, { expected: 0.9 })
  t.like(judge(predicted.spans), { code: 'prediction-missed' })
  t.regex(judge(predicted.spans).advice, /rounds of predict/)
})

test('an observed endpoint is recommended where only a search was configured, unless another strategy aimed at it', t => {
  const open = { ...easy, filtering: 'endpoint-independent' }
  const searched = both(random, open, { strategies: ['direct', 'spray'] })
    .turn('direct', 'passed', 'unsuited')
    .turn('spray', 'failed', 'unheard', { expected: 0.5 })
    .plan('unheard', {}, { expected: 0.5 })
  t.regex(judge(searched.spans).also.concat(judge(searched.spans).code).join(), /not-tried/)
  const aimed = both(random, open, { strategies: ['direct', 'spray'] })
    .turn('direct', 'failed', 'unheard')
    .plan('unheard', {})
    .turn('spray', 'failed', 'unheard', { expected: 0.5 })
    .plan('unheard', {}, { expected: 0.5 })
  t.notRegex(judge(aimed.spans).also.concat(judge(aimed.spans).code).join(), /not-tried/)
})

test('a host without NAT is not hard, although its source address depends on the route', t => {
  const routed = { mapping: 'address-dependent', filtering: 'endpoint-independent', translated: false }
  t.notRegex(judge(both(routed).turn('predict', 'failed', 'unheard').spans).sentence, /could not be told/)
})

test('who waits for time to be judged is advised to ask again, and not to raise a limit that there is not', t => {
  const made = early('relay-full', { limit: 'judging' })
  t.regex(judge(made.spans).advice, /^ask again in some seconds/)
})
