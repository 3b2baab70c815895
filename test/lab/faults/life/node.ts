// A process on a host of the laboratory: a peer in Node whose connection lives through faults. It sends numbered bytes, takes those of
// the far side, and sends the packets of each track back. ends.ts is the other end.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Duplex } from 'node:stream'
import type { Connection } from '../../../../src/peer/connection/connection.ts'
import { loadIdentity } from '../../../../src/peer/identity/identity.ts'
import { KnownPeers } from '../../../../src/peer/identity/known-peers.ts'
import { Peer } from '../../../../src/peer/peer.ts'
import { serveDeeds } from '../../driven.ts'
import { type Flow, type Halves, makeFlow } from './flow.ts'

const folder = await mkdtemp(join(tmpdir(), 'postern-life-'))
let peer: Peer | undefined
let held = Promise.withResolvers<Connection>()
let connection: Connection | undefined
let flow: Flow = makeFlow()
let news: string[] = []
let sending: Promise<void> | undefined

export const deeds = {
  /** Joins afresh, and forgets what was before. */
  async join({ url, token, name }: { url: string; token: string; name: string }) {
    await peer?.close()
    held = Promise.withResolvers()
    connection = undefined
    flow = makeFlow()
    news = []
    const identity = await loadIdentity(folder)
    const known = new KnownPeers(folder)
    const options = { gateway: url, token, name, identity, known, accepts: true, insecure: true }
    peer = await Peer.join({
      ...options,
      onConnection: equip,
      onState: ({ joined }) => tell(joined ? 'joined' : 'link lost')
    })
    return {}
  },

  /** The kind of path. */
  async connect({ to }: { to: string }) {
    const made = await peer?.connect({ name: to })
    if (!made) throw new Error('not joined')
    equip(made)
    return made.path.kind
  },

  async begin({ bytesPerSecond }: { bytesPerSecond: number }) {
    // The side that was called has its connection a moment later.
    const made = await held.promise
    sending = flow.send(halvesOf(await made.open('numbers')), bytesPerSecond)
    sending.catch(() => {})
    return {}
  },

  /** What came after that time, and how the connection is. */
  async seen({ sinceMs }: { sinceMs: number }) {
    const reason = connection?.closed.aborted ? String(connection.closed.reason) : undefined
    return { ...flow.times(sinceMs), ...flow.sums(), reason, news }
  },

  /** Sends nothing more; resolves when the far side has heard the end. */
  async finish(_given: object) {
    flow.finish()
    await sending
    return {}
  },

  async close(_given: object) {
    await peer?.close()
    await rm(folder, { recursive: true, force: true })
    return {}
  }
}

export type NodeDeeds = typeof deeds

const tell = (what: string) => news.push(`${(performance.timeOrigin + performance.now()).toFixed(0)} ${what}`)

function equip(made: Connection): void {
  connection = made
  held.resolve(made)
  const own = flow
  made.serve('numbers', stream => own.receive(halvesOf(stream)))
  made.on('path', ({ what, path }) => tell(`${what} ${path.kind}`))
  made.on('quiet', () => tell('quiet'))
  made.on('track', async track => {
    const back = await made.addTrack(track)
    track.on('packet', packet => {
      if (track.kind === 'video') own.frame()
      back.write(packet)
    })
    back.on('keyframe', () => track.requestKeyframe())
  })
}

const halvesOf = (stream: Duplex): Halves => Duplex.toWeb(stream) as unknown as Halves

serveDeeds(deeds)
