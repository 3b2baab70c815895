// What the agents of browsers can do, for peers of tests that speak ICE alone.

import type { AgentPace } from '../src/wire/agent.ts'

export const pace: AgentPace = { perConnection: 16, inAll: 1024, connections: 64 }
