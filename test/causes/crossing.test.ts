// Sides that go away, paths that do not open, and time that is short: each cause is produced, and its verdict is right.

import { testLanes } from './run.ts'
import { lanes } from './table.ts'

testLanes(lanes.leaving, lanes.absent, lanes.crossing, lanes.beside, lanes.idling, lanes.far)
