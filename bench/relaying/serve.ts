// A relay alone, in a process of its own, whose sessions are latched from the beginning: session i between 127.0.0.1:CALLERS+i and
// 127.0.0.1:CALLEES+i, both at one port; each 10,000 of them have an address of their own. It says `ready` on a line, and on SIGUSR2
// what it has counted.
//
//   node bench/relaying/serve.ts JSON

import { setTimeout as sleep } from 'node:timers/promises'
import { pino } from 'pino'
import { openUdp } from '../../src/gateway/relay/engine.ts'
import { LocalRelay } from '../../src/gateway/relay/relay.ts'
import type { RelayLimits } from '../../src/strategy/plan.ts'
import { sideNames } from '../../src/wire/side.ts'

export interface Serving {
  readonly engine: 'batch' | 'dgram'
  readonly threads: number
  readonly port: number
  readonly sessions: number
  readonly callers: number
  readonly callees: number
  /** Left out: none that anything comes near. */
  readonly limits?: RelayLimits
  /** So many of the first sessions belong to one holder, and each other one to its own; left out: none. */
  readonly ofOne?: number
  /** For so many sessions there are tables; left out: for those that there are. */
  readonly most?: number
}

const PORTS = 10_000
/** Of SHA-256, in hexadecimal with colons. */
const FINGERPRINT_CHARACTERS = 95
const wide: RelayLimits = { perSession: 1e12, perPeer: 1e12, total: 1e12 }

async function serve({ engine, threads, port, callers, callees, limits = wide, ...given }: Serving): Promise<void> {
  const { sessions, ofOne = 0, most = Math.max(1000, given.sessions + 1) } = given
  const config = {
    listen: { udp: { addresses: ['127.0.0.1'], ports: [port], public: [] } },
    relay: { engine, threads },
    limits: { sessions: most }
  } as unknown as Parameters<typeof openUdp>[0]
  const { udp, fast } = await openUdp(config, pino({ level: 'silent' }))
  const relay = new LocalRelay({ maxSessions: 2 * most, fast, idleMs: 600_000 })
  udp.onDatagram = (at, source, datagram) => {
    if (relay.forward(at, source, datagram)) return
    // It came to another thread than the first.
    const isCaller = source.port < callees
    const session = source.port - (isCaller ? callers : callees)
    void relay.latch(String(session), isCaller ? 'caller' : 'callee', at, source)
  }
  const [at] = udp.ports
  if (!at) throw new Error('no port')
  for (let session = 0; session < sessions; session++) {
    const owner = session < ofOne ? 'one' : String(session)
    const holder = { network: `10.0.${owner}`, certificate: owner.padStart(FINGERPRINT_CHARACTERS, '0') }
    await relay.arm(String(session), { caller: `a${session}`, callee: `b${session}` }, limits, holder)
    const address = `127.0.0.${1 + Math.floor(session / PORTS)}`
    for (const side of sideNames) {
      const source = { address, port: (side === 'caller' ? callers : callees) + (session % PORTS) }
      if (!(await relay.latch(String(session), side, at, source))) throw new Error(`session ${session} is not latched`)
    }
  }
  process.on('SIGUSR2', async () => console.log(JSON.stringify(await relay.totals())))
  process.on('SIGTERM', () => process.exit())
  // The threads have taken their sessions by then, and what was let go of is given back.
  if (globalThis.gc) await sleep(2_000)
  globalThis.gc?.({ type: 'major', execution: 'sync', flavor: 'last-resort' })
  console.log('ready')
  setInterval(() => {}, 60_000)
}

if (process.argv[2]) await serve(JSON.parse(process.argv[2]) as Serving)
