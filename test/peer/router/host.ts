// A process on a host of the laboratory that asks its router for ports, and hears what arrives at them. Time passes for it when its
// parent says so.

import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import {
  findRouter,
  isRefusal,
  mapPort,
  type PortMapping,
  type Protocol,
  type Refusal
} from '../../../src/peer/router/router.ts'
import type { Endpoint } from '../../../src/wire/endpoint.ts'
import { FakeTime } from '../../gateway/relay/fake-time.ts'
import { serveDeeds } from '../../lab/driven.ts'

export interface Mapped {
  readonly protocol: Protocol
  readonly external: Endpoint
}

const time = new FakeTime()
const router = await findRouter()
const mappings = new Map<number, PortMapping>()
const sockets = new Map<number, Socket>()

const deeds = {
  async router(_: object) {
    return router?.address
  },
  /** The socket of that port stays open until the end. */
  async map({ localPort, protocol }: { localPort: number; protocol?: Protocol }): Promise<Mapped | Refusal> {
    const how = protocol ? { protocols: [protocol] as const } : {}
    const outcome = await mapPort({ localPort, router, signal: new AbortController().signal, time, ...how })
    if (isRefusal(outcome)) return outcome
    mappings.set(localPort, outcome)
    if (!sockets.has(localPort)) sockets.set(localPort, await bound(localPort))
    return { protocol: outcome.protocol, external: outcome.external as Endpoint }
  },
  /** The next datagram that arrives at that port. */
  async hear({ localPort }: { localPort: number }) {
    const [text] = await once(sockets.get(localPort) as Socket, 'message')
    return String(text)
  },
  async say({ text, to }: { text: string; to: Endpoint }) {
    const socket = createSocket('udp4')
    await new Promise(resolve => socket.send(text, to.port, to.address, resolve))
    socket.close()
  },
  async pass({ ms }: { ms: number }) {
    time.advance(ms)
  },
  async external({ localPort }: { localPort: number }) {
    return mappings.get(localPort)?.external
  },
  async release({ localPort }: { localPort: number }) {
    await mappings.get(localPort)?.close()
  },
  async close() {
    await Promise.all([...mappings.values()].map(mapping => mapping.close()))
    for (const socket of sockets.values()) socket.close()
  }
}

export type HostDeeds = typeof deeds

async function bound(port: number): Promise<Socket> {
  const socket = createSocket('udp4')
  socket.bind(port)
  await once(socket, 'listening')
  return socket
}

serveDeeds(deeds)
