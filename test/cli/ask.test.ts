// The question at the terminal, and what a peer serves to whom.

import { PassThrough } from 'node:stream'
import test from 'ava'
import { type Asking, askAt } from '../../src/cli/ask.ts'
import { serving } from '../../src/cli/serving.ts'
import { Output } from '../../src/cli/text/output.ts'
import { parsePeer } from '../../src/peer/identity/known-peers.ts'
import { pipe } from '../../src/peer/services/pipe.ts'
import { endNative } from '../end-native.ts'
import { connectedPair } from '../peer/loopback.ts'

test.after.always(endNative)

const stranger = { name: 'alice', fingerprint: 'AA:BB', named: true }
const wish = { kind: 'send', words: 'send "note" (3 B)' } as const

function terminal(asking: Partial<Asking> = {}, isTTY = true) {
  const input = Object.assign(new PassThrough(), { isTTY })
  const screen = Object.assign(new PassThrough({ encoding: 'utf8' }), { isTTY })
  const output = new Output({ json: false, stream: screen as unknown as NodeJS.WriteStream })
  const time = { ms: 0 }
  const ask = askAt({ input, output, mayRead: () => true, now: () => time.ms, ...asking })
  return { input, time, ask, shown: () => String(screen.read() ?? '') }
}

test('a person is shown who it is and what it wants, and answers with a line', async t => {
  for (const [line, answer] of [
    ['y', true],
    ['Yes ', true],
    ['', false],
    ['n', false],
    ['yup', false]
  ] as const) {
    const { input, time, ask, shown } = terminal()
    const answered = ask?.(stranger, wish, new AbortController().signal)
    t.regex(shown(), /alice.* wants to send "note" \(3 B\)\. [^\n]+\n {2}alice@aabb\n/)
    time.ms = 1000
    input.write(`${line}\n`)
    t.is(await answered, answer)
  }
})

test('what was typed before the question is no answer, nor is the end of the input', async t => {
  const early = terminal()
  early.input.write('y\n')
  const answered = early.ask?.(stranger, wish, new AbortController().signal)
  await new Promise(setImmediate)
  early.time.ms = 1000
  early.input.write('n\n')
  t.false(await answered)
  const ended = terminal()
  ended.input.end()
  t.false(await ended.ask?.(stranger, wish, new AbortController().signal))
})

test('a question is withdrawn when the other peer is gone', async t => {
  const { ask, shown } = terminal()
  const gone = new AbortController()
  const answered = ask?.(stranger, wish, gone.signal)
  gone.abort(new Error('gone'))
  await t.throwsAsync(answered ?? Promise.resolve(), { message: 'gone' })
  t.regex(shown(), /alice.* is not waited for any more\n$/)
})

test('without a terminal nobody is asked, and in the background that is said', async t => {
  t.is(terminal({}, false).ask, undefined)
  const { ask } = terminal({ mayRead: () => false })
  await t.throwsAsync(ask?.(stranger, wish, new AbortController().signal) ?? Promise.resolve(), {
    message: /runs in the background and cannot ask its owner; start it with --from/
  })
})

test('a pipe of somebody who may not is refused, and does not end the command', async t => {
  const { alice, bob } = await connectedPair()
  const over = Promise.withResolvers<void>()
  const said = new PassThrough()
  const run = {
    output: new Output({ json: true, stream: said as unknown as NodeJS.WriteStream }),
    signal: new AbortController().signal,
    endsWith: () => {}
  }
  const onConnection = await serving({ pipe: true, from: [parsePeer(`carol@${'c0'.repeat(32)}`)] }, run, over, {
    isAway: false
  })
  onConnection(bob)
  const stream = await alice.open('pipe')
  const input = new PassThrough()
  input.write('a stranger’s words')
  await t.throwsAsync(pipe(stream, input, new PassThrough()), {
    message: /^peer bob: --from names others, and not alice@/
  })
  t.regex(String(said.read()), /"event":"failed","peer":"alice","code":"io"/)
  t.is(await Promise.race([over.promise, Promise.resolve('waiting')]), 'waiting')
  await Promise.all([alice.close(), bob.close()])
})
