// Pages as guests of a room, in real browsers on loopback: their keys are those of Node; they enter, let others in, and send away.

import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import test from 'ava'
import { build } from 'esbuild'
import type { Connection } from '../../src/peer/connection/connection.ts'
import { roomKeys } from '../../src/wire/room/keys.ts'
import { bundle } from '../../tools/bundle.ts'
import { endNative } from '../end-native.ts'
import { until } from '../until.ts'
import { World } from '../world.ts'
import { type Kind, launch, missing, type Page } from './browsers.ts'

test.after.always(endNative)

interface Roster {
  readonly isIn: boolean
  readonly inside: number
  readonly members: readonly { readonly id: string; readonly name: string; readonly isIn: boolean }[]
}

/** What a page needs beside the module to enter a room, as one of its own has it. */
async function entryModule(): Promise<string> {
  const { outputFiles } = await build({
    stdin: {
      contents: "export { entryBy } from './peer/room/entry.ts'; export { roomKeys } from './wire/room/keys.ts'",
      resolveDir: fileURLToPath(new URL('../../src', import.meta.url)),
      loader: 'ts'
    },
    ...{ bundle: true, write: false, format: 'esm', platform: 'browser', logLevel: 'silent' }
  })
  return outputFiles[0]?.text ?? ''
}

/** A blank page in a browser, from a server that has both modules. */
async function opened(kind: Kind): Promise<{ page: Page } & AsyncDisposable> {
  const modules: Record<string, string> = { '/postern.js': await bundle(), '/entry.js': await entryModule() }
  const server = createServer(({ url = '' }, response) => {
    response.setHeader('content-type', url in modules ? 'text/javascript' : 'text/html')
    response.end(modules[url] ?? '<!doctype html>')
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const folder = await mkdtemp(join(tmpdir(), 'postern-room-'))
  const browser = await launch(kind, folder)
  const page = await browser.page(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`, () => {})
  return {
    page,
    async [Symbol.asyncDispose]() {
      await browser.close()
      await new Promise(resolve => server.close(resolve))
      await rm(folder, { recursive: true, force: true })
    }
  }
}

/** An address of this host that is not on loopback, where Firefox has no socket. */
function ownAddress(): string {
  const all = Object.values(networkInterfaces()).flatMap(addresses => addresses ?? [])
  return all.find(({ family, internal }) => family === 'IPv4' && !internal)?.address ?? '127.0.0.1'
}

for (const kind of ['chromium', 'firefox'] as const) {
  const isThere = missing(kind) === undefined || process.env.POSTERN_LAB === 'required'
  const run = isThere ? test.serial : test.serial.skip

  run(`${kind} has the same keys of a room as Node`, async t => {
    await using browser = await opened(kind)
    const room = { name: 'Standup', secret: 'AAECAwQFBgcICQoLDA0ODw' }
    const found = await browser.page.evaluate(`(async () => {
      const { roomKeys } = await import('/entry.js')
      const { entry, members, sign } = await roomKeys(${JSON.stringify(room)})
      return { entry: await entry(), members: [...members], signature: await sign(new TextEncoder().encode('words')) }
    })()`)
    const { entry, members, sign } = await roomKeys(room)
    const signature = await sign(new TextEncoder().encode('words'))
    t.deepEqual(found, { entry: await entry(), members: [...members], signature })
  })

  run(`${kind}: a page and a guest in Node have the same words, whoever calls, and bytes pass`, async t => {
    const addresses = [ownAddress()]
    await using world = await World.open({ more: 'call: { enabled: true }', addresses, ports: [0, 0, 0] })
    await using browser = await opened(kind)
    const { page } = browser
    const { link } = await (await world.join('ann')).makeRoom('standup')
    const arrived = Promise.withResolvers<Connection>()
    const bob = await world.enter(link, 'bob', {
      onConnection: connection => {
        connection.serve('echo', stream => void stream.pipe(stream))
        arrived.resolve(connection)
      }
    })
    await page.evaluate(`(async () => {
      const [{ join }, { entryBy }] = await Promise.all([import('/postern.js'), import('/entry.js')])
      window.peer = await join({
        room: await entryBy(${JSON.stringify(link)}),
        accept: connection => { window.accepted = connection }
      })
    })()`)
    const waiting = await until(() => bob.room?.members.find(({ isIn }) => !isIn))
    bob.room?.admit(waiting.id)
    await until(() => bob.room?.inside === 2)
    const [words, echoed] = (await page.evaluate(`(async () => {
      const connection = await window.peer.connect({ name: ${JSON.stringify(bob.name)} })
      const { readable, writable } = await connection.open('echo')
      const writer = writable.getWriter()
      await writer.write(new TextEncoder().encode('hello'))
      writer.close()
      return [connection.words, await new Response(readable).text()]
    })()`)) as [unknown, string]
    t.is(echoed, 'hello')
    const called = await arrived.promise
    t.is(called.words?.length, 4)
    t.deepEqual(words, called.words)
    const back = await bob.connect({ name: waiting.name })
    const theirs = await until(async () => (await page.evaluate('window.accepted?.words ?? null')) ?? undefined)
    t.deepEqual(theirs, back.words)
    t.notDeepEqual(theirs, words)
  })

  run(`${kind}: a page enters a room by its link, says who is let in, and is inside again after a restart`, async t => {
    await using world = await World.open({ more: 'call: { enabled: true }', ports: [0, 0, 0] })
    await using browser = await opened(kind)
    const { page } = browser
    const { link } = await (await world.join('ann')).makeRoom('standup')
    await page.evaluate(`(async () => {
      const [{ join }, { entryBy }] = await Promise.all([import('/postern.js'), import('/entry.js')])
      window.enter = async link => await join({
        room: await entryBy(link),
        onState: state => { window.state = state.joined ? 'joined' : state.error.code + ' ' + state.final },
        onRoster: roster => { window.roster = roster }
      })
      window.peer = await window.enter(${JSON.stringify(link)})
    })()`)
    const seen = (isIt: (roster: Roster) => boolean) =>
      until(async () => {
        const roster = (await page.evaluate('window.roster ?? null')) as Roster | null
        return roster !== null && isIt(roster) ? roster : undefined
      }, 20_000)
    t.is((await seen(({ isIn }) => isIn)).inside, 1)
    const bob = await world.enter(link, 'bob')
    const { members } = await seen(({ members }) => members.length === 2)
    t.is(members[1]?.name, bob.name)
    await page.evaluate(`window.peer.admit(${JSON.stringify(members[1]?.id)})`)
    await until(() => bob.room?.isIn)
    const eve = await world.enter(link, 'eve')
    const waiting = (await seen(({ members }) => members.length === 3)).members[2]
    await page.evaluate(`window.peer.turnAway(${JSON.stringify(waiting?.id)})`)
    await seen(({ members }) => members.length === 2)
    t.false(eve.room?.isIn)
    await page.evaluate('delete window.roster')
    await world.gateway.close()
    await world.start()
    t.true((await seen(({ inside }) => inside === 2)).isIn)
    const maker = await world.join('ann')
    await maker.closeRoom('standup')
    await until(async () => (await page.evaluate('window.state')) === 'no-room true')
    const again = `window.enter(${JSON.stringify(link)}).catch(({ code }) => code)`
    t.is(await page.evaluate(again), 'no-room')
  })
}
