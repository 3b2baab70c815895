import test from 'ava'
import { kindOf, renderNat } from '../../src/cli/text/nat-text.ts'
import type { NatFindings } from '../../src/peer/survey.ts'
import type { NatReport } from '../../src/wire/nat-report.ts'
import { World } from './world.ts'

const strict = 'address-and-port-dependent'
const free = 'endpoint-independent'

const endpoints = ['203.0.113.6', '203.0.113.7'].flatMap(address => [3478, 3479].map(port => ({ address, port })))

function found(report: Partial<NatReport> = {}, own = [{ address: '192.168.1.2', prefix: 24 }]): NatFindings {
  const samples = endpoints.map((via, n) => ({ via, mapped: { address: '198.51.100.9', port: 40_000 + n }, socket: 1 }))
  const prospects = [
    { peer: 'no NAT', probability: 1, tries: [{ by: 'direct', probability: 1, why: '' }], passes: [] },
    {
      peer: 'symmetric, random',
      probability: 0,
      tries: [],
      passes: [
        { by: 'stun', reason: 'the port is not known' },
        { by: 'spray', reason: `both random: 0.1 % in budget, ${'which is little '.repeat(9)}` }
      ]
    }
  ]
  const plain = { mapping: free, filtering: strict, translated: true, certain: true, rttMs: 12.34 } as const
  return {
    udp: 'open',
    own,
    deadPorts: [],
    report: { ...plain, addresses: ['198.51.100.9'], samples, prospects, ...report }
  }
}

const allocated = (allocation: Partial<NatReport['allocation']> & { kind: 'kept' | 'stepping' | 'block' | 'random' }) =>
  found({ mapping: strict, allocation: { confidence: 0.987, evidence: '1, 3, 5: steps of +2', ...allocation } })

const text = (findings: NatFindings) => renderNat(findings).replaceAll(/\s+/g, ' ')

test('types are called by their common names, for people and for programs', t => {
  const kinds: [NatFindings, string, string][] = [
    [found({ filtering: free }), 'full-cone', 'full cone'],
    [found({ filtering: 'address-dependent' }), 'restricted-cone', 'restricted cone'],
    [found(), 'port-restricted-cone', 'port-restricted cone'],
    [found({ filtering: 'unknown' }), 'cone', 'cone'],
    [found({ mapping: 'unknown', certain: false }), 'unknown', 'a NAT whose mapping cannot be told'],
    [found({ translated: false, filtering: free }), 'no-nat', 'no NAT'],
    [found({ translated: false }), 'firewall', 'no NAT, but a firewall'],
    [found({ mapping: 'address-dependent' }), 'symmetric', 'symmetric towards each address'],
    [allocated({ kind: 'stepping', step: 2 }), 'symmetric', 'symmetric, stepping by +2'],
    [allocated({ kind: 'stepping', step: -1 }), 'symmetric', 'symmetric, stepping by −1'],
    [allocated({ kind: 'block', block: { low: 4096, high: 4607 } }), 'symmetric', 'symmetric, ports in a block of 512'],
    [allocated({ kind: 'random', range: { low: 1024, high: 65_535 } }), 'symmetric', 'symmetric, random ports'],
    [allocated({ kind: 'kept' }), 'symmetric', 'symmetric, with port preservation'],
    [{ udp: 'blocked', code: 'udp-blocked', own: [], reason: 'no answer' }, 'udp-blocked', 'UDP is blocked'],
    [{ udp: 'blocked', code: 'wrong-family', own: [], reason: 'no route' }, 'wrong-family', 'UDP has no IPv4 to go by']
  ]
  for (const [findings, type, words] of kinds) {
    t.deepEqual(kindOf(findings), { type, words } as never)
    t.true(renderNat(findings).split('\n').includes(words))
    for (const width of [40, 80]) {
      const lines = renderNat(findings, { width }).split('\n')
      t.true(
        lines.every(line => line.length <= width || !line.trim().includes(' ')),
        `${width}: ${lines.join('\n')}`
      )
    }
  }
})

test('behind the type stands what it rests on: RFC 4787 terms, addresses, ports, drift, evidence, the round trip', t => {
  const said = text(allocated({ kind: 'stepping', step: 2, per: 'address', driftPerSecond: 12.3 }))
  t.regex(said, /address-and-port-dependent mapping, address-and-port-dependent filtering/)
  t.regex(said, /public 198\.51\.100\.9 /)
  t.regex(said, /ports \+2 from one to the next, by a counter for each public address \(99 % sure\)/)
  t.regex(said, /others use up about 12 ports a second/)
  t.regex(said, /evidence 1, 3, 5: steps of \+2/)
  t.regex(said, /gateway 12\.3 ms/)
  t.regex(text(allocated({ kind: 'block', block: { low: 4096, high: 4607 } })), /block, perhaps 4096 to 4607/)
  t.regex(text(allocated({ kind: 'stepping', step: 1, driftPerSecond: 0.3 })), /hardly any ports/)
  t.regex(text(found({ addresses: ['198.51.100.9', '198.51.100.10'] })), /a pool, of which 2 were seen/)
  t.regex(text(found()), /1 socket seen by 4 endpoints of the gateway, at 40000/)
})

test('the table says who reaches a kind of peer and how surely, and why nobody does', t => {
  const lines = renderNat(found()).split('\n')
  t.true(lines.includes('A PEER WITH         DIRECT  BY'))
  t.true(lines.includes('no NAT               100 %  direct'))
  t.true(lines.includes('symmetric, random  relayed  [1]'))
  t.regex(text(found()), /\[1\] spray: both random: 0\.1 % in budget, which is little/)
})

test('a forward is told, and where ports have to be guessed also what to do to have one', t => {
  const random = (more: Partial<NatReport>) => text(found({ mapping: strict, ...more }))
  const forward = { endpoint: { address: '198.51.100.9', port: 4000 }, by: 'pcp' } as const
  t.regex(random({ forward }), /forward 198\.51\.100\.9:4000 leads here/)
  const byHand = 'forward a UDP port to this computer: --port 4000 --public 198\\.51\\.100\\.9:4000'
  t.regex(random({}), new RegExp(`to do enable UPnP, NAT-PMP or PCP in the router, or ${byHand}`))
  t.regex(random({ router: 'silent' }), new RegExp(`to do enable UPnP, NAT-PMP or PCP in the router, or ${byHand}`))
  t.regex(random({ router: 'no-router' }), new RegExp(`to do ${byHand}`))
  t.regex(random({ router: 'refused' }), /to do allow UPnP, NAT-PMP or PCP in the router, which refuses it/)
  t.regex(random({ router: 'carrier' }), /a carrier's NAT is above it, and a forward leads nowhere/)
  t.notRegex(random({ router: 'carrier' }), /--port/)
  t.notRegex(text(found()), /forward|to do/, 'a NAT that can be told needs none')
})

test('strategies are named in their order, up to one that is certain', t => {
  const tries = [0.3, 0.2, 0.4, 1, 1].map((probability, n) => ({ by: `s${n}`, probability, why: '' }))
  const lines = (most: number) =>
    renderNat(found({ prospects: [{ peer: 'x', probability: 0.5, tries: tries.slice(0, most), passes: [] }] }))
  t.regex(lines(2), /^x .* 50 % {2}s0, then s1$/m)
  t.regex(lines(5), /^x .* {2}s0, then s1, then s2, then s3$/m)
})

test('what a gateway of one address cannot tell is said, and promised for nobody', t => {
  const samples = endpoints.slice(0, 2).map(via => ({ via, mapped: { address: '198.51.100.9', port: 1 }, socket: 1 }))
  const vague = found({ mapping: 'unknown', filtering: 'address-dependent', certain: false, samples })
  t.regex(text(vague), /but the gateway was heard at one address only/)
  t.regex(text(vague), /no NAT up to 100 % direct/)
  t.notRegex(text(found()), /but the gateway|up to/)
  t.regex(text(found({ filtering: 'unknown' })), /the filter was not tested/)
  const host = found({ translated: false, filtering: 'address-dependent', certain: false, samples })
  t.is(kindOf(host).type, 'no-nat', 'the strictest verdict of one address is no proof of a firewall')
})

test('where sources are hidden nothing is promised and nothing judged: who can mend it, and how', t => {
  const unknown = { mapping: 'unknown', filtering: 'unknown', certain: false } as const
  const hidden = found({ ...unknown, prospects: [], addresses: ['172.17.0.1'], hidden: { reached: '203.0.113.6' } })
  t.is(kindOf(hidden).type, 'hidden-sources')
  t.regex(
    text(hidden),
    /nothing can be told.* reached 203\.0\.113\.6 seen at 172\.17\.0\.1.* relayed.* to do whoever runs/
  )
  t.notRegex(text(hidden), /DIRECT|%|up to|mapping|one address/)
  t.true(
    renderNat(hidden)
      .split('\n')
      .every(line => line.length <= 80)
  )
})

test('addresses that carriers share and private ones are pointed out', t => {
  t.regex(text(found({}, [{ address: '100.72.0.5', prefix: 10 }])), /100\.72\.0\.5 .*RFC 6598.*carrier/)
  t.regex(text(found({ addresses: ['100.64.9.9'] })), /RFC 6598.*the gateway is inside/)
  t.regex(text(found({ addresses: ['10.1.2.3'] })), /a private address: the gateway is inside/)
  t.regex(text(found({ addresses: ['127.0.0.1'], translated: false })), /runs on this host/)
  t.notRegex(text(found()), /RFC 6598|private address/)
})

test.serial('on loopback there is no NAT: for people in 80 columns, for programs as one event', async t => {
  await using world = await World.withGateway()
  const said = await world.run(['nat', '--sockets', '2'])
  t.is(said.code, 0, said.stderr)
  t.true(said.lines.includes('no NAT'), said.lines.join('\n'))
  t.regex(said.lines.join('\n'), /^no NAT +up to 100 % +direct$/m)
  t.true(said.lines.every(line => line.length <= 80))
  const { events, code, stderr } = await world.run(['nat', '--sockets', '2', '--json'])
  t.is(code, 0, stderr)
  t.deepEqual(
    events.map(({ event }) => event),
    ['joined', 'nat']
  )
  t.like(events[1], { type: 'no-nat', udp: 'open', translated: false, addresses: ['127.0.0.1'] })
  t.is((events[1] as unknown as NatReport).prospects.length, 6)
})

test.serial('UDP that is blocked is an answer: exit code 0, with the reason', async t => {
  await using world = await World.open()
  await world.muteGateway()
  const [said, told] = await Promise.all([world.run(['nat']), world.run(['nat', '--json'], { who: 'bob' })])
  t.deepEqual([said.code, told.code], [0, 0])
  t.regex(said.lines.join('\n'), /^UDP is blocked$[\s\S]*does not answer at 127\.0\.0\.9/m)
  t.like(told.events.at(-1), { event: 'nat', type: 'udp-blocked', udp: 'blocked' })
})

test.serial('interrupted it closes in order with 130; wrong options and a missing gateway are told', async t => {
  await using world = await World.withGateway()
  const child = world.start(['nat', '--sockets', '16', '--json'])
  await child.event('joined')
  child.signal('SIGINT')
  t.is(await child.ended, 130)
  t.is(child.stderr, '')
  t.deepEqual(
    child.events.map(({ event }) => event),
    ['joined']
  )
  for (const sockets of ['0', '1', '17', 'x']) {
    const { code, stderr } = await world.run(['nat', '--sockets', sockets])
    t.is(code, 1)
    t.regex(stderr, /^postern: bad-config: .*a whole number from 2 to 16/)
  }
  const { code, stderr } = await world.run(['nat', '--gateway', 'http://127.0.0.1:1'])
  t.is(code, 1)
  t.regex(stderr, /^postern: gateway-unreachable: /)
})

test('a dead port is told beside what was found, and a network without IPv4 is not told to open its firewall', t => {
  const findings = found()
  t.notRegex(text(findings), /came back/)
  t.regex(text({ ...findings, deadPorts: [10_001] } as NatFindings), /but nothing came back to the local port 10001,/)
  const said = text({ udp: 'blocked', code: 'wrong-family', own: [], reason: 'no route' })
  t.regex(said, /evidence no route/)
  t.regex(said, /to do this host needs IPv4/)
  t.notRegex(said, /let UDP out/)
})
