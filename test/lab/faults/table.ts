// The table of faults. Goals are those of the project's own: a connection outlives its path, and nobody has to do anything.

import {
  becomeEasy,
  blocksUdp,
  cutBothWays,
  cutOneWay,
  forgets,
  gatewayDies,
  gatewayReturns,
  mends,
  moves,
  type Narrowness,
  narrows,
  sleeps,
  turns,
  wakes
} from './acts.ts'
import type { Row } from './row.ts'

const easy = { nats: ['port-restricted', 'port-restricted'], begins: 'direct' } as const
const relayed = { nats: ['symmetric-random', 'symmetric-random'], begins: 'relay' } as const

/** Shown beside the rest: what the instrument and the computer add. */
const control: Row[] = [
  {
    word: 'nothing-direct',
    what: 'nothing happens, on a direct path: what the instrument itself adds',
    ...easy,
    fault: async () => {},
    measure: 'pause',
    watchMs: 5000,
    goal: { worstMs: 500 }
  },
  {
    word: 'nothing-relayed',
    what: 'nothing happens, on a relayed path',
    ...relayed,
    fault: async () => {},
    measure: 'pause',
    watchMs: 5000,
    goal: { worstMs: 500 }
  }
]

const networks: Row[] = [
  {
    word: 'nat-forgets',
    what: 'a NAT forgets its table and gives other ports',
    ...easy,
    fault: (ground, nth) => forgets(turns(ground, nth)),
    measure: 'new byte',
    goal: { medianMs: 2000, worstMs: 5000 }
  },
  {
    word: 'address-changes',
    what: "one peer's address changes",
    ...easy,
    fault: (ground, nth) => moves(turns(ground, nth)),
    measure: 'new byte',
    goal: { medianMs: 2000, worstMs: 6000 }
  },
  {
    word: 'both-addresses-change',
    what: 'the addresses of both peers change at once',
    ...easy,
    fault: ({ caller, callee }) => Promise.all([moves(caller), moves(callee)]),
    measure: 'new byte',
    goal: { medianMs: 2000, worstMs: 6000 }
  }
]

const cuts: Row[] = [
  {
    word: 'cut-one-way',
    what: 'the direct path is cut, one way',
    ...easy,
    fault: cutOneWay,
    measure: 'new byte',
    goal: { medianMs: 2000, worstMs: 5000 }
  },
  {
    word: 'cut-both-ways',
    what: 'the direct path is cut, both ways',
    ...easy,
    fault: cutBothWays,
    measure: 'new byte',
    goal: { medianMs: 2000, worstMs: 5000 }
  },
  {
    word: 'back-one-way',
    what: 'the direct path is back after a cut, one way: direct again',
    ...easy,
    fault: cutOneWay,
    end: mends,
    measure: 'direct',
    goal: { worstMs: 10_000 }
  },
  {
    word: 'back-both-ways',
    what: 'the direct path is back after a cut, both ways: direct again',
    ...easy,
    fault: cutBothWays,
    end: mends,
    measure: 'direct',
    goal: { worstMs: 10_000 }
  }
]

/** In milliseconds, how long the gateway is dead before it is started. */
const DEAD_MS = 500

const gateways: Row[] = [
  {
    word: 'gateway-relayed',
    what: 'the gateway is killed and restarted, while relayed: from when it is back',
    ...relayed,
    fault: gatewayDies,
    end: gatewayReturns,
    lastsMs: DEAD_MS,
    measure: 'new byte',
    goal: { worstMs: 3000 }
  },
  {
    word: 'gateway-direct',
    what: 'the gateway is killed and restarted, while direct: nobody notices',
    ...easy,
    fault: gatewayDies,
    end: gatewayReturns,
    lastsMs: DEAD_MS,
    measure: 'pause',
    watchMs: 8000,
    goal: { worstMs: 500 }
  }
]

const blocked = { nats: easy.nats, first: true, measure: 'connected', goal: { worstMs: 1500 } } as const

const doors: Row[] = [
  {
    word: 'udp-blocked-later',
    what: 'UDP is blocked after the connect',
    ...easy,
    fault: (ground, nth) => blocksUdp(turns(ground, nth)),
    measure: 'new byte',
    goal: { medianMs: 3000, worstMs: 6000 }
  },
  {
    word: 'udp-blocked-caller',
    what: 'UDP is blocked from the start, for the caller',
    ...blocked,
    fault: ({ caller }) => blocksUdp(caller)
  },
  {
    word: 'udp-blocked-callee',
    what: 'UDP is blocked from the start, for the callee',
    ...blocked,
    fault: ({ callee }) => blocksUdp(callee)
  },
  {
    word: 'udp-blocked-both',
    what: 'UDP is blocked from the start, for both',
    ...blocked,
    fault: ({ caller, callee }) => Promise.all([blocksUdp(caller), blocksUdp(callee)])
  }
]

const whole = { trials: 3, measure: 'pause', watchMs: 6000, goal: { worstMs: 5000 } } as const
const inWords = ({ mtu, ways, icmp }: Narrowness) =>
  `an MTU of ${mtu} in ${ways === 'one' ? 'one direction' : 'both directions'}, ${icmp ? 'with' : 'without'} ICMP`
const wordOf = ({ mtu, ways, icmp }: Narrowness) => `${mtu}-${ways}-${icmp ? 'icmp' : 'silent'}`

const waysAndIcmp = (mtu: number): Narrowness[] =>
  [true, false].flatMap(icmp => (['one', 'both'] as const).map(ways => ({ mtu, ways, icmp })))

const sizes: Row[] = [
  ...[1400, 1280, 1200, 1100].flatMap(waysAndIcmp).map(how => ({
    ...{ word: `mtu-${wordOf(how)}`, what: inWords(how) },
    ...{ ...easy, ...whole },
    first: true,
    fault: (ground: Parameters<Row['fault']>[0], nth: number) => narrows(ground, how, nth)
  })),
  ...[1280, 1100].map((mtu): Row => {
    const how = { mtu, ways: 'both', icmp: false } as const
    return {
      ...{ word: `mtu-${mtu}-relayed`, what: `${inWords(how)}, relayed` },
      ...{ ...relayed, ...whole },
      first: true,
      fault: (ground, nth) => narrows(ground, how, nth)
    }
  }),
  ...[true, false].map((icmp): Row => {
    const how = { mtu: 1100, ways: 'both', icmp } as const
    return {
      ...{ word: `mtu-shrinks-${icmp ? 'icmp' : 'silent'}`, what: `${inWords(how)}, from mid-transfer on` },
      ...{ ...easy, ...whole },
      fault: (ground, nth) => narrows(ground, how, nth)
    }
  })
]

const others: Row[] = [
  {
    word: 'sleep-45s',
    what: 'a peer process is stopped for 45 s: from when it wakes',
    ...easy,
    fault: (ground, nth) => sleeps(turns(ground, nth)),
    end: (ground, nth) => wakes(turns(ground, nth)),
    lastsMs: 45_000,
    measure: 'new byte',
    goal: { worstMs: 3000 }
  },
  {
    word: 'sleep-120s',
    what: 'the same for 120 s, with `resume: 5m`',
    ...easy,
    options: ['--resume', '5m'],
    trials: 1,
    fault: (ground, nth) => sleeps(turns(ground, nth)),
    end: (ground, nth) => wakes(turns(ground, nth)),
    lastsMs: 120_000,
    measure: 'new byte',
    goal: { worstMs: 3000 }
  },
  {
    word: 'becomes-easy',
    what: 'a relayed pair whose NATs become easy: direct by the second step of back-off',
    ...relayed,
    fault: becomeEasy,
    measure: 'direct',
    // Steps of 2 s, then 4 s after the connect, and the strategies' own time.
    goal: { worstMs: 7500 }
  }
]

export const rows: readonly Row[] = [...control, ...networks, ...cuts, ...gateways, ...doors, ...sizes, ...others]
