// The test of a network in a real browser on loopback: how it looks, and that all of it is reached by keyboard and by a screen reader. What
// it finds out behind NATs is in test/browser/nettest.test.ts.

import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import test, { type ExecutionContext } from 'ava'
import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import type { HttpSide } from '../../../../src/gateway/http/http.ts'
import { type Chance, type Seen, verdictOf } from '../../../../src/gateway/nettest/result.ts'
import { Results } from '../../../../src/gateway/nettest/results.ts'
import { kindsOfPeers } from '../../../../src/gateway/survey/prospects.ts'
import type { FromDesk } from '../../../../src/wire/nettest/messages.ts'
import { writeBundles } from '../../../../tools/bundle.ts'
import { browse, browserProblem } from './browser.ts'
import { servePages } from './serve.ts'

const skip = browserProblem !== undefined && process.env.POSTERN_LAB !== 'required'
if (skip) console.log(`the test of a network skipped: ${browserProblem}`)
const browserTest = skip ? test.serial.skip : test.serial

let browser: Browser
test.before(async () => {
  if (skip) return
  await writeBundles(fileURLToPath(new URL('../../../../dist', import.meta.url)))
  browser = await browse()
})
test.after.always(() => browser?.close())

const certain = (share: number): Chance => ({ least: share, most: share })
const prospects = (shares: readonly Chance[]) =>
  kindsOfPeers.map((peer, at) => ({ peer, page: shares[at] ?? certain(0), node: shares[at + 1] ?? certain(0.4) }))

const open = { udp: 'open', addresses: 1, isSplit: false } as const

/** One of each look. */
const looks: Readonly<Record<string, Seen>> = {
  most: {
    ...{ ...open, mapping: 'endpoint-independent' },
    prospects: prospects([1, 1, 1, 1, 1].map(certain))
  },
  probably: {
    ...{ ...open, mapping: 'unknown', inside: 'network' },
    prospects: prospects([certain(1), certain(1), { least: 0, most: 1 }])
  },
  some: {
    ...{ ...open, mapping: 'address-and-port-dependent', isSplit: true, addresses: 3 },
    ports: { kind: 'stepping', confidence: 0.93, step: -2 },
    prospects: prospects([certain(1), certain(0.5)])
  },
  blocked: { udp: 'blocked', isUnbound: false, hasDoor: true },
  'cut-off': { udp: 'blocked', isUnbound: true, hasDoor: false },
  hidden: { udp: 'hidden' }
}

function serve(says: readonly FromDesk[] = []) {
  const results = new Results()
  const ids = Object.entries(looks).map(([name, seen]) => {
    const id = results.keep({ ...seen, verdict: verdictOf(seen), rttMs: 23.4, atMs: Date.UTC(2026, 10, 30) })
    return [name, id] as const
  })
  const receive: NonNullable<HttpSide['tests']>['receive'] = ws => {
    for (const message of says) ws.send(JSON.stringify(message))
    if (says.length > 0) ws.close(1013)
  }
  const served = servePages([], 'never', [], [], { results, udp: [3478, 3479, 3480], receive })
  return served.then(one => ({ ...one, ids, result: ids[0]?.[1] ?? '' }))
}

async function visiting(options: BrowserContextOptions, run: (page: Page) => Promise<void>): Promise<void> {
  const context = await browser.newContext(options)
  try {
    const page = await context.newPage()
    page.setDefaultTimeout(10_000)
    await run(page)
  } finally {
    await context.close()
  }
}

const axe = readFileSync(new URL('../../../../node_modules/axe-core/axe.min.js', import.meta.url), 'utf8')

/** What axe has to say of the page, and how far it is wider than its window. */
async function complaints(page: Page): Promise<unknown[]> {
  await page.evaluate(axe)
  const told = (await page.evaluate(
    'axe.run().then(({ violations }) => violations.map(({ id, nodes }) => ({ id, nodes: nodes.map(({ html }) => html) })))'
  )) as unknown[]
  const wider = Number(await page.evaluate('document.documentElement.scrollWidth - innerWidth'))
  return wider > 0 ? [...told, `${wider} pixels too wide`] : told
}

const windows: readonly BrowserContextOptions[] = [
  { viewport: { width: 360, height: 740 }, colorScheme: 'light' },
  { viewport: { width: 1280, height: 800 }, colorScheme: 'dark' },
  { viewport: { width: 2560, height: 1440 }, colorScheme: 'light' }
]

browserTest(
  'the page and each kind of result fit from 360 to 2,560 pixels, and axe has nothing to say of them',
  async t => {
    await using served = await serve()
    for (const options of windows)
      await visiting(options, async page => {
        for (const path of ['', ...served.ids.map(([, id]) => `/${id}`)]) {
          await page.goto(`${served.url}/test${path}`)
          await page.locator(path ? 'details' : 'button').waitFor()
          if (path) await page.evaluate("document.querySelector('details').open = true")
          t.deepEqual(await complaints(page), [], `${path} ${JSON.stringify(options)}`)
        }
      })
  }
)

browserTest('each kind of network has its own headline, and what to change', async t => {
  await using served = await serve()
  const words: Readonly<Record<string, readonly RegExp[]>> = {
    most: [/direct with most people/, /Nothing: this is as good/],
    probably: [/probably be direct with most people/, /second public address/, /within this network/],
    some: [/direct with some people, and relayed with others/, /counted, by −2/, /different addresses/, /up to 50 %/],
    blocked: [/relayed: UDP is blocked here/, /ports 3478, 3479 and 3480/, /TCP to the relay\s*passes/],
    'cut-off': [/will not work here/, /opens no UDP socket/, /listen\.tcp/],
    hidden: [/Nothing can be told/, /sources are kept/]
  }
  await visiting({ javaScriptEnabled: false }, async page => {
    for (const [name, id] of served.ids) {
      await page.goto(`${served.url}/test/${id}`)
      const text = (await page.locator('main').textContent()) ?? ''
      for (const word of words[name] ?? [/nobody said what/]) t.regex(text.replace(/\s+/g, ' '), word, name)
    }
  })
})

const refusal: FromDesk = {
  type: 'refused',
  code: 'relay-full',
  reason: 'this network has had its 3 tests of this minute; ask again in 2 s',
  retryMs: 2000
}

browserTest('who has to wait is told why and how long, by keyboard alone, and may try again then', async t => {
  await using served = await serve([refusal])
  await visiting({}, async page => {
    await page.goto(`${served.url}/test`)
    const button = page.getByRole('button')
    await button.waitFor()
    await page.keyboard.press('Tab')
    t.is(await page.evaluate("getComputedStyle(document.activeElement).outlineStyle !== 'none'"), true)
    await page.keyboard.press('Enter')
    await page
      .getByRole('alert')
      .getByText('This network has had its 3 tests of this minute.', { exact: true })
      .waitFor()
    t.regex(await page.locator('.wait').innerText(), /^Wait [12] seconds?, and start again\.$/)
    t.is(await button.getAttribute('aria-disabled'), 'true')
    t.deepEqual(await complaints(page), [])
    await page.locator('button[aria-disabled=false]').waitFor()
    t.is(await page.evaluate('document.activeElement.textContent'), 'Test again', 'the focus stays')
  })
})

browserTest('while it runs each step is read out, and what breaks off is told', async t => {
  await using served = await serve()
  await visiting({ reducedMotion: 'reduce' }, async page => {
    await page.goto(`${served.url}/test`)
    await page.getByRole('button').click()
    await page.getByRole('status').getByText('Asking the gateway').waitFor({ state: 'attached' })
    t.deepEqual(await complaints(page), [])
    t.is(await page.evaluate("getComputedStyle(document.querySelector('.now'), '::before').animationName"), 'none')
  })
  await using broken = await serve([{ type: 'done', result: 'x' }])
  await visiting({}, async page => isTold(t, page, broken.url, /connection to the gateway was lost/))
  await visiting({}, async page => {
    await page.addInitScript('delete globalThis.RTCPeerConnection')
    await isTold(t, page, broken.url, /makes no connections to others \(WebRTC\)/)
  })
})

async function isTold(t: ExecutionContext, page: Page, url: string, words: RegExp): Promise<void> {
  await page.goto(`${url}/test`)
  await page.getByRole('button').click()
  t.regex(await page.getByRole('alert').innerText(), words)
}

browserTest('the link of a result is copied', async t => {
  await using served = await serve()
  await visiting({ permissions: ['clipboard-read', 'clipboard-write'] }, async page => {
    const url = `${served.url}/test/${served.result}`
    await page.goto(url)
    await page.getByRole('button', { name: 'Copy link' }).click()
    await page.getByRole('status').getByText('The link is copied.').waitFor()
    t.is(await page.evaluate('navigator.clipboard.readText()'), url)
    await page.getByRole('link', { name: 'Test my network' }).click()
    await page.waitForURL(`${served.url}/test`)
  })
})
