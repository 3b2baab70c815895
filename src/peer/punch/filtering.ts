// What a NAT does with packets nobody asked for, found out with a throwaway socket that has contacted the gateway's primary
// endpoint only:
//
//   filter   does an answer come in from another port, and from another address, of the gateway (RFC 5780 section 4.4)?
//   remap    where it did not: does a request to the endpoint it came from leave by the port that others leave by?
//
// A NAT may keep a state for a packet that it hands to nobody, and must then give another port to the flow which that state
// is in the way of (Linux does, where its own firewall accepts the packet). A probe that comes too early spoils the path it
// is for in this way. Here it is done on purpose, to a socket of no use.

import { timeoutSignal } from '../../clock.ts'
import { type Endpoint, sameEndpoint } from '../../wire/endpoint.ts'
import type { FromPeer, Message } from '../../wire/signal.ts'
import type { DecodedStun } from '../../wire/stun.ts'
import { RawSocket } from './raw.ts'
import { type Membership, prove } from './warm.ts'

export type Findings = Omit<Message<FromPeer, 'filtering'>, 'type'>

/** How long an answer is waited for beyond the round trips: for three transmissions, so that a loss does not look like a filter. */
const ANSWER_MS = 400

/**
 * Yields what is let in, and then, where something is not, once more with what is remapped. That is tested only where
 * `isMappedOnce` tells that other sockets have one mapping for all destinations: elsewhere it would mean nothing, and take
 * a mapping that a stepping NAT is not predicted to make. Yields nothing where the gateway has one endpoint. Throws
 * `timeout`, `io`, or what `signal` aborts with.
 */
export async function* testFiltering(
  membership: Membership,
  { isMappedOnce, signal }: { isMappedOnce: () => boolean; signal: AbortSignal }
): AsyncGenerator<Findings, void> {
  const { primary, near, far, spare } = neighbours(membership.endpoints)
  if (!primary || !(near || far)) return
  const raw = await RawSocket.bind()
  try {
    const { ask, mapped } = await introduce(raw, primary, membership, signal)
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
    // The spare one first: what the moved flow is given may be what all flows of the socket get from then on (Linux).
    const [maps, remaps] = await Promise.all([spare && isMoved(spare), isMoved(uninvited)])
    if (remaps !== undefined && !maps) yield { ...filter, remaps }
  } finally {
    await raw.close()
  }
}

type Change = { readonly address: boolean; readonly port: boolean }

/**
 * The endpoints that answer in the place of the primary one, from another port and from another address, and where there are
 * four the one that never does: nothing comes from it unasked.
 */
function neighbours([primary, ...others]: readonly Endpoint[]) {
  const near = others.find(({ address }) => address === primary?.address)
  const far = others.findLast(({ address }) => address !== primary?.address)
  const spare = near && far && others.find(other => other !== near && other !== far)
  return { primary, near, far, spare }
}

/**
 * Shows the socket to the primary endpoint. Then `ask` asks there or elsewhere, and gives the answer, or undefined where none
 * comes in time. One that names no mapping says that the nonce is another source's: the socket was seen elsewhere.
 */
async function introduce(raw: RawSocket, primary: Endpoint, { peer, key }: Membership, signal: AbortSignal) {
  const username = `f:${peer}:0`
  const { rttMs, nonce, mapped } = await prove(raw, primary, username, { key, signal })
  const ask = async (to: Endpoint, change?: Change): Promise<DecodedStun | undefined> => {
    const late = timeoutSignal(Math.ceil(ANSWER_MS + 3 * rttMs))
    try {
      const question = { username, nonce, ...(change ? { change } : {}) }
      return (await raw.request(to, question, key, AbortSignal.any([signal, late]))).message
    } catch {
      signal.throwIfAborted()
      return undefined
    }
  }
  return { ask, mapped }
}
