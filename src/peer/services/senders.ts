// Who may send to this peer, or join its standard streams: those that its owner has named, or whoever the owner lets when they
// come for the first time. If there are no names and nobody can be asked, it is whoever may connect.

import { timeoutSignal } from '../../clock.ts'
import { PosternError } from '../../errors.ts'
import { normaliseFingerprint, pinOf } from '../../wire/identity/fingerprint.ts'
import type { PeerName } from '../../wire/name.ts'
import type { FarPeer } from '../connection/connection.ts'

/** What somebody asks for, and in words that could follow "it wants to". */
export interface Wish {
  readonly kind: 'send' | 'pipe'
  readonly words: string
}

/** Resolves with the owner's answer. Rejects if there is none, or with what `signal` aborts with. */
export type Ask = (peer: FarPeer, wish: Wish, signal: AbortSignal) => Promise<boolean>

/** How long an answer is waited for, in milliseconds. */
const ANSWER_MS = 120_000

/** The most questions that wait for others to be answered: keys are free, and a person reads one after the other. */
const MOST_WAITING = 8

export class Senders {
  readonly #named: readonly PeerName[] | undefined
  readonly #ask: Ask | undefined
  /** By fingerprint and kind: what the owner has said, or is being asked. */
  readonly #answers = new Map<string, Promise<boolean>>()
  #last: Promise<unknown> = Promise.resolve()
  #waiting = 0

  /**
   * @param named a name alone is the peer that joined under it, as it is remembered. A fingerprint is that computer, under any
   *   name: who sends seldom joins under one.
   */
  constructor({ named, ask }: { named?: readonly PeerName[] | undefined; ask?: Ask | undefined }) {
    this.#named = named
    this.#ask = ask
  }

  /** Throws `io` unless the peer may. Its owner is asked once for each kind of wish, as long as this process runs. */
  async admit(peer: FarPeer, wish: Wish, signal: AbortSignal): Promise<void> {
    const who = `${peer.name}@${pinOf(peer.fingerprint)}`
    if (this.#named?.some(named => isNamed(peer, named))) return
    if (this.#named) throw new PosternError('io', `--from names others, and not ${who}`)
    if (this.#ask && !(await this.#answer(this.#ask, peer, wish, signal)))
      throw new PosternError('io', `the owner of this peer said no to ${who}`)
  }

  #answer(ask: Ask, peer: FarPeer, wish: Wish, signal: AbortSignal): Promise<boolean> {
    const key = `${wish.kind} ${peer.fingerprint}`
    const before = this.#answers.get(key)
    if (before) return before
    if (this.#waiting > MOST_WAITING)
      throw new PosternError('io', 'the owner of this peer is being asked about others; try again in a moment')
    this.#waiting++
    const answer = this.#last.then(() => answered(ask, peer, wish, signal))
    this.#answers.set(key, answer)
    this.#last = answer.catch(() => this.#answers.delete(key)).finally(() => this.#waiting--)
    return answer
  }
}

async function answered(ask: Ask, peer: FarPeer, wish: Wish, signal: AbortSignal): Promise<boolean> {
  signal.throwIfAborted()
  using late = timeoutSignal(ANSWER_MS)
  try {
    return await ask(peer, wish, AbortSignal.any([signal, late]))
  } catch (thrown) {
    if (!late.aborted) throw thrown
    throw new PosternError('timeout', `the owner of this peer did not answer within ${ANSWER_MS / 60_000} minutes`)
  }
}

/** A name alone is the peer that joined under it; a fingerprint is that computer, under any name. */
export function isNamed({ name, fingerprint, named = false }: FarPeer, { name: wanted, pin }: PeerName): boolean {
  if (pin !== undefined) return normaliseFingerprint(pin) === normaliseFingerprint(fingerprint)
  return named && name === wanted
}
