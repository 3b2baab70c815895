// Peers whose network changes: the kernel takes an address away, swallows a TCP connection, or a process is stopped. Nobody does
// anything about it by hand.

import test from 'ava'
import { endNative } from './end-native.ts'
import { drop } from './lab/drop.ts'
import { labTest } from './lab/lab-test.ts'
import { openRig, type Rig, type RigPeer } from './lab/rig.ts'
import { tool } from './lab/sandbox.ts'
import type { Host } from './lab/world.ts'
import { until } from './until.ts'

const strategies = '[direct, stun, relay]'

/** A peer that has a network again is reached within so many milliseconds. */
const BACK_MS = 3000

let opening: Promise<Rig> | undefined
const rigged = (): Promise<Rig> => {
  const sites = [{ nat: 'port-restricted' as const }, { nat: 'port-restricted' as const }]
  opening ??= openRig({ sites, strategies, verify: false })
  return opening
}
test.after.always(async () => {
  await (await opening)?.[Symbol.asyncDispose]()
  endNative()
})

labTest('a guest whose host has another address joins again as the same one, once, and calls from there', async t => {
  const rig = await rigged()
  const [a, b] = rig.peers as [RigPeer, RigPeer]
  await a.process.do('join', rig.door)
  const { name } = await a.process.do('joins', { count: 1 })
  t.regex(name, /^guest-/)
  const [host] = a.site.hosts as [Host]
  const network = (host.addresses[0] ?? '').replace(/\.\d+$/, '')
  await on(host, 'address flush dev eth0')
  await on(host, `address add ${network}.77/24 dev eth0`)
  await on(host, `route add default via ${network}.1 dev eth0`)
  const startMs = performance.now()
  const after = await a.process.do('joins', { count: 2 })
  const tookMs = performance.now() - startMs
  t.log(`joined again after ${Math.round(tookMs)} ms`)
  t.true(tookMs < BACK_MS, `${tookMs} ms`)
  t.is(after.name, name)
  const tried = await a.connect(b, 1000)
  t.like(tried, { path: { kind: 'direct', by: 'stun' }, intact: true })
  t.regex(tried.path?.local ?? '', new RegExp(`^${network}.77:`))
  t.deepEqual(after.noticed, ['joined', 'changed', 'lost', 'joined'], 'one change, one join')
  await a.process.do('join', { ...rig.door, name: a.name })
})

labTest('a peer without a network waits, and is reached within seconds of having one', async t => {
  const rig = await rigged()
  const [a, b] = rig.peers as [RigPeer, RigPeer]
  const [host] = b.site.hosts as [Host]
  const [address = ''] = host.addresses
  await b.process.do('join', { ...rig.door, name: b.name })
  await on(host, 'link set eth0 down')
  await b.process.do('notices', { what: 'lost' })
  t.like(await a.connect(b, 0), { failed: { code: 'silent-peer' } }, 'until it is lost there, it is asked in vain')
  await on(host, 'link set eth0 up')
  await on(host, `route add default via ${address.replace(/\.\d+$/, '.1')} dev eth0`)
  await reached(a, b)
  t.pass()
})

labTest('a connection to the gateway that is swallowed without a word is noticed and made anew', async t => {
  const rig = await rigged()
  const [a, b] = rig.peers as [RigPeer, RigPeer]
  await b.process.do('join', { ...rig.door, name: b.name })
  const [box] = b.site.boxes as [Host]
  const swallowed = await drop(box, 'tcp dport 8080', 'tcp sport 8080')
  await b.process.do('notices', { what: 'lost' })
  const failed = await until(async () => (await a.connect(b, 0)).failed, 30_000)
  t.is(failed.code, 'silent-peer')
  t.regex(failed.reason, /has been silent for \d+ s; it may be changing its network/)
  await swallowed[Symbol.asyncDispose]()
  await b.process.do('joins', { count: 2 })
  await reached(a, b)
})

labTest('a peer that was stopped is silent meanwhile, notices when it goes on, and is reached at once', async t => {
  const rig = await rigged()
  const [a, b] = rig.peers as [RigPeer, RigPeer]
  await b.process.do('join', { ...rig.door, name: b.name })
  await b.process.kill('SIGSTOP')
  const failed = await until(async () => silence(await a.connect(b, 0)), 60_000)
  t.regex(failed, /^1\.0 has been silent for 1\d s/)
  process.kill(b.process.pid, 'SIGCONT')
  await reached(a, b)
  t.true((await b.process.do('notices', { what: 'woke' })).noticed.includes('woke'))
})

const silence = ({ failed }: Awaited<ReturnType<RigPeer['connect']>>): string | undefined =>
  failed && /has been silent/.test(failed.reason) ? failed.reason : undefined

/** As a caller finds it that asks again whenever it is told to. */
const reached = (a: RigPeer, b: RigPeer): Promise<boolean> =>
  until(async () => (await a.connect(b, 0)).path !== undefined, BACK_MS)

async function on(host: Host, command: string): Promise<void> {
  const { code, stderr } = await host.run([tool('ip'), ...command.split(' ')])
  if (code !== 0) throw new Error(`ip ${command}: ${stderr}`)
}
