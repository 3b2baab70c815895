// Who asks for what, and from whom: requests and joins that are refused before any strategy has its turn.

import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Tried } from '../../lab/driver.ts'
import type { Rig, RigPeer } from '../../lab/rig.ts'
import { until } from '../../until.ts'
import type { Cause, Lane } from '../cause.ts'
import { all, call, first, pair, peerOf, relayed, siteOf, sites } from '../means.ts'

const wrongFingerprint = Array(32).fill('AB').join(':')

const causes: readonly Cause[] = [
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
    done: 'it has left in order; one that was killed is silent for a minute, and may come back',
    code: 'peer-offline',
    side: 'callee',
    gateway: all,
    async inject(rig) {
      await using guest = await rig.guest(siteOf(rig, 1))
      await guest.process.do('leave', {})
      await alone(rig)
      return await first(rig).connect(guest, 0)
    }
  },
  {
    what: 'the join token is wrong',
    done: 'another token',
    code: 'bad-token',
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
    code: 'fingerprint-mismatch',
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
    code: 'fingerprint-mismatch',
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
    code: 'fingerprint-mismatch',
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
    what: 'the callee shows its address to nobody',
    done: 'a peer that has joined as relay only is called, behind plain NATs',
    code: 'relay-only',
    side: 'callee',
    gateway: all,
    async inject(rig) {
      await using guest = await rig.guest(siteOf(rig, 1), { joins: false })
      await guest.process.do('join', { ...rig.door, name: guest.name, relayOnly: true })
      return await first(rig).connect(guest, 0)
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

export const asking: Lane = { sites: sites('port-restricted', 'port-restricted', 'port-restricted'), causes }

const ask = ({ process }: RigPeer, to: string) => process.do('connect', { to, bytes: 0 })

/** Until nobody is joined but the peers of the rig. */
async function alone(rig: Rig): Promise<void> {
  await until(async () => (await rig.status()).peers <= rig.peers.length, 60_000)
}

/** A peer knows another by this fingerprint, until disposed of. */
async function remembers(rig: Rig, peer: RigPeer, other: RigPeer, fingerprint: string): Promise<AsyncDisposable> {
  const file = join(await peer.process.do('folder', {}), 'known-peers')
  const before = await readFile(file, 'utf8').catch(() => '')
  const host = new URL(rig.door.url).host
  await writeFile(file, `${host} ${other.name} ${fingerprint}\n`)
  return { [Symbol.asyncDispose]: () => writeFile(file, before) }
}

/** Connects two while a relayed connection of two others, or of one of them, is open. */
async function whileHeld(rig: Rig, [from, to]: [number, number], run: () => Promise<Tried>): Promise<Tried> {
  const holder = peerOf(rig, from).process
  const held = await holder.do('connect', { to: peerOf(rig, to).name, bytes: 0, hold: true })
  if (held.path?.kind !== 'relay') throw new Error(`nothing is held: ${held.failed?.reason}`)
  const tried = await run()
  await holder.do('release', {})
  return tried
}
