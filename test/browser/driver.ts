// A process on a host of the laboratory: a browser with a page of one's own, which has the module. The page comes from localhost, since
// browsers make keys there without TLS, or by TLS where the browser is handed an authority. web.ts is the other end.

import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer, type RequestListener } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { WebSocketServer } from 'ws'
import { JOIN_PATH } from '../../src/wire/place.ts'
import { bundle } from '../../tools/bundle.ts'
import { serveDeeds } from '../lab/driven.ts'
import { type Browser, type Kind, launch, type Page } from './browsers.ts'
import { authority, certified } from './tls.ts'

const modules: Record<string, string> = {
  '/postern.js': await bundle(),
  '/sending.js': await bundle('call/sending/sender.ts')
}
const example = await readFile(new URL('../../examples/browser.html', import.meta.url))

const serve: RequestListener = ({ url }, response) => {
  const module = modules[url ?? '']
  response.setHeader('content-type', module ? 'text/javascript' : 'text/html')
  if (url?.startsWith('/example')) response.end(example)
  else response.end(module ?? '<!doctype html><title>a page</title><link rel="icon" href="data:,">')
}
const servers = { http: createServer(serve), https: createTlsServer(certified, serve) }
for (const server of Object.values(servers)) {
  server.listen(0, '0.0.0.0')
  await once(server, 'listening')
}

const folder = await mkdtemp(join(tmpdir(), 'postern-browser-'))
let browser: Browser | undefined
const pages = new Map<string, Page>()
const said: string[] = []
const others: WebSocketServer[] = []

export interface Opening {
  readonly kind: Kind
  readonly as: string
  /** By https, the browser trusts the laboratory's authority. */
  readonly scheme?: 'http' | 'https'
  /** More arguments of Chromium. */
  readonly args?: readonly string[]
  readonly host?: string
  readonly path?: string
  /** A page of somebody else, in the place of one's own. */
  readonly url?: string
}

function pageCalled(as: string): Page {
  const page = pages.get(as)
  if (!page) throw new Error(`there is no page called ${as}`)
  return page
}

export const deeds = {
  /** What is kept by a browser of this kind is kept until the process ends. */
  async open({ kind, as, scheme = 'http', args = [], host = 'localhost', path = '/', url }: Opening) {
    browser ??= await launch(kind, folder, { ca: scheme === 'https' ? authority : undefined, args })
    const { port } = servers[scheme].address() as AddressInfo
    pages.set(as, await browser.page(url ?? `${scheme}://${host}:${port}${path}`, text => said.push(text)))
    return {}
  },

  async front({ as }: { as: string }) {
    await pageCalled(as).front()
    return {}
  },

  /** What a script comes to in the page, which has no module. */
  async evaluate({ as, script }: { as: string; script: string }): Promise<unknown> {
    return await pageCalled(as).evaluate(script)
  },

  /** The body of an async function, whose \`given\` is JSON, and which has the module as \`postern\`. */
  async run({ as, body, given = {} }: { as: string; body: string; given?: object }): Promise<unknown> {
    const script = `(async () => {
      const postern = await import('/postern.js'), given = ${JSON.stringify(given)}
      ${body}
    })()`
    return await pageCalled(as).evaluate(script)
  },

  /** The URL of a gateway of another version. */
  async another({ v }: { v: number }): Promise<string> {
    const old = new WebSocketServer({ port: 0, host: '127.0.0.1', path: JOIN_PATH })
    await once(old, 'listening')
    old.on('connection', ws => ws.send(JSON.stringify({ type: 'challenge', v, nonce: 'AAAA' })))
    others.push(old)
    return `http://localhost:${(old.address() as AddressInfo).port}`
  },

  async shut({ as }: { as: string }) {
    await pages.get(as)?.close()
    pages.delete(as)
    return {}
  },

  /** What pages have complained of. */
  async said(_given: object) {
    return said
  },

  async close(_given: object) {
    await browser?.close()
    for (const server of Object.values(servers)) server.close()
    for (const other of others) other.close()
    await rm(folder, { recursive: true, force: true })
    return {}
  }
}

export type BrowserDrives = typeof deeds

serveDeeds(deeds)
