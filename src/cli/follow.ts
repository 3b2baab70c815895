// Follows the path of a connection while a command runs, and the gateway, without which no other path is found. A gateway that is
// away is nothing to tell a person about while the connection does without it.

import type { Connection } from '../peer/connection/connection.ts'
import type { PeerOptions } from '../peer/peer.ts'
import { type Output, wrap } from './text/output.ts'
import { newsEvent, newsText } from './text/path-text.ts'

/** What a peer says of its link to the gateway. */
export type GatewayState = Parameters<NonNullable<PeerOptions['onState']>>[0]

/** Whether the gateway is away, as was heard last. */
export interface Presence {
  isAway: boolean
}

/** Tells what becomes of the path until the connection is over. */
export function followPath(connection: Connection, output: Output, gateway: Readonly<Presence>): void {
  const { name: to } = connection.peer
  let wasDirect = connection.path.kind === 'direct'
  connection.on('path', news => {
    // That a size is proved is as everybody expects.
    if (news.what === 'proved') return
    const paint = output.paint.bind(output)
    const text = newsText(news, { to, resumeMs: connection.resumeMs, isGatewayAway: gateway.isAway, wasDirect, paint })
    output.tell(newsEvent(news, to), wrap(text, output.width, 2))
    wasDirect ||= news.path.kind === 'direct'
  })
}

/** Of a command that has one connection: tells of the gateway what matters to that. */
export class GatewayWatch implements Presence {
  isAway = false
  /** The connection, once there is one. */
  connection: Connection | undefined
  readonly #output: Output
  readonly #gateway: string
  #isTold = false

  constructor(output: Output, gateway: string) {
    this.#output = output
    this.#gateway = gateway
  }

  heard(state: GatewayState): void {
    if (state.joined) return this.#isBack()
    this.isAway = true
    const { code, message } = state.error
    const needs = this.#needs()
    this.#isTold ||= needs !== undefined
    const next = state.final ? '' : '; waiting for it'
    const text = this.#output.paint('yellow', `${message}, and ${needs}${next}`)
    this.#output.tell({ event: 'lost', code, reason: message }, needs && wrap(text, this.#output.width, 2))
  }

  #isBack(): void {
    if (!this.isAway) return
    this.isAway = false
    const text = this.#isTold ? `joined ${this.#gateway} again` : undefined
    this.#isTold = false
    this.#output.tell({ event: 'rejoined', gateway: this.#gateway }, text)
  }

  /** What the connection needs the gateway for; undefined where it does without. */
  #needs(): string | undefined {
    if (!this.connection || this.connection.closed.aborted) return undefined
    const to = `to ${this.connection.peer.name}`
    if (this.connection.isAdrift) return `another path ${to} is found through it`
    return this.connection.path.kind === 'relay' ? `the path ${to} leads through it` : undefined
  }
}
