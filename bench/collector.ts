// What a collector gets that is away for two minutes, of a gateway at which a connection is made each second. For the first minute nothing
// listens where it should be, and for the second one it answers, and takes nothing. Then every span that the gateway has recorded is
// looked for among those that have arrived.
//
//   node bench/collector.ts [--seconds 120] [--otelcol PATH]
//
// PATH is an OpenTelemetry Collector that has the receiver `otlp` and the exporter `otlphttp`. It stands between the gateway and the
// receiver that counts, is ended for the first minute, and is refused by what is behind it for the second one. Without it the
// receiver itself goes, and asks for seven seconds.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { loadIdentity } from '../src/peer/identity/identity.ts'
import { KnownPeers } from '../src/peer/identity/known-peers.ts'
import { Peer } from '../src/peer/peer.ts'
import { Collector } from '../test/trace/export/collector.ts'
import { goal } from './means/figures.ts'
import { openGatewayProcess } from './means/gateway-process.ts'

const { values } = parseArgs({ options: { seconds: { type: 'string', default: '120' }, otelcol: { type: 'string' } } })
const awayMs = Number(values.seconds) * 1000

/** From one connection to the next. */
const PACE_MS = 1000
/** While all is well, before and after. */
const WELL_MS = 10_000
/** The longest wait between two tries is 30 s and a fifth of it. */
const RECOVERY_MS = 60_000

const config = `
listen: { http: '127.0.0.1:0', udp: { addresses: [127.0.0.1, 127.0.0.2], ports: [0, 0] } }
strategies: [direct, relay]
`

/** Where the gateway sends to. */
interface Front extends AsyncDisposable {
  readonly url: string
  start(): Promise<void>
  stop(): Promise<void>
}

/** An OpenTelemetry Collector that hands everything on to the receiver, and keeps nothing of its own. */
class Otelcol implements Front {
  readonly #argv: readonly string[]
  readonly #port: number
  #process: ChildProcess | undefined

  private constructor(argv: readonly string[], port: number) {
    this.#argv = argv
    this.#port = port
  }

  static async open(program: string, to: string): Promise<Otelcol> {
    const port = await freePort()
    const file = join(folder, 'otelcol.yaml')
    await writeFile(
      file,
      `receivers: { otlp: { protocols: { http: { endpoint: '127.0.0.1:${port}' } } } }
exporters: { otlphttp: { endpoint: '${to}', compression: none, sending_queue: { enabled: false }, retry_on_failure: { enabled: false } } }
service:
  telemetry: { metrics: { level: none }, logs: { level: fatal } }
  pipelines: { traces: { receivers: [otlp], exporters: [otlphttp] } }
`
    )
    const front = new Otelcol([program, '--config', file], port)
    await front.start()
    return front
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`
  }

  async start(): Promise<void> {
    const [program = '', ...argv] = this.#argv
    this.#process = spawn(program, argv, { stdio: ['ignore', 'inherit', 'inherit'] })
    const endMs = performance.now() + RECOVERY_MS
    while (!(await listens(this.#port))) {
      if (this.#process.exitCode !== null || performance.now() > endMs) throw new Error(`${program} does not start`)
      await sleep(100)
    }
  }

  async stop(): Promise<void> {
    if (!this.#process || this.#process.exitCode !== null) return
    this.#process.kill('SIGTERM')
    await once(this.#process, 'exit')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }
}

const folder = await mkdtemp(join(tmpdir(), 'postern-collector-'))
await using opened = new AsyncDisposableStack()
opened.defer(() => rm(folder, { recursive: true }))
const receiver = opened.use(await Collector.open())
const front: Front = values.otelcol ? opened.use(await Otelcol.open(values.otelcol, receiver.url)) : receiver
const gateway = opened.use(openGatewayProcess())
const door = await gateway.do('open', { config, collector: front.url })
const joined = async (name: string): Promise<Peer> =>
  await Peer.join({
    ...{ gateway: door.url, token: door.token, name, accepts: true, insecure: false },
    identity: await loadIdentity(join(folder, name)),
    known: new KnownPeers(join(folder, name))
  })
const [callee, caller] = [await joined('callee'), await joined('caller')]

let [connections, failures] = [0, 0]
await connectFor(WELL_MS)
await front.stop()
console.log(`nothing listens there for ${awayMs / 2000} s`)
await connectFor(awayMs / 2)
receiver.status = 503
receiver.says = { 'retry-after': '7' }
await front.start()
console.log(`it takes nothing for ${awayMs / 2000} s`)
await connectFor(awayMs / 2)
const atWorst = (await gateway.do('status', {}))?.collector
receiver.status = 200
const backMs = performance.now()
await connectFor(WELL_MS)
await caller.close()
await callee.close()
await settle()
await judge()
await opened.disposeAsync()
process.exit()

async function connectFor(forMs: number): Promise<void> {
  const endMs = performance.now() + forMs
  while (performance.now() < endMs) {
    const startMs = performance.now()
    // One that fails on a busy computer has its spans as well.
    const connection = await caller.connect({ name: 'callee' }).catch(() => undefined)
    await connection?.close()
    if (connection) connections++
    else failures++
    await sleep(Math.max(0, PACE_MS - (performance.now() - startMs)))
  }
}

/** Until nothing waits any more. */
async function settle(): Promise<void> {
  const endMs = performance.now() + RECOVERY_MS
  while ((await gateway.do('status', {}))?.collector.waiting !== 0 && performance.now() < endMs) await sleep(100)
  console.log(`${((performance.now() - backMs) / 1000).toFixed(1)} s after it was back, nothing waited any more`)
}

async function judge(): Promise<void> {
  const status = await gateway.do('status', {})
  const recorded = await gateway.do('spans', {})
  const arrived = receiver.spans.map(({ id }) => id)
  const there = new Set(arrived)
  console.log(
    `${connections} connections, ${failures} failures, ${recorded.length} spans recorded, ${there.size} arrived`
  )
  console.log(`waiting before it was back: ${atWorst?.waiting} spans, ${atWorst?.bytes} bytes in the queue`)
  console.log(`spans ${JSON.stringify(status?.spans)}, tries ${JSON.stringify(status?.collector)}`)
  goal('spans recorded and not arrived', recorded.filter(id => !there.has(id)).length, { atMost: 0 })
  goal('spans that arrived twice', arrived.length - there.size, { atMost: 0 })
  goal('spans counted as exported and not arrived', (status?.spans.exported ?? 0) - there.size, { atMost: 0 })
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}

/** Whether something listens there. */
function listens(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(port, '127.0.0.1')
    const told = (answer: boolean) => {
      socket.destroy()
      resolve(answer)
    }
    socket.once('connect', () => told(true)).once('error', () => told(false))
  })
}
