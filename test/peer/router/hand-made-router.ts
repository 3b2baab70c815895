// A router on loopback that answers what a test says: datagrams for PCP and NAT-PMP, searches, and HTTP. What it was asked is kept.

import { createSocket, type RemoteInfo, type Socket } from 'node:dgram'
import { EventEmitter, once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { type Router, routerAt } from '../../../src/peer/router/router.ts'

type Datagrams = (asked: Buffer, from: RemoteInfo) => readonly Buffer[]

export interface Answers {
  /** Left out: never answers. */
  readonly mapping?: Datagrams
  readonly search?: (asked: string) => readonly string[]
  /** Answers a request whose body was read. */
  readonly http?: (request: IncomingMessage, body: string, response: ServerResponse) => void
}

export class HandMadeRouter implements AsyncDisposable {
  readonly router: Router
  /** The datagrams at the port of PCP and NAT-PMP, without those that repeat the one before: a busy computer repeats early. */
  readonly asked: Buffer[] = []
  /** All of them. */
  transmissions = 0
  readonly searched: string[] = []
  /** Every HTTP request: its first line, and its body. */
  readonly requests: { line: string; body: string }[] = []
  /** Where it takes HTTP, as `127.0.0.1:1234`. */
  readonly host: string
  answers: Answers
  readonly #arrivals = new EventEmitter()
  readonly #over = new AsyncDisposableStack()

  private constructor(answers: Answers, mapping: Socket, search: Socket, host: string) {
    this.answers = answers
    this.host = host
    this.router = routerAt('127.0.0.1', { mapping: mapping.address().port, search: search.address().port })
    mapping.on('message', (datagram, from) => {
      this.transmissions++
      if (!this.asked.at(-1)?.equals(datagram)) this.asked.push(datagram)
      this.#arrivals.emit('datagram')
      for (const answer of this.answers.mapping?.(datagram, from) ?? []) mapping.send(answer, from.port, from.address)
    })
    search.on('message', (datagram, from) => {
      this.searched.push(String(datagram))
      for (const answer of this.answers.search?.(String(datagram)) ?? []) search.send(answer, from.port, from.address)
    })
  }

  static async open(answers: Answers = {}): Promise<HandMadeRouter> {
    await using opened = new AsyncDisposableStack()
    const [mapping, search] = await Promise.all([bound(opened), bound(opened)])
    const server = createServer(async (request, response) => {
      const body = await text(request)
      made.requests.push({ line: `${request.method} ${request.url}`, body })
      if (made.answers.http) made.answers.http(request, body, response)
      else response.writeHead(404).end()
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    opened.defer(() => {
      server.closeAllConnections()
      server.close()
    })
    const made = new HandMadeRouter(answers, mapping, search, `127.0.0.1:${(server.address() as AddressInfo).port}`)
    made.#over.use(opened.move())
    return made
  }

  /** Resolves when it was asked so often. */
  async askedTimes(count: number): Promise<void> {
    while (this.asked.length < count) await once(this.#arrivals, 'datagram')
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#over.disposeAsync()
  }
}

async function bound(opened: AsyncDisposableStack): Promise<Socket> {
  const socket = createSocket('udp4')
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  opened.defer(() => void socket.close())
  return socket
}

export interface PcpTold {
  version?: number
  result?: number
  lifetimeS?: number
  epochS?: number
  localPort?: number
  port?: number
  protocol?: number
  address?: string
  nonce?: Buffer
}

/** An answer to a MAP request (RFC 6887 section 11.1), with whatever the test would have in it. */
export function pcpAnswer(asked: Buffer, told: PcpTold = {}): Buffer {
  const answer = Buffer.from(asked)
  answer.writeUInt8(told.version ?? 2, 0)
  answer.writeUInt8(0x81, 1)
  answer.writeUInt8(told.result ?? 0, 3)
  answer.writeUInt32BE(told.lifetimeS ?? asked.readUInt32BE(4), 4)
  answer.fill(0, 8, 24)
  answer.writeUInt32BE(told.epochS ?? 100, 8)
  ;(told.nonce ?? asked.subarray(24, 36)).copy(answer, 24)
  if (told.protocol !== undefined) answer.writeUInt8(told.protocol, 36)
  if (told.localPort !== undefined) answer.writeUInt16BE(told.localPort, 40)
  if (told.port !== undefined) answer.writeUInt16BE(told.port, 42)
  answer.write('00000000000000000000ffff', 44, 'hex')
  Buffer.from((told.address ?? '203.0.113.9').split('.').map(Number)).copy(answer, 56)
  return answer
}

export interface NatPmpTold {
  result?: number
  epochS?: number
  address?: string
  localPort?: number
  port?: number
  lifetimeS?: number
}

/** An answer to either request of NAT-PMP (RFC 6886 sections 3.2 and 3.3); undefined for anything else. */
export function natPmpAnswer(asked: Buffer, told: NatPmpTold = {}): Buffer | undefined {
  const operation = asked.readUInt8(1)
  if (asked.readUInt8(0) !== 0 || operation > 1) return undefined
  const answer = Buffer.alloc(operation === 0 ? 12 : 16)
  answer.writeUInt8(128 + operation, 1)
  answer.writeUInt16BE(told.result ?? 0, 2)
  answer.writeUInt32BE(told.epochS ?? 100, 4)
  if (operation === 0) {
    Buffer.from((told.address ?? '203.0.113.9').split('.').map(Number)).copy(answer, 8)
    return answer
  }
  answer.writeUInt16BE(told.localPort ?? asked.readUInt16BE(4), 8)
  answer.writeUInt16BE(told.port ?? asked.readUInt16BE(6), 10)
  answer.writeUInt32BE(told.lifetimeS ?? asked.readUInt32BE(8), 12)
  return answer
}

/** What a router that knows NAT-PMP alone says to PCP (RFC 6886 section 3.5). */
export const unsupported = Buffer.from([0, 0x81, 0, 1, 0, 0, 0, 100])
