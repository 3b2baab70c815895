// The proxies that stand in front of this gateway (listen.trustProxy), and what they say of who asks: in headers of a request (forwarded.ts), or
// before all that a TCP connection brings (header.ts, where listen.proxyProtocol has it). Nobody else is believed. What comes over UDP is
// always from where it comes from.
//
//   TCP ─► trusted, and a header is due ─► it is there ─► its client, and what that reached
//    │                                  └─► another first byte ─► closed
//    ├─► a header that nobody asked for ─► closed
//    └─► else ─► as the kernel has it
//   request ─► of a trusted address ─► its headers say who asks, or it is refused
//          └─► of anybody else ─► its headers are ignored, and counted

import type { IncomingHttpHeaders } from 'node:http'
import type { Socket } from 'node:net'
import { Networks } from '../../config/networks.ts'
import type { PosternError } from '../../errors.ts'
import { type Endpoint, isPrivate } from '../../wire/endpoint.ts'
import type { Warning } from '../peers/sources.ts'
import type { RefusalLog } from '../signalling/refusal-log.ts'
import { clientOf, isForwarded } from './forwarded.ts'
import { type Gathered, gather, Unwelcome } from './gather.ts'
import { beginsHeader, FIRST_BYTE, type Introduced, readHeader } from './header.ts'

export interface ProxyCounters {
  /** Requests whose Forwarded or X-Forwarded-For was ignored, since it came from an address that is not trusted. */
  ignored: number
  /** Requests that were refused: what a proxy said of where they came from is no address, or contradicts itself. */
  unclear: number
  /** Connections that were closed: of a proxy, without the header that was due. */
  missing: number
  /** The same: with a header that was not asked of them. */
  foreign: number
  /** The same: with a header that cannot be read, or is of a kind that is not taken. */
  malformed: number
  /** The same: their header did not end in time. */
  late: number
}

/** Where a connection comes from, and what it reached: as the kernel has it, or as a proxy introduced it. */
export interface Arrival {
  readonly source: Endpoint
  readonly reached: Endpoint
  readonly isIntroduced: boolean
}

export interface ProxiesOptions {
  /** `listen.trustProxy` and `listen.proxyProtocol`. */
  readonly trusted: readonly string[]
  readonly introduces: boolean
  readonly log: { warn(fields: object, message: string): void }
  readonly refusalLog: Pick<RefusalLog, 'tell'>
  /** How long a header may take to come, in milliseconds. */
  readonly patienceMs?: number
}

/** As long as whoever says nothing has (http/first-byte.ts). */
const PATIENCE_MS = 10_000

/** How long after the last header that was ignored the operator is told of it, in milliseconds. */
const TOLD_MS = 3_600_000

/** Whoever has many private addresses makes no more lines than these. */
const TOLD = 8

/** How version 1 begins, which is text. */
const FIRST_VERSION = 'PROXY '

export class Proxies {
  readonly counters: ProxyCounters = { ignored: 0, unclear: 0, missing: 0, foreign: 0, malformed: 0, late: 0 }
  readonly #options: ProxiesOptions
  readonly #trusted: Networks
  /** Private addresses that are not trusted and sent headers as proxies do. */
  readonly #unnamed = new Set<string>()
  #unnamedMs = Number.NEGATIVE_INFINITY

  constructor(options: ProxiesOptions) {
    this.#options = options
    this.#trusted = new Networks(options.trusted)
  }

  /** It names no address, since anybody may read it. */
  warnings(nowMs = performance.now()): readonly Warning[] {
    if (nowMs - this.#unnamedMs > TOLD_MS) return []
    const sentence =
      'requests come through a proxy that listen.trustProxy does not name, so all who are behind it count as one network'
    return [{ code: 'unnamed-proxy', sentence, advice: 'add its address to listen.trustProxy; the log has the line' }]
  }

  /** The address that a request came from. Throws `bad-message` where nobody can tell. */
  clientOf({ source: { address }, isIntroduced }: Arrival, headers: IncomingHttpHeaders): string {
    if (!isForwarded(headers)) return address
    if (!this.#trusted.has(address)) {
      this.counters.ignored++
      if (!isIntroduced && isPrivate(address)) this.#note(address)
      return address
    }
    try {
      return clientOf(address, headers, one => this.#trusted.has(one))
    } catch (error) {
      this.counters.unclear++
      this.#options.refusalLog.tell(error as PosternError, address, undefined)
      throw error
    }
  }

  /**
   * Takes the header that a connection begins with, if it is one.
   * @param first where the connection comes from, by the kernel, and its first byte, which is still to be read
   * @param begins is called once what is to be read is the client's own, with what a header has said; not at all where it is refused
   */
  receive(
    socket: Socket,
    { from, byte }: { readonly from: string; readonly byte: number },
    begins: (introduced: Introduced | undefined) => void
  ): void {
    // It was reset before it was accepted, as a health check may: nobody knows any more from where.
    if (from === '') return void socket.destroy()
    const isDue = this.#options.introduces && this.#trusted.has(from)
    if (!isDue && byte !== FIRST_BYTE) return begins(undefined)
    const { patienceMs = PATIENCE_MS } = this.#options
    gather(socket, patienceMs, bytes => look(bytes, isDue)).then(begins, thrown => this.#refuse(socket, from, thrown))
  }

  #refuse(socket: Socket, from: string, thrown: unknown): void {
    socket.destroy()
    // It was closed by whoever made it.
    if (!(thrown instanceof Unwelcome)) return
    this.counters[thrown.why]++
    this.#options.refusalLog.tell(thrown, from, undefined)
  }

  #note(address: string): void {
    this.#unnamedMs = performance.now()
    if (this.#unnamed.has(address) || this.#unnamed.size >= TOLD) return
    this.#unnamed.add(address)
    this.#options.log.warn(
      { proxy: address },
      `unnamed-proxy: a request came through a proxy at ${address}, which is not believed when it says for whom it asks; if it is your own, add to the configuration: listen: { trustProxy: ['${address}'] }`
    )
  }
}

/** What the first bytes of a connection are; undefined as long as nobody can tell. Throws Unwelcome. */
function look(bytes: Buffer, isDue: boolean): Gathered<Introduced | undefined> | undefined {
  const begins = beginsHeader(bytes)
  if (begins === 'perhaps') return undefined
  if (begins === 'no' && isDue) throw new Unwelcome('missing', `${beginning(bytes)}; expected ${aHeader}`)
  if (begins === 'no') return { found: undefined, length: 0 }
  if (!isDue) throw new Unwelcome('foreign', `a connection began with ${aHeader}; expected ${whereDue}`)
  return readHeader(bytes)
}

const aHeader = 'a header of the PROXY protocol, version 2'

const whereDue = 'one of listen.trustProxy alone, and only where listen.proxyProtocol is true'

const beginning = (bytes: Buffer): string =>
  bytes.subarray(0, FIRST_VERSION.length).toString('latin1') === FIRST_VERSION
    ? 'the connection of a proxy began with version 1 of the PROXY protocol'
    : 'the connection of a proxy began without a header'
