// Paths that should open, and what happens on them.

import { setTimeout as sleep } from 'node:timers/promises'
import { drop, fromTo } from '../../lab/drop.ts'
import { FLOOD_MS, flood } from '../../lab/flood.ts'
import { until } from '../../until.ts'
import type { Cause, Lane } from '../cause.ts'
import { all, between, boxOf, cut, pair, plain, sites, told, typed } from '../means.ts'

const causes: readonly Cause[] = [
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
    what: 'a NAT ends the flow for a datagram that met the port as it changed hands',
    done: "behind a fragile NAT, datagrams without end come from where the caller's did",
    code: 'handover-gap',
    side: 'callee',
    gateway: plain,
    async inject(rig) {
      const [caller, callee] = [typed(rig, 'port-restricted'), typed(rig, 'fragile')]
      await using _flood = await flood(boxOf(callee.site), caller.site)
      return await until(async () => {
        // A flood that outlasts a connection meets its port as well, when that is closed at the end.
        await sleep(FLOOD_MS)
        const before = await callee.site.refused()
        const tried = await caller.connect(callee, 0)
        return tried.path?.kind !== 'direct' && (await callee.site.refused()) > before && tried
      }, 40_000)
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
    what: 'sources are hidden from the gateway',
    done: 'a forwarder in front of it has a socket of its own for each client',
    code: 'hidden-sources',
    side: 'gateway',
    gateway: { ...all, hidden: true },
    async inject(rig) {
      const [a, b] = pair(rig)
      await told([a, b], 'filter')
      return await a.connect(b, 0)
    }
  },
  {
    what: 'both NATs move a flow that met uninvited packets',
    done: 'two Linux NATs without a rule for input',
    code: 'remapped',
    side: 'both',
    gateway: plain,
    async inject(rig) {
      await told([typed(rig, 'accepting'), typed(rig, 'accepting', 1)], 'remaps')
      return await between(rig, ['accepting', 'accepting'])
    }
  }
]

export const crossing: Lane = {
  sites: sites('port-restricted', 'port-restricted', 'full-cone', 'full-cone', 'accepting', 'accepting', 'fragile'),
  causes
}
