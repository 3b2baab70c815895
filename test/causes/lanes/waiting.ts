// Time: a NAT that is left alone for long, and lines so long that much happens meanwhile.

import { setTimeout } from 'node:timers/promises'
import type { Cause, Lane } from '../cause.ts'
import { between, plain, sites, told, typed } from '../means.ts'

/** From a site that is far off to the public network, one way. */
const FAR_MS = 100

const forgotten: readonly Cause[] = [
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

const late: readonly Cause[] = [
  {
    what: 'the next port is used up by others',
    done: 'a neighbour opens 1,000 mappings a second; predict: { window: 1, rounds: 1 }',
    code: 'prediction-missed',
    side: 'caller',
    gateway: { strategies: '[direct, stun, predict: { window: 1, rounds: 1, atLeast: 0 }, relay]' },
    async inject(rig) {
      const caller = typed(rig, 'symmetric+1')
      await using _traffic = await caller.site.traffic(1000)
      let tried = await caller.connect(typed(rig, 'port-restricted'), 0)
      // The one port is right once in fifty times or so: nothing was missed then.
      while (tried.path?.kind === 'direct') tried = await caller.connect(typed(rig, 'port-restricted'), 0)
      return tried
    }
  },
  {
    what: 'the time for all strategies is too short',
    done: 'deadline: 100ms, and lines of 100 ms each',
    code: 'deadline',
    side: 'gateway',
    gateway: { strategies: '[direct, stun, relay]', config: 'deadline: 100ms' },
    async inject(rig) {
      await told(rig.peers, 'filter')
      return await between(rig, ['port-restricted', 'port-restricted'])
    }
  }
]

export const idling: Lane = { sites: sites('forgetful-cone', 'firewalled'), causes: forgotten }

export const far: Lane = {
  sites: sites('port-restricted', 'port-restricted', 'symmetric+1').map(site => ({
    ...site,
    line: { delayMs: FAR_MS }
  })),
  causes: late
}
