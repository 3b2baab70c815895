// Time from the request to the open connection of a page in Chromium, to a peer in Node and to another page, beside plain ICE in the
// same two places, trial by trial, with and without delay. Both are behind port-restricted NATs.
//
//   node bench/browsers.ts [--world near|far] [--to node|chromium] [--trials N]
//
// Ours: from `peer.connect`, in a page that has joined, to the connection that it resolves with. Theirs: from making an
// RTCPeerConnection to its data channel's `open`; coturn is its STUN and TURN server, and descriptions and candidates, trickled, go over
// a WebSocket that both joined before. Gateway, coturn and that WebSocket's server are on one host, and both by TLS, so that
// messages take the same way. Both are measured in the page, by performance.now().

import { parseArgs } from 'node:util'
import { Web } from '../test/browser/page.ts'
import { authority, tlsFiles } from '../test/browser/tls.ts'
import { type IceActor, type IceGround, iceInNode, iceInPage, openIceGround } from '../test/lab/plain-ice/ground.ts'
import { openRig, type Rig } from '../test/lab/rig.ts'
import { within } from '../test/lab/within.ts'
import { direct, failed, goal, median, type Outcome, opened, percentile, printOutcomes } from './means/figures.ts'

const { values } = parseArgs({
  options: { trials: { type: 'string', default: '100' }, world: { type: 'string' }, to: { type: 'string' } }
})

type To = 'node' | 'chromium'

interface World {
  readonly title: string
  /** One way, in milliseconds, between each site and the public network. */
  readonly delaysMs: readonly [number, number]
  /** Our median beside that of plain ICE. */
  readonly atMost: number
}

const worlds: Readonly<Record<string, World>> = {
  near: { title: 'without delay', delaysMs: [0, 0], atMost: 1 },
  far: { title: '40 and 60 ms to the gateway, 100 ms between the peers', delaysMs: [20, 30], atMost: 0.75 }
}

/** How long a request may take: as plain ICE has it. */
const PATIENCE_MS = 10_000

/** What takes longer has no end. */
const HANGS_MS = 30_000

const trials = Number(values.trials)
if (!Number.isInteger(trials) || trials < 1) throw new Error('--trials takes a whole number from 1 on')
const chosen = Object.entries(worlds).filter(([name]) => !values.world || values.world === name)
const tos = (['node', 'chromium'] as const).filter(to => !values.to || values.to === to)
if (chosen.length === 0 || tos.length === 0) throw new Error('there is no such world, or nobody to call')

console.log('postern: from peer.connect in a joined page to the open connection')
console.log('plain ICE: from new RTCPeerConnection to the open data channel, with coturn,')
console.log('  trickled over a WebSocket to the same host; opened by whatever path')
for (const [, world] of chosen) for (const to of tos) await bench(world, to)

/** Who is called: a page or a peer in Node. */
interface Callee extends AsyncDisposable {
  readonly name: string
  readonly ice: IceActor
}

async function bench({ title, delaysMs, atMost }: World, to: To): Promise<void> {
  await using files = await tlsFiles()
  await using rig = await openRig({
    sites: delaysMs.map(delayMs => ({ nat: 'port-restricted' as const, line: { delayMs } })),
    strategies: '[direct, stun, predict, spray, relay]',
    config: `listen: { tls: ${files.yaml}, udp: { ports: [3478, 3479, 3480] } }`,
    ca: authority,
    peers: false
  })
  await using ground = await openIceGround(rig.world)
  await using page = await joinedPage(rig, 0)
  await using callee = to === 'node' ? await node(rig, ground) : await otherPage(rig, ground)
  const ice = iceInPage(page, ground)
  await Promise.all([ice.join(), callee.ice.join()])
  const [ours, theirs]: [Outcome[], Outcome[]] = [[], []]
  while (theirs.length < trials) {
    ours.push(await connect(page, callee.name))
    theirs.push(await connectByIce(ice, callee.ice))
  }
  console.log(`\n${title}, Chromium to ${to} (seed ${rig.world.seed})`)
  printOutcomes('postern', ours)
  printOutcomes('plain ICE', theirs)
  judge(ours, theirs, atMost)
}

function judge(ours: readonly Outcome[], theirs: readonly Outcome[], atMost: number): void {
  const [own, other] = [direct(ours), opened(theirs)]
  goal('connections that failed', failed(ours), { atMost: 0 })
  goal('median beside plain ICE', median(own) / median(other), { atMost })
  console.log(`       95th percentile beside plain ICE: ${(percentile(own, 95) / percentile(other, 95)).toFixed(3)}`)
}

async function joinedPage(rig: Rig, site: number): Promise<Web> {
  const web = await Web.open(rig, site, 'chromium', `page-${site}`, { scheme: 'https' })
  await web.join()
  return web
}

async function node(rig: Rig, ground: IceGround): Promise<Callee> {
  const [, site] = rig.world.sites
  const [host] = site?.hosts ?? []
  if (!site || !host) throw new Error('there is no second site')
  const guest = await rig.guest(site)
  const ice = iceInNode(host, guest.name, ground)
  return {
    name: guest.name,
    ice,
    async [Symbol.asyncDispose]() {
      await ice[Symbol.asyncDispose]()
      await guest[Symbol.asyncDispose]()
    }
  }
}

async function otherPage(rig: Rig, ground: IceGround): Promise<Callee> {
  const web = await joinedPage(rig, 1)
  return { name: web.name, ice: iceInPage(web, ground), [Symbol.asyncDispose]: () => web[Symbol.asyncDispose]() }
}

async function connect(page: Web, to: string): Promise<Outcome> {
  const body = `const startMs = performance.now()
    try {
      const connection = await peer.connect({ name: given.to, signal: AbortSignal.timeout(${PATIENCE_MS}) })
      const ms = performance.now() - startMs
      const { kind } = connection.path
      await connection.close()
      return { kind, ms }
    } catch ({ code, message }) {
      return { kind: 'failed', why: code ?? message }
    }`
  return (await within(HANGS_MS, 'our connection', page.run(body, { to }))) as Outcome
}

/** By which path is asked when it has opened: it may go over to another one later. */
async function connectByIce(caller: IceActor, callee: IceActor): Promise<Outcome> {
  const { ms } = await within(HANGS_MS, 'plain ICE', caller.call(callee.name))
  const candidate = ms === undefined ? undefined : await caller.candidate()
  await within(HANGS_MS, 'the end of plain ICE', Promise.all([caller.release(), callee.release()]))
  if (ms === undefined) return { kind: 'failed', why: 'timeout' }
  return { kind: candidate === 'relay' ? 'relay' : 'direct', ms }
}
