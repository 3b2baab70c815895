// Finds out what a NAT does with unsolicited packets. It uses a throwaway socket that has contacted the gateway's primary
// endpoint only:
//
//   filter   does an answer come in from another port, and from another address, of the gateway (RFC 5780 section 4.4)?
//   remap    if it did not: does a request to the endpoint that sent it get the mapping that other requests get?
//
// A NAT may keep state for a packet that it delivers to nobody. If that state is in the way of a flow, the NAT must give the
// flow another port (Linux does so where its own firewall accepts the packet). In this way a probe that comes too early
// spoils the very path that it is meant for. The test does this on purpose, to a socket that nobody needs.

import { timeoutSignal } from '../../clock.ts'
import { type Endpoint, sameEndpoint } from '../../wire/endpoint.ts'
import type { FromPeer, Message } from '../../wire/signal.ts'
import type { DecodedStun } from '../../wire/stun.ts'
import { type Candidate, firstAnswered } from './beside.ts'
import { RawSocket } from './raw.ts'
import { type Membership, prove } from './warm.ts'

export type Findings = Omit<Message<FromPeer, 'filtering'>, 'type'>

/**
 * How long an answer is waited for beyond the round trips, in milliseconds. This is enough for three transmissions, so that a
 * loss does not look like a filter.
 */
const ANSWER_MS = 400

/**
 * Yields what is let in. If something is not let in, it yields once more, with what is remapped. Remapping is tested only if
 * `isMappedOnce` tells that other sockets have one mapping for all destinations. Otherwise the test would mean nothing, and
 * would take a mapping that a stepping NAT is not predicted to make. Nothing is yielded if the gateway has one endpoint.
 * Throws `timeout`, `io`, or what `signal` aborts with.
 */
export async function* testFiltering(
  membership: Membership,
  { isMappedOnce, signal }: { isMappedOnce: () => boolean; signal: AbortSignal }
): AsyncGenerator<Findings, void> {
  const { primary, near, far, spare } = neighbours(membership.endpoints)
  if (!primary || !(near || far)) return
  const introduced = await Introduction.open(primary, membership, signal)
  const { raw, mapped } = introduced
  const ask = (to: Endpoint, change?: Change) => introduced.ask(to, change)
  try {
    const hears = async (change: Change) => (await ask(primary, change)) !== undefined
    const [port, address] = await Promise.all([
      near && hears({ address: false, port: true }),
      far && hears({ address: true, port: near !== undefined })
    ])
    const filter = { port: port || address || false, ...(address === undefined ? {} : { address }) }
    yield filter
    const uninvited = address ? undefined : port === false ? near : far
    if (!uninvited || !isMappedOnce()) return
    const isMoved = async (to: Endpoint) => {
      const answer = await ask(to)
      return answer && !(answer.mapped && mapped && sameEndpoint(answer.mapped, mapped))
    }
    // The spare endpoint comes first, because the port that the moved flow gets may be the port of all later flows of the
    // socket (Linux).
    const [maps, remaps] = await Promise.all([spare && isMoved(spare), isMoved(uninvited)])
    if (remaps !== undefined && !maps) yield { ...filter, remaps }
  } finally {
    await raw.close()
  }
}

type Change = { readonly address: boolean; readonly port: boolean }

/**
 * The endpoints that answer in place of the primary one: `near` from another port, and `far` from another address. If there
 * are four endpoints, `spare` is the one that never does, so nothing comes from it unasked.
 */
function neighbours([primary, ...others]: readonly Endpoint[]) {
  const near = others.find(({ address }) => address === primary?.address)
  const far = others.findLast(({ address }) => address !== primary?.address)
  const spare = near && far && others.find(other => other !== near && other !== far)
  return { primary, near, far, spare }
}

/** A socket that is known to the primary endpoint, and asks questions there or elsewhere. */
class Introduction implements Candidate {
  readonly raw: RawSocket
  readonly #primary: Endpoint
  readonly #membership: Membership
  readonly #signal: AbortSignal
  #proved: { readonly rttMs: number; readonly nonce: Buffer; readonly mapped: Endpoint | undefined } | undefined

  private constructor(raw: RawSocket, primary: Endpoint, membership: Membership, signal: AbortSignal) {
    this.raw = raw
    this.#primary = primary
    this.#membership = membership
    this.#signal = signal
  }

  /** Introduces a socket whose port is answered (beside.ts). Throws `timeout`, `io`, or what `signal` aborts with. */
  static async open(primary: Endpoint, membership: Membership, signal: AbortSignal): Promise<Introduction> {
    const bind = async (farFrom?: readonly number[]) =>
      new Introduction(await RawSocket.bind(farFrom), primary, membership, signal)
    const first = await bind()
    try {
      return (await firstAnswered(first, bind, signal)).candidate
    } catch (error) {
      await first.raw.close()
      throw error
    }
  }

  /** Where the primary endpoint saw the socket. */
  get mapped(): Endpoint | undefined {
    return this.#proved?.mapped
  }

  async show(signal: AbortSignal, answered: () => void): Promise<void> {
    this.#proved = await prove(this.raw, this.#primary, this.#username, { key: this.#membership.key, signal })
    answered()
  }

  /**
   * Sends a request, and gives the answer, or undefined if none comes in time. An answer that names no mapping says that the
   * nonce is another source's, so the socket was seen with another mapping.
   */
  async ask(to: Endpoint, change?: Change): Promise<DecodedStun | undefined> {
    if (!this.#proved) return undefined
    const { rttMs, nonce } = this.#proved
    const late = timeoutSignal(Math.ceil(ANSWER_MS + 3 * rttMs))
    const over = AbortSignal.any([this.#signal, late])
    try {
      const question = { username: this.#username, nonce, ...(change ? { change } : {}) }
      return (await this.raw.request(to, question, this.#membership.key, over)).message
    } catch {
      this.#signal.throwIfAborted()
      return undefined
    }
  }

  get #username(): string {
    return `f:${this.#membership.peer}:0`
  }
}
