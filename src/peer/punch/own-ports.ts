// The UDP ports that the user has chosen for a peer, so that a forward made by hand leads there. The first one that is free
// takes the next connection. When connections hold all of them, a peer goes on with any port, as it does without this choice.

import { PosternError } from '../../errors.ts'
import { type Endpoint, formatEndpoint, isPublic } from '../../wire/endpoint.ts'
import { RawSocket } from './raw.ts'

/** What a user may choose: one port or the first and the last of some, and where the first of them is reached from outside. */
export interface PortOptions {
  readonly port?: number | readonly [first: number, last: number] | undefined
  readonly public?: Endpoint | undefined
}

export interface OwnPorts {
  readonly first: number
  readonly last: number
  /** Where the first port is reached; the next one is reached at the next port. */
  readonly public: Endpoint | undefined
}

/** More connections at once than this are hardly made behind one NAT for which ports are forwarded by hand. */
const MOST = 16

/** Undefined if the user has chosen none. Throws `bad-config`. */
export function ownPortsOf({ port, public: told }: PortOptions): OwnPorts | undefined {
  if (port === undefined) {
    if (told)
      throw wrong(`the forward from ${formatEndpoint(told)} leads to no port of this peer; choose one with --port`)
    return undefined
  }
  const [first, last] = typeof port === 'number' ? [port, port] : port
  if (!isPort(first) || !isPort(last) || last < first || last - first >= MOST)
    throw wrong(`${first}-${last} is no range of UDP ports; expected at most ${MOST} ports from 1 to 65535`)
  if (told && !isPublic(told.address))
    throw wrong(
      `${told.address} is no public IPv4 address; expected the outside address of the router, where others can send to`
    )
  if (told && !(isPort(told.port) && isPort(told.port + last - first)))
    throw wrong(`there are not enough ports from ${formatEndpoint(told)} on for ${first}-${last}`)
  return { first, last, public: told }
}

/** Where a forward made by hand leads to this port from. */
export function forwardTo(ports: OwnPorts | undefined, port: number): Endpoint | undefined {
  if (!ports?.public || port < ports.first || port > ports.last) return undefined
  return { address: ports.public.address, port: ports.public.port + port - ports.first }
}

/** All of them, in the order in which they are taken. */
export const portsOf = ({ first, last }: OwnPorts): number[] =>
  Array.from({ length: last - first + 1 }, (_, index) => first + index)

/** Binds the first of these ports that is free. Undefined if none is. Throws `io` if a port may not be bound at all. */
export async function bindFirst(ports: readonly number[]): Promise<RawSocket | undefined> {
  for (const port of ports) {
    const raw = await RawSocket.bindAt(port)
    if (raw) return raw
  }
  return undefined
}

/** Throws `port-in-use` if no port is free, or `io`. */
export async function checkFree(ports: OwnPorts): Promise<void> {
  const raw = await bindFirst(portsOf(ports))
  await raw?.close()
  if (raw) return
  const { first, last } = ports
  throw new PosternError(
    'port-in-use',
    first === last
      ? `UDP port ${first} is in use by another program; choose another one, or a range such as ${first}-${first + 3}`
      : `the UDP ports ${first} to ${last} are all in use by other programs; choose others`
  )
}

const isPort = (port: number) => Number.isInteger(port) && port >= 1 && port <= 65_535

const wrong = (text: string) => new PosternError('bad-config', text)
