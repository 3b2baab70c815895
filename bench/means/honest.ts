// Whoever means well, on this computer, while somebody else does its worst: a callee that stays, newcomers who join and
// call it, and a plain STUN client that asks and counts its answers. A child of bench/hostile.ts.
//
// The code of the peers is that of the checkout whose gateway is asked, since both speak one version.

import { randomBytes } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { serveDeeds } from '../../test/lab/driven.ts'
import type { Door } from './attacks.ts'

/** Nobody waits longer for a connection, in milliseconds. */
const PATIENCE_MS = 8000

/** An answer that takes longer is lost to the one who asked, in milliseconds: RFC 8489 section 6.2.1 has clients ask again then. */
const ANSWER_MS = 500

const EVERY_MS = 25

export interface Visit {
  /** Null where it did not come about. */
  readonly joinMs: number | null
  readonly connectMs: number | null
  readonly trace?: string
  /** Why it did not. */
  readonly why?: string
}

const folders: string[] = []
const newFolder = async (): Promise<string> => {
  const folder = await mkdtemp(join(tmpdir(), 'postern-hostile-'))
  folders.push(folder)
  return folder
}

type Library = typeof import('../../src/index.ts')
type PeerOf = Awaited<ReturnType<Library['Peer']['join']>>
let library: Library
let callee: PeerOf | undefined

const deeds = {
  /** Takes the code of this checkout. */
  async load({ checkout }: { checkout: string }): Promise<void> {
    library = (await import(join(checkout, 'src/index.ts'))) as Library
  },

  /** The callee joins. */
  async stay({ door }: { door: Door }): Promise<void> {
    callee = await joined(door, 'callee', 'honest')
  },

  /** Somebody whom nobody has seen before joins, calls, and leaves. */
  async visit({ door }: { door: Door }): Promise<Visit> {
    let joinMs: number | null = null
    const startMs = performance.now()
    try {
      const peer = await joined(door, 'caller')
      joinMs = performance.now() - startMs
      try {
        const connection = await peer.connect(library.parsePeer('honest'), { signal: AbortSignal.timeout(PATIENCE_MS) })
        const { ms: connectMs, trace } = connection.path
        await connection.close()
        return { joinMs, connectMs, trace }
      } finally {
        await peer.close()
      }
    } catch (thrown) {
      return { joinMs, connectMs: null, why: (thrown as Error).message }
    }
  },

  /** The share of Binding requests (RFC 8489) that were answered in time. */
  async ask({ door, ms }: { door: Door; ms: number }): Promise<number> {
    const socket = createSocket('udp4')
    socket.bind(0, '127.0.0.1')
    await once(socket, 'listening')
    const waiting = new Map<string, number>()
    let answered = 0
    socket.on('message', answer => {
      const id = answer.toString('hex', 8, 20)
      if (performance.now() - (waiting.get(id) ?? Number.NEGATIVE_INFINITY) <= ANSWER_MS) answered++
      waiting.delete(id)
    })
    let asked = 0
    const endMs = performance.now() + ms
    while (performance.now() < endMs) {
      const id = randomBytes(12)
      waiting.set(id.toString('hex'), performance.now())
      socket.send(Buffer.concat([Buffer.from('000100002112a442', 'hex'), id]), door.udp, '127.0.0.1')
      asked++
      await sleep(EVERY_MS)
    }
    await sleep(ANSWER_MS)
    socket.close()
    return answered / asked
  },

  async close(_given: object): Promise<void> {
    await callee?.close()
    await Promise.all(folders.map(folder => rm(folder, { recursive: true, force: true })))
  }
}

export type Honest = typeof deeds

async function joined({ url, token }: Door, role: 'caller' | 'callee', name?: string): Promise<PeerOf> {
  const folder = await newFolder()
  const identity = await library.loadIdentity(folder)
  const options = { gateway: url, token, identity, known: new library.KnownPeers(folder), insecure: true, map: false }
  const callee = { name: name ?? '', accepts: true, onConnection: () => {} }
  return await library.Peer.join(
    { ...options, ...(role === 'callee' ? callee : { accepts: false }) },
    AbortSignal.timeout(PATIENCE_MS)
  )
}

if (process.argv[1] === import.meta.filename) serveDeeds(deeds)
