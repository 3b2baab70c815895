// The laboratory itself: its NATs are what they claim, its lines delay what they should, and it leaves nothing behind.

import type { ChildProcess } from 'node:child_process'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readlinkSync, statSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { labTest } from './lab-test.ts'
import { type NatType, natTypes } from './nat.ts'
import { tool } from './sandbox.ts'
import { verifyWorld } from './verify.ts'
import { type Host, openWorld } from './world.ts'

labTest('every type shows its mapping, its allocation and its filter to two hosts', async t => {
  const types: readonly NatType[] = [...natTypes, 'symmetric+7', 'symmetric-100']
  await using world = await openWorld({ sites: types.map(nat => ({ nat, hosts: 2 })) })
  t.is(world.sites.length, types.length)
})

labTest('every type proves itself to a gateway with one address', async t => {
  await using world = await openWorld({ sites: natTypes.map(nat => ({ nat })), gatewayAddresses: 1 })
  t.is(world.gateway.addresses.length, 1)
})

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
    ['port-restricted', 'udp-blocked', /UDP got through/]
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

labTest('a line delays by twice its delay there and back, and two lines add up', async t => {
  const sites = [
    { nat: 'port-restricted' as const, line: { delayMs: 20 } },
    { nat: 'open' as const, line: { delayMs: 5 } }
  ]
  await using world = await openWorld({ sites })
  const [near, far] = world.sites.map(site => site.hosts[0]) as [Host, Host]
  const toGateway = await roundTripMs(near, world.gateway)
  const toFar = await roundTripMs(near, far)
  t.true(toGateway >= 40 && toGateway < 48, `${toGateway} ms to the gateway`)
  t.true(toFar >= 50 && toFar < 58, `${toFar} ms to the other site`)
})

labTest('a line loses what it should', async t => {
  const line = { delayMs: 1, lossPercent: 20 }
  await using world = await openWorld({ sites: [{ nat: 'port-restricted', line }] })
  const { arrived } = await stream(world.sites[0]?.hosts[0] as Host, world.gateway, 2000)
  t.true(arrived > 1400 && arrived < 1800, `${arrived} of 2000 arrived`)
})

labTest('types prove themselves through lines that lose datagrams', async t => {
  const sites = natTypes.map(nat => ({ nat, line: { delayMs: 2, lossPercent: 10 } }))
  await using world = await openWorld({ sites })
  t.is(world.sites.length, natTypes.length)
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
  await world.resetCounters()
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
    world.gateway.spawn(['sleep', '1000'], { stdio: ['ignore', 'inherit', 'inherit'] })
    console.log('open')`
  const owner = spawn(process.execPath, ['--input-type=module', '-e', program], { stdio: ['ignore', 'pipe', 'pipe'] })
  const errors = text(owner.stderr)
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

/** The median of some round trips, in milliseconds. */
async function roundTripMs(from: Host, to: Host): Promise<number> {
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
    if (times.length < ${pings}) return ping()
    console.log(times.sort((a, b) => a - b)[${pings >> 1}])
    socket.close()
  })`
  const times = Number(await firstLine(node(from, udpSocket(0, `let sent, times = []; ${ping}; ${pong}`, 'ping()'))))
  echo.kill()
  return times
}

/** Sends datagrams at 20,000 a second, and tells how many arrived and whether none overtook another. */
async function stream(from: Host, to: Host, count: number): Promise<{ arrived: number; inOrder: boolean }> {
  const note = `let arrived = 0, last = -1, inOrder = true, quiet
  socket.on('message', text => {
    const n = text.readUInt32BE()
    inOrder &&= n > last
    last = n
    arrived++
    clearTimeout(quiet)
    quiet = setTimeout(() => { console.log(JSON.stringify({ arrived, inOrder })); socket.close() }, 500)
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
