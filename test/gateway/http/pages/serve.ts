// The real HTTP side on loopback with made-up traces in it.

import { Access } from '../../../../src/gateway/http/access.ts'
import { type HttpSide, serveHttp } from '../../../../src/gateway/http/http.ts'
import type { GatewayStatus } from '../../../../src/gateway/http/status.ts'
import type { Names } from '../../../../src/gateway/peers/names.ts'
import type { Warning } from '../../../../src/gateway/peers/sources.ts'
import { Proxies } from '../../../../src/gateway/proxy/proxies.ts'
import type { Presence } from '../../../../src/gateway/session/presence.ts'
import type { TraceRecord } from '../../../../src/trace/record/record.ts'
import { matches } from '../../../../src/trace/store/filter.ts'
import type { TraceStore } from '../../../../src/trace/store/store.ts'

const side = {
  ...{ sentBytes: 0, sentDatagrams: 0, queued: 0, delayed: 0, delayedMs: 0, droppedBytes: 0 },
  dropped: { session: 0, peer: 0, network: 0, total: 0, unlatched: 0 }
}

const status = {
  peers: 14,
  sessions: { started: 1204, failed: 31, won: { direct: 210, stun: 702 }, now: 6, relayed: 2 },
  udp: { plain: 12, authenticated: 90_412, unproved: 301, refused: 0, limited: 0, foreign: 118 },
  signalling: { joined: 96, refused: 3, malformed: 0, slowed: 0 },
  probes: { refused: 1 },
  relay: { caller: { ...side, sentBytes: 8_123_456, sentDatagrams: 7012 }, callee: side }
}

/** Of another day, which takes more room. */
const sinceMs = Date.now() - 100_000_000

const present: Presence = {
  peers: Array.from({ length: 14 }, (_, at) => ({
    name: at === 3 ? 'build-runner-with-a-name-as-long-as-names-may-be-sixty-three-chars' : `peer-${at}`,
    sinceMs: sinceMs + at * 60_000,
    accepts: at !== 5,
    reaches: at === 7 ? false : at === 8 ? undefined : true
  })),
  relayed: ['nas', 'bob'].map((callee, at) => ({
    caller: 'alice-laptop',
    callee,
    sinceMs: sinceMs + at * 1_000_000,
    trace: '4bf92f3577b34da6a3ce929d0e0e4736',
    counters: {
      caller: { ...side, sentBytes: 81_234_567 * at },
      callee: { ...side, sentBytes: 4567, droppedBytes: 99, dropped: { ...side.dropped, session: 1_234, total: 5 } }
    },
    doors: at === 0 ? { caller: 'udp', callee: 'tcp' } : undefined,
    rates: {
      caller: { bitsPerSecond: at === 0 ? 4_012_345 : 640, delayMs: at === 0 ? 43.21 : 0 },
      callee: { bitsPerSecond: at === 0 ? 120_000 : 0, delayMs: 0 }
    }
  })) as unknown as Presence['relayed']
}

export interface Served extends AsyncDisposable {
  readonly url: string
  /** What was logged. */
  readonly faults: object[]
}

/** @param records newest first. Open to local requests unless told. */
export async function servePages(
  records: readonly TraceRecord[],
  open: 'loopback' | 'never' = 'loopback',
  warnings: readonly Warning[] = [],
  urls: readonly string[] = [],
  tests?: HttpSide['tests']
): Promise<Served> {
  const traces: Pick<TraceStore, 'get' | 'list'> = {
    get: id => records.filter(record => record.id === id).toReversed(),
    list: filter => records.filter(record => matches(record, filter)).slice(0, filter.limit)
  }
  const faults: object[] = []
  const { local, close } = await serveHttp(
    { address: '127.0.0.1', port: 0 },
    {
      access: new Access({ token: 'the-admin-token', open }),
      traces: traces as TraceStore,
      names: { list: () => [] } as unknown as Names,
      metrics: { contentType: 'text/plain', text: async () => '' },
      status: async () => status as unknown as GatewayStatus,
      present: async () => present,
      warnings: () => warnings,
      peers: () => 100,
      isDraining: () => false,
      calls: false,
      tests,
      urls,
      proxies: new Proxies({ trusted: [], introduces: false, log: { warn: () => {} }, refusalLog: { tell: () => {} } }),
      log: { error: fields => void faults.push(fields), warn: () => {} },
      join: ws => ws.close(),
      doors: { tcp: socket => void socket.destroy(), webSocket: ws => ws.terminate() }
    }
  )
  return { url: `http://127.0.0.1:${local.port}`, faults, [Symbol.asyncDispose]: close }
}
