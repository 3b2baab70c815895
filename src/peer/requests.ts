// The connect requests of a peer that are under way. This is the same in Node and in a browser.
//
//   ask ─► the gateway begins a session ─► connection, or error ─► the gateway's last word on the path: agreed

import { nowMs } from '../clock.ts'
import { asPosternError, PosternError } from '../errors.ts'
import { SETTING_UP } from '../wire/obeying.ts'
import type { Continues, FromGateway, FromPeer, Message } from '../wire/signal.ts'
import type { Connecting } from './connecting.ts'

export interface RequestHooks {
  /** Whether there is a link to the gateway to send it by. */
  readonly send: (message: FromPeer) => boolean
  /** Leaves the session of a request that is given up. */
  readonly leave: (session: string, error: PosternError) => void
}

export interface AskOptions {
  /** The connection that stands and wants another path. */
  readonly continues?: Continues | undefined
  /** The trace that the gateway's continues. */
  readonly traceparent?: string | undefined
}

export class Requests<Connection extends { readonly closed: AbortSignal }> {
  readonly #hooks: RequestHooks
  readonly #all = new Map<number, Connecting<Connection>>()
  #count = 0

  constructor(hooks: RequestHooks) {
    this.#hooks = hooks
  }

  get size(): number {
    return this.#all.size
  }

  /** A number for a request of any kind, which no other has. */
  next(): number {
    return this.#count++
  }

  of(request: number | undefined): Connecting<Connection> | undefined {
    return request === undefined ? undefined : this.#all.get(request)
  }

  ofSession(session: string): Connecting<Connection> | undefined {
    return [...this.#all.values()].find(connecting => connecting.session === session)
  }

  /** Resolves with the connection. Throws `gateway-unreachable`, or what the request fails with. */
  async ask(connecting: Connecting<Connection>, { continues, traceparent }: AskOptions): Promise<Connection> {
    const atMs = nowMs()
    const { to, options } = connecting
    const request = this.next()
    const abort = () => this.#abandon(connecting, asPosternError(options.signal?.reason))
    options.signal?.addEventListener('abort', abort, { once: true })
    this.#all.set(request, connecting)
    try {
      const sent = this.#hooks.send({
        type: 'connect',
        request,
        to: to.name,
        ...(to.pin ? { fingerprint: to.pin } : {}),
        ...(traceparent ? { traceparent } : {}),
        ...(continues ? { continues } : {}),
        atMs
      })
      if (!sent)
        throw new PosternError('gateway-unreachable', 'the connection to the gateway is down; it is being made again')
      const connection = await connecting.connection
      // The request is kept, because the gateway still has its last words on it to say; one that continues another hears none.
      if (continues) this.#all.delete(request)
      else connection.closed.addEventListener('abort', () => this.#all.delete(request), { once: true })
      return connection
    } catch (error) {
      this.#all.delete(request)
      throw error
    } finally {
      options.signal?.removeEventListener('abort', abort)
    }
  }

  /** Both sides have opened the path, so the request is done. */
  agreed({ session, bitsPerSecond, verdict }: Message<FromGateway, 'path'>): void {
    for (const [request, connecting] of this.#all) {
      if (connecting.session !== session) continue
      this.#all.delete(request)
      const { traceKey } = connecting
      connecting.options.onPath?.({ bitsPerSecond, verdict, traceKey })
    }
  }

  /** All fail that have no connection yet. */
  fail(error: PosternError): void {
    for (const connecting of this.#all.values()) connecting.fail(error)
  }

  /** The gateway has no last word on any of them any more. */
  clear(): void {
    this.#all.clear()
  }

  /** The session leads to another path of a connection that is not held here. */
  disown(session: string): void {
    this.#hooks.send({ type: 'leave', session, code: 'io', reason: 'it does not hold that connection' })
  }

  /** The session is one too many. */
  turnAway(session: string, connecting: Connecting<Connection> | undefined): void {
    const busy = `is setting up ${SETTING_UP} connections, as many as it does at once; try again in a moment`
    this.#hooks.send({ type: 'leave', session, code: 'over-quota', reason: `it ${busy}` })
    connecting?.fail(new PosternError('over-quota', `this peer ${busy}`))
  }

  #abandon(connecting: Connecting<Connection>, error: PosternError): void {
    this.#hooks.leave(connecting.session, error)
    connecting.fail(error)
  }
}
