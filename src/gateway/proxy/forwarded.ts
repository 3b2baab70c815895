// What the headers of an HTTP request say of where it came from: X-Forwarded-For, and Forwarded (RFC 7239). Each proxy adds whom it was asked
// by at the end, so what stands before the first address that is not trusted anybody may have made up.
//
//   X-Forwarded-For: made up, 203.0.113.7, 10.0.0.2     came from 10.0.0.1, and 10.0.0.0/8 is trusted  ─►  203.0.113.7
//
// Most proxies write one of the two headers and pass on the other one as their client wrote it. Which of them that is cannot be seen: nginx,
// Caddy and Envoy write X-Forwarded-For, and HAProxy may be told to write either. So where both are there they have to agree, and a request
// of which they say different things is refused: a client that adds one of them harms itself alone.

import type { IncomingHttpHeaders } from 'node:http'
import { isIP, SocketAddress } from 'node:net'
import { parse } from 'forwarded-parse'
import { PosternError } from '../../errors.ts'
import { plainAddress } from '../../wire/endpoint.ts'
import { printable } from '../../wire/text.ts'

/** Whether a request says anything about where it came from. */
export const isForwarded = (headers: IncomingHttpHeaders): boolean =>
  headers.forwarded !== undefined || headers['x-forwarded-for'] !== undefined

/**
 * The address that a request came from. A proxy that does not know it, or hides it (RFC 7239 sections 6.2 and 6.3), is itself who asks.
 * @param from the far end of the connection, who is trusted
 * @throws PosternError `bad-message` where nobody can tell: what a proxy added is no address, or the headers say different things
 */
export function clientOf(from: string, headers: IncomingHttpHeaders, isTrusted: (address: string) => boolean): string {
  const said = [inForwarded(headers.forwarded), inForwardedFor(headers['x-forwarded-for'])].filter(
    list => list.length > 0
  )
  const [one = from, other = one] = said.map(nodes => walk(from, nodes, isTrusted))
  if (one === other) return one
  throw unclear(
    `Forwarded says that this request comes from ${one}, and X-Forwarded-For from ${other}`,
    'one of them, or the same in both; have the proxy remove the header that it does not write itself'
  )
}

/** From the proxy that was heard to whoever the last trusted one was asked by. */
function walk(from: string, nodes: readonly string[], isTrusted: (address: string) => boolean): string {
  let client = from
  for (const node of nodes.toReversed()) {
    if (!isTrusted(client)) break
    const address = addressOf(node)
    if (address === undefined) break
    client = address
  }
  return client
}

const inForwardedFor = (header: string | string[] | undefined): string[] =>
  [header ?? []]
    .flat()
    .flatMap(line => line.split(','))
    .map(node => node.trim())
    .filter(node => node !== '')

/** A list with a mistake anywhere is none: an open quotation mark of whoever wrote first would swallow what proxies have added. */
function inForwarded(header: string | undefined = ''): string[] {
  if (header.trim() === '') return []
  try {
    return parse(header.trim()).map(({ for: node = UNKNOWN }) => node)
  } catch {
    throw unclear(`Forwarded is ${shown(header)}`, 'elements such as for=192.0.2.1 (RFC 7239)')
  }
}

const UNKNOWN = 'unknown'

/** An identifier that means something to its proxy alone (RFC 7239 section 6.3). */
const obfuscated = /^_[\w.-]+(:\w[\w.-]*)?$/

/** `192.0.2.1`, `192.0.2.1:4711`, `[2001:db8::1]` or `[2001:db8::1]:4711`. The port may be obfuscated. */
const node = /^(?:\[([^\]]+)\]|([\d.]+))(?::[\w.-]+)?$/

/** The address of a node (RFC 7239 section 6); undefined if its proxy does not say it. */
function addressOf(text: string): string | undefined {
  if (text.toLowerCase() === UNKNOWN || obfuscated.test(text)) return undefined
  const [, v6, v4] = node.exec(text) ?? []
  const address = canonical(v6 ?? v4 ?? text)
  if (address === undefined) throw unclear(`a proxy says that this request comes from ${shown(text)}`, 'an IP address')
  return address
}

/** As the kernel writes it, so that nobody counts twice; undefined for what is no address. */
export function canonical(text: string): string | undefined {
  const plain = plainAddress(text)
  if (isIP(plain) === 0) return undefined
  return plain.includes(':') ? plainAddress(new SocketAddress({ address: plain, family: 'ipv6' }).address) : plain
}

const SHOWN = 60

const shown = (text: string): string =>
  JSON.stringify(printable(text.length > SHOWN ? `${text.slice(0, SHOWN)}…` : text))

const unclear = (got: string, expected: string) => new PosternError('bad-message', `${got}; expected ${expected}`)
