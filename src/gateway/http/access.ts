// Who may read pages, API and metrics, and who may change names.
//
//   request ─► Bearer token ──────────────────────────► right: in; wrong: counted against its network
//           ─► cookie of a login ─┐
//           ─► local, no token ───┴─► GET, not from another site ─► in
//           ─► refused
//
// A caller that has no token reads what was recorded of its own request, by the key that it was told with it.
//
// A login takes the token, or a link that the gateway gave its operator: good for one login, and for ten minutes.
//
// A request is local if it came to a listener that is bound to loopback only, under a local name (another name means DNS
// rebinding, or a proxy), and without a trace of anything in between. Some proxies cannot be told from a local program: they
// add no header, speak HTTP/1.1, and hand on a local Host, which is their own idea of it (nginx since 1.29.7) or whatever a
// stranger wrote (any tunnel). But an operator who runs such a proxy for others also lets their UDP in. So a gateway whose
// UDP is not on loopback alone is open to nobody.

import { randomBytes } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { LRUCache } from 'lru-cache'
import { nowMs } from '../../clock.ts'
import type { Config } from '../../config/config.ts'
import { isLoopback, plainAddress } from '../../wire/endpoint.ts'
import { GuardedToken } from '../peers/guarded-token.ts'
import { TraceKeys } from '../recording/trace-keys.ts'
import { latest } from '../shares/latest.ts'

/** Whether a gateway is for this computer alone, so that its pages may be open here. */
export function openTo({ admin, listen }: Pick<Config, 'admin' | 'listen'>): 'loopback' | 'never' {
  const alone = [listen.http.address, ...listen.udp.addresses].every(isLoopback)
  return alone ? admin.open : 'never'
}

/** What is known of a request before its path matters. */
export interface Visit {
  readonly method: string
  readonly httpVersion: string
  readonly headers: IncomingHttpHeaders
  /** Whether it came over TLS of the gateway's own. */
  readonly isSecure: boolean
  /** The address the listener is bound to. */
  readonly listener: string
  /** The address the request came from: a proxy that is trusted says for whom it asks. */
  readonly source: string
  /** The value of the cookie that a login left. */
  readonly session: string | undefined
}

export type Admission = 'token' | 'session' | 'local' | 'refused' | 'limited'

export interface AccessCounters {
  /** Logins with the right token, or by a link. */
  loggedIn: number
  /** Wrong tokens, in a form or a header, and links that are not good (any more). */
  wrongTokens: number
  /** Tokens that were refused unseen, since their source had shown too many wrong ones. */
  limited: number
  /** Keys by which callers read their own traces, and those that were not good (any more). */
  keys: number
  wrongKeys: number
}

export interface AccessOptions {
  readonly token: string
  readonly open: 'loopback' | 'never'
  /** Left out, there are no keys. */
  readonly keys?: TraceKeys
  /** Milliseconds since the epoch. */
  readonly now?: () => number
}

/** A working day: a person who comes back tomorrow logs in again. */
export const SESSION_MS = 12 * 3_600_000

/** A link is for whoever sees the gateway start, in milliseconds. */
export const LINK_MS = 600_000

/** Only the gateway's own process makes links. */
const LINKS = 10

/** Only somebody who has the token can make sessions, but a script that logs in each time must not fill the memory. */
const SESSIONS = 1000

export class Access {
  readonly counters: AccessCounters = { loggedIn: 0, wrongTokens: 0, limited: 0, keys: 0, wrongKeys: 0 }
  readonly #token: GuardedToken
  readonly #open: 'loopback' | 'never'
  readonly #sessions = new LRUCache<string, true>({ ...latest(SESSIONS), ttl: SESSION_MS })
  /** When each link ends, in milliseconds of the clock. */
  readonly #links = new LRUCache<string, number>({ max: LINKS })
  readonly #now: () => number
  readonly #keys: TraceKeys

  constructor({ token, open, keys = new TraceKeys(), now = nowMs }: AccessOptions) {
    this.#token = new GuardedToken(token)
    this.#open = open
    this.#keys = keys
    this.#now = now
  }

  /** Another token from now on. Whoever logged in by the one before has to show this one. */
  change(token: string): void {
    if (token === this.#token.token) return
    this.#token.token = token
    this.#sessions.clear()
    this.#links.clear()
  }

  admit(visit: Visit): Admission {
    const given = /^Bearer (.+)$/i.exec(visit.headers.authorization ?? '')?.[1]
    if (given !== undefined) return this.#check(given, visit)
    if (!isReading(visit) || isForeign(visit)) return 'refused'
    if (visit.session !== undefined && this.#sessions.has(visit.session)) return 'session'
    return this.#open === 'loopback' && isLocal(visit) ? 'local' : 'refused'
  }

  /** The id of a new session, for a cookie. */
  logIn(given: string, visit: Visit): { session: string } | 'refused' | 'limited' {
    const admission = this.#check(given, visit)
    return admission === 'token' ? this.#begin() : admission
  }

  /** The root span of the one request that a key of this trace reads. Keys cannot be guessed, so wrong ones are not limited. */
  readsOwn(trace: string, key: string): string | undefined {
    const root = this.#keys.rootOf(trace, key)
    this.counters[root === undefined ? 'wrongKeys' : 'keys']++
    return root
  }

  /** The secret of a new link. */
  link(): string {
    const link = randomBytes(24).toString('base64url')
    this.#links.set(link, this.#now() + LINK_MS)
    return link
  }

  /** Whether a link is good. It stays so: programs that look at what people are sent may ask first. */
  isGood(link: string): boolean {
    return (this.#links.get(link) ?? -Infinity) > this.#now()
  }

  /** As `logIn`, by a link, which is used up. A link cannot be guessed, so wrong ones are counted and not limited. */
  follow(link: string): { session: string } | 'refused' {
    const isGood = this.isGood(link)
    this.#links.delete(link)
    if (isGood) return this.#begin()
    this.counters.wrongTokens++
    return 'refused'
  }

  #begin(): { session: string } {
    this.counters.loggedIn++
    const session = randomBytes(24).toString('base64url')
    this.#sessions.set(session, true)
    return { session }
  }

  logOut(session: string): void {
    this.#sessions.delete(session)
  }

  #check(given: string, { source }: Visit): 'token' | 'refused' | 'limited' {
    const found = this.#token.check(given, source)
    if (found === 'right') return 'token'
    this.counters[found === 'limited' ? 'limited' : 'wrongTokens']++
    return found === 'limited' ? 'limited' : 'refused'
  }
}

const isReading = ({ method }: Visit): boolean => method === 'GET' || method === 'HEAD'

/**
 * True if a page of another site made the request. Another port of the same host is another site too. Programs send none of
 * these headers. Browsers send the first one where the connection is private (https, or this computer), and otherwise say the
 * origin of a form. A proxy may have another Host than the browser knows, and says then which that was. It may speak TLS for a
 * gateway that does not; where the gateway itself does, a page without TLS is of whoever stands between.
 */
export function isForeign({ headers, isSecure }: Pick<Visit, 'headers' | 'isSecure'>): boolean {
  const site = headers['sec-fetch-site']
  if (site !== undefined) return site !== 'none' && site !== 'same-origin'
  const { origin } = headers
  if (origin === undefined) return false
  const here = [headers.host, headers['x-forwarded-host']].filter(host => host !== undefined)
  return !here.some(host => origin === `https://${host}` || (!isSecure && origin === `http://${host}`))
}

const localHost = /^(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d{1,5})?$/i

/** Headers that proxies and load balancers add to say for whom they ask. */
const forwarding =
  /^(forwarded|via|x-forwarded($|-.*)|x-real-ip|x-original-.*|x-client-ip|x-cluster-client-ip|true-client-ip|cf-.*|x-envoy-.*)$/

/** HTTP/1.0 does not count as local: proxies speak it that say nothing else of themselves. */
function isLocal({ listener, source, httpVersion, headers }: Visit): boolean {
  return (
    isLoopback(listener) &&
    isLoopback(plainAddress(source)) &&
    httpVersion !== '1.0' &&
    localHost.test(headers.host ?? '') &&
    !Object.keys(headers).some(name => forwarding.test(name))
  )
}
