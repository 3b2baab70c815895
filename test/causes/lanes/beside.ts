// Two peers behind one public address that have no network in common.

import type { Cause, Lane } from '../cause.ts'
import { all, call } from '../means.ts'

const causes: readonly Cause[] = [
  {
    what: 'two LANs of one NAT that does no hairpinning',
    done: 'the box between them forwards nothing from one to the other',
    code: 'hairpin',
    side: 'path',
    gateway: all,
    inject: rig => call(rig, 0, 1)
  },
  {
    what: 'two guests that have the public address of their host',
    done: 'a NAT in front of each of them leaves the address as it is',
    code: 'own-address',
    side: 'both',
    gateway: all,
    inject: rig => call(rig, 2, 3)
  }
]

export const beside: Lane = {
  sites: [
    { nat: 'port-restricted', hosts: 2, lans: 'apart' },
    { nat: 'port-restricted', hosts: 2, lans: 'copies' }
  ],
  causes
}
