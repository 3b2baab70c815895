// Visits behind a WebSocket server of its own on loopback, and visitors that are no browsers.

import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { WebSocket, WebSocketServer } from 'ws'
import { Visits, type VisitsOptions } from '../../../src/gateway/nettest/visits.ts'
import { Judging } from '../../../src/gateway/shares/judging.ts'
import { UdpObserver } from '../../../src/gateway/udp/observe.ts'
import type { Begin, FromDesk } from '../../../src/wire/nettest/messages.ts'
import { fakePorts, type Sent } from '../udp/fake-ports.ts'

export interface OpenDesk extends AsyncDisposable {
  readonly visits: Visits
  readonly observer: UdpObserver
  readonly ports: ReturnType<typeof fakePorts>
  /** A visitor that comes from there. */
  come(from?: string): Visitor
}

export async function openDesk(options: Partial<VisitsOptions> = {}): Promise<OpenDesk> {
  const sent: Sent[] = []
  const ports = fakePorts(sent)
  const observer = new UdpObserver({ ports: () => ports, public: () => [] })
  const visits = new Visits({ observer, strategies: [], judging: new Judging(), probes: 2048, tcp: [], ...options })
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
  await once(server, 'listening')
  server.on('connection', (ws, { url = '' }) => {
    const from = new URL(url, 'http://localhost').searchParams.get('from') ?? ''
    const reached = { address: '203.0.113.1', port: 8080 }
    visits.receive(ws, { from, reached, prove: () => {}, whenShed: () => {} })
  })
  const { port } = server.address() as AddressInfo
  return {
    ...{ visits, observer, ports },
    come: (from = '192.0.2.77') => new Visitor(`ws://127.0.0.1:${port}/?from=${from}`),
    async [Symbol.asyncDispose]() {
      for (const ws of server.clients) ws.terminate()
      server.close()
      await once(server, 'close')
    }
  }
}

export class Visitor {
  readonly ws: WebSocket
  readonly closed: Promise<number>
  readonly #heard: FromDesk[] = []
  #told: () => void = () => {}

  constructor(url: string, headers: Readonly<Record<string, string>> = {}) {
    this.ws = new WebSocket(url, { headers })
    this.closed = new Promise(resolve => this.ws.on('close', resolve))
    this.ws.on('error', () => {})
    this.ws.on('message', data => {
      this.#heard.push(JSON.parse(String(data)))
      this.#told()
    })
  }

  /** The next message, which has to be of this type. */
  async hears<Type extends FromDesk['type']>(type: Type): Promise<Extract<FromDesk, { type: Type }>> {
    const told = new Promise<void>(resolve => {
      this.#told = resolve
    })
    if (this.#heard.length === 0) await Promise.race([told, this.closed])
    const message = this.#heard.shift()
    if (message?.type !== type) throw new Error(`no ${type} came, but ${JSON.stringify(message)}`)
    return message as Extract<FromDesk, { type: Type }>
  }

  say(message: unknown): void {
    this.ws.send(typeof message === 'string' || Buffer.isBuffer(message) ? message : JSON.stringify(message))
  }

  /** Ends it as a page that is closed does. */
  async leaves(): Promise<void> {
    this.ws.close()
    await this.closed
  }
}

export const agent = { perConnection: 16, inAll: 1024, connections: 64 }

export const shown = (sockets: readonly { socket: number; port: number }[]) => ({ type: 'shown', sockets, agent })

/** As if its socket had been seen at each of these ports of the gateway, at another port each time. */
export function sees(
  { observer, ports }: OpenDesk,
  { visit }: Begin,
  socket: number,
  mapped: readonly number[],
  address = '192.0.2.77'
): void {
  const credential = observer.credentialOf('p', visit, String(socket))
  if (credential?.kind !== 'sample') throw new Error(`${visit} is not known`)
  for (const [at, port] of mapped.entries()) {
    const own = ports[at]
    if (own) observer.sees(credential, own, { address, port }, { proved: true, rttMs: 12.3 })
  }
}
