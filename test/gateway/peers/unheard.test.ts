import test from 'ava'
import { unheard } from '../../../src/gateway/peers/unheard.ts'
import { REFRESH_MS } from '../../../src/wire/signal.ts'

const at = (port: number) => ({ address: '203.0.113.6', port })

/** What is warned of while the ports say nothing, of peers that joined at these times. */
const warned = (joinedMs: readonly number[], { deaf = [at(3478)], iceOnly = false } = {}) => {
  const pace = { checksPerSecond: 1 } as never
  const peers = joinedMs.map(helloMs => ({
    arrival: { cameMs: helloMs, helloMs },
    iceOnly: iceOnly ? pace : undefined
  }))
  return unheard(() => peers, { deaf: () => deaf }, 10 * REFRESH_MS).map(({ sentence }) => sentence)
}

test('ports that nobody is heard at are told, once somebody should have been', t => {
  t.deepEqual(warned([0]), ['no UDP of the peer that is joined is heard at 203.0.113.6:3478'])
  t.deepEqual(warned([0, 1], { deaf: [at(3478), at(3479)] }), [
    'no UDP of any of the 2 peers that are joined is heard at 203.0.113.6:3478, 203.0.113.6:3479'
  ])
})

test('nothing is told where nobody is expected, or somebody is heard', t => {
  t.deepEqual(warned([]), [])
  t.deepEqual(warned([8 * REFRESH_MS]), [])
  t.deepEqual(warned([0], { iceOnly: true }), [])
  t.deepEqual(warned([0], { deaf: [] }), [])
})
