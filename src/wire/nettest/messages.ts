// What a page says that wants to know what its network is, on a WebSocket of its own. Whoever is there is no peer, and can say one thing.
//
//   page                            gateway
//    | <-- begin (who, key) -------- |    or refused, and closed
//    | === Allocate, over UDP =====> |    from several sockets, as a page does that is a peer (gateway/udp/allocate.ts)
//    | === check, over TCP ========> |    where nothing comes back over UDP
//    | --- shown ------------------> |
//    | <-- done (result) ----------- |    closed

import { z } from 'zod'
import { agentPace } from '../agent.ts'
import type { Endpoint } from '../endpoint.ts'
import type { IceCredentials } from '../order.ts'
import { checked, jsonOf, port } from '../shapes.ts'
import { SOCKETS } from './path.ts'

const shown = z.strictObject({
  type: z.literal('shown'),
  /** Those that the browser has bound, with their local ports; none: it binds none. */
  sockets: z
    .array(
      z.strictObject({
        socket: z
          .int()
          .min(0)
          .max(SOCKETS - 1),
        port
      })
    )
    .max(SOCKETS),
  agent: agentPace
})

export type Shown = z.infer<typeof shown>

/** Throws `bad-message` with what is wrong. */
export const parseShown = (text: string): Shown => checked(shown, jsonOf(text), 'few')

/** Bytes of the longest message that is heard. */
export const SHOWN_BYTES = 1024

export interface Begin {
  readonly type: 'begin'
  /** By this id, and the key in base64, it shows sockets at the endpoints, which are those of a page that is a peer. */
  readonly visit: string
  readonly key: string
  readonly endpoints: readonly Endpoint[]
  /** The relay's own TCP ports. */
  readonly tcp: readonly number[]
  /** The credentials of the agent that seems to be behind them. */
  readonly door: IceCredentials
}

/** What the gateway says. The result is the last part of its path. */
export type FromDesk =
  | Begin
  | { readonly type: 'done'; readonly result: string }
  | { readonly type: 'refused'; readonly code: string; readonly reason: string; readonly retryMs?: number }
