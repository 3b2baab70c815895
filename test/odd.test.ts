// Odd worlds and peers that lie. Whatever happens, an attempt ends in time: on a direct path, on the relay, or with a
// reason; afterwards nobody holds more than an idle peer does. What is sent is counted by the kernel at the NAT boxes.

import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { fstatSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import test, { type ExecutionContext } from 'ava'
import { asPosternError, type Code } from '../src/errors.ts'
import type { Peer } from '../src/peer/peer.ts'
import type { Endpoint } from '../src/wire/endpoint.ts'
import type { FromGateway, Message } from '../src/wire/signal.ts'
import { BINDING, decode, encode, transactionId } from '../src/wire/stun.ts'
import { endNative } from './end-native.ts'
import { HandMade, nothingDone } from './hand-made.ts'
import type { Tried } from './lab/driver.ts'
import { labTest } from './lab/lab-test.ts'
import type { NatType } from './lab/nat.ts'
import { openRig, type Rig, type RigPeer, type RigSpec } from './lab/rig.ts'
import type { Site } from './lab/world.ts'
import { until } from './until.ts'
import { World } from './world.ts'

test.after.always(endNative)

const strategies =
  '[direct, stun, predict, spray, relay: { perSession: 60 Mbit/s, perPeer: 1 Gbit/s, total: 1 Gbit/s }]'
const BYTES = 10_000

/** The gateway's own: the strategies' 10 s, then the relay with its 2 s, a handover, and a busy computer. */
const DEADLINE_MS = 15_000

/**
 * Of an idle peer in the laboratory: its socket kept warm, the way to the gateway, the way to the test, and where it
 * prints to, which it has from here.
 */
const IDLE_SOCKETS = 3 + [1, 2].filter(descriptor => fstatSync(descriptor).isSocket()).length

type Kind = 'direct' | 'relay' | 'failed'
const kindOf = ({ path }: Tried): Kind => path?.kind ?? 'failed'

/** Opens a rig, and holds it to what every attempt must end with. */
async function inRig(
  t: ExecutionContext,
  spec: Omit<RigSpec, 'strategies'> & { strategies?: string },
  run: (rig: Rig, attempt: (from: RigPeer, to: RigPeer) => Promise<Tried>) => Promise<void>
): Promise<void> {
  // That each NAT is what it is called is proved by the laboratory's own tests; to prove that one forgets takes 7 s.
  await using rig = await openRig({ strategies, verify: false, ...spec })
  t.log(`seed ${rig.world.seed}`)
  await run(rig, async (from, to) => {
    const startMs = performance.now()
    const tried = await from.connect(to, BYTES)
    const pair = `${from.site.nat} to ${to.site.nat}`
    const words = `${pair}: ${tried.path?.by ?? tried.failed?.reason} in ${Math.round(performance.now() - startMs)} ms`
    t.log(words, tried.strategies.map(({ name, ms }) => `${name} ${ms}`).join(' '))
    t.true(performance.now() - startMs - tried.transferMs < DEADLINE_MS, words)
    t.true(tried.path ? tried.intact : tried.failed?.code !== 'internal' && tried.failed?.reason !== '', words)
    return tried
  })
  const resting = await Promise.all(rig.peers.map(restingSockets))
  t.true(
    resting.every(sockets => sockets === IDLE_SOCKETS),
    `idle peers hold ${resting} sockets`
  )
}

/**
 * What a peer holds once nothing changes any more: a connection that was closed lingers for a moment, and for some seconds where
 * its path had died, so that the far side's farewell did not arrive.
 */
async function restingSockets({ process }: RigPeer): Promise<number> {
  const endMs = performance.now() + 20_000
  let sockets = 0
  // A warm socket may be on its way still, so that one look says little.
  for (let looks = 0; looks < 10 && performance.now() < endMs; looks = sockets === IDLE_SOCKETS ? looks + 1 : 0) {
    await setTimeout(50)
    sockets = (await process.do('descriptors', {})).sockets
  }
  return sockets
}

const typed = (rig: Rig, nat: NatType, nth = 0): RigPeer => {
  const peer = rig.peers.filter(({ site }) => site.spec.nat === nat)[nth]
  if (!peer) throw new Error(`no ${nat} in this world`)
  return peer
}

const pairs: [NatType, NatType][] = [
  ['rejecting', 'symmetric+1'],
  ['rejecting', 'symmetric-2'],
  ['symmetric-pool', 'port-restricted'],
  ['port-restricted', 'symmetric-pool-random'],
  ['carrier', 'carrier'],
  ['carrier-symmetric+1', 'port-restricted']
]

labTest(
  'NATs that reject by ICMP, NATs with a pool of addresses, and carriers: joined directly, both ways',
  async t => {
    const nats = [...new Set(pairs.flat()), 'carrier'] as NatType[]
    await inRig(t, { sites: nats.map(nat => ({ nat })) }, async (rig, attempt) => {
      for (const [a, b] of pairs) {
        const [one, other] = [typed(rig, a), typed(rig, b, a === b ? 1 : 0)]
        t.is(kindOf(await attempt(one, other)), 'direct', `${a} to ${b}`)
        t.is(kindOf(await attempt(other, one)), 'direct', `${b} to ${a}`)
      }
      const [pool, scattered] = [typed(rig, 'symmetric-pool'), typed(rig, 'symmetric-pool-random')]
      t.not(kindOf(await attempt(pool, scattered)), 'failed', 'two pools may be relayed')
    })
  }
)

labTest('a NAT that becomes another, between attempts and during them: each has a path, or a reason', async t => {
  const others: NatType[] = ['symmetric-random', 'port-restricted']
  await inRig(t, { sites: [{ nat: 'symmetric+1' }, { nat: 'port-restricted' }] }, async (rig, attempt) => {
    const [changing, other] = rig.peers as [RigPeer, RigPeer]
    await attempt(changing, other)
    for (const [index, nat] of others.entries()) {
      const forget = index % 2 === 0
      await changing.site.become(nat, { forget })
      await attempt(changing, other)
      await Promise.all([attempt(other, changing), changing.site.become('symmetric+2', { forget })])
    }
  })
})

labTest('mappings that time out after 5 s are remembered wrongly, yet 7 idle seconds later a path opens', async t => {
  await inRig(t, { sites: [{ nat: 'forgetful' }, { nat: 'symmetric+1' }] }, async (rig, attempt) => {
    const [forgetful, stepping] = rig.peers as [RigPeer, RigPeer]
    t.is(kindOf(await attempt(forgetful, stepping)), 'direct')
    await setTimeout(7000) // the kernel's clock, and no other
    t.is(kindOf(await attempt(stepping, forgetful)), 'direct')
  })
})

labTest('answers are lost or come twice, and stepping NATs still find each other', async t => {
  const line = { lossPercent: 4, duplicatePercent: 20 }
  const sites = (['symmetric+1', 'symmetric-2', 'port-restricted'] as const).map(nat => ({ nat, line }))
  await inRig(t, { sites }, async (rig, attempt) => {
    const [a, b, c] = rig.peers as [RigPeer, RigPeer, RigPeer]
    const kinds: Kind[] = []
    // biome-ignore format: a table
    for (const [from, to] of [[a, c], [c, b], [a, b], [b, a]] as const)
      kinds.push(kindOf(await attempt(from, to)))
    t.true(kinds.filter(kind => kind === 'direct').length >= 2, kinds.join(' '))
  })
})

labTest('a peer that is 300 ms away, behind a NAT that steps: joined directly', async t => {
  const sites = [{ nat: 'symmetric+1', line: { delayMs: 150 } }, { nat: 'symmetric-1' }]
  await inRig(t, { sites: sites as RigSpec['sites'] }, async (rig, attempt) => {
    const [far, near] = rig.peers as [RigPeer, RigPeer]
    t.is(kindOf(await attempt(near, far)), 'direct')
  })
})

labTest('ports that wrap, on both sides and again and again: paths still open', async t => {
  const sites = [0, 1].map(() => ({ nat: 'symmetric+1' as const, steppingPorts: 64 }))
  await inRig(t, { sites }, async (rig, attempt) => {
    const [a, b] = rig.peers as [RigPeer, RigPeer]
    const kinds: Kind[] = []
    for (let round = 0; round < 4; round++) kinds.push(kindOf(await attempt(a, b)), kindOf(await attempt(b, a)))
    t.true(kinds.includes('direct'), kinds.join(' '))
  })
})

labTest('neighbours that make 20 mappings a second behind a NAT that steps: joined directly', async t => {
  await inRig(t, { sites: [{ nat: 'symmetric+1' }, { nat: 'port-restricted' }] }, async (rig, attempt) => {
    const [stepping, plain] = rig.peers as [RigPeer, RigPeer]
    await using _traffic = await stepping.site.traffic(20)
    for (let round = 0; round < 3; round++) t.is(kindOf(await attempt(stepping, plain)), 'direct')
  })
})

const lastly = 'relay: { perSession: 60 Mbit/s, perPeer: 1 Gbit/s, total: 1 Gbit/s }'

labTest('a spray sends no more than its probes from either side, by the count of the NATs', async t => {
  const spray = `[spray: { atLeast: 0, sockets: 64, probes: 512, perSecond: 4000 }, ${lastly}]`
  const sites = [0, 1].map(() => ({ nat: 'symmetric-random' as const }))
  await inRig(t, { sites, strategies: spray }, async (rig, attempt) => {
    const [a, b] = rig.peers as [RigPeer, RigPeer]
    for (const [from, to] of [
      [a, b],
      [b, a]
    ] as const) {
      await resetSent([a.site, b.site])
      t.is(kindOf(await attempt(from, to)), 'relay')
      for (const [site, other] of [
        [a.site, b.site],
        [b.site, a.site]
      ] as const) {
        const { packets } = await site.sentTo(other)
        t.log(`${packets} packets of 512`)
        t.true(packets <= 512 && packets > 256, `${packets} packets, where nearly all were to be spent`)
      }
    }
  })
})

labTest('predictions that miss send no more than their probes over all rounds, by the count of the NATs', async t => {
  const probes = 200
  const predict = `[predict: { rounds: 4, probes: ${probes}, waitMs: 300ms }, ${lastly}]`
  const sites = (['symmetric+1', 'port-restricted', 'symmetric-2'] as const).map(nat => ({ nat }))
  await inRig(t, { sites, strategies: predict }, async (rig, attempt) => {
    const [deaf, plain, stepping] = rig.peers as [RigPeer, RigPeer, RigPeer]
    // The deaf side is the passive one each time: the other would believe in the path, and all time were its.
    for (const other of [plain, stepping]) {
      await deafTo(deaf.site, other.site)
      await resetSent([deaf.site, other.site])
      t.is(kindOf(await attempt(other, deaf)), 'relay')
      for (const [from, to] of [
        [deaf.site, other.site],
        [other.site, deaf.site]
      ] as const) {
        const { packets } = await from.sentTo(to)
        t.log(`${packets} packets of ${probes} from ${from.nat}`)
        t.true(packets <= probes && packets > 0, `${packets} packets`)
      }
    }
  })
})

labTest(
  'each of the sessions that aim at one address at the same time has a quarter of what it may get, by the count of the NATs',
  async t => {
    const perAddress = 600
    const sites = [0, 1, 2].map(() => ({ nat: 'symmetric-random' as const }))
    const spray = `[spray: { atLeast: 0, sockets: 64, probes: 512, perSecond: 4000 }, ${lastly}]`
    const config = `limits: { probesPerAddress: ${perAddress} }`
    await inRig(t, { sites, strategies: spray, config }, async (rig, attempt) => {
      const [a, b, target] = rig.peers as [RigPeer, RigPeer, RigPeer]
      await resetSent(rig.world.sites)
      const startMs = performance.now()
      const both = await Promise.all([attempt(a, target), attempt(b, target)])
      t.deepEqual(both.map(kindOf), ['relay', 'relay'])
      const seconds = (performance.now() - startMs) / 1000
      const [one, other] = [await a.site.sentTo(target.site), await b.site.sentTo(target.site)]
      const most = (perAddress / 4) * (1 + seconds / 60) // it is refilled within minutes
      t.log(`${one.packets} and ${other.packets} packets of ${Math.floor(most)} each`)
      for (const { packets } of [one, other]) t.true(packets <= most && packets > most / 2, `${packets} packets`)
    })
  }
)

const resetSent = (sites: readonly Site[]) => Promise.all(sites.map(site => site.resetSent()))

/** Nothing of the other site's gets in, while what this one sends arrives: whatever is predicted, no path opens. */
async function deafTo(site: Site, other: Site): Promise<void> {
  const drops = other.publicAddresses.map(address => `ip saddr ${address} udp sport 0-65535 drop`)
  const chain = ['chain prerouting {', 'type filter hook prerouting priority raw', ...drops, '}']
  await site.boxes.at(-1)?.nft([`table ip deaf${other.index} {`, ...chain, '}', ''].join('\n'))
}

// Peers that lie, on loopback: behind what looks like a NAT that steps, since that is who is asked for samples.

interface Lie {
  readonly what: string
  /** What the honest side is told. */
  readonly reason: RegExp
  /** Beside what is true in `warm`. */
  readonly warm?: object
  readonly sampled: (liar: Liar, asked: Message<FromGateway, 'sample'>) => Promise<void> | void
  readonly ordered?: (liar: Liar, order: Message<FromGateway, 'order'>) => void
}

const shown: Lie['sampled'] = async (liar, { session, round }) => {
  const socket = await liar.maps()
  liar.peer.say({ type: 'fresh', session, round, socket, port: 4000 + socket })
}
const failing =
  (report: object): NonNullable<Lie['ordered']> =>
  ({ peer }, { session, plan }) =>
    peer.say({ type: 'failed', session, plan, code: 'io', reason: 'so it is', report: { ...nothingDone, ...report } })
const there = { address: '203.0.113.9', port: 9 }

const lies: readonly Lie[] = [
  {
    what: 'never shows a sample',
    reason: /predict failed \(mallory showed no fresh socket in time/,
    sampled: () => {}
  },
  {
    what: 'shows one of a round that nobody asked for',
    reason: /predict failed \(mallory showed no fresh socket in time/,
    sampled: ({ peer }, { session, round }) =>
      peer.say({ type: 'fresh', session, round: round + 7, socket: 0, port: 5 })
  },
  {
    what: 'names a socket that showed nothing',
    reason: /predict failed \(no sample of mallory came in time/,
    sampled: ({ peer }, { session, round }) => peer.say({ type: 'fresh', session, round, socket: 999, port: 5 })
  },
  {
    what: 'shows a port that is not its own, and obeys nothing',
    // Where the computer is busy its socket may be late as well.
    reason: /predict failed \((no answer to any|mallory showed no fresh socket in time)/,
    sampled: shown
  },
  {
    what: 'is a day away',
    reason: /relay failed \(.*so it is/,
    warm: { rttMs: 86_400_000 },
    sampled: shown,
    ordered: failing({})
  },
  {
    what: 'has sent and mapped more than there are ports',
    reason: /relay failed \(.*so it is/,
    sampled: shown,
    ordered: failing({ sent: Number.MAX_SAFE_INTEGER, flows: Number.MAX_SAFE_INTEGER })
  },
  {
    what: 'has opened a path that is none',
    reason: /relay failed \(/,
    sampled: shown,
    ordered: ({ peer }, { session, plan }) =>
      peer.say({ type: 'opened', session, plan, local: there, remote: there, report: nothingDone })
  },
  {
    what: 'has always found the path, and never opens it',
    reason: /predict failed \(.*; relay failed \(.*so it is/,
    sampled: shown,
    ordered: (liar, message) => {
      if (message.order.kind === 'splice') return failing({})(liar, message)
      const { session, plan } = message
      for (let times = 0; times < 50; times++) liar.peer.say({ type: 'progress', session, plan, step: 'handover' })
    }
  }
]

for (const lie of lies)
  test(`a peer that ${lie.what}: the other is told why in time, and others are served`, async t => {
    await using world = await World.open({
      strategies: '[predict: { rounds: 2, waitMs: 200ms }, relay: { waitMs: 1s }]',
      more: 'deadline: 2s'
    })
    const [ann, bob] = [await world.join('ann'), await world.join('bob')]
    await using liar = await Liar.join(world, lie)
    for (const calls of ['ann', 'mallory']) {
      const startMs = performance.now()
      const { code, reason } = calls === 'ann' ? await failure(ann) : await liar.calls('ann')
      t.is(code, 'no-path', reason)
      t.regex(reason, lie.reason)
      // The relay's turn comes after 2 s; the rest is for a computer that has much else to do.
      t.true(performance.now() - startMs < 15_000, `${performance.now() - startMs} ms`)
    }
    const connection = await ann.connect({ name: bob.name })
    t.is(connection.path.kind, 'relay')
    await connection.close()
    t.is((await world.gateway.status()).sessions.won.relay, 1)
  })

test.after('no socket is left in this process', async t => {
  t.true(await until(() => !process.getActiveResourcesInfo().some(name => /^(UDP|TCP)/.test(name)) || undefined))
})

async function failure(from: Peer): Promise<{ code: Code; reason: string }> {
  try {
    await (await from.connect({ name: 'mallory' })).close()
  } catch (thrown) {
    const { code, message } = asPosternError(thrown)
    return { code, reason: message }
  }
  throw new Error('there was a path to a peer that lies')
}

class Liar implements AsyncDisposable {
  readonly peer: HandMade
  readonly #sockets: Socket[] = []
  #port = 0
  #shown = 0

  private constructor(peer: HandMade) {
    this.peer = peer
  }

  static async join(world: World, { warm, sampled, ordered }: Lie): Promise<Liar> {
    const spec = { identity: await world.identity('mallory'), token: world.gateway.joinToken, name: 'mallory' }
    const liar = new Liar(await HandMade.join(world.url, spec))
    const { peer } = liar
    const addresses = [{ address: '10.9.8.7', prefix: 24 }]
    const isWarm = async () =>
      peer.say({ type: 'warm', socket: await liar.maps(), port: 4000, addresses, rttMs: 1, ...warm })
    peer.ws.on('message', data => {
      const message = JSON.parse(String(data)) as FromGateway
      if (message.type === 'sample') void sampled(liar, message)
      if (message.type === 'order') ordered?.(liar, message)
      if (message.type === 'session') void isWarm()
    })
    peer.say({ type: 'filtering', port: false, address: false })
    await isWarm()
    return liar
  }

  /** Shows one socket as a NAT that steps would: from one port after the other. */
  async maps(): Promise<number> {
    const number = this.#shown++
    const { endpoints, key, peer } = this.peer.welcome
    for (const endpoint of endpoints) {
      const socket = await this.#bindNext()
      await shows(socket, endpoint, { username: `p:${peer}:${number}`, key: Buffer.from(key, 'base64') })
    }
    return number
  }

  /** Asks for a path, and waits for the end. */
  async calls(name: string): Promise<{ code: string; reason: string }> {
    this.peer.heard.length = 0
    this.peer.say({ type: 'connect', request: 1, to: name })
    return await this.peer.hears('over')
  }

  async #bindNext(): Promise<Socket> {
    for (;;) {
      const socket = createSocket('udp4')
      try {
        socket.bind(this.#port === 0 ? 0 : this.#port + 1, '127.0.0.1')
        await once(socket, 'listening')
        this.#port = socket.address().port
        this.#sockets.push(socket)
        return socket
      } catch {
        socket.close()
        this.#port++ // taken by another: a NAT would skip it too
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.close()
    await this.peer.close()
  }
}

/** Two requests, the second of which echoes the nonce that the first was answered with. */
async function shows(
  socket: Socket,
  { address, port }: Endpoint,
  { username, key }: { username: string; key: Buffer }
): Promise<void> {
  let nonce: Buffer | undefined
  for (let round = 0; round < 2; round++) {
    const request = { class: 'request', method: BINDING, transaction: transactionId(), username } as const
    socket.send(encode({ ...request, ...(nonce ? { nonce } : {}) }, { key }), port, address)
    const [answer] = await once(socket, 'message')
    nonce = decode(answer)?.nonce
  }
}
