// The targets, in the order in which they are run.

import type { Target } from './target.ts'
import { explain } from './targets/explain.ts'
import { http } from './targets/http.ts'
import { messages } from './targets/messages.ts'
import { names } from './targets/names.ts'
import { plans } from './targets/plans.ts'
import { signalling } from './targets/signalling.ts'
import { streams } from './targets/streams.ts'
import { stun } from './targets/stun.ts'
import { udp } from './targets/udp.ts'
import { yaml } from './targets/yaml.ts'

export const targets: readonly Target[] = [stun, udp, messages, plans, signalling, http, streams, yaml, explain, names]
