// Pages whose UDP is blocked, as kernel firewalls do it: their ICE agents dial the TCP door of the relay. Skipped like pages.test.ts.

import type { ExecutionContext } from 'ava'
import { drop, forwarding } from '../lab/drop.ts'
import { openRig, openRigIn, ourselves, type Rig, type RigPeer } from '../lab/rig.ts'
import { openWorld } from '../lab/world.ts'
import { until } from '../until.ts'
import { equipped, filming, isSeen } from './film.ts'
import { authority, tlsFiles } from './tls.ts'
import { BYTES, browserTest, config, nat, opened, RELAY, type Web } from './web.ts'

const strategies = `[direct, stun, ${RELAY}]`

/** One port for the relay's door, and another one for HTTP, which browsers join by and do not dial as a candidate. */
const apart = { ...ourselves, http: 81 }
const door = 'listen: { udp: { ports: [3478, 3479, 3480] }, tcp: [3478] }'

for (const kind of ['chromium', 'firefox'] as const)
  browserTest(
    `${kind} whose UDP is blocked is relayed over TCP, whoever calls, and outlives a cut`,
    [kind],
    async t => {
      await using world = await openWorld({ sites: [{ nat: 'udp-blocked' }, { nat }], verify: false })
      await using rig = await openRigIn(world, { strategies, config: door }, apart)
      const [, node] = rig.peers as [RigPeer, RigPeer]
      await using web = await equipped(rig, 0, kind)
      const out = await web.connect(node.name, BYTES)
      t.like(out, { kind: 'relay', door: 'tcp', isWhole: true })
      await filming(web)
      await isSeen(t, web)
      t.like((await rig.status()).doors.latched, { tcp: 1, udp: 1 })
      await isTold(t, rig, { 'postern.caller.door': 'tcp', 'postern.callee.door': 'udp' })
      const back = await node.process.do('connect', { to: web.name, bytes: 0 })
      t.like(back.path, { kind: 'relay', door: 'udp' })
      await isTold(t, rig, { 'postern.caller.door': 'udp', 'postern.callee.door': 'tcp' })
      t.log(`out in ${out.ms} ms, back in ${back.path?.ms} ms`)
      t.log(await cut(rig, web))
      t.deepEqual(await web.do('said', {}), [])
    }
  )

browserTest(
  'two browsers whose UDP is blocked are relayed over TCP, whoever calls',
  ['chromium', 'firefox'],
  async t => {
    // One of them is not blocked, or else the gateway would be called deaf.
    const sites = [1, 2, 3].map(() => ({ nat: 'udp-blocked' as const }))
    await using rig = await openRig({ strategies, config: door, sites: [...sites, { nat }], verify: false })
    const node = rig.peers[2] as RigPeer
    await using one = await equipped(rig, 0, 'chromium')
    await using other = await equipped(rig, 1, 'firefox')
    for (const [caller, callee] of [
      [one, other.name],
      [other, one.name],
      [one, node.name],
      [other, node.name]
    ] as const) {
      const path = await caller.connect(callee, BYTES)
      t.like(path, { kind: 'relay', door: 'tcp', isWhole: true })
      await isTold(t, rig, { 'postern.caller.door': 'tcp', 'postern.callee.door': 'tcp' })
      t.log(`${path.ms} ms`)
      if (callee !== other.name) continue
      await filming(one)
      await other.run('view(accepted); await film(accepted)')
      for (const web of [one, other]) await isSeen(t, web)
    }
  }
)

for (const kind of ['chromium', 'firefox'] as const)
  browserTest(
    `${kind} whose UDP is blocked once it has shown itself is relayed over TCP all the same`,
    [kind],
    async t => {
      await using rig = await openRig({ strategies: `[${RELAY}]`, config, sites: [{ nat }, { nat }], verify: false })
      const [, node] = rig.peers as [RigPeer, RigPeer]
      const [box] = rig.world.sites[0]?.boxes ?? []
      if (!box) return t.fail()
      await using web = await opened(rig, 0, kind)
      t.like(await web.connect(node.name, 1000), { kind: 'relay', door: 'udp', isWhole: true })
      await using _blocked = await drop(box, 'iifname lan meta l4proto udp')
      const around = await web.connect(node.name, BYTES)
      t.like(around, { kind: 'relay', door: 'tcp', isWhole: true })
      t.log(`${around.ms} ms`)
    }
  )

browserTest(
  'a page that came by https is relayed over a TCP port of the relay’s own, whose gateway has TLS',
  ['chromium', 'firefox', 'certutil'],
  async t => {
    await using files = await tlsFiles()
    const tls = `listen: { tls: ${files.yaml}, udp: { ports: [3478, 3479, 3480] }, tcp: [3478] }`
    const sites = [{ nat: 'udp-blocked' as const }, { nat: 'udp-blocked' as const }]
    await using rig = await openRig({ strategies, config: tls, ca: authority, sites, verify: false })
    await using one = await opened(rig, 0, 'chromium', { scheme: 'https' })
    await using other = await opened(rig, 1, 'firefox', { scheme: 'https' })
    t.like(await one.connect(other.name, BYTES), { kind: 'relay', door: 'tcp', isWhole: true })
    t.deepEqual(await one.do('said', {}), [])
  }
)

browserTest('a browser that is told to bind no UDP socket is relayed over TCP', ['chromium'], async t => {
  await using rig = await openRig({ strategies, config, sites: [{ nat }, { nat }], verify: false })
  const [, node] = rig.peers as [RigPeer, RigPeer]
  await using web = await opened(rig, 0, 'chromium', {
    args: ['--webrtc-ip-handling-policy=disable_non_proxied_udp']
  })
  const around = await web.connect(node.name, BYTES)
  t.like(around, { kind: 'relay', door: 'tcp', isWhole: true })
  t.log(`${around.ms} ms`)
  const back = await node.process.do('connect', { to: web.name, bytes: 0 })
  t.like(back.path, { kind: 'relay', door: 'udp' })
})

browserTest(
  'where UDP is let through again, the connection of a page moves there, and the next one is direct',
  ['chromium'],
  async t => {
    await using rig = await openRig({ strategies, config, sites: [{ nat }, { nat }], verify: false })
    const [, node] = rig.peers as [RigPeer, RigPeer]
    const [box] = rig.world.sites[0]?.boxes ?? []
    if (!box) return t.fail()
    const blocked = await drop(box, 'iifname lan meta l4proto udp')
    await using web = await opened(rig, 0, 'chromium')
    const around = await web.connect(node.name, BYTES)
    t.like(around, { kind: 'relay', door: 'tcp', isWhole: true })
    await blocked[Symbol.asyncDispose]()
    await until(async () => (await web.run('return connection.path.kind')) === 'direct', 20_000)
    t.like(await web.connect(node.name, BYTES), { kind: 'direct', isWhole: true })
  }
)

browserTest(
  'where the gateway has no TCP port that browsers dial, the failure says what its operator can do',
  ['chromium'],
  async t => {
    await using world = await openWorld({ sites: [{ nat: 'udp-blocked' }, { nat }], verify: false })
    await using rig = await openRigIn(world, { strategies, config }, apart)
    const [, node] = rig.peers as [RigPeer, RigPeer]
    await using web = await opened(rig, 0, 'chromium')
    const failed = (await web.run(
      'return await peer.connect(given).catch(({ code, message }) => ({ code, message }))',
      { name: node.name }
    )) as { code: string; message: string }
    t.is(failed.code, 'udp-blocked')
    t.regex(
      failed.message,
      /not answer over UDP; the gateway has no TCP port that browsers dial: its operator can name one in listen\.tcp, such as 3478/
    )
  }
)

/** What the trace of the newest request has of its doors, and the verdict. */
async function isTold(t: ExecutionContext, rig: Rig, doors: Readonly<Record<string, string>>): Promise<void> {
  const record = await rig.newest()
  const relay = record?.spans.find(({ name }) => name === 'postern.relay')
  t.like(relay?.attributes, doors)
  t.like(record?.verdict, { code: 'udp-blocked' })
}

/** Cuts the connection of a page to the relay while a stream goes over it; says how it went on. */
async function cut(rig: Rig, web: Web): Promise<string> {
  const [box] = rig.world.sites[0]?.boxes ?? []
  if (!box) throw new Error('there is no box')
  await web.run(`globalThis.news = []
    connection.on('path', ({ what, ms, path }) => news.push([what, path.kind, Math.round(ms ?? 0)].join(' ')))`)
  const going = web.run('return await echo(given.bytes, 20)', { bytes: 2_000_000 })
  const { open: before } = (await rig.status()).doors.tcp
  const reset = ['tcp dport 3478', 'tcp sport 3478'].map(of => `${of} tcp flags & syn == 0 reject with tcp reset`)
  const cutting = await forwarding(box, ...reset)
  await until(async () => (await rig.status()).doors.tcp.open < before)
  await cutting[Symbol.asyncDispose]()
  if (!(await going)) throw new Error('bytes were lost')
  return String(await web.run("return news.join(', ')"))
}
