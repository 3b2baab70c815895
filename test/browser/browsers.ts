// Debian's browsers: Chromium by playwright-core, Firefox by WebDriver BiDi (W3C), which it speaks itself.

import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import { chromium } from 'playwright-core'
import { WebSocket } from 'ws'

const paths = {
  chromium: '/usr/bin/chromium',
  firefox: '/usr/bin/firefox-esr',
  /** It hands an authority to either. */
  certutil: '/usr/bin/certutil'
} as const

export type Kind = 'chromium' | 'firefox'

export interface Page {
  /** What a script comes to, as JSON has it; throws what it throws. */
  evaluate(script: string): Promise<unknown>
  /** It is the one that is looked at: a browser paints no other one more than a few times a second. */
  front(): Promise<unknown>
  close(): Promise<unknown>
}

export interface Browser {
  page(url: string, says: (text: string) => void): Promise<Page>
  close(): Promise<unknown>
}

/** Why there is none of these programs; undefined if there is. */
export const missing = (program: keyof typeof paths): string | undefined =>
  existsSync(paths[program]) ? undefined : `${paths[program]} is missing`

export interface Launching {
  /** An authority that it trusts besides those that it comes with, in PEM. */
  readonly ca?: string | undefined
  /** More arguments of Chromium. */
  readonly args?: readonly string[]
}

/** @param folder where it keeps what is to be kept */
export async function launch(kind: Kind, folder: string, { ca, args = [] }: Launching = {}): Promise<Browser> {
  // Firefox has its store of certificates in its profile, Chromium below the home of whoever runs it.
  if (ca) await trusts(kind === 'chromium' ? join(folder, '.pki/nssdb') : folder, ca)
  return kind === 'chromium' ? launchChromium(folder, args) : launchFirefox(folder)
}

/** As a user would import it, by the tool of NSS, whose store both browsers read. */
async function trusts(store: string, ca: string): Promise<void> {
  const file = join(store, 'authority.pem')
  await mkdir(store, { recursive: true })
  await writeFile(file, ca)
  const certutil = (...args: string[]) => run(paths.certutil, ['-d', `sql:${store}`, ...args])
  await certutil('-N', '--empty-password')
  await certutil('-A', '-n', 'the laboratory', '-t', 'C,,', '-i', file)
}

const run = promisify(execFile)

// Its sandbox cannot be made by root; /dev/shm is small in containers.
const sandbox = process.getuid?.() === 0 ? ['--no-sandbox'] : []
const chromiumArgs = [
  ...sandbox,
  ...['--disable-dev-shm-usage', '--disable-gpu', '--disable-background-networking'],
  // It may play what a page gets.
  '--autoplay-policy=no-user-gesture-required'
]

/** A Chromium whose pages are in contexts of their own, and have the permissions of those; its devices are what `more` says. */
export const launchContexts = (more: readonly string[]): ReturnType<typeof chromium.launch> =>
  chromium.launch({ executablePath: paths.chromium, args: [...chromiumArgs, ...more] })

async function launchChromium(folder: string, more: readonly string[]): Promise<Browser> {
  const args = [
    ...chromiumArgs,
    // A camera and a microphone of its own, which a page gets without asking.
    ...['--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream'],
    ...more
  ]
  const context = await chromium.launchPersistentContext(folder, {
    executablePath: paths.chromium,
    args,
    env: { ...process.env, HOME: folder }
  })
  return {
    async page(url, says) {
      const page = await context.newPage()
      page.on('console', message => says(message.text()))
      page.on('pageerror', error => says(String(error)))
      await page.goto(url)
      return { evaluate: script => page.evaluate(script), front: () => page.bringToFront(), close: () => page.close() }
    },
    close: () => context.close()
  }
}

/** So that it asks nobody on the Internet, and says the addresses that others do not. */
const preferences = [
  ['app.normandy.enabled', false],
  ['app.update.disabledForTesting', true],
  ['browser.newtabpage.enabled', false],
  ['browser.safebrowsing.malware.enabled', false],
  ['browser.shell.checkDefaultBrowser', false],
  ['browser.startup.page', 0],
  ['datareporting.policy.dataSubmissionEnabled', false],
  // A camera and a microphone of its own, which a page gets without asking, and may play.
  ['media.autoplay.default', 0],
  ['media.navigator.permission.disabled', true],
  ['media.navigator.streams.fake', true],
  ['network.captive-portal-service.enabled', false],
  ['network.connectivity-service.enabled', false],
  ['services.settings.server', 'data:,'],
  ['toolkit.telemetry.enabled', false]
] as const

async function launchFirefox(folder: string): Promise<Browser> {
  const lines = preferences.map(([name, value]) => `user_pref(${JSON.stringify(name)}, ${JSON.stringify(value)});`)
  await writeFile(join(folder, 'user.js'), lines.join('\n'))
  const args = ['--headless', '--no-remote', '--remote-debugging-port', '0', '--profile', folder]
  const child = spawn(paths.firefox, args, {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, HOME: folder }
  })
  const bidi = await Bidi.open(await addressOf(child))
  const exited = once(child, 'exit')
  return {
    async page(url, says) {
      const { context } = (await bidi.ask('browsingContext.create', { type: 'tab' })) as { context: string }
      bidi.onLog = text => says(text)
      await bidi.ask('browsingContext.navigate', { context, url, wait: 'complete' })
      return {
        evaluate: script => bidi.evaluate(context, script),
        front: () => bidi.ask('browsingContext.activate', { context }),
        close: () => bidi.ask('browsingContext.close', { context })
      }
    },
    async close() {
      await bidi.ask('browser.close', {}).catch(() => {})
      await exited
    }
  }
}

async function addressOf(child: ChildProcess): Promise<string> {
  if (!child.stderr) throw new Error('no standard error')
  for await (const line of createInterface({ input: child.stderr })) {
    const [, address] = /WebDriver BiDi listening on (ws:\S+)/.exec(line) ?? []
    if (!address) continue
    child.stderr.resume()
    return address
  }
  throw new Error('Firefox ended before it listened')
}

class Bidi {
  onLog: (text: string) => void = () => {}
  readonly #ws: WebSocket
  readonly #asked = new Map<number, PromiseWithResolvers<unknown>>()
  #count = 0

  private constructor(ws: WebSocket) {
    this.#ws = ws
    ws.on('message', data => {
      const { id, result, error, message, method, params } = JSON.parse(String(data))
      if (method === 'log.entryAdded') return this.onLog(String(params.text))
      const asked = this.#asked.get(id)
      this.#asked.delete(id)
      if (error) asked?.reject(new Error(`${error}: ${message}`))
      else asked?.resolve(result)
    })
    ws.on('close', () => {
      for (const { reject } of this.#asked.values()) reject(new Error('Firefox has ended'))
    })
  }

  static async open(address: string): Promise<Bidi> {
    const ws = new WebSocket(`${address}/session`)
    await once(ws, 'open')
    const bidi = new Bidi(ws)
    await bidi.ask('session.new', { capabilities: {} })
    await bidi.ask('session.subscribe', { events: ['log.entryAdded'] })
    return bidi
  }

  ask(method: string, params: object): Promise<unknown> {
    const id = this.#count++
    const asked = Promise.withResolvers<unknown>()
    this.#asked.set(id, asked)
    this.#ws.send(JSON.stringify({ id, method, params }))
    return asked.promise
  }

  async evaluate(context: string, script: string): Promise<unknown> {
    const expression = `(async () => JSON.stringify((await (${script})) ?? null))()`
    const asked = { expression, target: { context }, awaitPromise: true }
    const { result, exceptionDetails } = (await this.ask('script.evaluate', asked)) as {
      result?: { value: string }
      exceptionDetails?: { text: string }
    }
    if (exceptionDetails) throw new Error(exceptionDetails.text)
    return JSON.parse(result?.value ?? 'null')
  }
}
