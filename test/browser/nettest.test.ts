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
  await web.do('open', { kind, as: 'page', url: `${rig.door.url}/test` })
  const ask = (script: string) => web.do('evaluate', { as: 'page', script })
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

interface Network {
  readonly nat: NatType
  readonly says: readonly RegExp[]
}

const port: Network = {
  nat: 'port-restricted',
  says: [/Calls will be direct with most people/, /one for all destinations/, /passes, both ways/]
}
const counting: Network = {
  nat: 'symmetric+1',
  says: [
    /direct with most people/,
    /others can be told which/,
    // Where mappings come in another order than they were made, a count looks like a block of as many.
    /counted, by \+1|within a block of about \d+/,
    /In the router look for its kind of NAT/
  ]
}
const random: Network = {
  nat: 'symmetric-random',
  says: [/direct with some people, and relayed with others/, /at random/, /In the router look for its kind of NAT/]
}
const blocked: Network = {
  nat: 'udp-blocked',
  says: [/Calls will be relayed: UDP is blocked here/, /ports 3478, 3479 and 3480/, /TCP to the relay\s+passes/]
}

const tests: readonly { kind: Kind; networks: readonly Network[] }[] = [
  { kind: 'chromium', networks: [port, counting, random, blocked] },
  { kind: 'firefox', networks: [counting, blocked] }
]

/** One network has so many runs a minute, and all sites of the laboratory are of one: the gateway starts over after them. */
const PER_MINUTE = 3

for (const { kind, networks } of tests)
  browserTest(`${kind} learns what its network is`, [kind], async t => {
    const sites = networks.map(({ nat }) => ({ nat }))
    await using rig = await openRig({ strategies, config, sites, verify: false, peers: false })
    for (const [site, { nat, says }] of networks.entries()) {
      if (site === PER_MINUTE) await rig.reopen({ strategies, config, peers: false })
      const { text, ms, path } = await tested(rig, site, kind)
      t.log(`${nat}: ${ms} ms`)
      t.regex(path, /^\/test\/[\w-]{22}$/)
      for (const words of says) t.regex(text, words, nat)
      t.true(ms < 10_000, `${nat}: ${ms} ms`)
      t.notRegex(text, /\d+\.\d+\.\d+\.\d+|\.local\b/)
      t.deepEqual(
        text.match(/(?<![-\d])\d{4,5}(?![-\d])/g)?.filter(number => !/^(347[89]|3480)$/.test(number)) ?? [],
        []
      )
    }
    const { tests: told, peers } = await rig.status()
    t.like({ ...told, peers }, { now: 0, peers: 0, malformed: 0, late: 0 })
  })
