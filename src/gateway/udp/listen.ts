// The gateway's UDP sockets: up to two addresses with two ports each (the layout of RFC 5780), so that two mappings of
// one socket can be compared, and a third port of each that is for the relay alone: a browser takes nothing from an address and port
// that it shows its mapping to. Datagrams go to one receiver; a Port answers from the very socket they came in on.

import { createSocket, type RemoteInfo, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { PosternError } from '../../errors.ts'
import type { DoorKind } from '../../wire/doors/door.ts'
import { type Endpoint, formatEndpoint } from '../../wire/endpoint.ts'

/**
 * One UDP socket of the gateway. `row` and `column` are its place among the addresses and ports. A way in through another door
 * (doors/way.ts) is told apart by its `door`, and has no place among them.
 */
export interface Port {
  readonly local: Endpoint
  readonly door: DoorKind
  readonly row: number
  readonly column: number
  send(datagram: Uint8Array, to: Endpoint): void
  /** Whether nothing can come or go there now, as far as is known; left out: it can. */
  readonly isCut?: boolean
  /** A side of a relayed session is latched here from now on. */
  latched?(): void
  /** No side is latched here any more: another port has taken its place, or the session is over. */
  released?(why: 'replaced' | 'over'): void
}

/** What the relay needs of a port: a way out. */
export type Exit = Pick<Port, 'send' | 'door' | 'isCut' | 'latched' | 'released'>

/** Ports of an address at which mappings are shown. */
const SHOWN = 2

/** Whether nobody is told to show a mapping at this port. */
export const isForRelay = ({ column }: Pick<Port, 'column'>): boolean => column >= SHOWN

/**
 * RFC 5780 section 7.2: the same port, or the one with the other address, the other port, or both; undefined where there is no
 * such port.
 */
export function changedPort(
  ports: readonly Port[],
  { row, column }: Port,
  change: { readonly address: boolean; readonly port: boolean } | undefined
): Port | undefined {
  const at = { row: change?.address ? 1 - row : row, column: change?.port ? 1 - column : column }
  return ports.find(port => port.row === at.row && port.column === at.column)
}

export type Receive = (port: Port, source: RemoteInfo, datagram: Buffer) => void

export interface Listening {
  readonly ports: readonly Port[]
  /** Gets every datagram; until somebody takes them, they are lost. */
  onDatagram: Receive
  close(): Promise<void>
}

/**
 * Kernel buffer of each socket. Larger ones add delay under overload of the event loop, not throughput (measured: 4 MiB add 0.9 s).
 */
const BUFFER_BYTES = 512 * 1024

/** Binds every address with every port. Throws `port-in-use` or `io` and leaves nothing open. */
export async function listen(
  at: { addresses: readonly string[]; ports: readonly number[] },
  receive: Receive = () => {}
): Promise<Listening> {
  await using opened = new AsyncDisposableStack()
  const ports: Port[] = []
  const listening = { ports, onDatagram: receive }
  for (const [row, address] of at.addresses.entries())
    for (const [column, port] of at.ports.entries()) {
      const socket = await bind({ address, port })
      opened.defer(() => new Promise<void>(done => socket.close(() => done())))
      ports.push(attach(socket, row, column, listening))
    }
  const closing = opened.move()
  return Object.assign(listening, { close: () => closing.disposeAsync() })
}

async function bind(at: Endpoint): Promise<Socket> {
  const socket = createSocket({
    type: at.address.includes(':') ? 'udp6' : 'udp4',
    recvBufferSize: BUFFER_BYTES,
    sendBufferSize: BUFFER_BYTES
  })
  try {
    socket.bind(at.port, at.address)
    await once(socket, 'listening')
    return socket
  } catch (cause) {
    socket.close()
    const taken = (cause as NodeJS.ErrnoException).code === 'EADDRINUSE'
    const why = taken ? 'is already in use' : `cannot be bound: ${(cause as Error).message}`
    throw new PosternError(taken ? 'port-in-use' : 'io', `UDP ${formatEndpoint(at)} ${why}`, { cause })
  }
}

/** Sends one datagram from a port that is bound for it alone. Errors are ignored, as with any other datagram. */
export function sendOnce(from: string, datagram: Uint8Array, to: Endpoint): void {
  const socket = createSocket('udp4')
  socket.once('error', () => socket.close())
  socket.bind(0, from, () => socket.send(datagram, to.port, to.address, () => socket.close()))
}

function attach(socket: Socket, row: number, column: number, listening: { readonly onDatagram: Receive }): Port {
  const { address, port } = socket.address()
  const self: Port = {
    local: { address, port },
    door: 'udp',
    row,
    column,
    // Errors are ignored: a datagram may be lost anyway, and an error of one destination (unreachable, no route) is not one of
    // the socket.
    send(datagram, to) {
      try {
        socket.send(datagram, to.port, to.address, () => {})
      } catch {
        // It throws at once for port 0, which any stranger may put as its source, and after the socket was closed.
      }
    }
  }
  socket.on('message', (datagram, source) => listening.onDatagram(self, source, datagram))
  socket.on('error', () => {})
  return self
}
