// An HTTP request to the gateway's place, dialled as a peer dials it: by the proxy of the environment if there is one, and with the
// authorities that a peer trusts. No connection is kept: each check makes its own.

import { once } from 'node:events'
import { type ClientRequest, type IncomingMessage, request } from 'node:http'
import { request as secureRequest } from 'node:https'
import { diallingOf } from '../../peer/doors/proxy.ts'
import { trustedWith } from '../../peer/doors/trust.ts'
import type { Place } from './place.ts'

export interface Trusting {
  readonly insecure?: boolean | undefined
  /** Certificates in PEM. */
  readonly ca?: string | undefined
}

export interface Asking extends Trusting {
  readonly method?: 'GET' | 'HEAD'
  /** Takes any certificate: for looking at it. */
  readonly isUnverified?: boolean
}

export function ask(
  { place, join, isSecure }: Place,
  path: string,
  asking: Asking,
  signal: AbortSignal
): ClientRequest {
  const { ca, method = 'GET', isUnverified = false } = asking
  const url = `${place}${path}`
  const dialling = { method, signal, agent: false as const, ...diallingOf(join.href) }
  const trusted = trustedWith(ca)
  const asked = isSecure
    ? secureRequest(url, {
        ...dialling,
        rejectUnauthorized: !isUnverified,
        ...(trusted ? { ca: trusted } : {})
      } as object)
    : request(url, dialling as object)
  asked.end()
  return asked
}

export interface Answered {
  readonly response: IncomingMessage
  /** Milliseconds since the epoch. */
  readonly sentMs: number
  readonly rttMs: number
}

export async function answered(asking: ClientRequest): Promise<Answered> {
  const sinceMs = performance.now()
  const sentMs = Date.now()
  const [response] = (await once(asking, 'response')) as [IncomingMessage]
  asking.on('error', () => {})
  return { response, sentMs, rttMs: performance.now() - sinceMs }
}
