// The pages in a real browser. Skipped where there is none, unless POSTERN_LAB=required.

import test, { type ExecutionContext } from 'ava'
import type { Browser, BrowserContext, BrowserContextOptions, Page } from 'playwright-core'
import { HandMade } from '../../../hand-made.ts'
import { until } from '../../../until.ts'
import { World } from '../../../world.ts'
import { browse, browserProblem } from './browser.ts'
import { aDay } from './day.ts'
import { failedRecord, relayedRecord } from './records.ts'
import { type Served, servePages } from './serve.ts'

const skip = browserProblem !== undefined && process.env.POSTERN_LAB !== 'required'
if (skip) console.log(`pages skipped: ${browserProblem}`)
const browserTest = skip ? test.serial.skip : test.serial

let browser: Browser
test.before(async () => {
  if (!skip) browser = await browse()
})
test.after.always(() => browser?.close())

const token = 'the-admin-token'

interface Visit {
  readonly page: Page
  readonly context: BrowserContext
  /** What the console said that it should not have, and what went wrong in a script. */
  readonly complaints: string[]
}

async function visiting(options: BrowserContextOptions, run: (visit: Visit) => Promise<void>): Promise<void> {
  const context = await browser.newContext(options)
  const complaints: string[] = []
  // Violations of the content security policy are among them.
  context.on('console', message => {
    if (['error', 'warning'].includes(message.type())) complaints.push(message.text())
  })
  context.on('weberror', error => complaints.push(error.error().message))
  const page = await context.newPage()
  page.setDefaultTimeout(5000)
  try {
    await run({ page, context, complaints })
  } finally {
    await context.close()
  }
}

async function walk(t: ExecutionContext, served: Served, { page }: Visit): Promise<void> {
  await page.goto(served.url)
  t.is(await page.title(), 'Log in · postern')
  await page.getByLabel('Admin token').fill('wrong')
  await page.getByRole('button', { name: 'Log in' }).click()
  await page.getByRole('alert').getByText('This is not the admin token.').waitFor()
  await page.getByLabel('Admin token').fill(token)
  await page.getByRole('button', { name: 'Log in' }).click()
  await page.getByRole('img', { name: /Attempts by strategy/ }).waitFor()
  await page.getByRole('navigation', { name: 'Pages' }).getByRole('link', { name: 'Traces' }).click()
  await page.getByLabel('Outcome').selectOption('failed')
  await page.getByRole('button', { name: 'Filter' }).click()
  t.is(await page.getByText('relayed', { exact: true }).count(), 1, 'the choice alone is left')
  await page.getByRole('link', { name: 'ann → bob' }).click()
  t.is(await page.getByRole('heading', { level: 1 }).innerText(), 'ann → bob')
  await page.getByText('bob was not joined when it was asked for', { exact: true }).waitFor()
  await page.getByText('the callee, bob', { exact: true }).waitFor()
  await page.getByText('Start postern up on bob', { exact: true }).waitFor()
  await page.getByRole('button', { name: 'Log out' }).click()
  await page.goto(`${served.url}/traces`)
  t.is(await page.title(), 'Log in · postern')
}

browserTest('from the login to the verdict of a failed trace, without a complaint of the browser', async t => {
  await using served = await servePages([failedRecord(), relayedRecord()], 'never')
  await visiting({}, async visit => {
    await walk(t, served, visit)
    // The form answers a wrong token with 401, which the browser notes.
    t.deepEqual(
      visit.complaints.filter(text => !text.includes('401')),
      []
    )
  })
})

browserTest('the same without JavaScript', async t => {
  await using served = await servePages([failedRecord(), relayedRecord()], 'never')
  await visiting({ javaScriptEnabled: false }, visit => walk(t, served, visit))
})

/** Presses Tab until something of this name has the focus. */
async function tabTo(page: Page, name: RegExp): Promise<void> {
  for (let press = 0; press < 60; press++) {
    await page.keyboard.press('Tab')
    const focused = await page.evaluate<string>(
      "document.activeElement?.labels?.[0]?.textContent ?? document.activeElement?.textContent ?? ''"
    )
    if (name.test(focused.trim())) return
  }
  throw new Error(`nothing called ${name} takes the focus`)
}

browserTest('the same by keyboard alone, and what has the focus is to be seen', async t => {
  await using served = await servePages([failedRecord(), relayedRecord()], 'never')
  await visiting({}, async ({ page }) => {
    await page.goto(served.url)
    await page.locator('#token:focus').waitFor()
    await page.keyboard.type(token)
    await page.keyboard.press('Enter')
    await page.waitForURL(`${served.url}/`)
    await page.keyboard.press('Tab')
    t.is(await page.evaluate('document.activeElement.textContent'), 'Skip to content')
    await tabTo(page, /^Traces$/)
    t.not(await page.evaluate('getComputedStyle(document.activeElement).outlineStyle'), 'none')
    await page.keyboard.press('Enter')
    await page.waitForURL(/\/traces$/)
    await tabTo(page, /^Outcome$/)
    await page.keyboard.type('failed')
    await page.keyboard.press('Enter')
    await tabTo(page, /^Filter$/)
    await page.keyboard.press('Enter')
    await page.waitForURL(/outcome=failed/)
    await tabTo(page, /^ann → bob$/)
    await page.keyboard.press('Enter')
    await page.waitForURL(/\/traces\/0af7/)
    await tabTo(page, /^connect/)
    await page.keyboard.press('Enter')
    await page.getByText('peer-offline', { exact: true }).nth(1).waitFor()
    t.is(await page.locator('details[open]').count(), 1)
  })
})

browserTest(
  'the page of a trace shows the steps of both peers and the gateway, both networks and the ports',
  async t => {
    const record = relayedRecord()
    await using served = await servePages([record])
    await visiting({}, async ({ page, complaints }) => {
      await page.goto(`${served.url}/traces/${record.id}`)
      t.is(await page.locator('.steps > li').count(), record.spans.length)
      t.regex(await page.locator('.steps').first().innerText(), /probe\s+caller\s+failed/)
      const profiles = await page.locator('table.profiles').innerText()
      t.regex(profiles, /endpoint-independent\s+one port towards everybody\s+address-and-port-dependent/)
      t.regex(profiles, /−312\.4 ms \(± 11\.2 ms\)/)
      const ports = await page.locator('figure.ports').innerText()
      for (const said of ['16 mappings from 40806 to 41001, last 41001', '64 ports from 41012 to 41138', '41262'])
        t.true(ports.includes(said), said)
      const [download] = await Promise.all([
        page.waitForEvent('download'),
        page.getByRole('link', { name: 'Download as JSON' }).click()
      ])
      t.is(download.suggestedFilename(), `postern-trace-${record.id}.json`)
      t.deepEqual(complaints, [])
    })
  }
)

browserTest('no page scrolls sideways, on a phone either', async t => {
  await using served = await servePages(aDay())
  await visiting({}, async ({ page }) => {
    for (const path of ['/', '/traces', '/relayed', `/traces/${relayedRecord().id}`, '/traces/none', '/login']) {
      await page.goto(served.url + path)
      await page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
      for (const width of [320, 400, 800, 1280]) {
        await page.setViewportSize({ width, height: 800 })
        t.is(await page.evaluate('document.documentElement.scrollWidth'), width, `${path} at ${width}`)
      }
    }
  })
})

browserTest('all of the head stands on one line, on a phone too', async t => {
  await using served = await servePages([], 'never')
  await visiting({}, async ({ page }) => {
    await page.goto(served.url)
    await page.getByLabel('Admin token').fill(token)
    await page.getByRole('button', { name: 'Log in' }).click()
    await page.getByRole('button', { name: 'Log out' }).waitFor()
    for (const width of [320, 400, 800]) {
      await page.setViewportSize({ width, height: 800 })
      const middles = await page.evaluate<number[]>(
        "[...document.querySelectorAll('.home, .top li, .logout button')].map(one => one.getBoundingClientRect()).map(({ top, bottom }) => Math.round((top + bottom) / 2))"
      )
      t.is(middles.length, 5)
      t.true(Math.max(...middles) - Math.min(...middles) < 4, `${width}: ${middles}`)
      t.is(await page.evaluate('document.documentElement.scrollWidth'), width)
    }
  })
})

/** The least contrast of text with what is behind it (WCAG 2.1, section 1.4.3), and of whom. */
const contrast = `(() => {
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true })
  const rgba = colour => {
    canvas.clearRect(0, 0, 1, 1)
    canvas.fillStyle = colour
    canvas.fillRect(0, 0, 1, 1)
    return [...canvas.getImageData(0, 0, 1, 1).data]
  }
  const light = colour => {
    const [r, g, b] = colour.slice(0, 3).map(part => (part /= 255) <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b
  }
  const behind = element => {
    for (let at = element; at; at = at.parentElement) {
      const colour = rgba(getComputedStyle(at).backgroundColor)
      if (colour[3] === 255) return colour
    }
    return [255, 255, 255]
  }
  const said = [...document.querySelectorAll('body *')].filter(one =>
    one.checkVisibility() && [...one.childNodes].some(node => node.nodeType === 3 && node.data.trim()))
  return said.map(one => {
    const [a, b] = [light(rgba(getComputedStyle(one).color)), light(behind(one))].sort((x, y) => y - x)
    return { ratio: (a + 0.05) / (b + 0.05), who: one.outerHTML.slice(0, 80) }
  }).sort((x, y) => x.ratio - y.ratio)[0]
})()`

browserTest('text stands out from its ground, by day and by night', async t => {
  await using served = await servePages(aDay())
  await visiting({}, async ({ page }) => {
    for (const path of ['/', '/traces', '/relayed', `/traces/${relayedRecord().id}`, '/login']) {
      await page.goto(served.url + path)
      await page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
      for (const colorScheme of ['light', 'dark'] as const) {
        await page.emulateMedia({ colorScheme })
        const { ratio, who } = await page.evaluate<{ ratio: number; who: string }>(contrast)
        t.true(ratio >= 4.5, `${path} ${colorScheme}: ${ratio.toFixed(2)} of ${who}`)
      }
    }
  })
})

browserTest('a new failure appears without reloading; what is open stays open, and the focus stays', async t => {
  await using world = await World.open({ more: 'admin: { open: loopback }' })
  const joined = await Promise.all(
    ['ann', 'bob'].map(async name =>
      HandMade.join(world.url, { identity: await world.identity(name), token: world.gateway.joinToken, name })
    )
  )
  const [ann, bob] = joined
  if (!ann || !bob) return t.fail()
  const ask = async (to: string, request: number) => {
    ann.say({ type: 'connect', request, to })
    await until(() => world.gateway.traces.list({ limit: 9 })[0]?.callee === to)
  }
  await bob.close()
  await ask('bob', 0)
  await visiting({}, async ({ page, complaints }) => {
    await page.goto(world.url)
    await page.getByText('Figures over time').first().click()
    await page.evaluate("document.querySelector('#last a').focus()")
    const kept = await page.evaluate('document.activeElement.getAttribute("href")')
    await page.evaluate('globalThis.notReloaded = true')
    await ask('nobody-at-all', 1)
    await page.getByRole('link', { name: 'ann → nobody-at-all' }).waitFor()
    t.true(await page.evaluate('notReloaded'))
    t.is(await page.locator('details[open]').count(), 1)
    t.is(await page.evaluate('document.activeElement.getAttribute("href")'), kept)
    t.is(await page.getByRole('status').innerText(), 'Live')
    t.deepEqual(complaints, [])
    await ann.close()
    await world.gateway.close()
    // As when somebody comes back to the tab: it looks at once.
    await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    await page.getByText('The gateway does not answer').waitFor()
  })
})

browserTest('the first page takes less than 100 kB, whatever there is to show', async t => {
  await using served = await servePages(aDay())
  await visiting({}, async ({ page }) => {
    const sizes: Promise<number>[] = []
    page.on('requestfinished', request =>
      sizes.push(request.sizes().then(size => size.responseBodySize + size.responseHeadersSize))
    )
    await page.goto(served.url, { waitUntil: 'networkidle' })
    const bytes = (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0)
    t.true(sizes.length >= 3, `${sizes.length} requests`)
    t.true(bytes < 100_000, `${bytes} bytes`)
    t.log(`${bytes} bytes in ${sizes.length} requests`)
  })
})

browserTest("strangers' words are shown as they are, and do nothing", async t => {
  const words = `<img src=x onerror="globalThis.harmed = 1"><script>globalThis.harmed = 1</script> "' & ${'x'.repeat(300)}`
  const record = {
    ...relayedRecord({ caller: words }),
    reason: words,
    verdict: { ...relayedRecord().verdict, sentence: words }
  }
  await using served = await servePages([record])
  await visiting({ viewport: { width: 400, height: 800 } }, async ({ page, complaints }) => {
    for (const path of ['/', '/traces', `/traces/${record.id}`]) {
      await page.goto(served.url + path)
      t.true((await page.locator('main').innerText()).toLowerCase().includes(words.slice(0, 60).toLowerCase()), path)
      t.is(await page.evaluate('globalThis.harmed'), undefined)
      t.is(await page.evaluate('document.documentElement.scrollWidth'), 400, path)
    }
    t.deepEqual(complaints, [])
  })
})
