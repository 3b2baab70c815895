// The peers that are joined, by id and by name. A name belongs to one certificate. When its owner joins again, the older link
// is most likely dead and gives way. If it is not dead, it answers to the name again once the newer one has gone.

import { PosternError } from '../../errors.ts'
import { fold } from '../../wire/name.ts'
import type { FromGateway } from '../../wire/signal.ts'
import type { Commander } from './commander.ts'
import type { Joined } from './joined.ts'
import type { Members } from './member.ts'
import type { Names } from './names.ts'

export class Directory implements Commander, Members {
  readonly names: Names
  readonly #byId = new Map<string, Joined>()
  /** Those that accept connections, by their folded name, in the order of their joins. */
  readonly #byName = new Map<string, Joined[]>()

  constructor(names: Names) {
    this.names = names
  }

  get size(): number {
    return this.#byId.size
  }

  get peers(): Joined[] {
    return [...this.#byId.values()]
  }

  add(peer: Joined): void {
    this.#byId.set(peer.id, peer)
    if (peer.accepts) this.#named(peer, [...this.#answering(peer.name), peer])
    peer.gone.addEventListener('abort', () => {
      this.#byId.delete(peer.id)
      this.#named(
        peer,
        this.#answering(peer.name).filter(other => other !== peer)
      )
    })
  }

  async find(name: string): Promise<Joined> {
    const written = this.names.spelling(name)
    // A name that was forgotten belongs to nobody; whoever is still joined under it answers to it.
    const peer = this.#answering(name).findLast(one => written === undefined || one.name === written)
    if (peer) return peer
    if (written !== undefined) throw new PosternError('peer-offline', `${written} is known but not joined now`)
    throw new PosternError('unknown-peer', `nobody has ever joined as ${name}`)
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
