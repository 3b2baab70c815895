// An Internet Gateway Device as it is spoken with: where its services are, and one request to one of them.

import type { Router } from './asking.ts'
import { exchange } from './datagram.ts'
import { onRouter, put } from './small-http.ts'
import { blocksIn, textIn } from './tags.ts'

/** A service of the router that maps ports. */
export interface Service {
  readonly type: string
  readonly control: URL
}

/** Services that are asked, at most. A router for DSL often lists two, one of which has the address. */
const MOST_SERVICES = 4

const DEVICE = 'urn:schemas-upnp-org:device:InternetGatewayDevice:1'
const SERVICE = /^urn:schemas-upnp-org:service:WAN(?:IP|PPP)Connection:\d$/

/** `nonsense`: also where its description or all of its services are at another host. */
export async function servicesOf(router: Router, signal: AbortSignal): Promise<Service[] | 'silent' | 'nonsense'> {
  const location = await search(router, signal)
  if (typeof location === 'string') return location
  const description = await put(router, { url: location }, signal)
  if (typeof description === 'string') return description
  const services = servicesIn(router, description.body, location)
  return services.length > 0 ? services : 'nonsense'
}

/** Searches as UPnP Device Architecture 1.1 section 1.3.2 has it for one host. Devices of version 1.0 want MX as well. */
function search(router: Router, signal: AbortSignal): Promise<URL | 'silent' | 'nonsense'> {
  const to = { address: router.address, port: router.ports.search }
  const lines = [
    'M-SEARCH * HTTP/1.1',
    `HOST: ${to.address}:${to.port}`,
    'MAN: "ssdp:discover"',
    'MX: 1',
    `ST: ${DEVICE}`
  ]
  const question = Buffer.from(`${lines.join('\r\n')}\r\n\r\n`)
  return exchange({ to, anyPort: true, datagram: () => question, read: bytes => locationIn(router, bytes) }, signal)
}

function locationIn(router: Router, datagram: Buffer): URL | undefined {
  const text = datagram.toString('latin1')
  if (!/^HTTP\/1\.\d 200\b/.test(text)) return undefined
  return urlAt(router, /^location:[ \t]*(\S+)/im.exec(text)?.[1] ?? '')
}

function servicesIn(router: Router, xml: string, location: URL): Service[] {
  const base = URL.parse(textIn(xml, 'URLBase') ?? '') ?? location
  const services = blocksIn(xml, 'service').flatMap(service => {
    const type = textIn(service, 'serviceType') ?? ''
    const control = SERVICE.test(type) && urlAt(router, textIn(service, 'controlURL') ?? '', base)
    return control ? [{ type, control }] : []
  })
  return services.slice(0, MOST_SERVICES)
}

/** Undefined if it is no URL, or one at another host. */
function urlAt(router: Router, text: string, base?: URL): URL | undefined {
  const url = text === '' ? null : URL.parse(text, base?.href)
  return url && onRouter(router, url) ? url : undefined
}

export interface Reply {
  /** UPnP's code where the router refused (UPnP Device Architecture 1.1, table 3-3, and the tables of the service). */
  readonly error: number | undefined
  /** An argument of the answer. */
  readonly value: (name: string) => string | undefined
  /** This host's address towards the router. */
  readonly ownAddress: string
}

export interface Call {
  readonly action: string
  readonly args?: Readonly<Record<string, string | number>>
  readonly patienceMs?: number
}

/** @param call its arguments hold nothing that has to be escaped in XML */
export async function request(
  router: Router,
  { type, control }: Service,
  { action, args = {}, ...patience }: Call,
  signal: AbortSignal
): Promise<Reply | 'silent' | 'nonsense'> {
  const values = Object.entries(args).map(([name, value]) => `<${name}>${value}</${name}>`)
  const body = `<?xml version="1.0"?>
<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" s:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/">
<s:Body><u:${action} xmlns:u="${type}">${values.join('')}</u:${action}></s:Body></s:Envelope>
`
  const headers = { 'content-type': 'text/xml; charset="utf-8"', soapaction: `"${type}#${action}"` }
  const answer = await put(router, { url: control, body, headers, ...patience }, signal)
  return typeof answer === 'string' ? answer : (replyIn(answer, action) ?? 'nonsense')
}

function replyIn({ status, body, ownAddress }: { status: number; body: string; ownAddress: string }, action: string) {
  const value = (name: string) => textIn(body, name)
  const code = value('errorCode')
  if (code !== undefined) return /^\d{3}$/.test(code) ? { error: Number(code), value, ownAddress } : undefined
  return status === 200 && body.includes(`${action}Response`) ? { error: undefined, value, ownAddress } : undefined
}
