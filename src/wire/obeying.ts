// What a peer obeys no order for, apart from the shapes of orders, since a page has no room for these.

import type { VerdictCode } from '../verdict.ts'
import type { Word } from '../vocabulary.ts'
import type { Endpoint } from './endpoint.ts'
import type { Order } from './order.ts'

/** The most connections that a peer sets up at once, whatever a gateway asks for. Those that stand do not count. */
export const SETTING_UP = 16

/**
 * A side fails with this code when the socket that an order names is gone, because the order before was called off too late.
 */
export const STALE_SOCKET = 'stale-socket' satisfies Word

/**
 * A side fails with this code when an order was called off before anything came of it. Its report still tells what it heard.
 */
export const CALLED_OFF = 'called-off' satisfies Word

/** The verdict on a pair of which a side shows its address to no other peer. */
export const RELAY_ONLY = 'relay-only' satisfies VerdictCode

/** Why nothing comes of an order that leads nowhere, or, for such a side, elsewhere than to the relay. */
export const ASTRAY = 'the order names nobody to whom this peer sends'

/** @param endpoints of the gateway: its relay is at the address of one of them */
export const isToRelay = (order: Order, endpoints: readonly Endpoint[] = []): boolean =>
  order.kind === 'splice' && endpoints.some(({ address }) => address === order.target.address)
