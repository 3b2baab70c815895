// The table of causes, by the world they share. What is done is done from outside: packets are dropped or rejected on the way,
// processes are killed or stopped, files are edited, the operator's configuration is too small for what is asked of it. The
// gateway and the peers are the real ones; the only rogue is a peer with another key, which no packet filter could make.

import type { Lane } from './cause.ts'
import { absent } from './lanes/absent.ts'
import { asking } from './lanes/asking.ts'
import { beside } from './lanes/beside.ts'
import { crossing } from './lanes/crossing.ts'
import { firewalled } from './lanes/firewalled.ts'
import { guessing } from './lanes/guessing.ts'
import { leaving } from './lanes/leaving.ts'
import { far, idling } from './lanes/waiting.ts'

export const lanes = { asking, leaving, absent, firewalled, guessing, crossing, beside, idling, far } satisfies Record<
  string,
  Lane
>
