// A relay alone, in a process of its own, whose sessions are latched from the beginning: session i between 127.0.0.1:CALLERS+i and
// 127.0.0.1:CALLEES+i, both at one port. It says `ready` on a line, and on SIGUSR2 what it has counted.
//
//   node bench/relaying/serve.ts ENGINE THREADS PORT SESSIONS CALLERS CALLEES [BITS_PER_SECOND]

import { pino } from 'pino'
import { openUdp } from '../../src/gateway/relay/engine.ts'
import { LocalRelay } from '../../src/gateway/relay/relay.ts'
import { sideNames } from '../../src/wire/side.ts'

const [engine = 'auto', ...numbers] = process.argv.slice(2)
const [threads = 1, port = 3478, sessions = 8, callers = 20_000, callees = 30_000, bitsPerSecond = 1e12] =
  numbers.map(Number)
const config = {
  listen: { udp: { addresses: ['127.0.0.1'], ports: [port], public: [] } },
  relay: { engine, threads },
  limits: { sessions: Math.max(1000, sessions + 1) }
} as unknown as Parameters<typeof openUdp>[0]
const { udp, fast, engine: name } = await openUdp(config, pino({ level: 'silent' }))
const relay = new LocalRelay({ maxSessions: 2 * config.limits.sessions, fast, idleMs: 600_000 })
udp.onDatagram = (at, source, datagram) => {
  if (relay.forward(at, source, datagram)) return
  // It came to another thread than the first.
  const isCaller = source.port < callees
  const session = source.port - (isCaller ? callers : callees)
  void relay.latch(String(session), isCaller ? 'caller' : 'callee', at, source)
}
const limits = { perSession: bitsPerSecond, perPeer: bitsPerSecond, total: bitsPerSecond }
const [at] = udp.ports
if (!at) throw new Error('no port')
for (let session = 0; session < sessions; session++) {
  const holder = { network: `10.0.${session}`, certificate: String(session) }
  await relay.arm(String(session), { caller: `a${session}`, callee: `b${session}` }, limits, holder)
  for (const side of sideNames) {
    const source = { address: '127.0.0.1', port: (side === 'caller' ? callers : callees) + session }
    if (!(await relay.latch(String(session), side, at, source))) throw new Error(`session ${session} is not latched`)
  }
}
process.on('SIGUSR2', async () => console.log(JSON.stringify(await relay.totals())))
process.on('SIGTERM', () => process.exit())
console.log(`ready ${name}`)
setInterval(() => {}, 60_000)
