// One HTTP request to the router, for UPnP. It goes to the router's own address and nowhere else: no name is looked up, no
// redirect is followed, and no proxy of the environment is asked, which `fetch` may do. An answer ends at 64 kB and two seconds.

import { request as httpRequest, type IncomingMessage } from 'node:http'
import { timeoutSignal } from '../../clock.ts'
import { PATIENCE_MS, type Router } from './asking.ts'

const MOST_BYTES = 65_536

export interface Put {
  readonly url: URL
  /** Left out: a GET. */
  readonly body?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly patienceMs?: number
}

export interface Answered {
  readonly status: number
  readonly body: string
  /** This host's address towards the router. */
  readonly ownAddress: string
}

/**
 * `nonsense`: what came is not HTTP, or too long. `silent`: nothing came in time, or nobody listens there, or `signal` aborted.
 * @throws TypeError where the URL is at another host: `onRouter` tells before.
 */
export async function put(router: Router, what: Put, signal: AbortSignal): Promise<Answered | 'silent' | 'nonsense'> {
  if (!onRouter(router, what.url)) throw new TypeError(`${what.url.host} is not the router`)
  using late = timeoutSignal(what.patienceMs ?? PATIENCE_MS)
  try {
    const answer = await sent(router, what, AbortSignal.any([signal, late]))
    const ownAddress = answer.socket.localAddress ?? ''
    const body = await bodyOf(answer)
    return body === undefined ? 'nonsense' : { status: answer.statusCode ?? 0, body, ownAddress }
  } catch (thrown) {
    return isNotHttp(thrown) ? 'nonsense' : 'silent'
  }
}

/** Whether a URL that the router told is at the router itself, which is told by its address. */
export function onRouter({ address }: Router, { protocol, hostname }: URL): boolean {
  return protocol === 'http:' && hostname === address
}

function sent(router: Router, { url, body, headers }: Put, signal: AbortSignal): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const request = httpRequest({
      host: router.address,
      port: url.port || 80,
      path: `${url.pathname}${url.search}`,
      method: body === undefined ? 'GET' : 'POST',
      headers: { ...headers, ...(body === undefined ? {} : { 'content-length': Buffer.byteLength(body) }) },
      agent: false,
      signal
    })
    request.on('response', resolve)
    request.on('error', reject)
    request.end(body)
  })
}

/** Undefined where it is too long. Leaving the loop ends the connection. */
async function bodyOf(answer: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > MOST_BYTES) return undefined
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

/** Errors of Node's parser of HTTP begin like this. */
const isNotHttp = (thrown: unknown): boolean =>
  thrown instanceof Error && 'code' in thrown && String(thrown.code).startsWith('HPE_')
