// Two faults that a connection of a page gets over, with what it films, and without a byte lost. The whole table, with its times, is
// `npm run lab -- --faults --browsers`. Skipped like pages.test.ts.

import { drop } from '../lab/drop.ts'
import { runLife } from '../lab/faults/life/run.ts'
import { lifeRows } from '../lab/faults/life/table.ts'
import { openRig, type Rig } from '../lab/rig.ts'
import { until } from '../until.ts'
import { browserTest, config, nat, Web } from './web.ts'

const promises = [
  ['chromium-address-changes', 'a connection of Chromium and its picture go on when the address of its host changes'],
  ['firefox-nat-forgets', 'a connection of Firefox and its picture go on when its NAT forgets and gives other ports']
] as const

/** A busy computer takes longer than the goals of the table allow. By themselves browsers give a path up after 15 s, or 29. */
const MOST_MS = 8000

for (const [word, title] of promises) {
  const row = lifeRows.find(one => one.word === word)
  const [kind] = row?.ends ?? []
  browserTest(title, kind === undefined || kind === 'node' ? [] : [kind], async t => {
    if (!row) return t.fail()
    const [outcome] = await runLife({ ...row, watchMs: 1000 }, { trials: 1, bytesPerSecond: 500_000 })
    t.log(outcome?.pauses, outcome?.course)
    t.is(outcome?.failed, undefined)
    const { bytes = MOST_MS, frames = MOST_MS } = outcome?.pauses ?? {}
    t.true(Math.max(bytes, frames) < MOST_MS)
  })
}

/** Joins, and tells what has become of each WebSocket, and how many there were when it joined or lost its link. */
async function watched(rig: Rig, site: number): Promise<Web> {
  const web = await Web.open(rig, site, 'chromium', `watched-${site}`)
  await web.run(`globalThis.made = []
    globalThis.WebSocket = class extends WebSocket {
      constructor(url) {
        super(url)
        made.push(this)
      }
    }
    globalThis.states = []
    globalThis.linked = () => [...made.map(({ readyState }) => readyState), ...states].join(' ')`)
  const { url, token } = rig.door
  await web.run(
    `const onState = ({ joined }) => states.push((joined ? 'joined' : 'lost') + made.length)
    globalThis.peer = await postern.join({ ...given, onState })`,
    { gateway: url, token, name: web.name }
  )
  return web
}

/** What `readyState` is; one that nobody answers is closing for long. */
const [OPEN, CLOSING, CLOSED] = [1, 2, 3]

browserTest(
  'a page whose link is swallowed joins by another one beside it, and one whose link is slow stays on it',
  ['chromium'],
  async t => {
    const sites = [{ nat }, { nat, line: { delayMs: 250 } }]
    await using rig = await openRig({ strategies: '[direct, stun]', config, sites, verify: false })
    const [one, other] = await Promise.all([watched(rig, 0), watched(rig, 1)])
    await using swallowed = one
    await using slow = other
    const [{ hosts = [], boxes = [] } = {}] = rig.world.sites
    const [host, box] = [hosts[0], boxes[0]]
    if (!host || !box) return t.fail()
    const { stdout } = await host.run(['ss', '-tnH', 'state', 'established', 'dport = :8080'])
    const ports = [...stdout.matchAll(/:(\d+)\s+\S+:8080/g)].map(([, port]) => port)
    await using _swallowed = await drop(box, `tcp sport { ${ports.join(', ')} }`)
    const looks = 'dispatchEvent(new Event("online"))'
    await Promise.all([swallowed.run(looks), slow.run(looks)])
    const linked = (web: Web) => web.run('return linked()')
    await until(async () => String(await linked(swallowed)).endsWith('joined2'), 10_000)
    t.is(await linked(swallowed), `${CLOSING} ${OPEN} joined1 lost2 joined2`)
    await until(async () => (await linked(slow)) === `${OPEN} ${CLOSED} joined1`, 10_000)
  }
)
