// A way to a gateway over TCP that looks at what a connection begins with, as firewalls and proxies do, and can cut it later.

import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

/** What connections are for, by what they begin with. */
export type Kind = 'frames' | 'relay' | 'other'

export class Forwarder implements AsyncDisposable {
  readonly #server: Server
  readonly #open = new Map<Socket, Kind>()
  /** Kinds that get no further. */
  readonly closed = new Set<Kind>()
  /** Where it leads. */
  target = 0

  private constructor() {
    this.#server = createServer(socket => this.#take(socket))
  }

  static async open(closed: readonly Kind[] = []): Promise<Forwarder> {
    const forwarder = new Forwarder()
    for (const kind of closed) forwarder.closed.add(kind)
    forwarder.#server.listen(0, '127.0.0.1')
    await once(forwarder.#server, 'listening')
    return forwarder
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  /** Cuts the connections of a kind, and says how many there were. */
  cut(kind: Kind): number {
    const these = [...this.#open].filter(([, of]) => of === kind).map(([socket]) => socket)
    for (const socket of these) socket.resetAndDestroy()
    return these.length
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#open.keys()) socket.destroy()
    await new Promise(done => this.#server.close(done))
  }

  #take(socket: Socket): void {
    socket.on('error', () => {})
    socket.once('data', first => {
      const kind = kindOf(first)
      if (this.closed.has(kind)) return void socket.destroy()
      this.#open.set(socket, kind)
      const behind = connect(this.target, '127.0.0.1')
      behind.on('error', () => {})
      behind.write(first)
      socket.pipe(behind).pipe(socket)
      socket.on('close', () => {
        this.#open.delete(socket)
        behind.destroy()
      })
      behind.on('close', () => socket.destroy())
    })
  }
}

function kindOf(first: Buffer): Kind {
  if ((first[0] ?? 0) < 0x20) return 'frames'
  return String(first).startsWith('GET /relay') ? 'relay' : 'other'
}
