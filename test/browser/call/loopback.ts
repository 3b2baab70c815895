// Pages of a call in one Chromium, each in a context of its own, from a gateway on loopback: browsers take that for safe without TLS.
// The gateway listens on all addresses, since browsers check nothing at 127.0.0.1.

import './built.ts'
import test, { type ExecutionContext } from 'ava'
import type { Browser, BrowserContext, BrowserContextOptions, Page } from 'playwright-core'
import { endNative } from '../../end-native.ts'
import { World, type WorldSpec } from '../../world.ts'
import { launchContexts, missing } from '../browsers.ts'
import { CallPage } from './call-page.ts'

const problem = missing('chromium')
const skip = problem !== undefined && process.env.POSTERN_LAB !== 'required'
if (skip) console.log(`pages of a call skipped: ${problem}`)

let browser: Browser | undefined
test.after.always(async () => {
  await browser?.close()
  endNative()
})

export interface Opening extends BrowserContextOptions {
  /** Runs in the page before its own script does. */
  readonly before?: string
}

/** A page, and what only Chromium's own driver does to it. */
export class OwnPage extends CallPage {
  readonly page: Page
  readonly context: BrowserContext

  constructor(page: Page, complaints: readonly string[], name: string) {
    const context = page.context()
    super(
      { evaluate: script => page.evaluate(script), complaints: async () => complaints, close: () => context.close() },
      name
    )
    this.page = page
    this.context = context
  }

  /** Resolves when what is done has loaded the page once more. */
  async anew(deed: () => Promise<unknown>): Promise<void> {
    const loaded = this.page.waitForEvent('load')
    // The answer may be lost with the page.
    await Promise.all([loaded, deed().catch(() => {})])
    await this.loaded()
  }
}

/** A gateway on loopback with a room, and pages that open its link. */
export class Loopback implements AsyncDisposable {
  readonly world: World
  readonly link: string
  readonly #pages: OwnPage[] = []

  private constructor(world: World, link: string) {
    this.world = world
    this.link = link
  }

  static async open({ more = '', ...spec }: WorldSpec = {}): Promise<Loopback> {
    const world = await World.open({
      more: `call: { enabled: true }\n${more}`,
      addresses: ['0.0.0.0'],
      ports: [0, 0, 0],
      ...spec
    })
    const { link } = await (await world.join('maker')).makeRoom('standup')
    return new Loopback(world, link)
  }

  /** A browser that has opened the link, and lets the page have camera and microphone. */
  async opens(name: string, { before, ...options }: Opening = {}, link = this.link): Promise<OwnPage> {
    browser ??= await launchContexts(['--use-fake-device-for-media-stream=fps=10'])
    const context = await browser.newContext({
      permissions: ['camera', 'microphone'],
      viewport: { width: 640, height: 480 },
      ...options
    })
    const complaints: string[] = []
    // Violations of the content security policy are among them.
    context.on('console', message => {
      if (['error', 'warning'].includes(message.type())) complaints.push(message.text())
    })
    context.on('weberror', error => complaints.push(error.error().message))
    // What is there before the first page lacks most.
    if (before) await context.addInitScript(`if (isSecureContext) { ${before} }`)
    const page = new OwnPage(await context.newPage(), complaints, name)
    this.#pages.push(page)
    await page.page.goto(link)
    await page.loaded()
    return page
  }

  /** One that is in the call already. */
  async hasInside(name: string, by?: CallPage, opening?: Opening): Promise<OwnPage> {
    const page = await this.opens(name, opening)
    await (by ? page.isLetIn(by) : page.enters())
    return page
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const page of this.#pages) await page[Symbol.asyncDispose]()
    await this.world[Symbol.asyncDispose]()
  }
}

/** A test with a Chromium; skipped where there is none. */
export function pageTest(title: string, run: (t: ExecutionContext) => Promise<void>): void {
  if (skip) test.skip(title, run)
  else test.serial(title, run)
}
