// How long the first page takes on loopback, and how much of it there is: a gateway with a day of traces, and a real browser
// that has never been there. From the start of the navigation to everything painted that the page loads.
//
//   node bench/pages.ts [repetitions]

import { browse } from '../test/gateway/http/pages/browser.ts'
import { aDay } from '../test/gateway/http/pages/day.ts'
import { servePages } from '../test/gateway/http/pages/serve.ts'
import { goal, median, percentile, summary } from './means/figures.ts'

const repetitions = Number(process.argv[2] ?? 20)

await using served = await servePages(aDay())
await using browser = await browse()

const answers: number[] = []
const loads: number[] = []
const sizes: number[] = []
for (let repetition = 0; repetition <= repetitions; repetition++) {
  const { answerMs, loadMs, bytes } = await visit(served.url)
  // The first one starts the browser's processes and compiles the gateway's templates.
  if (repetition === 0) continue
  answers.push(answerMs)
  loads.push(loadMs)
  sizes.push(bytes)
}
console.log(`the page itself      ${summary(answers)}`)
console.log(`with all it loads    ${summary(loads)}`)
goal('first page, ms (p95)', percentile(loads, 95), { atMost: 200 })
goal('first page, bytes', median(sizes), { atMost: 100_000 })

/** A browser without a cache. */
async function visit(url: string) {
  const context = await browser.newContext()
  const page = await context.newPage()
  await page.goto(url, { waitUntil: 'load' })
  const figures = await page.evaluate<{ answerMs: number; loadMs: number; bytes: number }>(`(() => {
    const [page] = performance.getEntriesByType('navigation')
    const all = [page, ...performance.getEntriesByType('resource')]
    return {
      answerMs: page.responseEnd,
      loadMs: page.loadEventEnd,
      bytes: all.reduce((sum, { transferSize }) => sum + transferSize, 0)
    }
  })()`)
  await context.close()
  return figures
}
