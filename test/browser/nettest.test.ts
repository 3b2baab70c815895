// The test of a network in real browsers, behind kernel NATs: the headline and the words are those of the NAT, and nothing by which somebody
// could be found is in the result. Skipped like pages.test.ts.

import { fileURLToPath } from 'node:url'
import { writeBundles } from '../../tools/bundle.ts'
import { Driven } from '../lab/driven.ts'
import type { NatType } from '../lab/nat.ts'
import { openRig, type Rig } from '../lab/rig.ts'
import { until } from '../until.ts'
import type { Kind } from './browsers.ts'
import type { BrowserDrives } from './driver.ts'
import { browserTest } from './web.ts'

await writeBundles(fileURLToPath(new URL('../../dist', import.meta.url)))

const strategies = '[direct, stun, predict, spray, relay]'
const config = 'test: { enabled: true }\nlisten: { udp: { ports: [3478, 3479, 3480] }, tcp: [3478] }'

interface Told {
  readonly path: string
  readonly text: string
  readonly ms: number
}

/** A browser on a host of a site has its network tested. */
async function tested(rig: Rig, site: number, kind: Kind): Promise<Told> {
  const host = rig.world.sites[site]?.hosts[0]
  if (!host) throw new Error(`there is no site ${site}`)
  await using web = new Driven<BrowserDrives>(host, new URL('driver.ts', import.meta.url))
  await web.do('visit', { kind, as: 'page', url: `${rig.door.url}/test` })
  const ask = (expression: string) => web.do('ask', { as: 'page', expression })
  const beganMs = performance.now()
  await ask("document.querySelector('button').click()")
  const path = await until(async () => {
    const at = await ask("document.querySelector('details') && location.pathname").catch(() => undefined)
    return typeof at === 'string' && at
  }, 12_000)
  const ms = Math.round(performance.now() - beganMs)
  await ask("document.querySelector('details').open = true")
  return { path, text: String(await ask('document.body.innerText')), ms }
}

/** Those of one network are tested three times a minute, and all sites of the laboratory are of one: so it starts over after three. */
const nats: readonly { nat: NatType; says: readonly RegExp[] }[] = [
  { nat: 'port-restricted', says: [] },
  { nat: 'symmetric+1', says: [] },
  { nat: 'symmetric-random', says: [] },
  { nat: 'udp-blocked', says: [] }
]

for (const kind of ['chromium', 'firefox'] as const)
  browserTest(`${kind} learns what its network is`, [kind], async t => {
    const sites = nats.map(({ nat }) => ({ nat }))
    await using rig = await openRig({ strategies, config, sites, verify: false, peers: false })
    for (const [site, { nat, says }] of nats.entries()) {
      if (site === 3) await rig.reopen({ strategies, config, peers: false })
      const { text, ms, path } = await tested(rig, site, kind)
      t.log(nat, ms, path, text)
      for (const words of says) t.regex(text, words, nat)
      t.true(ms < 10_000, `${nat}: ${ms} ms`)
    }
  })
