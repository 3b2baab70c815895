// A fault that a call of two gets over, with picture, sound and chat. The whole table, with its times, is `npm run lab -- --faults --call`.
// Skipped like pages.test.ts.

import { runCall } from '../../lab/faults/call/run.ts'
import { callRows } from '../../lab/faults/call/table.ts'
import { browserTest } from '../web.ts'
import './built.ts'

/** A busy computer takes longer than the goals of the table allow. By itself Chromium gives a path up after 15 s. */
const MOST_MS = 8000

browserTest(
  'a call of two in Chromium goes on when a NAT forgets and gives other ports',
  ['chromium', 'certutil'],
  async t => {
    const row = callRows.find(({ word }) => word === 'chromium-nat-forgets')
    if (!row) return t.fail()
    const [outcome] = await runCall({ ...row, watchMs: 1000 }, { trials: 1 })
    t.log(outcome?.pauses, outcome?.course)
    t.is(outcome?.failed, undefined)
    const { frames = MOST_MS, sound = MOST_MS } = outcome?.pauses ?? {}
    t.true(Math.max(frames, sound) < MOST_MS)
  }
)
