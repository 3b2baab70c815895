// The doors of a gateway with its relay behind them, on real TCP connections and WebSockets of loopback.

import { once } from 'node:events'
import { createServer } from 'node:http'
import { type AddressInfo, connect, createServer as createTcpServer, type Server, type Socket } from 'node:net'
import { WebSocket, WebSocketServer } from 'ws'
import { Doors } from '../../../src/gateway/doors/doors.ts'
import { LocalRelay } from '../../../src/gateway/relay/relay.ts'
import { Binding } from '../../../src/gateway/udp/binding.ts'
import type { Port } from '../../../src/gateway/udp/listen.ts'
import { Frames, frameOf } from '../../../src/wire/doors/framing.ts'
import { isMark } from '../../../src/wire/doors/line.ts'
import type { SideName } from '../../../src/wire/side.ts'
import { BINDING, type DecodedStun, decode, encode, transactionId } from '../../../src/wire/stun.ts'
import { authority } from '../../peer/tls.ts'
import { fakePorts, type Sent } from '../udp/fake-ports.ts'

export const key = Buffer.alloc(20, 7)
const limits = { perSession: 100_000_000, perPeer: 100_000_000, total: 1_000_000_000 }

export class House implements AsyncDisposable {
  readonly relay = new LocalRelay({ maxSessions: 10 })
  /** What left over UDP. */
  readonly sent: Sent[] = []
  readonly udp: readonly Port[]
  readonly binding: Binding
  readonly doors: Doors
  proved = 0
  tcpPort = 0
  webSocketUrl = ''
  #secondPort = 0
  #secondFrom = 0
  readonly #servers: Server[] = []
  readonly #ends: End[] = []
  readonly #came: Record<'tcp' | 'websocket', Socket[]> = { tcp: [], websocket: [] }

  private constructor(patienceMs: number) {
    this.udp = fakePorts(this.sent)
    const credentialOf = (username: string) => {
      const [, session = '', side = ''] = username.split(':')
      return { kind: 'latch' as const, key, session, side: side as SideName }
    }
    const desk = {
      ports: () => this.udp,
      publicOf: (port: Port) => port.local,
      credentialOf,
      sample: () => {},
      repeats: () => {}
    }
    this.binding = new Binding(desk, this.relay, { perSecond: 1000, discovery: false })
    this.doors = new Doors((way, source, datagram) => this.binding.receive(way, source, datagram), { patienceMs })
  }

  /** A session `s` is armed. */
  static async open({ patienceMs = 10_000 }: { patienceMs?: number } = {}): Promise<House> {
    const house = new House(patienceMs)
    await house.relay.arm('s', { caller: 'ann', callee: 'bob' }, limits)
    const tcp = createTcpServer(socket => {
      house.#came.tcp.push(socket)
      house.doors.tcp(socket, house.#guest(socket))
    })
    const second = createTcpServer(socket => house.doors.tcp(socket, house.#guest(socket, house.#secondFrom)))
    const http = createServer()
    new WebSocketServer({ server: http }).on('connection', (ws, { socket }) => {
      house.#came.websocket.push(socket)
      house.doors.webSocket(ws, house.#guest(socket))
    })
    for (const server of [tcp, http, second]) {
      house.#servers.push(server)
      server.listen(0, '127.0.0.1')
      await once(server, 'listening')
    }
    house.tcpPort = (tcp.address() as AddressInfo).port
    house.#secondPort = (second.address() as AddressInfo).port
    house.webSocketUrl = `ws://127.0.0.1:${(http.address() as AddressInfo).port}`
    return house
  }

  /** Cuts the connection by this door that was made last. */
  cut(door: 'tcp' | 'websocket'): void {
    this.#came[door].at(-1)?.resetAndDestroy()
  }

  /** Nobody comes in over TCP any more. */
  closeTcp(): void {
    this.#servers[0]?.close()
  }

  #guest(socket: Socket, port = socket.remotePort ?? 0) {
    const source = { address: socket.remoteAddress ?? '', port }
    return { source, local: { address: '127.0.0.1', port: socket.localPort ?? 0 }, prove: () => void this.proved++ }
  }

  async tcp(localPort?: number): Promise<End> {
    const end = await End.tcp(this.tcpPort, localPort)
    this.#ends.push(end)
    return end
  }

  /** At another port of the gateway's, which is told that it came from this one: Node dials from no port that is in use. */
  async secondTcp(from: number): Promise<End> {
    this.#secondFrom = from
    const end = await End.tcp(this.#secondPort)
    this.#ends.push(end)
    return end
  }

  async webSocket(): Promise<End> {
    const end = await End.webSocket(this.webSocketUrl)
    this.#ends.push(end)
    return end
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const end of this.#ends) end.close()
    this.doors[Symbol.dispose]()
    this.relay[Symbol.dispose]()
    await Promise.all(this.#servers.map(server => new Promise(done => server.close(done))))
  }
}

/** The far end of a connection: it says what it is told to, and collects what comes. */
export class End {
  readonly came: Buffer[] = []
  readonly closed: Promise<void>
  readonly localPort: number
  readonly #write: (datagram: Buffer) => void
  readonly #raw: (bytes: Buffer) => void
  readonly #close: () => void
  readonly #socket: Socket
  #onCame: () => void = () => {}

  private constructor(
    socket: Socket,
    { write, raw, close }: { write: (datagram: Buffer) => void; raw: (bytes: Buffer) => void; close: () => void }
  ) {
    this.#write = write
    this.#raw = raw
    this.#close = close
    this.#socket = socket
    this.localPort = socket.localPort ?? 0
    socket.on('error', () => {})
    this.closed = new Promise(resolve => socket.once('close', () => resolve()))
  }

  static async tcp(port: number, localPort?: number): Promise<End> {
    const socket = connect({ port, host: '127.0.0.1', ...(localPort === undefined ? {} : { localPort }) })
    await once(socket, 'connect')
    const frames = new Frames()
    const end = new End(socket, {
      write: datagram => void socket.write(frameOf(datagram)),
      raw: bytes => void socket.write(bytes),
      // Reset, so that the port may be used again at once.
      close: () => void socket.resetAndDestroy()
    })
    socket.on('data', chunk => end.#comes(...frames.push(chunk)))
    return end
  }

  static async webSocket(url: string, headers: Readonly<Record<string, string>> = {}): Promise<End> {
    const ws = new WebSocket(url, { ca: authority, headers })
    const upgraded = once(ws, 'upgrade')
    await once(ws, 'open')
    const [{ socket }] = (await upgraded) as [{ socket: Socket }]
    const end = new End(socket, {
      write: datagram => ws.send(datagram),
      raw: bytes => ws.send(bytes.toString(), { binary: false }),
      close: () => ws.terminate()
    })
    ws.on('error', () => {})
    ws.on('message', data => end.#comes(data as Buffer))
    return end
  }

  send(datagram: Buffer): void {
    this.#write(datagram)
  }

  /** Bytes that are no datagram. */
  raw(bytes: Buffer): void {
    this.#raw(bytes)
  }

  close(): void {
    this.#close()
  }

  /** Reads no more. */
  stop(): void {
    this.#socket.pause()
  }

  async next(): Promise<Buffer> {
    for (;;) {
      const datagram = this.came.shift()
      if (datagram) return datagram
      const came = new Promise<'came'>(resolve => {
        this.#onCame = () => resolve('came')
      })
      const over = this.closed.then(() => 'closed' as const)
      if ((await Promise.race([came, over])) === 'closed' && this.came.length === 0) throw new Error('closed')
    }
  }

  async ask(message: { username?: string; nonce?: Buffer; key?: Buffer } = {}): Promise<DecodedStun> {
    const { key: signedBy, ...said } = message
    const request = { class: 'request', method: BINDING, transaction: transactionId(), ...said } as const
    this.send(encode(request, signedBy ? { key: signedBy } : {}))
    const answer = decode(await this.next())
    if (!answer) throw new Error('no answer')
    return answer
  }

  /** Latches as a side of the session `s`. */
  async latch(side: SideName): Promise<void> {
    const { nonce } = await this.ask({ username: `s:s:${side}`, key })
    const { mapped } = await this.ask({ username: `s:s:${side}`, key, ...(nonce ? { nonce } : {}) })
    if (!mapped) throw new Error('not latched')
  }

  #comes(...datagrams: Buffer[]): void {
    // As a browser, it does not know marks.
    this.came.push(...datagrams.filter(datagram => !isMark(datagram)))
    this.#onCame()
  }
}
