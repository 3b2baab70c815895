// The proxy by which a network lets programs out, as its variables say: HTTPS_PROXY (or ALL_PROXY), and NO_PROXY for what is near. It
// passes TLS on by CONNECT (RFC 9110 section 9.3.6), and sees nothing of it. What is dialled without TLS goes directly: that is for
// private networks, and few proxies pass it on.

import { checkServerIdentity, type PeerCertificate } from 'node:tls'
import { HttpsProxyAgent } from 'https-proxy-agent'
import { getProxyForUrl } from 'proxy-from-env'
import type { ClientOptions } from 'ws'
import { hostOf } from '../../wire/place.ts'

const variables = ['https_proxy', 'HTTPS_PROXY', 'all_proxy', 'ALL_PROXY'] as const

/** Where a proxy is, without what it asks for as a login, and the variable that names it. */
export interface WebProxy {
  readonly host: string
  readonly variable: string
}

/** The proxy for a URL, `wss:` or `https:`; undefined where there is none, or one of another kind than HTTP. */
export const proxyOf = (url: string): WebProxy | undefined => {
  const found = urlOf(url)
  return found && { host: found.url.host, variable: found.variable }
}

/** What a WebSocket to this URL is dialled with: nothing, where it is dialled directly. */
export function diallingOf(url: string): Pick<ClientOptions, 'agent' | 'checkServerIdentity'> {
  const found = urlOf(url)
  if (!found) return {}
  const host = hostOf(new URL(url))
  // The agent does not say whom it expects where that is an address.
  const check = (_: string, certificate: PeerCertificate) => checkServerIdentity(host, certificate)
  return { agent: new HttpsProxyAgent(found.url), checkServerIdentity: check as unknown as ClientCheck }
}

/** Its types are wrong in what is returned: an error, or undefined (`tls.checkServerIdentity`). */
type ClientCheck = NonNullable<ClientOptions['checkServerIdentity']>

function urlOf(url: string): { url: URL; variable: string } | undefined {
  const secure = url.replace(/^wss:/, 'https:')
  if (!secure.startsWith('https:') || !getProxyForUrl(secure)) return undefined
  const variable = variables.find(name => process.env[name])
  const written = process.env[variable ?? ''] ?? ''
  const whole = written.includes('://') ? written : `http://${written}`
  if (!variable || !URL.canParse(whole) || !/^https?:/.test(whole)) return undefined
  return { url: new URL(whole), variable }
}
