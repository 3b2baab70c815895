// Where the test of a network is found, and how much of it there is: for the gateway and for the page, which has no room for schemas.

/** The path of the page, below which are the results. */
export const TEST_PATH = '/test'

/** The path of the WebSocket on which a page says what it has shown. */
export const RUN_PATH = `${TEST_PATH}/run`

/** How many sockets a page shows: enough to tell how a NAT chooses ports. */
export const SOCKETS = 4

/** A run is over after so long, in milliseconds, whatever the page does. */
export const RUN_MS = 15_000
