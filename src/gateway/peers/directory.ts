// The peers that are joined, by id and by name. A name belongs to one certificate. When its owner joins again, the older link
// is most likely dead and gives way. If it is not dead, it answers to the name again once the newer one has gone.

import { PosternError } from '../../errors.ts'
import type { FromGateway } from '../../wire/signal.ts'
import type { Commander } from './commander.ts'
import type { Joined } from './joined.ts'
import type { Members } from './member.ts'
import type { Names } from './names.ts'

export class Directory implements Commander, Members {
  readonly names: Names
  readonly #byId = new Map<string, Joined>()
  readonly #byName = new Map<string, Joined>()

  constructor(names: Names) {
    this.names = names
  }

  get size(): number {
    return this.#byId.size
  }

  /** How many times the holder of this certificate is joined. */
  count(fingerprint: string): number {
    return [...this.#byId.values()].filter(peer => peer.fingerprint === fingerprint).length
  }

  add(peer: Joined): void {
    this.#byId.set(peer.id, peer)
    if (peer.accepts) this.#byName.set(peer.name, peer)
    peer.gone.addEventListener('abort', () => {
      this.#byId.delete(peer.id)
      if (this.#byName.get(peer.name) === peer) this.#succeed(peer)
    })
  }

  async find(name: string): Promise<Joined> {
    const peer = this.#byName.get(name)
    if (peer) return peer
    if (this.names.has(name)) throw new PosternError('peer-offline', `${name} is known but not joined now`)
    throw new PosternError('unknown-peer', `nobody has ever joined as ${name}`)
  }

  command(messages: readonly { peer: string; message: FromGateway }[]): void {
    for (const { peer, message } of messages) this.#byId.get(peer)?.send(message)
  }

  #succeed({ name }: Joined): void {
    const other = [...this.#byId.values()].findLast(peer => peer.accepts && peer.name === name)
    if (other) this.#byName.set(name, other)
    else this.#byName.delete(name)
  }
}
