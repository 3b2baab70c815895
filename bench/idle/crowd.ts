// Thousands of idle peers by script in one process, a child of bench/peers.ts. Each has two file descriptors. Eight of them come from
// one /24, as many as the house of a family has, and no two from one address.

import { serveDeeds } from '../../test/lab/driven.ts'
import { type Door, ScriptedPeer, type Tally } from './scripted.ts'

/** Peers of one network: addresses are 127.1.0.1, 127.1.0.2 … 127.1.1.1 … */
const OF_A_NETWORK = 8

/** How many join at the same time, so that they come as fast as the gateway takes them, and none is given up for being late. */
const AT_ONCE = 48

const peers: ScriptedPeer[] = []
const tally: Tally = { ready: 0, lost: 0, tries: 0, shown: 0, unanswered: 0 }
let joined = 0

const deeds = {
  /** Makes so many peers more, with a key each. Their numbers begin with `from`. */
  async make({ from, count }: { from: number; count: number }): Promise<void> {
    for (let number = from; number < from + count; number++) {
      const peer = new ScriptedPeer(`idle-${number}`, addressOf(number), tally)
      await peer.bind()
      peers.push(peer)
    }
  },

  /** Those that have not joined join. Resolves when all of them have shown their sockets. */
  async join({ door }: { door: Door }): Promise<void> {
    const next = async (): Promise<void> => {
      while (joined < peers.length) await peers[joined++]?.join(door)
    }
    await Promise.all(Array.from({ length: AT_ONCE }, next))
  },

  async tally(_given: object): Promise<Tally> {
    return tally
  },

  async close(_given: object): Promise<void> {
    for (const peer of peers) peer.close()
  }
}

export type Crowd = typeof deeds

function addressOf(number: number): string {
  const network = Math.floor(number / OF_A_NETWORK)
  return `127.${1 + (network >> 8)}.${network & 255}.${1 + (number % OF_A_NETWORK)}`
}

if (process.argv[1] === import.meta.filename) serveDeeds(deeds)
