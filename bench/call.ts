// From the click on "Let in" to the first frame of the other one, at both sides: pages of a call in Chromium behind port-restricted NATs,
// beside plain ICE in the same two browsers, trial by trial, with and without delay. Then where the time goes.
//
//   node bench/call.ts [--world near|far] [--trials N]
//
// Ours: the page as the gateway serves it. One is in the room, with camera and microphone; the other one, too, waits before it, a guest who
// was never there. Theirs: RTCPeerConnections with the same devices, made at the click, since whoever clicks knows of the other one; their
// tracks are in the first offer and its answer, a data channel as well. coturn is the STUN and TURN server, and descriptions and
// candidates, trickled, go over a WebSocket that both joined before. All servers are on one host, and by TLS. The code of all pages is warm.

import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { strings } from '../src/call/words/strings.ts'
import { CallPage } from '../test/browser/call/call-page.ts'
import { openCall } from '../test/browser/call/lab.ts'
import { Web } from '../test/browser/page.ts'
import { type IceActor, type IceGround, iceInPage, openIceGround } from '../test/lab/plain-ice/ground.ts'
import type { Rig } from '../test/lab/rig.ts'
import { within } from '../test/lab/within.ts'
import { failed, goal, median, type Outcome, opened, percentile, printOutcomes } from './means/figures.ts'
import { type Marks, marks, type Step, steps, stepWords } from './means/marks.ts'

const { values } = parseArgs({ options: { trials: { type: 'string', default: '60' }, world: { type: 'string' } } })

interface World {
  readonly title: string
  /** One way, in milliseconds, between each site and the public network. */
  readonly delaysMs: readonly [number, number]
}

const worlds: Readonly<Record<string, World>> = {
  near: { title: 'without delay', delaysMs: [0, 0] },
  far: { title: '40 and 60 ms to the gateway, 100 ms between the pages', delaysMs: [20, 30] }
}

/** How long a trial may take. */
const PATIENCE_MS = 10_000

/** What takes longer has no end. */
const HANGS_MS = 30_000

/** Whoever lets somebody in reads that somebody waits, and moves a hand. */
const READ_MS = 500

/** Twenty may knock at a room within a minute. */
const ROUND_MS = 3400

/** As many pixels as the tools of tests leave a page of the call. */
const CAMERA = { width: 320, height: 180, frameRate: 30 } as const
const FILM = ['--use-fake-device-for-media-stream=fps=30']

const trials = Number(values.trials)
if (!Number.isInteger(trials) || trials < 1) throw new Error('--trials takes a whole number from 1 on')
const chosen = Object.entries(worlds).filter(([name]) => !values.world || values.world === name)
if (chosen.length === 0) throw new Error('there is no such world: near and far are')

console.log('from the click to the first frame, of the side that sees it later')
for (const [, world] of chosen) await bench(world)

/** One browser: a page of the call, and one with plain ICE. */
interface Side extends AsyncDisposable {
  readonly call: CallPage
  readonly ice: IceActor
  readonly web: Web
}

interface Trial {
  readonly outcome: Outcome
  /** Since the click, of the side that came to it later; of `asks`, the one that did. */
  readonly marks: Marks
}

async function bench({ title, delaysMs }: World): Promise<void> {
  await using opening = await openCall('[direct, stun, predict, spray, relay]', delaysMs)
  const { rig, link } = opening
  await using ground = await openIceGround(rig.world)
  await using ann = await sideOf(rig, 0, 'Ann', link, ground)
  await using bob = await sideOf(rig, 1, 'Bob', link, ground)
  await ann.call.enters()
  const [ours, theirs]: [Trial[], Trial[]] = [[], []]
  // The first of each compiles its code.
  while (theirs.length <= trials) {
    const next = sleep(ROUND_MS)
    await looksAt('call', ann, bob)
    ours.push(await letIn(ann.call, bob.call))
    await looksAt('page', ann, bob)
    theirs.push(await callByIce(ann, bob))
    await next
  }
  const [own, other] = [ours.slice(1), theirs.slice(1)]
  console.log(`\n${title} (seed ${rig.world.seed})`)
  printOutcomes('postern', own.map(outcomeOf))
  printOutcomes('plain ICE', other.map(outcomeOf))
  judge(own, other)
}

function judge(ours: readonly Trial[], theirs: readonly Trial[]): void {
  goal('calls in which somebody saw nothing', failed(ours.map(outcomeOf)), { atMost: 0 })
  const [own, other] = [ours, theirs].map(all => opened(all.map(outcomeOf))) as [number[], number[]]
  const beside = (p: number) => (percentile(own, p) / percentile(other, p)).toFixed(3)
  console.log(`       median beside plain ICE: ${beside(50)}; 95th percentile: ${beside(95)}`)
  console.log(`\n${'median, ms after the click'.padEnd(44)}${'postern'.padStart(12)}${'plain ICE'.padStart(12)}`)
  for (const step of steps) {
    const [mine, their] = [ours, theirs].map(all => figure(median(all.flatMap(({ marks }) => marks[step] ?? []))))
    console.log(`${stepWords[step].padEnd(44)}${mine?.padStart(12)}${their?.padStart(12)}`)
  }
}

function outcomeOf({ outcome }: Trial): Outcome {
  return outcome
}

function figure(ms: number): string {
  return Number.isNaN(ms) ? '–' : ms.toFixed(1)
}

async function sideOf(rig: Rig, site: number, name: string, link: string, ground: IceGround): Promise<Side> {
  await using opened = new AsyncDisposableStack()
  const web = opened.use(await Web.open(rig, site, 'chromium', name, { scheme: 'https', args: FILM }))
  const ice = iceInPage(web, ground)
  await web.run(marks)
  await ice.join()
  await web.run(
    `ice.films(await navigator.mediaDevices.getUserMedia({ audio: true, video: given }), stream => {
      let video = document.querySelector('video')
      if (!video) document.body.append(video = Object.assign(document.createElement('video'), { autoplay: true }))
      if (video.srcObject === stream) return
      marks.watches(video)
      video.srcObject = stream
    })`,
    CAMERA
  )
  await web.do('open', { kind: 'chromium', as: 'call', scheme: 'https', url: link })
  const call = new CallPage(
    {
      evaluate: script => web.do('evaluate', { as: 'call', script }),
      complaints: () => web.do('said', {}),
      close: () => web.do('shut', { as: 'call' })
    },
    name
  )
  await call.loaded()
  await call.run(marks)
  // Whoever comes has a tile of its own.
  await call.run(`const seen = new WeakSet()
    new MutationObserver(() => {
      for (const video of document.querySelectorAll('.tile:not(.own) video')) {
        if (!seen.has(video)) marks.watches(video)
        seen.add(video)
      }
    }).observe(document, { subtree: true, childList: true })`)
  const all = opened.move()
  return { web, call, ice, [Symbol.asyncDispose]: () => all.disposeAsync() }
}

/** Both look at the page of the call, or at the one with plain ICE. */
async function looksAt(as: 'call' | 'page', ...sides: readonly Side[]): Promise<void> {
  for (const { web } of sides) await web.do('front', { as })
}

/** Bob comes as a guest whom nobody knows, waits, is let in, and leaves. */
async function letIn(ann: CallPage, bob: CallPage): Promise<Trial> {
  await bob.run('sessionStorage.clear()')
  await bob.checksDevices()
  await bob.joins()
  await bob.says(strings.waiting.heading)
  await ann.has(strings.call.admit)
  await sleep(READ_MS)
  for (const page of [ann, bob]) await page.run('marks.begin()')
  const trial = await timed(
    [
      ann.run(
        `const button = tools.control(given.name)
        marks.click()
        button.click()
        return await marks.until(given.ms)`,
        { name: strings.call.admit, ms: PATIENCE_MS }
      ),
      bob.run('return await marks.until(given)', PATIENCE_MS)
    ],
    async () => (await bob.run('return tools.badge(given)', ann.name)) === strings.badge.direct
  )
  await bob.press(strings.controls.leave)
  await ann.says(strings.call.people(1))
  await bob.press(strings.over.again)
  return trial
}

async function callByIce(ann: Side, bob: Side): Promise<Trial> {
  for (const { web } of [ann, bob]) await web.run('marks.begin()')
  const until = 'return await marks.until(given.ms)'
  const trial = await timed(
    [
      ann.web.run(`marks.click(); void ice.call(given.to); ${until}`, { to: bob.ice.name, ms: PATIENCE_MS }),
      bob.web.run(until, { ms: PATIENCE_MS })
    ],
    async () => (await ann.ice.candidate()) !== 'relay'
  )
  await Promise.all([ann.ice.release(), bob.ice.release()])
  return trial
}

/** @param sides what the marks of the one that clicks, and those of the other one, come to */
async function timed(sides: readonly Promise<unknown>[], isDirect: () => Promise<boolean>): Promise<Trial> {
  const all = (await within(HANGS_MS, 'the first frame', Promise.all(sides))) as readonly Marks[]
  const [{ click = Number.NaN } = {}] = all
  const later = (step: Step): number[] => {
    const times = all.flatMap(one => one[step] ?? [])
    return times.length > 0 ? [Math.max(...times) - click] : []
  }
  const found = Object.fromEntries(steps.flatMap(step => later(step).map(ms => [step, ms]))) as Marks
  const blind = all.filter(({ frame }) => frame === undefined).length
  if (blind > 0) return { outcome: { kind: 'failed', why: `${blind} of 2 saw nothing` }, marks: found }
  return { outcome: { kind: (await isDirect()) ? 'direct' : 'relay', ms: found.frame ?? 0 }, marks: found }
}
