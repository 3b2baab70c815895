// Whether the gateway's URL is one, what its name leads to, and whether somebody listens there. Where a proxy lets programs out
// (HTTPS_PROXY), it is the proxy that is looked for: the gateway's own name need not be known here.

import { lookup } from 'node:dns/promises'
import { once } from 'node:events'
import { connect, isIP, isIPv4 } from 'node:net'
import { timeoutSignal } from '../../clock.ts'
import { messageOf } from '../../errors.ts'
import { proxyOf, type WebProxy } from '../../peer/doors/proxy.ts'
import { type GatewayUrl, gatewayUrl } from '../../peer/gateway-url.ts'
import { whyUnreachable } from '../../peer/unreachable.ts'
import { type Endpoint, formatEndpoint } from '../../wire/endpoint.ts'
import { hostOf } from '../../wire/place.ts'
import { type Finding, found, ok, parted, type Side, type Stepped, warning, wrong } from './check.ts'

/** Where the gateway is, and by what it is dialled. */
export interface Place extends GatewayUrl {
  readonly proxy: WebProxy | undefined
  /** Whose name is looked up, and who is dialled: the gateway, or the proxy. */
  readonly host: string
  readonly port: number
  readonly isSecure: boolean
}

/** @param isChosen false where nobody has said which gateway */
export function checkUrl(text: string, isChosen: boolean): Stepped<Place> {
  try {
    const { place, join } = gatewayUrl(text)
    const proxy = proxyOf(join.href)
    const isSecure = join.protocol === 'wss:'
    const { host, port } = proxy
      ? ofProxy(proxy)
      : { host: hostOf(join), port: Number(join.port || (isSecure ? 443 : 80)) }
    const by = proxy ? `, by the proxy ${proxy.host} of ${proxy.variable}` : ''
    const value = { place, join, proxy, host, port, isSecure }
    const sentence = `${place} is dialled at port ${port}${by}`
    return found(isChosen ? ok(sentence) : notChosen(place), value)
  } catch (error) {
    return found(wrong('you', messageOf(error)))
  }
}

const notChosen = (place: string): Finding =>
  warning('you', `nothing says which gateway, so it is ${place}, on this computer`, {
    advice: 'postern doctor URL, or POSTERN_GATEWAY'
  })

function ofProxy({ host }: WebProxy): { host: string; port: number } {
  const url = new URL(`http://${host}`)
  return { host: hostOf(url), port: Number(url.port || 80) }
}

/** Resolves with the addresses of a name, in the order in which they are dialled. */
export async function checkName({ host, place, proxy }: Place): Promise<Stepped<readonly string[]>> {
  if (isIP(host)) return found(ok(`${host} is an address, and no name`, { addresses: [host] }), [host])
  try {
    const addresses = [...new Set((await lookup(host, { all: true })).map(({ address }) => address))]
    const facts = { addresses }
    const sentence = `${host} is ${addresses.join(', ')}`
    // Which IPv4 address UDP goes to is told by the gateway.
    const isNarrow = !proxy && !addresses.some(isIPv4)
    const advice = 'give the name an IPv4 address (A) as well: UDP is IPv4 alone'
    return found(
      isNarrow ? warning('gateway', `${sentence}, IPv6 alone`, { advice, facts }) : ok(sentence, facts),
      addresses
    )
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException
    // That nobody knows the name is an answer; that no server answers is the network's.
    const side: Side = code === 'ENOTFOUND' ? 'you' : 'network'
    return found({ ...parted(side, whyUnreachable(place, error as Error, proxy)), facts: { code } })
  }
}

/** As many addresses as are tried. A name with more is that of a service that has one in front. */
const MOST = 6

/** How long one of them has, in milliseconds: a lost packet or two. */
const CONNECT_MS = 5000

interface Dialled {
  readonly endpoint: Endpoint
  readonly ms: number
  readonly error?: NodeJS.ErrnoException
}

/** Resolves with true if one of the addresses takes connections. */
export async function checkTcp(
  { place, port, proxy }: Place,
  addresses: readonly string[],
  signal: AbortSignal
): Promise<Stepped<true>> {
  const dialled = await Promise.all(addresses.slice(0, MOST).map(address => dial({ address, port }, signal)))
  const open = dialled.filter(({ error }) => !error)
  if (open.length > 0) return { findings: dialled.filter(isTold).map(one => findingOf(one, place)), value: true }
  const [first] = dialled
  if (!first?.error) return found(wrong('you', 'there is no address to dial'))
  const { code = '' } = first.error
  const said = whyUnreachable(place, first.error, proxy)
  const finding = proxy ? wrong('you', said, { advice: otherProxy(proxy) }) : parted(sides[code] ?? 'network', said)
  return found({ ...finding, facts: { code, tried: dialled.map(({ endpoint }) => formatEndpoint(endpoint)) } })
}

const otherProxy = ({ variable }: WebProxy): string =>
  `name in ${variable} the proxy of the network that this computer is in, or none if it has none`

/** Nobody listens there: whoever answers so is the gateway's host, or a router that was told to. */
const sides: Readonly<Record<string, Side>> = { ECONNREFUSED: 'gateway', ECONNRESET: 'gateway' }

/** An address of a family that this host has not is none to speak of. */
const isTold = ({ error }: Dialled): boolean => !['ENETUNREACH', 'EADDRNOTAVAIL'].includes(error?.code ?? '')

function findingOf({ endpoint, ms, error }: Dialled, place: string): Finding {
  const at = formatEndpoint(endpoint)
  if (!error) return { ...ok(`${at} takes connections`), ms }
  const { sentence } = parted('network', whyUnreachable(place, error))
  const advice = `mend the way there, or take ${endpoint.address} from the name: each connection may try it first`
  return { ...warning(sides[error.code ?? ''] ?? 'network', `${at}: ${sentence}`, { advice }), ms }
}

async function dial(endpoint: Endpoint, signal: AbortSignal): Promise<Dialled> {
  const sinceMs = performance.now()
  using late = timeoutSignal(CONNECT_MS)
  const socket = connect({ host: endpoint.address, port: endpoint.port })
  try {
    await once(socket, 'connect', { signal: AbortSignal.any([signal, late]) })
    return { endpoint, ms: performance.now() - sinceMs }
  } catch (thrown) {
    signal.throwIfAborted()
    const error = late.aborted ? Object.assign(new Error('no answer'), { code: 'ETIMEDOUT' }) : (thrown as Error)
    return { endpoint, ms: performance.now() - sinceMs, error }
  } finally {
    socket.on('error', () => {})
    socket.destroy()
  }
}
