// The answer to `nat`: a network as the gateway judges it, and what its strategies can do from there.

import { z } from 'zod'
import { forwardOrigin, routerAnswers } from './forward.ts'
import { address, endpoint, ms, sentence, word } from './shapes.ts'

const behaviour = z.enum(['endpoint-independent', 'address-dependent', 'address-and-port-dependent', 'unknown'])
const probability = z.number().min(0).max(1)
const range = z.strictObject({ low: z.int(), high: z.int() })

/** A network as the gateway judges it, and what its strategies can do from there. */
export const natReport = z.strictObject({
  mapping: behaviour,
  filtering: behaviour,
  translated: z.boolean(),
  addresses: z.array(address).max(64),
  /**
   * There if the peer reached this public address of the gateway, and is seen at one that something in front of the gateway
   * put there. Then nothing can be told: the mapping and the filtering are `unknown`, and there are no prospects.
   */
  hidden: z.strictObject({ reached: address }).optional(),
  /**
   * False if the mapping is `unknown`: the socket was seen at one address of the gateway only, and there an address-dependent
   * mapping cannot be told from an endpoint-independent one.
   */
  certain: z.boolean(),
  samples: z.array(z.strictObject({ via: endpoint, mapped: endpoint, socket: z.int() })).max(64),
  allocation: z
    .strictObject({
      kind: z.enum(['kept', 'stepping', 'block', 'random']),
      confidence: probability,
      evidence: sentence,
      step: z.number().optional(),
      per: word.optional(),
      driftPerSecond: z.number().optional(),
      block: range.optional(),
      range: range.optional()
    })
    .optional(),
  rttMs: ms,
  /** Where a port is forwarded to this peer from, once it is proved. */
  forward: z.strictObject({ endpoint, by: forwardOrigin }).optional(),
  /** What its router said when the peer asked for a port. */
  router: z.enum(routerAnswers).optional(),
  /**
   * For each kind of network on the other side: which strategies would be tried, in this order, and the probability that one
   * of them finds a direct path.
   */
  prospects: z
    .array(
      z.strictObject({
        peer: word,
        probability,
        tries: z.array(z.strictObject({ by: word, probability, why: sentence })).max(32),
        passes: z.array(z.strictObject({ by: word, reason: sentence })).max(32)
      })
    )
    .max(16)
})

export type NatReport = z.infer<typeof natReport>
