// What Node derives of a room's secret, real browsers derive as well.

import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import test from 'ava'
import { build } from 'esbuild'
import { roomKeys } from '../../src/wire/room/keys.ts'
import { launch, missing } from './browsers.ts'

const room = { name: 'Standup', secret: 'AAECAwQFBgcICQoLDA0ODw' }

/** As a script that leaves `roomKeys` in `keys`. */
async function script(): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL('../../src/wire/room/keys.ts', import.meta.url))],
    ...{ bundle: true, write: false, format: 'iife', globalName: 'keys', platform: 'browser', logLevel: 'silent' }
  })
  return outputFiles[0]?.text ?? ''
}

for (const kind of ['chromium', 'firefox'] as const) {
  const run = missing(kind) === undefined || process.env.POSTERN_LAB === 'required' ? test : test.skip
  run(`${kind} has the same keys of a room as Node`, async t => {
    const text = await script()
    const server = createServer((_, response) =>
      response.setHeader('content-type', 'text/html').end(`<!doctype html><script>${text}</script>`)
    )
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    const folder = await mkdtemp(join(tmpdir(), 'postern-keys-'))
    const browser = await launch(kind, folder)
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
    const page = await browser.page(url, () => {})
    const found = await page.evaluate(`(async () => {
      const own = await keys.roomKeys(${JSON.stringify(room)})
      const signature = await own.sign(new TextEncoder().encode('words'))
      return { entry: await own.entry(), signature, members: [...own.members] }
    })()`)
    const own = await roomKeys(room)
    const signature = await own.sign(new TextEncoder().encode('words'))
    t.deepEqual(found, { entry: await own.entry(), signature, members: [...own.members] })
    await browser.close()
    await new Promise(resolve => server.close(resolve))
    await rm(folder, { recursive: true, force: true })
  })
}
