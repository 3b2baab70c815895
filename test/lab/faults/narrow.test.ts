// A network in which no size of packets that postern begins with passes: a transfer says so, and a smaller size gets through.

import { labTest } from '../lab-test.ts'
import { narrows } from './acts.ts'
import type { Row } from './row.ts'
import { tryRow } from './trial.ts'

/** Nothing passes that is larger than this, and smaller than all that paths are made with. */
const veryNarrow: Row = {
  ...{ word: 'very-narrow', what: 'an MTU of 900', nats: ['port-restricted', 'port-restricted'] },
  ...{ first: true, measure: 'pause', watchMs: 1000, goal: { worstMs: 5000 } },
  fault: (ground, nth) => narrows(ground, { mtu: 900, ways: 'both', icmp: false }, nth)
}

labTest('where no size of packets passes, on any path, a transfer ends and says so', async t => {
  const { failed } = await tryRow(veryNarrow, 0, { bytesPerSecond: 2_000_000 })
  t.regex(failed ?? '', /packets of 1100 bytes do not pass .*, nor larger ones; give both peers a smaller mtu/)
})

labTest('it gets through there where a peer is given a smaller size', async t => {
  const { failed } = await tryRow({ ...veryNarrow, options: ['--mtu', '900'] }, 0, { bytesPerSecond: 2_000_000 })
  t.is(failed, undefined)
})
