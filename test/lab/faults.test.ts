// Three faults that a transfer gets over without a byte lost: of a NAT, of a path, of the gateway. The whole table is
// `npm run lab -- --faults`, with its times.

import { chosen } from './faults/run.ts'
import { tryRow } from './faults/trial.ts'
import { labTest } from './lab-test.ts'

const promises = [
  ['nat-forgets', 'a transfer goes on when a NAT forgets its table and gives other ports'],
  ['mtu-shrinks-silent', 'a transfer goes on when its path becomes too narrow for its packets, and nobody says so'],
  ['gateway-relayed', 'a relayed transfer goes on when the gateway was killed and is back']
] as const

for (const [word, title] of promises) {
  const [row] = chosen([word])
  labTest(title, async t => {
    if (!row) return t.fail()
    const { ms, failed } = await tryRow(row, 0, { bytesPerSecond: 2_000_000 })
    t.is(failed, undefined)
    t.not(ms, undefined)
  })
}
