// The table of causes. What is done is done from outside: packets are dropped or rejected on the way, processes are killed or
// stopped, files are edited, the operator's configuration is too small for what is asked of it. The gateway and the peers are
// the real ones; the only rogue is a peer with another key, which no packet filter could make.

import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Tried } from '../lab/driver.ts'
import { drop, forwarding, fromTo } from '../lab/drop.ts'
import type { NatType } from '../lab/nat.ts'
import type { Rig, RigPeer } from '../lab/rig.ts'
import type { Host, Site } from '../lab/world.ts'
import type { Cause, Lane } from './cause.ts'

const all = { strategies: '[direct, stun, predict, spray, relay]' }
const plain = { strategies: '[stun, relay]' }
const relayed = { strategies: '[relay]' }
const mine = fileURLToPath(new URL('throws.ts', import.meta.url))

/** From a site that is far off to the public network, one way. */
const FAR_MS = 100

/** A plan that is still being tried when something happens to those who try it. */
const patient = { strategies: '[stun: { waitMs: 8s }, relay]' }

/** Who asks for what, and from whom: two plain NATs and a third. */
const asking: readonly Cause[] = [
  {
    what: 'nothing is wrong',
    done: 'two plain NATs, every strategy',
    code: 'direct',
    side: 'none',
    gateway: all,
    inject: async rig => await call(rig, 0, 1)
  },
  {
    what: 'the callee never joined',
    done: 'a name that nobody has claimed',
    code: 'unknown-peer',
    side: 'callee',
    gateway: all,
    inject: async rig => await ask(first(rig), 'nobody')
  },
  {
    what: 'the callee is itself',
    done: "the caller's own name",
    code: 'self-connect',
    side: 'caller',
    gateway: all,
    inject: async rig => await ask(first(rig), first(rig).name)
  },
  {
    what: 'the callee is not there any more',
    done: 'SIGKILL after it had joined',
    code: 'peer-offline',
    side: 'callee',
    gateway: all,
    async inject(rig) {
      await using guest = await rig.guest(siteOf(rig, 1))
      await guest.process.kill('SIGKILL')
      await alone(rig)
      return await first(rig).connect(guest, 0)
    }
  },
  {
    what: 'the join token is wrong',
    done: 'another token',
    code: 'token-refused',
    side: 'caller',
    gateway: all,
    async inject(rig) {
      await using guest = await rig.guest(siteOf(rig, 1), { joins: false })
      return await guest.process.do('tryToJoin', { ...rig.door, token: 'not-this-one', name: guest.name })
    }
  },
  {
    what: 'the name belongs to another',
    done: 'a second computer takes a name with its own key',
    code: 'join-refused',
    side: 'caller',
    gateway: all,
    async inject(rig) {
      await using guest = await rig.guest(siteOf(rig, 1), { joins: false })
      return await guest.process.do('tryToJoin', { ...rig.door, name: first(rig).name })
    }
  },
  {
    what: 'no room for another peer',
    done: 'limits.peers: 3, and a fourth comes',
    code: 'join-refused',
    side: 'gateway',
    gateway: { ...all, config: 'limits: { peers: 3 }' },
    async inject(rig) {
      await using guest = await rig.guest(siteOf(rig, 1), { joins: false })
      return await guest.process.do('tryToJoin', { ...rig.door, name: guest.name })
    }
  },
  {
    what: 'another certificate than the pinned one',
    done: 'a wrong pin at the caller',
    code: 'fingerprint-refused',
    side: 'callee',
    gateway: all,
    async inject(rig) {
      const [caller, callee] = pair(rig)
      return await caller.process.do('connect', { to: callee.name, bytes: 0, pin: wrongFingerprint })
    }
  },
  {
    what: 'another certificate than the remembered one',
    done: "the caller's file of known peers was edited",
    code: 'fingerprint-refused',
    side: 'callee',
    isUntold: true,
    gateway: all,
    async inject(rig) {
      const [caller, callee] = pair(rig)
      await using _edited = await remembers(rig, caller, callee, wrongFingerprint)
      return await caller.connect(callee, 0)
    }
  },
  {
    what: 'another certificate than the callee remembers',
    done: "the callee's file of known peers was edited",
    code: 'fingerprint-refused',
    side: 'caller',
    isUntold: true,
    gateway: all,
    async inject(rig) {
      const [caller, callee] = pair(rig)
      await using _edited = await remembers(rig, callee, caller, wrongFingerprint)
      return await caller.connect(callee, 0)
    }
  },
  {
    what: 'the callee has as many sessions as it may',
    done: 'limits.sessionsPerPeer: 1, and a third holds one',
    code: 'over-quota',
    side: 'callee',
    gateway: { ...relayed, config: 'limits: { sessionsPerPeer: 1 }' },
    inject: async rig => await whileHeld(rig, [2, 1], async () => await call(rig, 0, 1))
  },
  {
    what: 'the caller has as many sessions as it may',
    done: 'limits.sessionsPerPeer: 1, and it holds one',
    code: 'over-quota',
    side: 'caller',
    gateway: { ...relayed, config: 'limits: { sessionsPerPeer: 1 }' },
    inject: async rig => await whileHeld(rig, [0, 2], async () => await call(rig, 0, 1))
  },
  {
    what: 'the two have as many sessions as a pair may',
    done: 'limits.sessionsPerPeer: 4, a quarter for a pair, and they have one',
    code: 'over-quota',
    side: 'both',
    gateway: { ...relayed, config: 'limits: { sessionsPerPeer: 4 }' },
    inject: async rig => await whileHeld(rig, [0, 1], async () => await call(rig, 0, 1))
  },
  {
    what: 'the relay is full',
    done: 'limits.sessions: 1, and two others are relayed',
    code: 'relay-full',
    side: 'gateway',
    gateway: { ...relayed, config: 'limits: { sessions: 1 }' },
    inject: async rig => await whileHeld(rig, [1, 2], async () => await call(rig, 0, 1))
  }
]

/** Sides that go away, midway and on purpose: their path is cut, so that a plan takes its time. */
const leaving: readonly Cause[] = [
  {
    what: 'the callee dies midway',
    done: 'SIGKILL while a plan is tried',
    code: 'peer-lost',
    side: 'callee',
    gateway: patient,
    async inject(rig) {
      await using guest = await rig.guest(siteOf(rig, 1))
      return await midway(rig, first(rig).connect(guest, 0), () => guest.process.kill('SIGKILL'))
    }
  },
  {
    what: 'the caller dies midway',
    done: 'SIGKILL while a plan is tried',
    code: 'peer-lost',
    side: 'caller',
    gateway: patient,
    async inject(rig) {
      await using guest = await rig.guest(siteOf(rig, 0))
      const trying = guest.connect(second(rig), 0).catch(() => undefined)
      return await midway(rig, trying, () => guest.process.kill('SIGKILL'))
    }
  },
  {
    what: "the callee's signalling is cut midway",
    done: 'TCP to the gateway is reset at its NAT',
    code: 'peer-lost',
    side: 'callee',
    gateway: { strategies: '[stun: { waitMs: 2s }, relay]' },
    async inject(rig) {
      await using cutting = new AsyncDisposableStack()
      const box = boxOf(siteOf(rig, 1))
      return await midway(rig, call(rig, 0, 1), async () => void cutting.use(await forwarding(box, ...resetting)))
    }
  },
  {
    what: 'the user gives up midway',
    done: 'SIGINT to `postern ping` while a plan is tried',
    code: 'peer-left',
    side: 'caller',
    gateway: patient,
    async inject(rig) {
      const home = await mkdtemp(join(tmpdir(), 'postern-causes-'))
      const host = siteOf(rig, 0).hosts[0] as Host
      const { url, token } = rig.door
      const argv = ['ping', second(rig).name, '--gateway', url, '--token', token, '--insecure']
      const child = host.spawn([process.execPath, main, ...argv], { stdio: 'ignore', env: { POSTERN_HOME: home } })
      const ended = new Promise<undefined>(resolve => child.once('exit', () => resolve(undefined)))
      try {
        return await midway(rig, ended, async () => void child.kill('SIGINT'))
      } finally {
        child.kill('SIGKILL')
        await rm(home, { recursive: true })
      }
    }
  },
  {
    what: 'the callee does nothing it is told',
    done: 'SIGSTOP after it had joined',
    code: 'never-obeyed',
    side: 'callee',
    gateway: { strategies: '[stun, relay: { waitMs: 500ms }]' },
    async inject(rig) {
      await using guest = await rig.guest(siteOf(rig, 1))
      await setTimeout(WARM_MS)
      await guest.process.kill('SIGSTOP')
      return await first(rig).connect(guest, 0)
    }
  },
  {
    what: 'UDP to the relay is lost after joining',
    done: "from the callee, dropped at the callee's NAT",
    code: 'udp-blocked',
    side: 'callee',
    gateway: { strategies: '[relay: { waitMs: 500ms }]' },
    async inject(rig) {
      await setTimeout(WARM_MS)
      await using _lost = await drop(boxOf(siteOf(rig, 1)), 'iifname lan meta l4proto udp')
      return await call(rig, 0, 1)
    }
  }
]

/** Firewalls: three plain NATs, so that a third peer shows whether the gateway can be reached at all. */
const firewalled: readonly Cause[] = [
  {
    what: "UDP is blocked at the caller's",
    done: 'all that leaves its NAT is dropped there',
    code: 'udp-blocked',
    side: 'caller',
    gateway: all,
    inject: async rig => await blocked(rig, [0])
  },
  {
    what: "UDP is blocked at the callee's",
    done: 'all that leaves its NAT is dropped there',
    code: 'udp-blocked',
    side: 'callee',
    gateway: all,
    inject: async rig => await blocked(rig, [1])
  },
  {
    what: 'UDP is blocked on both sides',
    done: 'all that leaves their NATs is dropped there',
    code: 'udp-blocked',
    side: 'both',
    gateway: all,
    inject: async rig => await blocked(rig, [0, 1])
  },
  {
    what: "the gateway's UDP ports are closed",
    done: 'both are dropped at the gateway, for everybody',
    code: 'gateway-ports',
    side: 'gateway',
    gateway: all,
    inject: async (rig, gateway) => await closed(rig, gateway, [3478, 3479])
  },
  {
    what: "the first of the gateway's UDP ports is closed",
    done: 'it is dropped at the gateway, for everybody',
    code: 'gateway-ports',
    side: 'gateway',
    gateway: all,
    inject: async (rig, gateway) => await closed(rig, gateway, [3478])
  }
]

/** NATs that need luck or numbers, and a configuration that has too little of them. */
const guessing: readonly Cause[] = [
  {
    what: 'both NATs are random',
    done: 'two symmetric NATs with random ports',
    code: 'both-random',
    side: 'both',
    gateway: all,
    inject: async rig => await between(rig, ['symmetric-random', 'symmetric-random'])
  },
  {
    what: 'no relay is configured',
    done: 'the same two, without `relay` in the list',
    code: 'relay-off',
    side: 'gateway',
    also: ['both-random'],
    gateway: { strategies: '[direct, stun, predict, spray]' },
    inject: async rig => await between(rig, ['symmetric-random', 'symmetric-random'])
  },
  {
    what: 'too few probes for a random NAT',
    done: 'spray: { sockets: 16, probes: 64 }',
    code: 'spray-too-small',
    side: 'caller',
    gateway: { strategies: '[direct, stun, predict, spray: { sockets: 16, probes: 64 }, relay]' },
    inject: async rig => await between(rig, ['symmetric-random', 'port-restricted'])
  },
  {
    what: 'others use up the probes for an address',
    done: 'limits.probesPerAddress: 2060, and another session sprays',
    code: 'budget-shared-out',
    side: 'gateway',
    gateway: { ...all, config: 'limits: { probesPerAddress: 2060 }' },
    async inject(rig) {
      const [other, caller] = [typed(rig, 'port-restricted'), typed(rig, 'port-restricted', 1)]
      const callee = typed(rig, 'symmetric-random')
      await using _cut = await cut(rig, other.site, callee.site)
      await other.site.resetSent()
      const spraying = other.connect(callee, 0)
      await punching(other.site, callee.site)
      const tried = await caller.connect(callee, 0)
      await spraying
      return tried
    }
  },
  {
    what: 'the gateway has one address',
    done: 'listen.udp.addresses has one; the NAT maps by address',
    code: 'one-address',
    side: 'gateway',
    gateway: { ...all, config: 'listen: { udp: { addresses: [203.0.113.6], ports: [3478, 3479] } }' },
    inject: async rig => await between(rig, ['address-dependent', 'port-restricted'])
  },
  {
    what: "the gateway's second address is closed",
    done: 'dropped at the gateway, for everybody; the NAT maps by address',
    code: 'gateway-ports',
    side: 'gateway',
    gateway: all,
    async inject(rig, gateway) {
      await using _lost = await drop(rig.world.gateway, 'ip daddr 203.0.113.7 meta l4proto udp')
      await rig.reopen(gateway)
      return await between(rig, ['address-dependent', 'port-restricted'])
    }
  },
  {
    what: 'a NAT makes no new mappings',
    done: 'what begins a flow is dropped there; what is open stays',
    code: 'no-sample',
    side: 'caller',
    gateway: all,
    async inject(rig) {
      const caller = typed(rig, 'symmetric+1')
      await setTimeout(TESTED_MS)
      await using _full = await forwarding(boxOf(caller.site), 'iifname lan meta l4proto udp ct state new drop')
      return await caller.connect(typed(rig, 'port-restricted'), 0)
    }
  },
  {
    what: 'the strategy that fits is not in the list',
    done: 'a NAT that counts, without `predict` in the list',
    code: 'not-tried',
    side: 'gateway',
    gateway: { strategies: '[direct, stun, relay]' },
    inject: async rig => await between(rig, ['symmetric+1', 'port-restricted'])
  },
  {
    what: 'a plugin of the operator throws',
    done: 'its planner throws an error',
    code: 'plugin-threw',
    side: 'gateway',
    gateway: { strategies: `['${mine}', relay]` },
    inject: async rig => await between(rig, ['port-restricted', 'port-restricted'])
  }
]

/** Paths that should open, and what happens on them. */
const crossing: readonly Cause[] = [
  {
    what: 'packets pass in one direction only',
    done: "from the caller's address to the callee's they are dropped on the way",
    code: 'one-way',
    side: 'callee',
    gateway: plain,
    async inject(rig) {
      const [a, b] = pair(rig)
      await using _lost = await drop(rig.world.core, `${fromTo(a.site, b.site)} meta l4proto udp`)
      return await a.connect(b, 0)
    }
  },
  {
    what: 'no packet passes between the two',
    done: 'UDP between their addresses is dropped on the way',
    code: 'nothing-through',
    side: 'path',
    gateway: plain,
    async inject(rig) {
      const [a, b] = pair(rig)
      await using _cut = await cut(rig, a.site, b.site)
      return await a.connect(b, 0)
    }
  },
  {
    what: 'the handover is lost',
    done: 'DTLS between their addresses is dropped on the way',
    code: 'handover-lost',
    side: 'path',
    gateway: plain,
    async inject(rig) {
      const [a, b] = [typed(rig, 'full-cone'), typed(rig, 'full-cone', 1)]
      await using _cut = await cut(rig, a.site, b.site, 'meta l4proto udp @th,64,8 20-63')
      return await a.connect(b, 0)
    }
  },
  {
    what: 'another certificate than the announced one',
    done: 'the callee makes connections with another key than it joined with',
    code: 'dtls-fingerprint',
    side: 'callee',
    gateway: plain,
    async inject(rig) {
      const caller = typed(rig, 'full-cone')
      await using guest = await rig.guest(typed(rig, 'full-cone', 1).site, { joins: false })
      await guest.process.do('join', { ...rig.door, name: guest.name, impostor: true })
      return await caller.connect(guest, 0)
    }
  },
  {
    what: 'both NATs move a flow that met uninvited packets',
    done: 'two Linux NATs without a rule for input',
    code: 'remapped',
    side: 'both',
    gateway: plain,
    async inject(rig) {
      await setTimeout(TESTED_MS)
      return await between(rig, ['accepting', 'accepting'])
    }
  }
]

/** A NAT that is left alone for long. */
const idling: readonly Cause[] = [
  {
    what: 'a mapping ends before it is used',
    done: 'a NAT that forgets after 5 s, and 7 idle seconds',
    code: 'mapping-timed-out',
    side: 'caller',
    gateway: plain,
    async inject(rig) {
      await setTimeout(7000) // the kernel's clock, and no other
      await typed(rig, 'forgetful-cone').site.tidy()
      return await between(rig, ['forgetful-cone', 'firewalled'])
    }
  }
]

/** Lines so long that much happens meanwhile. */
const far: readonly Cause[] = [
  {
    what: 'the next port is used up by others',
    done: 'a neighbour opens 1,000 mappings a second; predict: { window: 1, rounds: 1 }',
    code: 'prediction-missed',
    side: 'caller',
    gateway: { strategies: '[direct, stun, predict: { window: 1, rounds: 1, atLeast: 0 }, relay]' },
    async inject(rig) {
      const caller = typed(rig, 'symmetric+1')
      await using _traffic = await caller.site.traffic(1000)
      return await caller.connect(typed(rig, 'port-restricted'), 0)
    }
  },
  {
    what: 'the time for all strategies is too short',
    done: 'deadline: 100ms, and lines of 100 ms each',
    code: 'deadline',
    side: 'gateway',
    gateway: { strategies: '[direct, stun, relay]', config: 'deadline: 100ms' },
    async inject(rig) {
      await setTimeout(WARM_MS + 4 * FAR_MS)
      return await between(rig, ['port-restricted', 'port-restricted'])
    }
  }
]

const sites = (...nats: NatType[]) => nats.map(nat => ({ nat }))
const farOff = (...nats: NatType[]) => nats.map(nat => ({ nat, line: { delayMs: FAR_MS } }))

/** Which causes share a world. */
export const lanes = {
  asking: { sites: sites('port-restricted', 'port-restricted', 'port-restricted'), causes: asking },
  leaving: { sites: sites('port-restricted', 'port-restricted'), causes: leaving },
  firewalled: { sites: sites('port-restricted', 'port-restricted', 'port-restricted'), causes: firewalled },
  guessing: {
    sites: [
      ...sites('symmetric-random', 'symmetric-random', 'symmetric+1', 'port-restricted', 'port-restricted'),
      ...sites('address-dependent')
    ],
    causes: guessing
  },
  crossing: {
    sites: sites('port-restricted', 'port-restricted', 'full-cone', 'full-cone', 'accepting', 'accepting'),
    causes: crossing
  },
  idling: { sites: sites('forgetful-cone', 'firewalled'), causes: idling },
  far: { sites: farOff('port-restricted', 'port-restricted', 'symmetric+1'), causes: far }
} as const satisfies Record<string, Lane>

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url))
const wrongFingerprint = Array(32).fill('AB').join(':')

/** A peer that has just joined shows its mapping within two round trips. */
const WARM_MS = 300

/** Its tests of the NAT's filter take longer: they wait for what does not come. */
const TESTED_MS = 1500

function typed(rig: Rig, nat: NatType, nth = 0): RigPeer {
  const peer = rig.peers.filter(({ site }) => site.spec.nat === nat)[nth]
  if (!peer) throw new Error(`there are not so many ${nat} in this world`)
  return peer
}

const first = (rig: Rig): RigPeer => rig.peers[0] as RigPeer
const second = (rig: Rig): RigPeer => rig.peers[1] as RigPeer
const pair = (rig: Rig) => [first(rig), second(rig)] as const
const siteOf = (rig: Rig, index: number): Site => rig.world.sites[index] as Site
const boxOf = ({ boxes }: Site): Host => boxes[0] as Host
const call = (rig: Rig, from: number, to: number) => (rig.peers[from] as RigPeer).connect(rig.peers[to] as RigPeer, 0)
const ask = ({ process }: RigPeer, to: string) => process.do('connect', { to, bytes: 0 })
const between = (rig: Rig, [a, b]: [NatType, NatType]) => typed(rig, a).connect(typed(rig, b, a === b ? 1 : 0), 0)

/** Nothing of a kind passes between two sites, either way. */
const cut = (rig: Rig, a: Site, b: Site, what = 'meta l4proto udp') =>
  drop(rig.world.core, `${fromTo(a, b)} ${what}`, `${fromTo(b, a)} ${what}`)

/** Until one site's NAT has sent to the other's: a plan is being tried. */
async function punching(from: Site, to: Site): Promise<void> {
  while ((await from.sentTo(to)).packets === 0) await setTimeout(20)
}

/** Something happens while the first two sites try what cannot work. */
async function midway(
  rig: Rig,
  trying: Promise<Tried | undefined>,
  happens: () => Promise<void>
): Promise<Tried | undefined> {
  const [a, b] = [siteOf(rig, 0), siteOf(rig, 1)]
  await using _cut = await cut(rig, a, b)
  await Promise.all([a.resetSent(), b.resetSent()])
  await punching(a, b)
  await happens()
  return await trying
}

/** Whoever speaks TCP to the gateway's port, or hears from it, is told that nobody is there. */
const resetting = ['tcp dport 8080 reject with tcp reset', 'tcp sport 8080 reject with tcp reset']

/** Connects two while a relayed connection of two others, or of one of them, is open. */
async function whileHeld(rig: Rig, [from, to]: [number, number], run: () => Promise<Tried>): Promise<Tried> {
  const holder = rig.peers[from] as RigPeer
  const held = await holder.process.do('connect', { to: (rig.peers[to] as RigPeer).name, bytes: 0, hold: true })
  if (held.path?.kind !== 'relay') throw new Error(`nothing is held: ${held.failed?.reason}`)
  const tried = await run()
  await holder.process.do('release', {})
  return tried
}

/** The peers of these sites join again from where no UDP gets out, and the first calls the second. */
async function blocked(rig: Rig, indices: number[]): Promise<Tried> {
  await using lost = new AsyncDisposableStack()
  for (const index of indices) lost.use(await drop(boxOf(siteOf(rig, index)), 'iifname lan meta l4proto udp'))
  await Promise.all(indices.map(index => joinAgain(rig, rig.peers[index] as RigPeer)))
  return await call(rig, 0, 1)
}

const joinAgain = (rig: Rig, { name, process }: RigPeer) => process.do('join', { ...rig.door, name })

/** Everybody joins where these ports of the gateway cannot be reached. */
async function closed(rig: Rig, gateway: Cause['gateway'], ports: number[]): Promise<Tried> {
  await using _lost = await drop(rig.world.gateway, `udp dport { ${ports.join(', ')} }`)
  await rig.reopen(gateway)
  return await call(rig, 0, 1)
}

/** Until nobody is joined but the peers of the rig. */
async function alone(rig: Rig): Promise<void> {
  while ((await rig.status()).peers > rig.peers.length) await setTimeout(10)
}

/** A peer knows another by this fingerprint, until disposed of. */
async function remembers(rig: Rig, peer: RigPeer, other: RigPeer, fingerprint: string): Promise<AsyncDisposable> {
  const file = join(await peer.process.do('folder', {}), 'known-peers')
  const before = await readFile(file, 'utf8').catch(() => '')
  const host = new URL(rig.door.url).host
  await writeFile(file, `${host} ${other.name} ${fingerprint}\n`)
  return { [Symbol.asyncDispose]: () => writeFile(file, before) }
}
