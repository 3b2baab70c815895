// The gateway's HTTP API, as `traces` and `names` use it.

import { readFile } from 'node:fs/promises'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { setDefaultCACertificates } from 'node:tls'
import { type Code, codes, PosternError } from '../errors.ts'
import { trustedWith } from '../peer/doors/trust.ts'
import { gatewayUrl, refusePublic } from '../peer/gateway-url.ts'
import { speaksTls, unreachable } from '../peer/unreachable.ts'
import { isLoopback } from '../wire/endpoint.ts'
import { hostOf, urlAt } from '../wire/place.ts'
import { printableJson } from '../wire/text.ts'
import type { AdminOptions } from './options.ts'

/** Milliseconds that are longer than any list takes. A gateway that hangs must not hang the command. */
const ANSWER_MS = 10_000

/**
 * The gateway's answer; undefined if it answers with nothing.
 * @throws PosternError `gateway-unreachable`, `bad-token`, `bad-config`, or the code the gateway answered with.
 */
export async function ask(
  options: AdminOptions,
  path: string,
  { method = 'GET', key, signal }: Asking
): Promise<unknown> {
  const { place } = gatewayUrl(options.gateway)
  const url = urlAt(place, path)
  if (url.protocol === 'http:' && !options.insecure) await refusePublic(new URL(place))
  // There is no other way to tell `fetch`.
  const trusted = trustedWith(options.ca)
  if (trusted) setDefaultCACertificates(trusted)
  const put = (token: string | undefined) =>
    fetch(url, {
      method,
      headers: key ? { authorization: `Trace ${key}` } : token ? { authorization: `Bearer ${token}` } : {},
      signal: AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)])
    }).catch(error => {
      signal.throwIfAborted()
      throw unreachable(place, error.cause ?? error)
    })
  const first = await put(options.adminToken)
  const isAsked = first.status === 401 && !options.adminToken && !key
  const kept = isAsked ? await keptToken(url) : undefined
  const response = kept ? await put(kept) : first
  if (response.status === 204) return undefined
  const text = await response.text().catch(() => '')
  const body = jsonIn(text)
  if (response.ok && body !== undefined) return body
  if (response.status === 401 && isAsked) throw new PosternError('bad-token', tokenNeeded)
  throw refusal(body, { place, status: response.status, text })
}

interface Asking {
  readonly method?: 'GET' | 'DELETE'
  /** Of the one trace that is asked for; it takes the place of the admin token. */
  readonly key?: string | undefined
  readonly signal: AbortSignal
}

/** A gateway on this computer may need no token, so it is asked without one first. */
const tokenNeeded =
  "this gateway asks for its admin token, which is in admin-token in the gateway's state folder unless it is configured"

/**
 * The admin token that a gateway keeps where a command is run, in the folder that `state` names by default. It is shown to a
 * gateway on this computer only, and only once that has asked for it.
 */
async function keptToken(url: URL): Promise<string | undefined> {
  const host = hostOf(url)
  const own = Object.values(networkInterfaces()).flatMap(list => list ?? [])
  if (host !== 'localhost' && !isLoopback(host) && !own.some(({ address }) => address === host)) return undefined
  const text = await readFile(join(process.env.POSTERN_STATE || 'state', 'admin-token'), 'utf8').catch(() => '')
  return text.trim() || undefined
}

function refusal(
  body: unknown,
  { place, status, text }: { place: string; status: number; text: string }
): PosternError {
  const { code, reason } = (body ?? {}) as { code?: unknown; reason?: unknown }
  if (speaksTls(text)) return unreachable(place, { status, body: text })
  if (typeof code !== 'string' || typeof reason !== 'string')
    return new PosternError('bad-message', `${place} does not answer as a postern gateway does`)
  return new PosternError(Object.hasOwn(codes, code) ? (code as Code) : 'bad-config', reason)
}

function jsonIn(text: string): unknown {
  try {
    return printableJson(JSON.parse(text))
  } catch {
    return undefined
  }
}
