// Pictures of the pages, to be looked at: overview, list and trace, light and dark, wide and narrow.
//
//   node test/gateway/http/pages/shots.ts FOLDER

import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { browse } from './browser.ts'
import { aDay } from './day.ts'
import { bothHardRecord, failedRecord, relayedRecord } from './records.ts'
import { servePages } from './serve.ts'

const [folder] = process.argv.slice(2)
if (!folder) throw new Error('where to? node test/gateway/http/pages/shots.ts FOLDER')
mkdirSync(folder, { recursive: true })

const pages = {
  overview: '/',
  list: '/traces',
  relayed: '/relayed',
  trace: `/traces/${relayedRecord().id}`,
  both: `/traces/${bothHardRecord().id}`,
  failed: `/traces/${failedRecord().id}`,
  login: '/login'
}

await using served = await servePages([...aDay(), bothHardRecord(), failedRecord()])
await using empty = await servePages([])
await using browser = await browse()
for (const colorScheme of ['light', 'dark'] as const)
  for (const width of [1280, 400]) {
    const context = await browser.newContext({ colorScheme, viewport: { width, height: 800 } })
    const shot = async (name: string, url: string) => {
      const tab = await context.newPage()
      await tab.goto(url)
      await tab.screenshot({ path: join(folder, `${name}-${colorScheme}-${width}.png`), fullPage: true })
      const wide = await tab.evaluate('document.documentElement.scrollWidth - innerWidth')
      if (Number(wide) > 0) console.log(`${name} at ${width}: ${wide} pixels too wide`)
      await tab.close()
    }
    for (const [name, path] of Object.entries(pages)) await shot(name, served.url + path)
    await shot('empty', empty.url)
    await shot('nothing', `${served.url}/traces/none`)
    await context.close()
  }
