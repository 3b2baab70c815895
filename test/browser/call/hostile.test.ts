// What a member of a room may send who is no page: a peer in Node that has the link and says on the stream of a page whatever it likes.

import type { ExecutionContext } from 'ava'
import {
  CHAT_CHARACTERS,
  CHAT_KEPT,
  FILES_OFFERED,
  LINE_BYTES,
  LINES_BURST,
  LINES_PER_SECOND,
  NAME_CHARACTERS
} from '../../../src/call/model/limits.ts'
import { strings } from '../../../src/call/words/strings.ts'
import type { Connection } from '../../../src/peer/connection/connection.ts'
import type { Stream } from '../../../src/peer/connection/streams/stream.ts'
import { until } from '../../until.ts'
import { Loopback, type OwnPage, pageTest } from './loopback.ts'

const { call, chat, controls } = strings

/** The hostile one: how it is connected to the page now, and the stream of lines. */
interface Eve {
  readonly connection: Connection
  readonly stream: Stream
  /** What the page has said on it. */
  readonly heard: readonly { readonly type: string; readonly id?: number }[]
  says(...lines: readonly object[]): void
}

const about = { type: 'about', v: 1, name: 'Eve', microphone: true, picture: 'none' } as const

/** Enters, is let in, and has the stream of lines, whoever of the two calls. */
async function joins(loopback: Loopback, ann: OwnPage): Promise<Eve> {
  const { promise, resolve } = Promise.withResolvers<{ connection: Connection; stream: Stream }>()
  const eve = await loopback.world.enter(loopback.link, 'eve', {
    onConnection: connection => connection.serve('call', async stream => resolve({ connection, stream }))
  })
  await ann.press(call.admit)
  await until(() => eve.room?.isIn)
  const ids = eve.room?.members ?? []
  const [own, other] = [ids.find(({ name }) => name === eve.name), ids.find(({ name }) => name !== eve.name)]
  if (own && other && own.id < other.id) {
    const connection = await eve.connect({ name: other.name })
    resolve({ connection, stream: await connection.open('call') })
  }
  const { connection, stream } = await promise
  const heard: Eve['heard'][number][] = []
  stream.on('error', () => {})
  let rest = ''
  stream.on('data', (bytes: Buffer) => {
    const lines = (rest + bytes).split('\n')
    rest = lines.pop() ?? ''
    heard.push(...lines.map(line => JSON.parse(line)))
  })
  return {
    connection,
    stream,
    heard,
    says: (...lines) => void stream.write(lines.map(line => `${JSON.stringify(line)}\n`).join(''))
  }
}

/** Nothing of what was sent has run, and the page still does what it is told. */
async function isWell(t: ExecutionContext, ann: OwnPage): Promise<void> {
  t.is(await ann.run('return globalThis.hurt ?? null'), null)
  await ann.press(controls.mute)
  await ann.press(controls.unmute)
  t.deepEqual(await ann.complaints(), [])
}

const script = '<img src=x onerror="globalThis.hurt=1"><script>globalThis.hurt=1</script>'

pageTest('what looks like HTML is shown as it is written, and names are cut', async t => {
  await using loopback = await Loopback.open()
  const ann = await loopback.hasInside('Ann')
  const eve = await joins(loopback, ann)
  eve.says({ ...about, name: script })
  await ann.tileSays(script.slice(0, NAME_CHARACTERS), strings.badge.direct)
  await ann.press(controls.chat)
  eve.says(
    { type: 'chat', text: `${script}\n\u202Eend` },
    { type: 'file', id: 1, name: `..\u202E/${script}`, size: 1e9 }
  )
  await ann.says(script, '_img src=x onerror=_globalThis.hurt=1')
  eve.says({ type: 'chat', text: 'x'.repeat(CHAT_CHARACTERS + 100) })
  const longest = `Math.max(...[...document.querySelectorAll('.entry .text')].map(({ textContent }) => textContent.length))`
  await ann.run(`await tools.when('a long text', () => ${longest} >= 4000)`)
  t.is(await ann.run(`return ${longest}`), CHAT_CHARACTERS)
  t.true((await ann.run('return document.documentElement.scrollWidth <= innerWidth')) as boolean)
  await isWell(t, ann)
})

pageTest('thousands of lines come at the pace of a page, and what is no line is dropped', async t => {
  await using loopback = await Loopback.open()
  const ann = await loopback.hasInside('Ann')
  const eve = await joins(loopback, ann)
  await ann.press(controls.chat)
  eve.stream.write('\n\n{}\nnull\n[[[[\n{"type":"chat","text":{"a":1}}\n{"type":"about"}\n{"type":"take","id":7}\n')
  eve.stream.write(Buffer.from([0xff, 0xfe, 0x0a, 0xc3, 0x28, 0x0a]))
  const startMs = performance.now()
  for (let turn = 0; turn < 50; turn++)
    eve.says(...Array.from({ length: 100 }, (_, at) => ({ type: 'chat', text: `flood ${turn * 100 + at}` })))
  await isPaced(t, eve, ann, startMs)
  await isWell(t, ann)
})

pageTest('a line that is too long ends the connection that it came by, and not the call', async t => {
  await using loopback = await Loopback.open()
  const ann = await loopback.hasInside('Ann')
  const eve = await joins(loopback, ann)
  eve.says(about)
  await ann.tileSays('Eve', strings.badge.direct)
  eve.stream.write('a'.repeat(LINE_BYTES + 1))
  await until(() => eve.connection.closed.aborted, 10_000)
  await isWell(t, ann)
  await ann.says(call.people(2))
})

pageTest(
  'files with other sizes than were offered are broken, more than some are refused, and what was not offered is not sent',
  async t => {
    await using loopback = await Loopback.open()
    const ann = await loopback.hasInside('Ann')
    const eve = await joins(loopback, ann)
    await ann.press(controls.chat)
    eve.says(
      { type: 'take', id: 0 },
      { type: 'take', id: 12_345 },
      { type: 'withdraw', id: 99 },
      { type: 'refuse', id: 5 }
    )
    eve.says({ type: 'file', id: 0, name: 'huge', size: 1e15 }, { type: 'file', id: 0, name: 'less', size: -1 })
    for (const [id, bytes] of [
      [1, 100_000],
      [2, 10]
    ] as const) {
      eve.says({ type: 'file', id, name: `file-${id}`, size: 1000 })
      await ann.press(chat.accept)
      await until(() => eve.heard.some(line => line.type === 'take' && line.id === id))
      const stream = await eve.connection.open(`file ${id}`)
      stream.on('error', () => {})
      stream.resume()
      stream.end(Buffer.alloc(bytes))
      await ann.says(`file-${id}: ${chat.broken}`)
    }
    t.is(await ann.run('return tools.saved.length'), 0)
    const ids = Array.from({ length: FILES_OFFERED + 3 }, (_, at) => 10 + at)
    eve.says(...ids.map(id => ({ type: 'file', id, name: `many-${id}`, size: 5 })))
    await until(() => eve.heard.filter(({ type }) => type === 'refuse').length === 3)
    await ann.says(`many-${10 + FILES_OFFERED - 1}`)
    t.is(await ann.run(`return document.querySelectorAll('.entry button.first').length`), FILES_OFFERED)
    // The same number once more is no other file.
    eve.says({ type: 'file', id: 10, name: 'twice', size: 5 })
    await until(() => eve.heard.filter(({ type }) => type === 'refuse').length === 4)
    t.false((await ann.run('return tools.said().includes("twice")')) as boolean)
    await isWell(t, ann)
  }
)

pageTest('streams that no page opens break nothing, and many of lines together have the pace of one', async t => {
  await using loopback = await Loopback.open()
  const ann = await loopback.hasInside('Ann')
  const eve = await joins(loopback, ann)
  await ann.press(controls.chat)
  const startMs = performance.now()
  for (const label of ['nothing', 'file 3', 'watch', ...Array.from({ length: 6 }, () => 'call')]) {
    const stream = await eve.connection.open(label).catch(() => undefined)
    stream?.on('error', () => {})
    stream?.resume()
    const lines = Array.from({ length: 30 }, (_, at) => JSON.stringify({ type: 'chat', text: `${label} ${at}` }))
    stream?.write(`${lines.join('\n')}\n`)
  }
  await isPaced(t, eve, ann, startMs)
  await isWell(t, ann)
})

/** Once it may speak again, what it says then is heard; by then no more was shown than may be said. */
async function isPaced(t: ExecutionContext, eve: Eve, ann: OwnPage, startMs: number): Promise<void> {
  const isHeard = await until(async () => {
    eve.says({ type: 'chat', text: 'the last one' })
    return await ann.run('return tools.said().includes("the last one")')
  }, 15_000)
  t.is(isHeard, true)
  const shown = (await ann.run(`return document.querySelectorAll('.entry .text').length`)) as number
  const most = LINES_BURST + (LINES_PER_SECOND * (performance.now() - startMs)) / 1000 + 1
  t.true(shown > 0 && shown <= most && shown <= CHAT_KEPT, `${shown} of at most ${most}`)
}
