import test from 'ava'
import { NatDesk } from '../../../src/gateway/survey/nat-desk.ts'
import { RawSocket } from '../../../src/peer/punch/raw.ts'
import type { NatReport } from '../../../src/wire/nat-report.ts'
import { HandMade } from '../../hand-made.ts'
import { World, type WorldSpec } from '../../world.ts'
import { Hand, Home, pair } from '../session/made.ts'

const chance = `export default {
  name: 'chance',
  defaults: {},
  start: () => ({
    plan: ({ caller, callee }) => [{
      kind: 'plan', waitMs: 100, why: caller.name + ' and ' + callee.name, expected: 0.25,
      caller: { kind: 'punch', targets: [] }, callee: { kind: 'punch', targets: [] }
    }]
  })
}
`

/** A peer that has had its filter tested, and shown `count` sockets whose mappings are as the test wants them. */
async function shows(
  world: World,
  count = 1
): Promise<{ peer: HandMade; sockets: { socket: number; port: number }[] }> {
  const peer = await HandMade.join(world.url, {
    identity: await world.identity('ann'),
    token: world.gateway.joinToken,
    name: 'ann'
  })
  peer.say({ type: 'filtering', port: true, address: true })
  const sockets = []
  for (let socket = 0; socket < count; socket++) sockets.push({ socket, port: (await peer.warm(socket)).port })
  return { peer, sockets }
}

const own = [{ address: '127.0.0.1', prefix: 8 }]

async function report(peer: HandMade, sockets: object[], more: object = {}): Promise<NatReport> {
  peer.say({ type: 'nat', request: 3, sockets, addresses: own, rttMs: 1, ...more })
  const told = await peer.hears('nat')
  if (told.request !== 3) throw new Error(`answered request ${told.request}`)
  return told.report
}

async function refusal(peer: HandMade, sockets: object[]): Promise<string> {
  peer.say({ type: 'nat', request: 4, sockets, addresses: own, rttMs: 1 })
  const { code, request } = await peer.hears('refused')
  if (request !== 4) throw new Error(`refused request ${request}`)
  await peer.settled()
  return code
}

test('a host without a NAT is told so, with what each endpoint of the gateway saw', async t => {
  await using world = await World.open()
  const { peer, sockets } = await shows(world, 2)
  const told = await report(peer, sockets)
  t.like(told, {
    mapping: 'endpoint-independent',
    filtering: 'endpoint-independent',
    translated: false,
    certain: true,
    addresses: ['127.0.0.1'],
    rttMs: 1
  })
  t.false('allocation' in told)
  t.deepEqual(Object.keys(Object.groupBy(told.samples, ({ socket }) => socket)), ['0', '1'])
  t.is(told.samples.length, 8)
  t.is(told.prospects.length, 6)
  await peer.close()
})

test('mappings that differ from endpoint to endpoint are symmetric, with an allocation and its evidence', async t => {
  await using world = await World.open()
  const { peer } = await shows(world, 0)
  const behind = await mapped(peer, 7)
  const told = await report(peer, [{ socket: 7, port: 5000 }])
  t.like(told, { mapping: 'address-and-port-dependent', translated: true, certain: true })
  t.truthy(told.allocation?.evidence)
  t.true((told.allocation?.confidence ?? -1) > 0)
  t.deepEqual(told.samples.map(({ mapped: { port } }) => port).toSorted(), behind.map(({ port }) => port).toSorted())
  await Promise.all(behind.map(raw => raw.close()))
  await peer.close()
})

/** What a symmetric NAT makes of one socket: a port of its own towards each endpoint. */
async function mapped(peer: HandMade, socket: number): Promise<RawSocket[]> {
  const raws = await RawSocket.bindMany(peer.welcome.endpoints.length)
  for (const [index, endpoint] of peer.welcome.endpoints.entries())
    await peer.show(raws[index] as RawSocket, endpoint, `p:${peer.welcome.peer}:${socket}`)
  return raws
}

test("the strategies of the YAML file are asked, one of the operator's own among them", async t => {
  await using world = await World.open({ strategies: '[./chance.js, relay]', files: { 'chance.js': chance } })
  const { peer, sockets } = await shows(world)
  const { prospects } = await report(peer, sockets)
  for (const { probability, tries } of prospects) {
    t.is(probability, 0.25)
    t.deepEqual(tries, [{ by: 'chance', probability: 0.25, why: 'ann and a peer' }])
  }
  await peer.close()
})

const partly: [string, WorldSpec, Partial<NatReport>][] = [
  ['one address', { addresses: ['127.0.0.1'] }, { mapping: 'unknown', certain: false }],
  ['one port of two addresses', { ports: [0] }, { mapping: 'endpoint-independent', certain: true }],
  ['one endpoint', { addresses: ['127.0.0.1'], ports: [0] }, { mapping: 'unknown', certain: false }]
]
for (const [what, spec, expected] of partly)
  test(`a gateway with ${what} says what it can tell from there, and that it is not certain of more`, async t => {
    await using world = await World.open(spec)
    const { peer, sockets } = await shows(world)
    t.like(await report(peer, sockets), expected)
    await peer.close()
  })

test('a peer that asks again at once is refused, and stays joined', async t => {
  await using world = await World.open()
  const { peer, sockets } = await shows(world)
  peer.say({ type: 'nat', request: 3, sockets, addresses: own, rttMs: 1 })
  t.is(await refusal(peer, sockets), 'timeout')
  await peer.hears('nat')
  await peer.settled()
  await peer.close()
})

const question = {
  type: 'nat',
  request: 1,
  sockets: [{ socket: 0, port: 4000 }],
  addresses: [{ address: '10.0.0.2', prefix: 24 }],
  rttMs: 1
} satisfies Parameters<NatDesk['answer']>[1]

test('a peer may ask a second after it was answered, whatever it was refused meanwhile', async t => {
  using home = new Home()
  let nowMs = 0
  const desk = new NatDesk(
    home,
    () => [],
    () => nowMs
  )
  const { caller: ann, callee: bob } = pair(home)
  const asks = async (peer: Hand, atMs: number) => {
    nowMs = atMs
    await desk.answer(peer, question)
    return home.told.at(-1)?.message.type
  }
  t.is(await asks(ann, 0), 'nat')
  t.is(await asks(ann, 999), 'refused')
  t.is(await asks(bob, 999), 'nat', 'each has a second of its own')
  t.is(await asks(ann, 1000), 'nat')
  t.is(await asks(ann, 1001), 'refused')
})

test('eight links of one certificate have one answer a second together, and are told when to ask again', async t => {
  using home = new Home()
  const desk = new NatDesk(
    home,
    () => [],
    () => 0
  )
  const { caller: ann } = pair(home)
  const links = Array.from({ length: 8 }, (_, at) => new Hand(`ann ${at}`, { fingerprint: ann.fingerprint }))
  for (const link of links) {
    link.filters({ port: true, address: true })
    home.observer.sees(link, 0, '192.0.2.1')
    await desk.answer(link, question)
  }
  t.is(home.heard('nat').length, 1)
  t.deepEqual(
    home.heard('refused').map(({ code, retryMs }) => [code, retryMs]),
    Array.from({ length: 7 }, () => ['timeout', 1000])
  )
  t.is(desk.refused, 7)
})

test('a network whose share of the judging is used up waits, and another is judged', async t => {
  using home = new Home()
  const desk = new NatDesk(home, () => [])
  const { caller: ann, callee: bob } = pair(home)
  home.judging.hasRoom = ({ certificate }) => certificate === bob.fingerprint
  await desk.answer(ann, question)
  const [refused] = home.heard('refused')
  t.regex(refused?.reason ?? '', /^the gateway judges many networks now; ask again in \d+ s$/)
  t.true((refused?.retryMs ?? 0) > 0)
  await desk.answer(bob, question)
  t.is(home.heard('nat').length, 1)
})

test('a peer whose source is hidden is told that, without prospects, and nothing of it is remembered', async t => {
  using home = new Home()
  home.sources.isHidden = () => true
  const desk = new NatDesk(home, () => [{ name: 'mine', planner: { plan: () => [] }, lastResort: false }])
  const { caller: ann } = pair(home)
  const sockets = [0, 1].map(socket => ({ socket, port: 4000 + socket }))
  for (const { socket, port } of sockets) home.observer.sees(ann, socket, '172.17.0.1', [port, port + 10])
  await desk.answer(ann, { type: 'nat', request: 1, sockets, addresses: [], rttMs: 1 })
  const [told] = home.heard('nat')
  t.like(told?.report, {
    ...{ mapping: 'unknown', filtering: 'unknown', certain: false, prospects: [] },
    ...{ addresses: ['172.17.0.1'], hidden: { reached: '203.0.113.1' } }
  })
  t.false('allocation' in (told?.report ?? {}))
  t.deepEqual(home.history.learn(ann.fingerprint, []), [])
  const later = { address: '172.17.0.1', port: 9, atMs: 9, localPort: 9 }
  t.deepEqual(home.history.learn(ann.fingerprint, [later]), [later])
})

test('a peer that names sockets it never showed, or those of another, learns nothing', async t => {
  await using world = await World.open()
  const ann = await shows(world)
  const eve = await HandMade.join(world.url, { identity: await world.identity('eve'), token: world.gateway.joinToken })
  t.is(await refusal(eve, ann.sockets), 'udp-blocked')
  t.is(await refusal(ann.peer, [{ socket: 99, port: 1 }]), 'udp-blocked')
  await eve.close()
  await ann.peer.close()
})

test('a question that is malformed ends the link, as any such message', async t => {
  await using world = await World.open()
  const many = Array.from({ length: 17 }, (_, socket) => ({ socket, port: 1 }))
  for (const sockets of [[], many, [{ socket: -1, port: 1 }], [{ socket: 0, port: 0 }]]) {
    const { peer } = await shows(world, 0)
    peer.say({ type: 'nat', request: 1, sockets, addresses: [], rttMs: 1 })
    t.is((await peer.hears('refused')).code, 'bad-message')
    t.is(await peer.closed, 1008)
  }
})
