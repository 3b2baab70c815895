// Firewalls, on both sides and before the gateway. A third peer shows whether the gateway can be reached at all.

import type { Tried } from '../../lab/driver.ts'
import { drop } from '../../lab/drop.ts'
import type { GatewaySpec, Rig } from '../../lab/rig.ts'
import type { Cause, Lane } from '../cause.ts'
import { all, boxOf, call, peerOf, second, siteOf, sites, told } from '../means.ts'

const causes: readonly Cause[] = [
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
    what: "the gateway's UDP ports are closed while others are joined",
    done: 'both are dropped at the gateway, and the caller joins then',
    code: 'gateway-ports',
    side: 'gateway',
    gateway: all,
    async inject(rig) {
      await told(rig.peers, 'filter')
      await using _lost = await drop(rig.world.gateway, 'udp dport { 3478, 3479 }')
      await using guest = await rig.guest(siteOf(rig, 0))
      return await guest.connect(second(rig), 0)
    }
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

export const firewalled: Lane = { sites: sites('port-restricted', 'port-restricted', 'port-restricted'), causes }

/** The peers of these sites join again from where no UDP gets out, and the first calls the second. */
async function blocked(rig: Rig, indices: readonly number[]): Promise<Tried> {
  await using lost = new AsyncDisposableStack()
  for (const index of indices) lost.use(await drop(boxOf(siteOf(rig, index)), 'iifname lan meta l4proto udp'))
  const again = indices.map(index => peerOf(rig, index))
  await Promise.all(again.map(({ name, process }) => process.do('join', { ...rig.door, name })))
  return await call(rig, 0, 1)
}

/** Everybody joins where these ports of the gateway cannot be reached. */
async function closed(rig: Rig, gateway: GatewaySpec, ports: readonly number[]): Promise<Tried> {
  await using _lost = await drop(rig.world.gateway, `udp dport { ${ports.join(', ')} }`)
  await rig.reopen(gateway)
  return await call(rig, 0, 1)
}
