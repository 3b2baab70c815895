// The laboratory itself: its NATs are what they claim, its lines delay what they should, and it leaves nothing behind.

import type { ChildProcess } from 'node:child_process'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readlinkSync, statSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { setTimeout } from 'node:timers/promises'
import type { Endpoint } from '../../src/wire/endpoint.ts'
import { until } from '../until.ts'
import { type Deeds, Driven } from './driven.ts'
import { labTest } from './lab-test.ts'
import { type NatType, natTypes } from './nat.ts'
import { openRig, openRigIn, type Rig } from './rig.ts'
import { tool } from './sandbox.ts'
import { verifyWorld } from './verify.ts'
import { type Host, openWorld, type Site } from './world.ts'

/** The proof of the forgetful types takes its five seconds: in some worlds, not in all. */
const promptTypes = natTypes.filter(type => !type.startsWith('forgetful'))

labTest('every type shows its mapping, its allocation and its filter to two hosts', async t => {
  const members = ['symmetric+7', 'symmetric-100', 'symmetric-block-128', 'carrier-symmetric+1'] as const
  const types: readonly NatType[] = [...natTypes, ...members, 'carrier-symmetric-pool']
  await using world = await openWorld({ sites: types.map(nat => ({ nat, hosts: 2 })) })
  t.is(world.sites.length, types.length)
})

labTest('every type proves itself to a gateway with one address', async t => {
  await using world = await openWorld({ sites: promptTypes.map(nat => ({ nat })), gatewayAddresses: 1 })
  t.is(world.gateway.addresses.length, 1)
})

labTest(
  'a site whose router maps ports is of its type in all else, and one without a NAT cannot be had',
  async t => {
    const types = ['full-cone', 'address-dependent', 'symmetric+1', 'symmetric-pool', 'carrier'] as const
    await using world = await openWorld({ sites: types.map(nat => ({ nat, portMapping: true })) })
    t.true(world.sites.every(({ portMapper }) => portMapper !== undefined))
    const [site] = world.sites as [Site]
    await site.become('port-restricted')
    t.deepEqual(await site.portMapper?.mappings(), [])
    t.true(site.publicAddresses[0]?.startsWith('203.0.112.'))
    const spec = { sites: [{ nat: 'open' as const, portMapping: true }] }
    await t.throwsAsync(openWorld(spec), { message: /no NAT that could map ports/ })
  },
  { portMapping: true }
)

labTest('a type that is not what it claims is caught', async t => {
  const lies: [NatType, NatType, RegExp][] = [
    ['symmetric+1', 'port-restricted', /mapping is address-and-port-dependent, not endpoint-independent/],
    ['address-dependent', 'symmetric-random', /mapping is address-dependent/],
    ['port-restricted', 'port-restricted-moved', /ports are not moved/],
    ['port-restricted-moved', 'port-restricted', /ports are not kept/],
    ['symmetric+2', 'symmetric+1', /ports are not stepping by 1/],
    ['symmetric-1', 'symmetric+1', /ports are not stepping by 1/],
    ['symmetric-random', 'symmetric-block', /ports are not in a block/],
    ['symmetric-block', 'symmetric-random', /ports are not random/],
    ['full-cone', 'restricted', /got in/],
    ['restricted', 'full-cone', /was kept out/],
    ['restricted', 'port-restricted', /got in/],
    ['open', 'firewalled', /got in/],
    ['accepting', 'port-restricted', /uninvited input moved the mapping/],
    ['port-restricted', 'accepting', /uninvited input did not move the mapping/],
    ['port-restricted', 'udp-blocked', /UDP got through/],
    ['port-restricted', 'fragile', /a flow outlived an ICMP error/],
    ['port-restricted', 'forgetful', /a mapping outlived 5 and 5 s/],
    ['symmetric-block', 'symmetric-block-128', /ports are not in a block/],
    ['symmetric+1', 'symmetric-pool', /addresses are one, not in turn/],
    ['symmetric-pool', 'symmetric+1', /addresses are in turn, not one/],
    ['symmetric-pool-random', 'symmetric-pool', /addresses are at random, not in turn/],
    ['carrier-symmetric+2', 'carrier', /mapping is address-and-port-dependent/]
  ]
  await using world = await openWorld({ sites: lies.map(([nat]) => ({ nat })), verify: false })
  const expected = lies.map(([, claimed]) => claimed)
  const error = await t.throwsAsync(verifyWorld(world, expected))
  const found = error?.message.split('; ') ?? []
  t.is(found.length, lies.length, error?.message)
  for (const [index, [, claimed, why]] of lies.entries()) {
    t.true(found[index]?.startsWith(`site ${index} is no ${claimed}: `), found[index])
    t.regex(found[index] ?? '', why)
  }
})

labTest('the addresses of a pool each have ports of their own, in steps', async t => {
  await using world = await openWorld({ sites: [{ nat: 'symmetric-pool' }, { nat: 'symmetric-pool-random' }] })
  for (const { hosts, publicAddresses } of world.sites) {
    const seen = Map.groupBy(await mappings(hosts[0] as Host, world.gateway, 40), ({ address }) => address)
    t.deepEqual([...seen.keys()].sort(), [...publicAddresses])
    for (const ports of seen.values()) t.deepEqual(stepsOf(ports), Array(ports.length - 1).fill(1))
  }
})

labTest('a stepping NAT with few ports starts over at their end, in either direction', async t => {
  const sites = (['symmetric+1', 'symmetric-2'] as const).map(nat => ({ nat, steppingPorts: 64 }))
  await using world = await openWorld({ sites })
  for (const [index, step] of [1, -2].entries()) {
    const steps = stepsOf(await mappings(world.sites[index]?.hosts[0] as Host, world.gateway, 65))
    t.deepEqual(steps.toSorted(), [...Array(63).fill(step), -63 * step].sort())
  }
})

labTest('foreign traffic takes exactly one port for each mapping it reports', async t => {
  await using world = await openWorld({ sites: [{ nat: 'symmetric+1' }, { nat: 'open' }], verify: false })
  const [site, open] = world.sites as [Site, Site]
  const [before] = await mappings(site.hosts[0] as Host, world.gateway, 1)
  const traffic = await site.traffic(50)
  await until(async () => (await traffic.made()) >= 30, 20_000)
  await traffic[Symbol.asyncDispose]()
  const made = await traffic.made()
  const [after] = await mappings(site.hosts[0] as Host, world.gateway, 1, 7001)
  t.is((after?.port ?? 0) - (before?.port ?? 0), made + 1)
  t.is((await site.sent()).get('203.0.113.1')?.packets, made)
  await t.throwsAsync(open.traffic(5), { message: /has no NAT/ })
})

labTest('foreign traffic keeps its rate, and comes at the times of a Poisson process', async t => {
  const rates = [5, 20, 50]
  await using world = await openWorld({ sites: rates.map(() => ({ nat: 'symmetric+1' })), verify: false })
  const watched = await Promise.all(rates.map((rate, at) => watchTraffic(world.sites[at] as Site, rate)))
  for (const { rate, made, windowsMs } of watched) {
    const due = (rate * windowsMs.reduce((a, b) => a + b)) / 1000
    const all = made.reduce((a, b) => a + b)
    t.true(Math.abs(all - due) < 5 * Math.sqrt(due), `${all} at ${rate}/s where ${due} are due`)
    const empty = made.filter(count => count === 0).length
    const chances = windowsMs.map(ms => Math.exp((-rate * ms) / 1000))
    const emptyDue = chances.reduce((a, b) => a + b)
    const deviation = Math.sqrt(chances.reduce((sum, chance) => sum + chance * (1 - chance), 0))
    t.true(Math.abs(empty - emptyDue) < 5 * deviation, `${empty} windows without any at ${rate}/s, not ${emptyDue}`)
  }
})

labTest('a NAT that becomes another keeps the mappings in use, unless it is to forget them', async t => {
  await using world = await openWorld({ sites: [{ nat: 'symmetric+1' }, { nat: 'carrier' }] })
  const [site, carrier] = world.sites as [Site, Site]
  const map = async (port: number) => (await mappings(site.hosts[0] as Host, world.gateway, 1, port))[0]?.port
  const stepped = await map(7000)
  await site.become('port-restricted')
  t.is(await map(7000), stepped)
  t.is(await map(7001), 7001)
  await site.become('port-restricted', { forget: true })
  t.is(await map(7000), 7000)
  await carrier.become('carrier-symmetric-block')
  await site.become('symmetric-pool', { forget: true })
  t.is(site.nat, 'symmetric-pool')
  await t.notThrowsAsync(verifyWorld(world))
  await t.throwsAsync(site.become('open'), { message: /cannot become open/ })
})

labTest('a host that is muted neither sends nor hears UDP, and is not told', async t => {
  await using world = await openWorld({ sites: [{ nat: 'open' }], verify: false })
  const host = world.sites[0]?.hosts[0] as Host
  for (const [from, to] of [
    [host, world.gateway],
    [world.gateway, host]
  ] as const) {
    const print = `socket.on('message', text => console.log(String(text)))`
    const ear = node(to, udpSocket(7000, print, `console.log('bound')`))
    const heard = createInterface({ input: ear.stdout as NodeJS.ReadableStream })[Symbol.asyncIterator]()
    t.is((await heard.next()).value, 'bound')
    const tell = async (word: string) => {
      const sent = `error => { if (error) throw error; socket.close() }`
      const send = `socket.send('${word}', 7000, '${to.addresses[0]}', ${sent})`
      t.deepEqual(await once(node(from, udpSocket(0, '', send)), 'exit'), [0, null])
    }
    {
      await using _muted = await world.mute(host)
      await tell('muted')
    }
    await tell('after')
    t.is((await heard.next()).value, 'after')
  }
})

labTest('a rig takes more of the gateway’s YAML, and its processes tell what they hold open', async t => {
  const config = 'limits: { sessionsPerPeer: 1 }'
  await using rig = await openRig({
    sites: [{ nat: 'full-cone' }, { nat: 'open' }],
    strategies: '[direct, stun, relay]',
    config
  })
  const [caller, callee] = rig.peers
  if (!caller || !callee) return t.fail()
  t.true((await caller.process.do('openAtOnce', { to: callee.name, count: 3 })).length > 0)
  // A session ends when both sides have spoken, which may be after the caller has closed its connection.
  await until(async () => (await rig.status()).sessions.now === 0)
  t.is((await caller.connect(callee, 1000)).intact, true)
  for (const process of [rig.gateway, caller.process]) {
    const { open, sockets } = await process.do('descriptors', {})
    t.true(open > sockets && sockets > 1, `${open} open, ${sockets} sockets`)
  }
})

labTest('a second gateway and its peers live in the same world, and each pair meets by its own gateway', async t => {
  const sites = [{ nat: 'port-restricted' as const }, { nat: 'port-restricted' as const }]
  const connected = async ({ peers: [caller, callee] }: Rig) =>
    caller && callee && (await caller.connect(callee, 1000)).path?.by
  await using ours = await openRig({ sites, strategies: '[relay]' })
  {
    const tenant = { driver: new URL('driver.ts', import.meta.url), http: 8090, udp: [3488, 3489] } as const
    await using theirs = await openRigIn(ours.world, { strategies: '[stun]' }, tenant)
    t.is(await connected(ours), 'relay')
    t.is(await connected(theirs), 'stun')
  }
  t.is(await connected(ours), 'relay')
})

labTest('a process says so when it is asked for a deed that it does not know', async t => {
  await using world = await openWorld({ sites: [] })
  await using process = new Driven<Deeds>(world.gateway, new URL('driver.ts', import.meta.url))
  await t.throwsAsync(process.do('dance', {}), { message: /there is no deed called dance/ })
})

labTest('a line delays by twice its delay there and back, and two lines add up', async t => {
  const sites = [
    { nat: 'port-restricted' as const, line: { delayMs: 20 } },
    { nat: 'open' as const, line: { delayMs: 5 } },
    { nat: 'open' as const, line: { delayMs: 300 } }
  ]
  await using world = await openWorld({ sites })
  const [near, far, farthest] = world.sites.map(site => site.hosts[0]) as [Host, Host, Host]
  const toFarthest = await roundTripMs(farthest, world.gateway, 3)
  const toGateway = await roundTripMs(near, world.gateway)
  const toFar = await roundTripMs(near, far)
  t.true(toGateway >= 40 && toGateway < 48, `${toGateway} ms to the gateway`)
  t.true(toFar >= 50 && toFar < 58, `${toFar} ms to the other site`)
  t.true(toFarthest >= 600 && toFarthest < 620, `${toFarthest} ms from the farthest`)
})

labTest('a line loses and repeats what it should, in order', async t => {
  const line = { delayMs: 1, lossPercent: 20, duplicatePercent: 10 }
  await using world = await openWorld({ sites: [{ nat: 'port-restricted', line }] })
  const { arrived, repeated, inOrder } = await stream(world.sites[0]?.hosts[0] as Host, world.gateway, 4000)
  t.true(Math.abs(arrived - 3200) < 5 * Math.sqrt(4000 * 0.2 * 0.8), `${arrived} of 4000 arrived`)
  t.true(Math.abs(repeated / arrived - 0.1) < 5 * Math.sqrt((0.1 * 0.9) / arrived), `${repeated} of ${arrived} twice`)
  t.true(inOrder)
})

labTest('types prove themselves through lines that lose and repeat datagrams', async t => {
  const sites = promptTypes.map(nat => ({ nat, line: { delayMs: 2, lossPercent: 10, duplicatePercent: 5 } }))
  await using world = await openWorld({ sites })
  t.is(world.sites.length, promptTypes.length)
})

labTest('a datagram that the line has lost is not blamed on the NAT', async t => {
  const sites = Array.from({ length: 8 }, () => ({ nat: 'accepting' as const, line: { lossPercent: 20 } }))
  await using world = await openWorld({ sites })
  t.is(world.sites.length, sites.length)
})

labTest('a line with jitter carries 20,000 datagrams a second in order', async t => {
  const line = { delayMs: 5, jitterMs: 5 }
  await using world = await openWorld({ sites: [{ nat: 'port-restricted', line }] })
  const { arrived, inOrder } = await stream(world.sites[0]?.hosts[0] as Host, world.gateway, 10_000)
  t.true(arrived > 9_900, `${arrived} of 10000 arrived`)
  t.true(inOrder)
})

labTest('two hosts of a site see each other without their NAT', async t => {
  await using world = await openWorld({ sites: [{ nat: 'symmetric-random', hosts: 2 }], verify: false })
  const [site] = world.sites
  const [one, other] = site?.hosts ?? []
  if (!site || !one || !other) return t.fail()
  t.true((await roundTripMs(one, other)) < 20)
  t.is((await site.sent()).size, 0)
})

labTest('the gateway counts the UDP of each site', async t => {
  await using world = await openWorld({ sites: [{ nat: 'symmetric+1' }, { nat: 'open' }] })
  const [site, other] = world.sites
  if (!site || !other) return t.fail()
  const none = { packetsIn: 0, bytesIn: 0, packetsOut: 0, bytesOut: 0 }
  t.deepEqual(await world.gatewayCounters(site), none)
  await roundTripMs(site.hosts[0] as Host, world.gateway)
  const packet = 20 + 8 + pingBytes // IPv4, UDP
  const counted = { packetsIn: pings, bytesIn: pings * packet, packetsOut: pings, bytesOut: pings * packet }
  t.deepEqual(await world.gatewayCounters(site), counted)
  t.deepEqual(await world.gatewayCounters(other), none)
  t.like((await site.sent()).get(world.gateway.addresses[0] as string), { packets: pings })
  t.deepEqual(await site.sentTo(other), { packets: 0, bytes: 0 })
  await roundTripMs(site.hosts[0] as Host, other.hosts[0] as Host)
  t.deepEqual(await site.sentTo(other), { packets: pings, bytes: pings * packet })
  t.deepEqual(await other.sentTo(site), { packets: pings, bytes: pings * packet })
  await site.resetSent()
  t.is((await site.sent()).size, 0)
  t.is((await other.sentTo(site)).packets, pings)
  await world.resetCounters()
  t.is((await other.sent()).size, 0)
  t.deepEqual(await world.gatewayCounters(site), none)
})

labTest('a TTL of 2 opens a NAT and does not reach the one it is aimed at', async t => {
  await using world = await openWorld({ sites: [{ nat: 'port-restricted' }, { nat: 'accepting' }], verify: false })
  const [site, aim] = world.sites
  if (!site || !aim) return t.fail()
  const open = `socket.setTTL(2); socket.send('open', 7002, '${aim.publicAddresses[0]}', () => console.log('opened'))`
  const opener = node(
    site.hosts[0] as Host,
    udpSocket(7001, `socket.on('message', text => console.log(String(text)))`, open)
  )
  const lines = createInterface({ input: opener.stdout as NodeJS.ReadableStream })[Symbol.asyncIterator]()
  t.is((await lines.next()).value, 'opened')
  // Had the accepting NAT seen the opener, this would leave from another port than 7002 and not get in.
  node(aim.hosts[0] as Host, udpSocket(7002, '', `socket.send('through', 7001, '${site.publicAddresses[0]}')`))
  t.is((await lines.next()).value, 'through')
})

labTest('the same seed makes the same world', async t => {
  const sites = natTypes.map(nat => ({ nat }))
  await using one = await openWorld({ sites, verify: false })
  await using same = await openWorld({ sites, seed: one.seed, verify: false })
  await using other = await openWorld({ sites, seed: one.seed + 1, verify: false })
  const rules = ({ sites }: typeof one) => Promise.all(sites.flatMap(site => site.boxes.map(box => listRules(box))))
  t.deepEqual(await rules(same), await rules(one))
  t.notDeepEqual(await rules(other), await rules(one))
})

labTest('a command has its own process id, its signals and its exit code', async t => {
  await using world = await openWorld({ sites: [{ nat: 'open' }], verify: false })
  const child = node(
    world.gateway,
    `process.on('SIGTERM', () => process.exit(7)); setInterval(() => {}, 1000); console.log(process.pid)`
  )
  t.is(await firstLine(child), `${child.pid}`)
  child.kill('SIGTERM')
  t.deepEqual(await once(child, 'exit'), [7, null])
})

labTest('a world that is closed leaves no process and no namespace', async t => {
  const world = await openWorld({ sites: [{ nat: 'carrier', line: { delayMs: 1 } }] })
  const hosts = [world.gateway, ...world.sites.flatMap(site => [...site.hosts, ...site.boxes])]
  const spaces = new Set(hosts.map(host => `net:[${statSync(host.path).ino}]`))
  const parent = world.gateway.spawn(['sh', '-c', 'sleep 1000 & echo started; wait'], { stdio: 'pipe' })
  await firstLine(parent)
  t.true(processesIn(spaces) >= 2)
  await world[Symbol.asyncDispose]()
  t.is(processesIn(spaces), 0)
  t.deepEqual(
    hosts.filter(host => existsSync(host.path)),
    []
  )
})

labTest('a world ends with its signal', async t => {
  const over = new AbortController()
  await using world = await openWorld({ sites: [{ nat: 'open' }], verify: false, signal: over.signal })
  const child = world.gateway.spawn(['sleep', '1000'])
  over.abort()
  t.deepEqual(await once(child, 'exit'), [null, 'SIGKILL'])
})

labTest('a world ends when the process that opened it is killed', async t => {
  const program = `
    import { openWorld } from '${new URL('world.ts', import.meta.url)}'
    const world = await openWorld({ sites: [{ nat: 'open', line: { delayMs: 1 } }], verify: false })
    world.gateway.spawn(['sh', '-c', 'echo open; exec sleep 1000'], { stdio: ['ignore', 'inherit', 'inherit'] })`
  const owner = spawn(process.execPath, ['--input-type=module', '-e', program], { stdio: ['ignore', 'pipe', 'pipe'] })
  const errors = text(owner.stderr)
  // Until it runs, the command does not hear of the death of who started it.
  t.is(await firstLine(owner), 'open')
  owner.kill('SIGKILL')
  // The holder, the wires and the command have the same stderr: it ends when the last of them has.
  t.is(await errors, '')
})

// Helpers: small programs on the hosts.

const node = (host: Host, program: string) =>
  host.spawn([process.execPath, '-e', program], { stdio: ['ignore', 'pipe', 'inherit'] })

const udpSocket = (port: number, setUp: string, bound: string) =>
  `const socket = require('node:dgram').createSocket('udp4'); ${setUp}; socket.bind(${port}, () => { ${bound} })`

async function firstLine(child: ChildProcess): Promise<string> {
  const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream })
  const [line] = (await once(lines, 'line')) as [string]
  return line
}

const pings = 9
const pingBytes = 100

/** The shortest of some round trips, in milliseconds: what a busy computer adds is not the line's. */
async function roundTripMs(from: Host, to: Host, count = pings): Promise<number> {
  const echo = node(
    to,
    udpSocket(
      9000,
      `socket.on('message', (text, { port, address }) => socket.send(text, port, address))`,
      `console.log('bound')`
    )
  )
  await firstLine(echo)
  const ping = `const ping = () => { sent = performance.now(); socket.send(Buffer.alloc(${pingBytes}), 9000, '${to.addresses[0]}') }`
  const pong = `socket.on('message', () => {
    times.push(performance.now() - sent)
    if (times.length < ${count}) return ping()
    console.log(Math.min(...times))
    socket.close()
  })`
  const times = Number(await firstLine(node(from, udpSocket(0, `let sent, times = []; ${ping}; ${pong}`, 'ping()'))))
  echo.kill()
  return times
}

interface Streamed {
  arrived: number
  /** Of those, how many came once more. */
  repeated: number
  inOrder: boolean
}

/** Sends datagrams at 20,000 a second, and tells how many arrived and whether none overtook another. */
async function stream(from: Host, to: Host, count: number): Promise<Streamed> {
  const note = `let arrived = 0, repeated = 0, last = -1, inOrder = true, quiet
  socket.on('message', text => {
    const n = text.readUInt32BE()
    inOrder &&= n >= last
    if (n === last) repeated++
    else arrived++
    last = n
    clearTimeout(quiet)
    quiet = setTimeout(() => { console.log(JSON.stringify({ arrived, repeated, inOrder })); socket.close() }, 500)
  })`
  const receiver = node(to, udpSocket(9000, note, `socket.setRecvBufferSize(2 ** 22); console.log('bound')`))
  const lines = createInterface({ input: receiver.stdout as NodeJS.ReadableStream })[Symbol.asyncIterator]()
  await lines.next()
  const send = `let n = 0
  const start = performance.now()
  const timer = setInterval(() => {
    for (const due = (performance.now() - start) * 20; n < Math.min(due, ${count}); n++) {
      const text = Buffer.alloc(200)
      text.writeUInt32BE(n)
      socket.send(text, 9000, '${to.addresses[0]}')
    }
    if (n === ${count}) { clearInterval(timer); setTimeout(() => socket.close(), 100) }
  }, 1)`
  node(from, udpSocket(0, '', send))
  return JSON.parse(String((await lines.next()).value))
}

/** Where `to` sees one socket of `from`, bound to `port`, when it contacts `count` ports one after the other. */
async function mappings(from: Host, to: Host, count: number, port = 7000): Promise<Endpoint[]> {
  const first = 10_000
  const listen = `
  const seen = []
  let bound = 0, left = ${count}
  for (let nth = 0; nth < ${count}; nth++) {
    const socket = require('node:dgram').createSocket('udp4')
    socket.once('message', (text, { address, port }) => {
      seen[nth] = { address, port }
      if (--left === 0) { console.log(JSON.stringify(seen)); process.exit() }
    })
    socket.bind(${first} + nth, () => { if (++bound === ${count}) console.log('bound') })
  }`
  const lines = createInterface({ input: node(to, listen).stdout as NodeJS.ReadableStream })[Symbol.asyncIterator]()
  await lines.next()
  const send = `
  let left = ${count}
  const sent = () => { if (--left === 0) socket.close() }
  for (let nth = 0; nth < ${count}; nth++) socket.send('map', ${first} + nth, '${to.addresses[0]}', sent)`
  node(from, udpSocket(port, '', send))
  return JSON.parse(String((await lines.next()).value))
}

const stepsOf = (seen: Endpoint[]) => seen.slice(1).map(({ port }, at) => port - (seen[at] as Endpoint).port)

/** What foreign traffic makes in windows of about 20 ms, for four seconds. */
async function watchTraffic(site: Site, rate: number) {
  await using traffic = await site.traffic(rate)
  const [made, windowsMs] = [[] as number[], [] as number[]]
  let [last, lastMs] = [await traffic.made(), performance.now()]
  while (windowsMs.length < 200) {
    await setTimeout(20)
    const [now, nowMs] = [await traffic.made(), performance.now()]
    made.push(now - last)
    windowsMs.push(nowMs - lastMs)
    ;[last, lastMs] = [now, nowMs]
  }
  return { rate, made, windowsMs }
}

async function listRules(box: Host): Promise<string> {
  const { stdout } = await box.run([tool('nft'), '-s', 'list', 'ruleset'])
  return stdout
}

function processesIn(spaces: Set<string>): number {
  return readdirSync('/proc').filter(name => /^\d+$/.test(name) && spaces.has(namespaceOf(name))).length
}

function namespaceOf(pid: string): string {
  try {
    return readlinkSync(`/proc/${pid}/ns/net`)
  } catch {
    return ''
  }
}
