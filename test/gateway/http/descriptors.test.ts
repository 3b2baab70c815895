import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import test from 'ava'
import { Descriptors } from '../../../src/gateway/http/descriptors.ts'
import { until } from '../../until.ts'

test('a few descriptors are left for what is no connection', t => {
  const at = (free: number | undefined, limit: number) =>
    new Descriptors({ log: { warn: () => {} }, free: () => free, limit }).areShort()
  t.false(at(990, 1024))
  t.true(at(992, 1024))
  t.true(at(undefined, 1024))
  t.false(at(53, 60), 'of a few only a tenth')
  t.true(at(54, 60))
  t.false(at(1e6, Number.POSITIVE_INFINITY))
})

test('that they run out is told once a minute, with the remedy', t => {
  const said: [object, string][] = []
  const descriptors = new Descriptors({ log: { warn: (...words) => void said.push(words) }, limit: 60 })
  for (let turn = 0; turn < 100; turn++) descriptors.tell(true)
  t.is(said.length, 1)
  t.regex(said[0]?.[1] ?? '', /file descriptors run out \(at most 60\).*LimitNOFILE/)
})

test('where the process has few of them, the oldest connection that has not joined goes for the newest, and it is said', async t => {
  const program = fileURLToPath(new URL('starved.ts', import.meta.url))
  const child = spawn('sh', ['-c', `ulimit -n 90 && exec "$0" "$1"`, process.execPath, program], {
    stdio: ['pipe', 'pipe', 'inherit']
  })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const port = Number((await lines.next()).value)
  const idle: Socket[] = []
  for (let index = 0; index < 120; index++) {
    const socket = connect(port, '127.0.0.1').on('error', () => {})
    await once(socket, 'connect')
    idle.push(socket)
  }
  await until(() => idle[0]?.closed)
  t.is((await fetch(`http://127.0.0.1:${port}/healthz`)).status, 200, 'whoever comes now is answered')
  child.stdin.end()
  const { said, starved, open } = JSON.parse((await lines.next()).value ?? 'null')
  t.is(said.length, 1)
  t.regex(said[0], /file descriptors run out \(at most 90\)/)
  t.true(starved > 30, `${starved} closed`)
  t.true(open < 90)
  for (const socket of idle) socket.destroy()
})
