// Why there is no connection to a gateway, in one sentence that says what to do: by the error of the connection, or by the
// answer of whatever is there in the gateway's place.
//
//   error ─► name, route, port, TLS, certificate ─┐
//   answer ─► redirect, login, path, no WebSocket ─┴─► gateway-unreachable: …

import type { IncomingMessage } from 'node:http'
import { PosternError } from '../errors.ts'
import { JOIN_PATH, placeOf } from '../wire/place.ts'
import { printable } from '../wire/text.ts'
import type { WebProxy } from './doors/proxy.ts'

/** An HTTP answer to the request for a WebSocket. */
export interface Answer {
  readonly status: number
  readonly location?: string | undefined
  /** The beginning of its body. */
  readonly body: string
}

/** As much of a body as says what is there, in bytes; and how long it is waited for, in milliseconds. */
const BODY = { bytes: 2048, ms: 500 } as const

/**
 * @param why the connection's error, or the answer that came; undefined: the connection was closed without a word
 * @param proxy by which it was dialled
 */
export function unreachable(place: string, why: Error | Answer | undefined, proxy?: WebProxy): PosternError {
  const cause = why instanceof Error ? why : undefined
  const sentence = whyUnreachable(place, why, proxy)
  return new PosternError('gateway-unreachable', `the gateway at ${place} cannot be reached: ${sentence}`, { cause })
}

/** The same without what everybody knows: what is there, then `; ` and what to do about it, then the code in brackets. */
export function whyUnreachable(place: string, why: Error | Answer | undefined, proxy?: WebProxy): string {
  const { host, hostname, protocol } = new URL(place)
  const at = { place, host, name: hostname, inClear: protocol === 'http:', proxy }
  return why && 'status' in why ? answered(why, at) : failed(why, at)
}

/** Reads an answer as far as it matters. Never rejects. */
export async function answerOf(response: IncomingMessage): Promise<Answer> {
  const { statusCode: status = 0, headers } = response
  const late = setTimeout(() => response.destroy(), BODY.ms)
  let body = ''
  try {
    for await (const chunk of response) {
      body += chunk
      if (body.length > BODY.bytes) break
    }
  } catch {
    // What came is all there is.
  }
  clearTimeout(late)
  return { status, location: headers.location, body }
}

interface At {
  readonly place: string
  readonly host: string
  readonly name: string
  /** It was dialled without TLS. */
  readonly inClear: boolean
  readonly proxy: WebProxy | undefined
}

function failed(error: (Error & { code?: unknown }) | undefined, at: At): string {
  const code = error?.name === 'TimeoutError' ? 'ETIMEDOUT' : error?.code
  if (typeof code !== 'string') return error ? printable(error.message) : closed(at)
  if (at.proxy && walled.includes(code))
    return `the proxy ${at.proxy.host} that ${at.proxy.variable} names is not there, or does not let it through (${code})`
  const sentence = byCode[code] ?? byBeginning.find(([beginning]) => code.startsWith(beginning))?.[1]
  return `${sentence ? sentence(at, error) : printable(error?.message ?? '')} (${code})${proxied(at, code)}`
}

type Sentence = (at: At, error: Error | undefined) => string

const noRoute = () => 'no way leads there; is this computer online?'

const closed = ({ inClear, host }: At) =>
  inClear ? `it closed the connection; if it speaks TLS there, write https://${host}` : 'it closed the connection'

const noTls = ({ host }: At) =>
  `what is there speaks no TLS; take the port at which it does, or http://${host} within a private network`

const someTls = ({ host }: At) => `what is there speaks no HTTP; it may be TLS: write https://${host}`

const foreignCa = () =>
  'its certificate is from an authority that is not trusted here; give the certificate of that authority with --ca FILE, or in NODE_EXTRA_CA_CERTS'

const notNow = (what: string) => () =>
  `its certificate ${what}; have it renewed, or set the clock of this computer, which says ${new Date().toISOString().slice(0, 10)}`

const otherName: Sentence = ({ name }, error) => {
  const { subjectaltname = 'another name' } = (error as { cert?: { subjectaltname?: string } } | undefined)?.cert ?? {}
  return `its certificate is for ${printable(subjectaltname.replaceAll(/DNS:|IP Address:/g, ''))}, and not for ${name}; dial it by a name of the certificate`
}

const byCode: Readonly<Record<string, Sentence>> = {
  ENOTFOUND: ({ name }) => `nobody knows the name ${name}; is it spelled right, and is this computer online?`,
  EAI_AGAIN: ({ name }) => `no name server says where ${name} is; is this computer online?`,
  ECONNREFUSED: ({ host }) => `nothing listens at ${host}; is the gateway running, and is this its port?`,
  EHOSTUNREACH: noRoute,
  ENETUNREACH: noRoute,
  ENETDOWN: noRoute,
  EADDRNOTAVAIL: noRoute,
  ETIMEDOUT: () => silent,
  UND_ERR_CONNECT_TIMEOUT: () => silent,
  ECONNRESET: closed,
  EPIPE: closed,
  UND_ERR_SOCKET: closed,
  EPROTO: noTls,
  ERR_SSL_WRONG_VERSION_NUMBER: noTls,
  ERR_SSL_PACKET_LENGTH_TOO_LONG: noTls,
  ERR_SSL_HTTP_REQUEST: noTls,
  DEPTH_ZERO_SELF_SIGNED_CERT: foreignCa,
  SELF_SIGNED_CERT_IN_CHAIN: foreignCa,
  UNABLE_TO_GET_ISSUER_CERT: foreignCa,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: foreignCa,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: foreignCa,
  CERT_HAS_EXPIRED: notNow('has expired'),
  CERT_NOT_YET_VALID: notNow('is not valid yet'),
  ERR_TLS_CERT_ALTNAME_INVALID: otherName
}

const byBeginning: readonly (readonly [string, Sentence])[] = [
  ['HPE_', someTls],
  ['ERR_SSL_', (_, error) => `TLS with it fails: ${printable(error?.message ?? '')}`],
  ['ERR_TLS_', (_, error) => `TLS with it fails: ${printable(error?.message ?? '')}`]
]

const silent = 'it does not answer; is the address right, and does a firewall keep this computer from it?'

/** Codes that a network gives which lets programs out by its proxy alone. */
const walled: readonly string[] = [
  'ENOTFOUND',
  'EAI_AGAIN',
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ETIMEDOUT',
  'ECONNRESET'
]

/** What is said of the proxy between, or of one of another kind. */
function proxied({ proxy }: At, code: string): string {
  if (proxy) return `; it was dialled through the proxy ${proxy.host} of ${proxy.variable}`
  const variable = ['ALL_PROXY', 'all_proxy', 'HTTP_PROXY', 'http_proxy'].find(name => process.env[name])
  const only = 'postern takes an HTTP proxy of HTTPS_PROXY, for https:// alone'
  return variable && walled.includes(code) ? `; ${variable} is set, and ${only}` : ''
}

function answered({ status, location, body }: Answer, at: At): string {
  const http = `HTTP ${status}`
  if (status >= 300 && status < 400 && location !== undefined) return `${redirected(location, at)} (${http})`
  if (speaksTls(body)) return `it speaks TLS there; write https://${at.host} (${http})`
  if (isGateway(body))
    return `something in between does not let the request for a WebSocket through (${http}); ${passOn}`
  if (status === 407 && at.proxy)
    return `the proxy ${at.proxy.host} asks for a login; write it as http://USER:PASSWORD@${at.proxy.host} in ${at.proxy.variable} (${http})`
  return `${byStatus(status, at)} (${http})${proxied(at, '')}`
}

/** Whether an answer is of a port that speaks TLS to a request in clear: of this gateway, nginx, Go, Apache. */
export const speaksTls = (body: string): boolean => /HTTP request (was sent )?to (an )?HTTPS/i.test(body)

function byStatus(status: number, { place }: At): string {
  const { pathname } = new URL(place)
  switch (status) {
    case 401:
    case 407:
      return 'something in front of it asks for a login, which peers have not; have it let requests to /join through'
    case 403:
      return 'something in front of it lets nobody through from here; ask who runs it'
    case 404:
    case 410:
      return `there is no gateway below ${place}; is the path of its URL right?`
    case 429:
      return 'something in front of it has had too many requests from here; try again later'
    case 502:
    case 503:
    case 504:
      return 'the proxy in front of it does not reach it; is the gateway running?'
    default:
      return `what answers there makes no WebSocket: ${pathname === '/' ? '' : 'the path of its URL is wrong, or '}it is no gateway, or a proxy in front of it is not set up; ${passOn}`
  }
}

/** What a proxy in front of a gateway is told. */
export const passOn =
  'have the proxy pass WebSockets on (for nginx: proxy_http_version 1.1, and proxy_set_header for Upgrade and Connection)'

function redirected(location: string, { place }: At): string {
  const to = URL.canParse(location, `${place}${JOIN_PATH}`) ? new URL(location, `${place}${JOIN_PATH}`).href : ''
  const there = placeOf(to)
  if (there === undefined || !there.endsWith(JOIN_PATH))
    return `it leads on to ${printable(there ?? location)}, where no peers join; is the URL right, or does something in front of it ask for a login?`
  return `it leads on to another place; write ${printable(there.slice(0, -JOIN_PATH.length))} in its stead`
}

/** Whether an answer is of a gateway: `{ code, reason }`. */
function isGateway(body: string): boolean {
  try {
    const { code, reason } = JSON.parse(body)
    return typeof code === 'string' && typeof reason === 'string'
  } catch {
    return false
  }
}
