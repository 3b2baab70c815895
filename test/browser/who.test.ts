// Who the tabs of one browser are in rooms, in real browsers on loopback: each is a guest of its own, and the same one when it is loaded
// again. Skipped where there is no browser of that kind, unless POSTERN_LAB=required.

import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import test from 'ava'
import { build } from 'esbuild'
import { bundle } from '../../tools/bundle.ts'
import { endNative } from '../end-native.ts'
import { until } from '../until.ts'
import { World } from '../world.ts'
import { type Kind, launch, missing, type Page } from './browsers.ts'

test.after.always(endNative)

/** What the page of a call has beside the module. */
async function besides(): Promise<string> {
  const { outputFiles } = await build({
    stdin: {
      contents: "export { entryBy } from './peer/room/entry.ts'; export { databaseFor } from './call/model/who.ts'",
      resolveDir: fileURLToPath(new URL('../../src', import.meta.url)),
      loader: 'ts'
    },
    ...{ bundle: true, write: false, format: 'esm', platform: 'browser', logLevel: 'silent' }
  })
  return outputFiles[0]?.text ?? ''
}

/** A browser whose tabs have both modules. */
async function opened(kind: Kind): Promise<{ tab(): Promise<Page> } & AsyncDisposable> {
  const modules: Record<string, string> = { '/postern.js': await bundle(), '/besides.js': await besides() }
  const server = createServer(({ url = '' }, response) => {
    response.setHeader('content-type', url in modules ? 'text/javascript' : 'text/html')
    response.end(modules[url] ?? '<!doctype html>')
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const folder = await mkdtemp(join(tmpdir(), 'postern-who-'))
  const browser = await launch(kind, folder)
  const { port } = server.address() as AddressInfo
  return {
    tab: () => browser.page(`http://127.0.0.1:${port}/`, () => {}),
    async [Symbol.asyncDispose]() {
      await browser.close()
      await new Promise(resolve => server.close(resolve))
      await rm(folder, { recursive: true, force: true })
    }
  }
}

/** Firefox sends nothing from its host's address to 127.0.0.1. */
const ownAddress = (): string =>
  Object.values(networkInterfaces())
    .flatMap((all = []) => all)
    .find(({ family, internal }) => family === 'IPv4' && !internal)?.address ?? '127.0.0.1'

/** Enters a room as the page of a call does. Resolves with the fingerprint. */
const enters = (page: Page, link: string): Promise<unknown> =>
  page.evaluate(`(async () => {
    const [{ join }, { entryBy, databaseFor }] = await Promise.all([import('/postern.js'), import('/besides.js')])
    const room = await entryBy(${JSON.stringify(link)})
    const onRoster = roster => { window.roster = roster }
    const accept = connection => { window.accepted = connection.path.kind }
    window.keptIn = await databaseFor(room)
    window.peer = await join({ room, keptIn, onRoster, accept })
    return peer.fingerprint
  })()`)

/** The tab as it is once it is loaded again. */
async function reloaded(page: Page): Promise<void> {
  await page.evaluate('(window.isBefore = true, setTimeout(() => location.reload()), null)')
  await until(
    async () => (await page.evaluate('!window.isBefore && document.readyState').catch(() => '')) === 'complete'
  )
}

for (const kind of ['chromium', 'firefox'] as const) {
  const isThere = missing(kind) === undefined || process.env.POSTERN_LAB === 'required'
  const run = isThere ? test.serial : test.serial.skip

  run(`${kind}: two tabs of one browser are two guests of a room, and call each other`, async t => {
    await using world = await World.open({
      more: 'call: { enabled: true }',
      addresses: [ownAddress()],
      ports: [0, 0, 0]
    })
    await using browser = await opened(kind)
    const { link } = await (await world.join('ann')).makeRoom('standup')
    const [one, other] = [await browser.tab(), await browser.tab()]
    const first = await enters(one, link)
    const second = await enters(other, link)
    t.not(first, second)
    const waiting = () => one.evaluate('window.roster.members.find(({ isIn }) => !isIn)?.id ?? null')
    await one.evaluate(`window.peer.admit(${JSON.stringify(await until(waiting))})`)
    await until(() => other.evaluate('window.roster.isIn'))
    t.like(
      await other.evaluate(`(async () => {
        const name = window.roster.members.find(member => member.name !== peer.name).name
        const { peer: far, path } = await peer.connect({ name, signal: AbortSignal.timeout(20000) })
        return { fingerprint: far.fingerprint, kind: path.kind }
      })()`),
      { fingerprint: first as string }
    )
    await until(() => one.evaluate('window.accepted ?? null'))
  })

  run(
    `${kind}: a tab that is loaded again is the same guest, who is let in again; its copy and another room's are others`,
    async t => {
      await using world = await World.open({ more: 'call: { enabled: true }', ports: [0, 0, 0] })
      await using browser = await opened(kind)
      const maker = await world.join('ann')
      const { link } = await maker.makeRoom('standup')
      const { link: elsewhere } = await maker.makeRoom('retro')
      const page = await browser.tab()
      const first = await enters(page, link)
      const bob = await world.enter(link, 'bob')
      const waiting = () => page.evaluate('window.roster.members.find(({ isIn }) => !isIn)?.id ?? null')
      await page.evaluate(`window.peer.admit(${JSON.stringify(await until(waiting))})`)
      await until(() => bob.room?.isIn)
      await reloaded(page)
      t.is(await enters(page, link), first)
      await until(() => page.evaluate('window.roster?.isIn ?? false'))
      // A tab that is duplicated has what the other one keeps.
      const copy = await browser.tab()
      const kept = JSON.stringify(await page.evaluate('({ ...sessionStorage })'))
      await copy.evaluate(`Object.assign(sessionStorage, ${kept})`)
      const second = await enters(copy, link)
      await reloaded(copy)
      t.is(await enters(copy, link), second, 'and stays that one')
      const third = await enters(copy, elsewhere)
      t.is(new Set([first, second, third]).size, 3)
    }
  )

  run(`${kind}: what tabs of another day have kept is gone, unless one of them is there still`, async t => {
    await using world = await World.open({ more: 'call: { enabled: true }', ports: [0, 0, 0] })
    await using browser = await opened(kind)
    const { link } = await (await world.join('ann')).makeRoom('standup')
    const page = await browser.tab()
    await page.evaluate(`(async () => {
      const made = name => new Promise((resolve, reject) => {
        const request = indexedDB.open(name)
        request.onsuccess = () => resolve(request.result.close())
        request.onerror = reject
      })
      for (const [days, who] of [[2, 'gone'], [2, 'there'], [0.5, 'young']])
        await made('postern guest ' + (Date.now() - days * 86400000) + ' ' + who)
      await made('of something else')
      const names = (await indexedDB.databases()).map(({ name }) => name)
      await new Promise(resolve =>
        navigator.locks.request(names.find(name => name.endsWith('there')), () => (resolve(), new Promise(() => {}))))
    })()`)
    await enters(page, link)
    const names = async () =>
      (await page.evaluate('indexedDB.databases().then(all => all.map(({ name }) => name))')) as string[]
    await until(async () => !(await names()).some(name => name.endsWith('gone')))
    const left = await names()
    t.true(left.some(name => name.endsWith('there')) && left.some(name => name.endsWith('young')))
    t.true(left.includes('of something else'))
    t.true(left.includes(String(await page.evaluate('window.keptIn'))))
  })
}
