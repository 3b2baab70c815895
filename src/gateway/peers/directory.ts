// The peers that are joined, by id and by name. A name belongs to one certificate. When its owner joins again, the older link
// is most likely dead and gives way. If it is not dead, it answers to the name again once the newer one has gone. A peer that
// joins again may have the id that it had: another certificate may not.
//
//   joined ─► silent: answers no ping ─► heard again
//     │          └────► lost: its WebSocket broke ─► joined again, or forgotten after a minute ─► offline
//     └─► left: it said goodbye ─► offline

import { LRUCache } from 'lru-cache'
import { nowMs } from '../../clock.ts'
import { PosternError } from '../../errors.ts'
import { fold } from '../../wire/name.ts'
import type { FromGateway } from '../../wire/signal.ts'
import { latest } from '../shares/latest.ts'
import type { Commander } from './commander.ts'
import type { Joined } from './joined.ts'
import type { Members } from './member.ts'
import type { Names } from './names.ts'

/** How long a peer that was lost is told as silent: changing a network and joining again takes some seconds, in milliseconds. */
const LOST_MS = 60_000

/** Peers that were lost lately, and ids whose certificates are remembered, at least; the oldest are forgotten. */
const REMEMBERED = 10_000

/** When whoever asked for a silent peer may ask again, in milliseconds: it may be back at any moment. */
const ASK_AGAIN_MS = 700

/** A peer that does not answer, by its name. */
export interface Silent {
  readonly name: string
  readonly accepts: boolean
  /** When something was heard of it last, in milliseconds since the epoch. */
  readonly heardMs: number
}

export class Directory implements Commander, Members {
  readonly names: Names
  readonly #byId = new Map<string, Joined>()
  /** Those that accept connections, by their folded name, in the order of their joins. */
  readonly #byName = new Map<string, Joined[]>()
  /** The certificate that had an id last. */
  readonly #owners: LRUCache<string, string>
  /** By folded name. */
  readonly #lost: LRUCache<string, Silent>

  /** @param peers how many may be joined: all of them may be lost at once */
  constructor(names: Names, peers = 0) {
    const max = Math.max(REMEMBERED, peers)
    this.names = names
    this.#owners = new LRUCache(latest(max))
    this.#lost = new LRUCache({ ...latest(max), ttl: LOST_MS })
  }

  get size(): number {
    return this.#byId.size
  }

  get peers(): Joined[] {
    return [...this.#byId.values()]
  }

  add(peer: Joined): void {
    this.#byId.set(peer.id, peer)
    this.#owners.set(peer.id, peer.fingerprint)
    if (peer.accepts) this.#named(peer, [...this.#answering(peer.name), peer])
    if (peer.accepts) this.#lost.delete(fold(peer.name))
    peer.gone.addEventListener('abort', () => {
      this.#byId.delete(peer.id)
      const others = this.#answering(peer.name).filter(other => other !== peer)
      this.#named(peer, others)
      if (peer.accepts && !peer.isLeft && others.length === 0) this.#lost.set(fold(peer.name), silenceOf(peer))
    })
  }

  /** Whether a peer may have this id: nobody else has it, or had it last. A link that the same peer has under it is closed. */
  giveAgain(id: string, fingerprint: string): boolean {
    const held = this.#byId.get(id)
    if ((held?.fingerprint ?? this.#owners.get(id) ?? fingerprint) !== fingerprint) return false
    held?.replace()
    return !this.#byId.has(id)
  }

  /** The peers that answer nothing, or were lost a moment ago. */
  get silent(): readonly Silent[] {
    const quiet = this.peers.filter(({ isSilent }) => isSilent).map(silenceOf)
    return [...quiet, ...this.#lost.values()]
  }

  async find(name: string): Promise<Joined> {
    const written = this.names.spelling(name)
    // A name that was forgotten belongs to nobody; whoever is still joined under it answers to it.
    const peers = this.#answering(name).filter(one => written === undefined || one.name === written)
    const peer = peers.findLast(({ isSilent }) => !isSilent)
    if (peer) return peer
    const quiet = peers.at(-1) ?? this.#lost.get(fold(name))
    if (quiet) throw silentPeer(quiet)
    if (written !== undefined) throw new PosternError('peer-offline', `${written} is known but not joined now`)
    throw nobodyOf(name)
  }

  isJoined(id: string): boolean {
    return this.#byId.has(id)
  }

  joined(id: string): Joined {
    const peer = this.#byId.get(id)
    if (peer) return peer
    throw notJoined()
  }

  command(messages: readonly { peer: string; message: FromGateway }[]): void {
    for (const { peer, message } of messages) this.#byId.get(peer)?.send(message)
  }

  #answering(name: string): readonly Joined[] {
    return this.#byName.get(fold(name)) ?? []
  }

  #named({ name }: Joined, peers: Joined[]): void {
    if (peers.length > 0) this.#byName.set(fold(name), peers)
    else this.#byName.delete(fold(name))
  }
}

export const nobodyOf = (name: string): PosternError =>
  new PosternError('unknown-peer', `nobody has ever joined as ${name}`)

export const notJoined = (): PosternError =>
  new PosternError('peer-offline', 'the other side of this connection is not joined now')

const silenceOf = ({ name, accepts, heardMs }: Silent): Silent => ({ name, accepts, heardMs })

function silentPeer({ name, heardMs }: Silent): PosternError {
  const seconds = Math.max(1, Math.round((nowMs() - heardMs) / 1000))
  return new PosternError('silent-peer', `${name} has been silent for ${seconds} s; it may be changing its network`, {
    retryMs: ASK_AGAIN_MS
  })
}
