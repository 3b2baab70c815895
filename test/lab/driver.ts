// A process on a host of the laboratory: a gateway or a peer of the real code, told what to do over the channel to its
// parent. rig.ts is the other end.

import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import nodeDataChannel from 'node-datachannel'
import { parseConfig } from '../../src/config.ts'
import { asPosternError } from '../../src/errors.ts'
import { type Gateway, openGateway } from '../../src/gateway/gateway.ts'
import type { Connection } from '../../src/peer/connection.ts'
import { loadIdentity } from '../../src/peer/identity.ts'
import { KnownPeers } from '../../src/peer/known-peers.ts'
import { Peer } from '../../src/peer/peer.ts'
import { serveDeeds } from './driven.ts'

export interface Tried {
  readonly path?: { by: string; kind: 'direct' | 'relay'; local: string; remote: string; ms: number; trace: string }
  readonly failed?: { code: string; reason: string }
  readonly strategies: readonly { name: string; outcome: string; reason: string; ms: number }[]
  /** Whether the bytes arrived as they were sent. */
  readonly intact: boolean
  readonly transferMs: number
}

const folder = await mkdtemp(join(tmpdir(), 'postern-lab-'))
let gateway: Gateway | undefined
let peer: Peer | undefined

/** What the parent may ask for, by name. */
export const deeds = {
  async gateway({ config }: { config: string }) {
    gateway = await openGateway(parseConfig(config, join(folder, 'postern.yaml')))
    return { http: gateway.http, joinToken: gateway.joinToken }
  },

  async status(_given: object) {
    return gateway?.status()
  },

  async trace({ id }: { id: string }) {
    return gateway?.traces.get(id)
  },

  async join({ url, token, name }: { url: string; token: string; name: string }) {
    const identity = await loadIdentity(folder)
    const known = new KnownPeers(folder)
    const options = { gateway: url, token, name, identity, known, accepts: true, insecure: true }
    peer = await Peer.join({ ...options, onConnection: answerDigests })
    return { name: peer.name }
  },

  /** Connects, sends `bytes` random bytes, and compares the digest the far side answers with. */
  async connect({ to, bytes }: { to: string; bytes: number }): Promise<Tried> {
    const strategies: Tried['strategies'][number][] = []
    try {
      if (!peer) throw new Error('not joined')
      const connection = await peer.connect(
        { name: to },
        { onStrategy: ({ name, outcome, reason, ms }) => strategies.push({ name, outcome, reason, ms }) }
      )
      const startMs = performance.now()
      const intact = bytes === 0 || (await sendBytes(connection, bytes))
      const transferMs = performance.now() - startMs
      const { path } = connection
      await connection.close()
      return { path, strategies, intact, transferMs }
    } catch (thrown) {
      const { code, message } = asPosternError(thrown)
      return { failed: { code, reason: message }, strategies, intact: false, transferMs: 0 }
    }
  },

  async close(_given: object) {
    await peer?.close()
    await gateway?.close()
    await rm(folder, { recursive: true, force: true })
    return {}
  }
}

export type Drives = typeof deeds

function answerDigests(connection: Connection): void {
  connection.serve('digest', async stream => {
    const hash = createHash('sha256')
    for await (const chunk of stream) hash.update(chunk)
    stream.end(hash.digest())
  })
}

async function sendBytes(connection: Connection, bytes: number): Promise<boolean> {
  const stream = await connection.open('digest')
  const data = randomBytes(bytes)
  await pipeline(Readable.from([data]), stream, { end: true, signal: AbortSignal.timeout(60_000) }).catch(() => {})
  const answer: Buffer[] = []
  for await (const chunk of stream) answer.push(chunk)
  return Buffer.concat(answer).equals(createHash('sha256').update(data).digest())
}

serveDeeds(deeds, () => nodeDataChannel.cleanup())
