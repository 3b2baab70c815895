// NATs that need luck or numbers, and a configuration that has too little of them.

import { fileURLToPath } from 'node:url'
import { drop, forwarding } from '../../lab/drop.ts'
import type { Cause, Lane } from '../cause.ts'
import { all, between, boxOf, cut, punching, sites, told, typed } from '../means.ts'

const mine = fileURLToPath(new URL('../throws.ts', import.meta.url))

const causes: readonly Cause[] = [
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
    what: "a carrier's NAT above a home router",
    done: 'the router maps ports, and its outside address is of 100.64.0.0/10; the NAT above it is random',
    code: 'carrier-above-home',
    side: 'caller',
    also: ['both-random'],
    gateway: all,
    async inject(rig) {
      const caller = typed(rig, 'carrier-symmetric-random')
      await caller.process.do('join', { ...rig.door, name: caller.name, map: true })
      await caller.process.do('routed', {})
      return await caller.connect(typed(rig, 'symmetric-random'), 0)
    }
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
    what: 'the probes for an address are used up',
    done: 'limits.probesPerAddress: 8240, a quarter for a caller, and another session of his sprays',
    code: 'budget-shared-out',
    side: 'gateway',
    // A second's refill is 34 probes, which are worth 12 %.
    gateway: {
      strategies: '[direct, stun, predict, spray: { atLeast: 0.5 }, relay]',
      config: 'limits: { probesPerAddress: 8240 }'
    },
    async inject(rig) {
      const [caller, callee] = [typed(rig, 'port-restricted'), typed(rig, 'symmetric-random')]
      await using _cut = await cut(rig, caller.site, callee.site)
      await caller.site.resetSent()
      const spraying = caller.connect(callee, 0)
      await punching(caller.site, callee.site)
      const tried = await caller.connect(callee, 0)
      await spraying
      return tried
    }
  },
  {
    what: 'the gateway has one address',
    done: 'listen.udp.addresses has one; a NAT maps by address, and neither keeps the ports of sockets',
    code: 'one-address',
    side: 'gateway',
    gateway: { ...all, config: 'listen: { udp: { addresses: [203.0.113.6], ports: [3478, 3479] } }' },
    inject: async rig => await between(rig, ['address-dependent', 'port-restricted-moved'])
  },
  {
    what: "the gateway's second address is closed",
    done: 'dropped at the gateway, for everybody; the same two NATs',
    code: 'gateway-ports',
    side: 'gateway',
    gateway: all,
    async inject(rig, gateway) {
      await using _lost = await drop(rig.world.gateway, 'ip daddr 203.0.113.7 meta l4proto udp')
      await rig.reopen(gateway)
      return await between(rig, ['address-dependent', 'port-restricted-moved'])
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
      await told([caller], 'filter')
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

export const guessing: Lane = {
  sites: [
    ...sites('symmetric-random', 'symmetric-random', 'symmetric+1', 'port-restricted', 'port-restricted'),
    ...sites('address-dependent', 'port-restricted-moved'),
    { nat: 'carrier-symmetric-random', portMapping: true }
  ],
  causes
}
