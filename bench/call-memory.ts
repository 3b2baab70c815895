// Memory of a call of four over some minutes: of each page, and of the gateway. Then the same of four pages that are connected to each
// other by the browser's own means alone, so that what grows there is not ours. Pages are contexts of one Chromium, on loopback, with
// small cameras; each has a process of its own.
//
//   node bench/call-memory.ts [--minutes 10] [--every 30]
//
// It takes twice so many minutes. What counts is how much each page grows a minute, by least squares over the last 80 % of the time, less
// what the bare one grows by; with the standard error of that. A bare page that gives memory back says nothing of ours.

import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { loadIdentity } from '../src/peer/identity/identity.ts'
import { KnownPeers } from '../src/peer/identity/known-peers.ts'
import { Peer } from '../src/peer/peer.ts'
import '../test/browser/call/built.ts'
import { CallPage } from '../test/browser/call/call-page.ts'
import { callBare } from './means/bare-call.ts'
import { goal } from './means/figures.ts'
import { openGatewayProcess } from './means/gateway-process.ts'
import { type MeasuredPage, MeasuredPages, type Memory } from './means/measured-pages.ts'
import { less, type Trend, trendOf } from './means/trend.ts'

const { values } = parseArgs({
  options: { minutes: { type: 'string', default: '10' }, every: { type: 'string', default: '30' } }
})
const [minutes, every] = [Number(values.minutes), Number(values.every)]
if (!(minutes > 0 && every > 0)) throw new Error('--minutes and --every (seconds) take numbers above 0')
if (60 * minutes < 5 * every) throw new Error('a trend needs five looks at least: more --minutes, or a shorter --every')

const names = ['Ann', 'Bob', 'Cid', 'Dan'] as const
const kinds = ['heap', 'resident'] as const

/** Code is compiled and pools are filled in the first part of the time. */
const WARM_UP = 0.2

/** What is called flat, in MB a minute; what cannot be told from nothing is flat, too. */
const FLAT = { page: 1, gateway: 0.2 } as const

const config = `
listen: { http: '127.0.0.1:0', udp: { addresses: [0.0.0.0], ports: [0, 0, 0] } }
strategies: [direct, stun, relay]
call: { enabled: true }
`

/** When, in minutes since the first look, and what each of those that were looked at has. */
interface Look {
  readonly at: number
  readonly of: readonly Memory[]
}

console.log(`a call of four for ${minutes} minutes, then a bare one: heap/resident in MB`)
const [ours, theirs] = [await ourCall(), await bareCall()]
/** The gateway has no other one beside it. */
const nothing: Trend = { slope: 0, error: 0 }
console.log(
  `\n${'MB a minute'.padEnd(20)}${['the call', 'bare', 'beyond that'].map(title => title.padStart(19)).join('')}`
)
let growing = 0
for (const [at, name] of [...names, 'gateway'].entries())
  for (const kind of kinds) {
    const isPage = at < names.length
    const [own, bare] = [trend(ours, at, kind), isPage ? trend(theirs, at, kind) : nothing]
    const more = bare.slope > 0 ? less(own, bare) : own
    const isFlat = more.slope <= Math.max(isPage ? FLAT.page : FLAT.gateway, 2 * more.error)
    if (!isFlat) growing++
    const cells = [own, ...(isPage ? [bare] : []), more].map(one => told(one).padStart(19))
    console.log(
      `${`${name}, ${kind}`.padEnd(20)}${isPage ? cells.join('') : `${cells[0]}${' '.repeat(19)}${cells[1]}`}`
    )
  }
goal('figures that are not flat', growing, { atMost: 0 })

async function ourCall(): Promise<readonly Look[]> {
  await using gateway = openGatewayProcess()
  const link = await roomAt(await gateway.do('open', { config }))
  await using pages = await MeasuredPages.open()
  const measured: MeasuredPage[] = []
  const inside: CallPage[] = []
  for (const name of names) {
    const one = await pages.page(link)
    const call = new CallPage(
      { evaluate: script => one.page.evaluate(script), complaints: async () => [], close: () => one.page.close() },
      name
    )
    const [first] = inside
    await (first ? call.isLetIn(first) : call.enters())
    measured.push(one)
    inside.push(call)
  }
  return await watched('the call', measured, async () => {
    const { heap, resident } = await gateway.do('memory', {})
    return { heap: heap / 1e6, resident: resident / 1e6 }
  })
}

async function bareCall(): Promise<readonly Look[]> {
  const server = createServer((_, response) => response.setHeader('content-type', 'text/html').end('<!doctype html>'))
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  await using pages = await MeasuredPages.open()
  const measured: MeasuredPage[] = []
  for (const _ of names) measured.push(await pages.page(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`))
  await callBare(measured.map(({ page }) => page))
  const looks = await watched('a bare one', measured)
  server.close()
  return looks
}

/** The link of a room, by a peer that leaves then. */
async function roomAt({ url, token }: { url: string; token: string }): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'postern-call-memory-'))
  const peer = await Peer.join({
    ...{ gateway: url, token, name: 'maker', accepts: false, insecure: false },
    identity: await loadIdentity(folder),
    known: new KnownPeers(folder),
    onConnection: () => {}
  })
  try {
    return (await peer.makeRoom('four')).link
  } finally {
    await peer.close()
    await rm(folder, { recursive: true, force: true })
  }
}

/** Looks at all of it until the time is over; everybody sees and hears everybody, at the beginning and at the end. */
async function watched(
  title: string,
  pages: readonly MeasuredPage[],
  besides?: () => Promise<Memory>
): Promise<readonly Look[]> {
  const others = pages.length - 1
  const brought = async () => (await Promise.all(pages.map(page => page.sees(others)))).reduce((sum, by) => sum + by, 0)
  const all = pages.length * others
  if ((await brought()) < all) throw new Error(`${title} did not come about`)
  const heads = [...names, ...(besides ? ['gateway'] : [])]
  console.log(`\n${'minute'.padStart(6)}${heads.map(head => head.padStart(14)).join('')}   ${title}`)
  const looks: Look[] = []
  const startMs = performance.now()
  for (let at = 0; at < minutes; ) {
    at = (performance.now() - startMs) / 60_000
    const of = [...(await Promise.all(pages.map(page => page.memory()))), ...(besides ? [await besides()] : [])]
    looks.push({ at, of })
    const cells = of.map(({ heap, resident }) => `${heap.toFixed(2)}/${resident.toFixed(1)}`.padStart(14))
    console.log(`${at.toFixed(1).padStart(6)}${cells.join('')}`)
    // A look may take longer than that.
    if (at < minutes) await sleep(1000 * every - ((performance.now() - startMs) % (1000 * every)))
  }
  goal(`connections of ${title} that bring picture and sound at the end`, await brought(), { atLeast: all })
  return looks
}

function trend(looks: readonly Look[], which: number, kind: (typeof kinds)[number]): Trend {
  const late = looks.filter(({ at }) => at >= WARM_UP * minutes)
  return trendOf(late.map(({ at, of }) => [at, of[which]?.[kind] ?? Number.NaN]))
}

function told({ slope, error }: Trend): string {
  return `${slope.toFixed(3)} ± ${error.toFixed(3)}`
}
