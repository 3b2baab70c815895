// Two real peers that stay joined to a gateway, of which one calls the other again and again. A child of bench/peers.ts.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadIdentity } from '../../src/peer/identity/identity.ts'
import { KnownPeers } from '../../src/peer/identity/known-peers.ts'
import { Peer } from '../../src/peer/peer.ts'
import { serveDeeds } from '../../test/lab/driven.ts'
import type { Door } from './scripted.ts'

const folder = await mkdtemp(join(tmpdir(), 'postern-pair-'))
const peers: Peer[] = []

const deeds = {
  async join({ door: { url, token } }: { door: Door }): Promise<void> {
    for (const name of ['callee', 'caller']) {
      const own = join(folder, name)
      const [identity, known] = [await loadIdentity(own), new KnownPeers(own)]
      const options = { gateway: url, token, identity, known, name, accepts: true, insecure: false, map: false }
      peers.push(await Peer.join({ ...options, onConnection: () => {} }))
    }
  },

  /** Milliseconds from the call to the open channel. */
  async connect(_given: object): Promise<number> {
    const connection = await peers[1]?.connect({ name: 'callee' })
    if (!connection) throw new Error('the pair has not joined')
    await connection.close()
    return connection.path.ms
  },

  async close(_given: object): Promise<void> {
    await Promise.all(peers.map(peer => peer.close()))
    await rm(folder, { recursive: true })
  }
}

export type Pair = typeof deeds

if (process.argv[1] === import.meta.filename) serveDeeds(deeds)
