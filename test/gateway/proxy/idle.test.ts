import test from 'ava'
import { PING_MS } from '../../../src/gateway/signalling/peer-socket.ts'
import { EVERY_MS } from '../../../src/peer/heartbeat.ts'

/** docs/configuration.md says that proxies may cut what is idle for so long, in milliseconds; they do for 30 s and more. */
const IDLE_MS = 20_000

test('a link that has nothing to say is pinged from both ends before a proxy would cut it', t => {
  for (const everyMs of [PING_MS, EVERY_MS]) t.true(everyMs <= IDLE_MS * (2 / 3), `${everyMs} ms`)
})
