// What a peer obeys no order for, apart from the shapes of orders, since a page has no room for these.

import type { Word } from '../vocabulary.ts'

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
