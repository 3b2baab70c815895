// Pages in contexts of one Chromium, with the small cameras of tests, and the memory of each.

import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Browser, CDPSession, Page } from 'playwright-core'
import { launchContexts } from '../../test/browser/browsers.ts'
import { tools } from '../../test/browser/call/tools.ts'

/** In MB. */
export interface Memory {
  readonly heap: number
  readonly resident: number
}

/** What a few pages encode and decode on two cores. */
const FILM = '--use-fake-device-for-media-stream=fps=5'

/** So long a page is busy, so that its process is known by what it has done, in milliseconds. */
const BUSY_MS = 300

/** What a collection finds is let go of by finalizers, and the next one has what that sets free. */
const ROUNDS = 2
const FINALIZERS_MS = 50

export class MeasuredPages implements AsyncDisposable {
  readonly #browser: Browser
  readonly #browserCdp: CDPSession
  readonly #known = new Set<number>()

  private constructor(browser: Browser, cdp: CDPSession) {
    this.#browser = browser
    this.#browserCdp = cdp
  }

  static async open(): Promise<MeasuredPages> {
    const browser = await launchContexts([FILM])
    return new MeasuredPages(browser, await browser.newBrowserCDPSession())
  }

  /** Opens a page that may use camera and microphone, one after the other: whose process is new is told by what is there before. */
  async page(url: string): Promise<MeasuredPage> {
    for (const { id } of await this.#renderers()) this.#known.add(id)
    const context = await this.#browser.newContext({ permissions: ['camera', 'microphone'] })
    const page = await context.newPage()
    await page.goto(url)
    await page.evaluate(tools)
    return new MeasuredPage(page, await context.newCDPSession(page), await this.#newRenderer(page))
  }

  /** Beside each comes another one, which waits for a page: that has done nothing yet. */
  async #newRenderer(page: Page): Promise<number> {
    await page.evaluate(`for (const till = performance.now() + ${BUSY_MS}; performance.now() < till;);`)
    const found = (await this.#renderers()).filter(({ id }) => !this.#known.has(id))
    const [busiest] = found.toSorted((one, other) => other.cpuTime - one.cpuTime)
    if (!busiest) throw new Error('the page has no process of its own')
    return busiest.id
  }

  async #renderers(): Promise<readonly { id: number; cpuTime: number }[]> {
    const { processInfo } = await this.#browserCdp.send('SystemInfo.getProcessInfo')
    return processInfo.filter(({ type }) => type === 'renderer')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#browser.close()
  }
}

export class MeasuredPage {
  readonly page: Page
  readonly #cdp: CDPSession
  readonly #pid: number

  constructor(page: Page, cdp: CDPSession, pid: number) {
    this.page = page
    this.#cdp = cdp
    this.#pid = pid
  }

  /** Waits until so many connections bring a picture and sound; how many do. */
  async sees(by: number): Promise<number> {
    const seen = (await this.page.evaluate(
      `tools.sees({ frames: 2, samples: 1000, by: ${by}, ms: 30000 })`
    )) as readonly { frames: number; samples: number }[]
    return seen.filter(({ frames, samples }) => frames >= 2 && samples >= 1000).length
  }

  /** What is left when everything that can go has gone, and what its process has. */
  async memory(): Promise<Memory> {
    // The tools of tests keep every connection that was ever made.
    await this.page.evaluate(
      `for (const one of tools.all) if (one.signalingState === 'closed') tools.all.delete(one); null`
    )
    for (let round = 0; round < ROUNDS; round++) {
      await this.#cdp.send('HeapProfiler.collectGarbage')
      await sleep(FINALIZERS_MS)
    }
    const { usedSize } = await this.#cdp.send('Runtime.getHeapUsage')
    return { heap: usedSize / 1e6, resident: residentOf(this.#pid) }
  }
}

/** Of a process, in MB. */
function residentOf(pid: number): number {
  const [, kilobytes] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
  return (Number(kilobytes) * 1024) / 1e6
}
