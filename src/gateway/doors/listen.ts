// TCP ports of the gateway for the relay alone, on the addresses of its UDP ports: for networks that let such a port out, where HTTP
// is behind TLS.

import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import { PosternError } from '../../errors.ts'
import { type Endpoint, formatEndpoint } from '../../wire/endpoint.ts'

export interface TcpListening {
  /** Ports as they are bound, those of one address after the other. */
  readonly ports: readonly number[]
  readonly endpoints: readonly Endpoint[]
  /** Gets every connection; until somebody takes them, they are closed. */
  onConnection: (socket: Socket) => void
  close(): Promise<void>
}

/** Binds every address with every port. Throws `port-in-use` or `io` and leaves nothing open. */
export async function listenTcp(at: {
  readonly addresses: readonly string[]
  readonly ports: readonly number[]
}): Promise<TcpListening> {
  await using opened = new AsyncDisposableStack()
  const endpoints: Endpoint[] = []
  const listening = { endpoints, onConnection: (socket: Socket) => void socket.destroy() }
  for (const address of at.addresses)
    for (const port of at.ports) {
      const server = createServer({ noDelay: true }, socket => listening.onConnection(socket))
      await bind(server, { address, port })
      opened.defer(() => closed(server))
      endpoints.push({ address, port: (server.address() as { port: number }).port })
    }
  const closing = opened.move()
  return Object.assign(listening, { ports: endpoints.map(({ port }) => port), close: () => closing.disposeAsync() })
}

/** Its connections are closed by whoever took them. */
async function closed(server: Server): Promise<void> {
  server.close()
}

async function bind(server: Server, at: Endpoint): Promise<void> {
  try {
    server.listen(at.port, at.address)
    await once(server, 'listening')
    server.on('error', () => {})
  } catch (cause) {
    const taken = (cause as NodeJS.ErrnoException).code === 'EADDRINUSE'
    const why = taken ? 'is already in use' : `cannot be bound: ${(cause as Error).message}`
    throw new PosternError(taken ? 'port-in-use' : 'io', `TCP ${formatEndpoint(at)} ${why}`, { cause })
  }
}
