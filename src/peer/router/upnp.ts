// UPnP IGD, the Internet Gateway Device protocol (UPnP Device Architecture 1.1, WANIPConnection:1 and WANPPPConnection:1).
//
//   search        M-SEARCH by datagram        --> where the router's description is
//   description   GET, an XML document        --> which services it has, and where each takes requests
//   request       POST, SOAP                  --> GetExternalIPAddress, AddPortMapping, DeletePortMapping
//
// The search is sent to the router alone, not to everybody as UPnP would have it. What the router tells of its description and
// of its services is believed only where it is at the router's own address. All is found again whenever the port is asked
// for, because a router that has started anew often has its services at another port.

import { randomInt } from 'node:crypto'
import {
  type Asker,
  type Grant,
  judge,
  LIFETIME_S,
  never,
  type Refusal,
  type Router,
  refused,
  unreachable,
  weightiest,
  wordless
} from './asking.ts'
import { type Reply, request, type Service, servicesOf } from './igd.ts'

/** Ports that are tried at random where another host has the one that is asked for. */
const OTHER_PORTS = 4

/** How long a deletion is given at least to leave this host, in milliseconds: it takes a connection of TCP. */
const DELETION_MS = 300

// Error codes: UPnP Device Architecture 1.1 table 3-3, WANIPConnection:1 section 2.4.16.
const ACTION_FAILED = 501
const CONFLICT = 718
const ONLY_PERMANENT = 725
const reasons: Readonly<Record<number, string>> = {
  401: 'knows no mappings',
  606: 'does not allow it',
  [CONFLICT]: 'has given the ports that were asked for to other hosts',
  724: 'has given the port to another host, and allows no other'
}

/** A service that has a public address. */
interface Connected {
  readonly service: Service
  readonly address: string
  /** This host's address towards the router. */
  readonly ownAddress: string
}

export function upnp(router: Router, localPort: number): Asker {
  let externalPort = localPort
  let made: { readonly service: Service; readonly port: number } | undefined

  const add = async ({ service, ownAddress }: Connected, port: number, signal: AbortSignal) => {
    made = { service, port }
    const mapping = { router, service, port, localPort, ownAddress }
    const reply = await addMapping({ ...mapping, leaseS: LIFETIME_S }, signal)
    // Some routers know permanent mappings alone. Such a mapping stays if it is not deleted.
    const last = errorOf(reply) === ONLY_PERMANENT ? await addMapping({ ...mapping, leaseS: 0 }, signal) : reply
    if (errorOf(last) !== undefined) made = undefined
    return last
  }

  return {
    protocol: 'upnp',
    async ask(signal) {
      const connected = await connectedOf(router, signal)
      if ('reason' in connected) return connected
      for (const port of [externalPort, ...otherPorts()]) {
        const reply = await add(connected, port, signal)
        if (typeof reply === 'string') return wordless(router, 'upnp', reply)
        if (reply.error === undefined) return grant(port, connected.address)
        if (reply.error !== CONFLICT) return denial(router, reply.error)
      }
      return denial(router, CONFLICT)
    },
    async release(patienceMs) {
      if (!made) return
      const { service, port } = made
      made = undefined
      const args = { NewRemoteHost: '', NewExternalPort: port, NewProtocol: 'UDP' }
      const patience = { patienceMs: Math.max(patienceMs, DELETION_MS) }
      await request(router, service, { action: 'DeletePortMapping', args, ...patience }, never)
    }
  }

  function grant(port: number, address: string): Grant | Refusal {
    externalPort = port
    return judge(router, { address, port }, LIFETIME_S)
  }
}

const otherPorts = () => Array.from({ length: OTHER_PORTS }, () => randomInt(1024, 65_536))

const errorOf = (reply: Reply | string) => (typeof reply === 'string' ? undefined : reply.error)

const denial = (router: Router, error: number) => refused(router, 'upnp', reasons[error] ?? `gives error ${error}`)

/** Finds the router's services, and of these the first that has a public address. */
async function connectedOf(router: Router, signal: AbortSignal): Promise<Connected | Refusal> {
  const services = await servicesOf(router, signal)
  if (typeof services === 'string') return wordless(router, 'upnp', services)
  const refusals: Refusal[] = []
  for (const service of services) {
    const reply = await request(router, service, { action: 'GetExternalIPAddress' }, signal)
    const connected = addressIn(router, service, reply)
    if (!('reason' in connected)) return connected
    refusals.push(connected)
  }
  return weightiest(refusals)
}

/** Routers that are not connected give no address, or an error: miniupnpd does so where its address is not public. */
function addressIn(router: Router, service: Service, reply: Reply | 'silent' | 'nonsense'): Connected | Refusal {
  if (typeof reply === 'string') return wordless(router, 'upnp', reply)
  if (reply.error !== undefined && reply.error !== ACTION_FAILED) return denial(router, reply.error)
  const address = reply.error === undefined ? (reply.value('NewExternalIPAddress') ?? '') : ''
  return unreachable(router, address) ?? { service, address, ownAddress: reply.ownAddress }
}

interface Mapping {
  readonly router: Router
  readonly service: Service
  readonly port: number
  readonly localPort: number
  readonly ownAddress: string
  /** 0: permanent. */
  readonly leaseS: number
}

function addMapping({ router, service, port, localPort, ownAddress, leaseS }: Mapping, signal: AbortSignal) {
  const args = {
    NewRemoteHost: '',
    NewExternalPort: port,
    NewProtocol: 'UDP',
    NewInternalPort: localPort,
    NewInternalClient: ownAddress,
    NewEnabled: 1,
    NewPortMappingDescription: 'postern',
    NewLeaseDuration: leaseS
  }
  return request(router, service, { action: 'AddPortMapping', args }, signal)
}
