// Scenes as the gateway would build them, for tests of plugins and of the chain: each side told by how its NAT behaves.

import type { Behaviour, Profile } from '../src/nat/profile.ts'
import type { Scene, Side } from '../src/strategy/scene.ts'

export interface SideSpec extends Partial<Omit<Side, 'profile'>> {
  readonly profile?: Partial<Profile>
}

const gateway = { address: '203.0.113.1', port: 3478 }

/** Behind a NAT that keeps no secrets: endpoint-independent in mapping and filtering. */
export function sideOf(name: string, { profile, ...more }: SideSpec = {}): Side {
  const last = name === 'caller' ? 10 : 20
  const mapped = more.mapped ?? { address: `198.51.100.${last}`, port: 40000 + last }
  return {
    name,
    gateway,
    mapped,
    port: 12000 + last,
    addresses: [{ address: `10.${last}.0.2`, prefix: 24 }],
    rttMs: 40,
    observations: [],
    probes: 10_000,
    ...more,
    profile: {
      mapping: 'endpoint-independent',
      filtering: 'endpoint-independent',
      translated: true,
      addresses: [mapped.address],
      samples: [],
      ...profile
    }
  }
}

export const sceneOf = (caller: SideSpec = {}, callee: SideSpec = {}): Scene => ({
  caller: sideOf('caller', caller),
  callee: sideOf('callee', callee),
  attempts: [],
  atMs: 1_000_000,
  memory: {}
})

export const behaviours: readonly Behaviour[] = [
  'endpoint-independent',
  'address-dependent',
  'address-and-port-dependent',
  'unknown'
]
