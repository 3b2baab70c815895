import { once } from 'node:events'
import { createServer, type Server, type ServerResponse } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { Readable } from 'node:stream'
import { connect as connectTls } from 'node:tls'
import test from 'ava'
import { Answers, type Patience } from '../../../src/gateway/http/answers.ts'
import { piecesOf } from '../../../src/gateway/http/in-pieces.ts'
import { authority, certified } from '../../peer/tls.ts'
import { until } from '../../until.ts'
import { World } from '../../world.ts'

/** More than the buffers of both kernels take. */
const LARGE = Buffer.alloc(32 * 2 ** 20)

for (const over of ['TCP', 'TLS'] as const) {
  test(`whoever reads nothing of its answers over ${over} is disconnected, and gives back what it took`, async t => {
    // A request that a busy machine reads late is none yet, and its connection is closed without being counted.
    await using served = await serve({ stallMs: 500 }, response => response.end(LARGE), over)
    for (let turn = 0; turn < 2; turn++) {
      const deaf = served.ask(50)
      deaf.pause()
      await until(() => served.answers.counters.unread === turn + 1, 20_000)
      deaf.destroy()
      await until(() => deaf.closed)
    }
    t.is(served.answers.counters.busy, 0, 'the second fifty found room as the first had')
  })

  test(`whoever reads on slowly over ${over} is not disconnected for that`, async t => {
    const stallMs = 1500
    await using served = await serve({ stallMs }, response => Readable.from(piecesOf(LARGE)).pipe(response), over)
    const slow = served.ask(1)
    const endMs = performance.now() + 2.2 * stallMs
    while (performance.now() < endMs) {
      slow.pause()
      await new Promise(resolve => setTimeout(resolve, 20))
      slow.resume()
      await once(slow, 'data')
    }
    t.true(slow.bytesRead < LARGE.length)
    t.deepEqual(served.answers.counters, { busy: 0, unread: 0 })
    slow.destroy()
  })
}

test('no answer takes longer than its time in all', async t => {
  await using served = await serve({ wholeMs: 50 }, () => {})
  await once(served.ask(1).resume(), 'close')
  t.is(served.answers.counters.unread, 1)
})

test('fifty requests of one network may be under way, the next is refused and ends its connection, and others are answered', async t => {
  const waiting: ServerResponse[] = []
  await using served = await serve({}, response => void waiting.push(response))
  const greedy = served.ask(200)
  await until(() => waiting.length === 50)
  t.is(served.answers.counters.busy, 1)
  served.ask(1, 'b')
  await until(() => waiting.length === 51)
  for (const response of waiting) response.end('ok')
  let text = ''
  greedy.on('data', data => (text += data))
  await once(greedy, 'close')
  t.is(text.match(/HTTP\/1.1 200 /g)?.length, 50)
  t.is(text.match(/HTTP\/1.1 429 /g)?.length, 1)
})

test('of a thousand pipelined requests at a gateway fifty are answered, and another source is answered beside them', async t => {
  await using world = await World.open()
  const greedy = connect(world.gateway.http.port, '127.0.0.1').on('error', () => {})
  greedy.write('GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(1000))
  let text = ''
  greedy.on('data', data => (text += data))
  await once(greedy, 'close')
  t.true((text.match(/HTTP\/1.1 200 /g)?.length ?? 0) < 1000)
  t.regex(text, /HTTP\/1.1 429 [\s\S]*"code":"relay-full"/)
  t.is((await fetch(`${world.url}/healthz`)).status, 200)
  t.is((await world.gateway.status()).http.busy, 1)
})

/** A server whose requests say in their path what network they come from. */
async function serve(patience: Patience, answer: (response: ServerResponse) => void, over: 'TCP' | 'TLS' = 'TCP') {
  const server = over === 'TLS' ? createSecureServer(certified) : createServer()
  const answers = new Answers(server as Server, patience)
  server.on('request', (request, response) => {
    if (answers.isOver(request.socket)) return
    if (answers.begin(request, response, request.url ?? '')) answer(response)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    answers,
    /** Sends so many requests in one write. */
    ask(count: number, network = 'a'): Socket {
      const at = { port: (server.address() as AddressInfo).port, host: '127.0.0.1' }
      const socket = over === 'TLS' ? connectTls({ ...at, ca: authority }) : connect(at)
      socket.on('error', () => {})
      socket.write(`GET /${network} HTTP/1.1\r\nHost: x\r\n\r\n`.repeat(count))
      return socket
    },
    async [Symbol.asyncDispose]() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    }
  }
}
