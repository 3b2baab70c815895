// Turns a path into a connection. The raw socket lets its port go, the transport binds the same port in the same turn, and
// ICE, DTLS and SCTP run over the mapping, which outlives the swap.
//
//   let go ─► bound ─► the first ICE check is answered: within the patience, where the path was heard ─► open
//
// What arrives between the two meets a closed port. The system answers it with "port unreachable" (RFC 1122 section 4.1.3.1),
// and a NAT may end the flow for that. So probe.ts sees to it that nothing is on its way, and this file says so if something
// was.

import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { PosternError } from '../../errors.ts'
import type { Endpoint } from '../../wire/endpoint.ts'
import type { Opener, OpenTransport, TransportOptions } from '../transport/transport.ts'
import { holdPort } from './candidate-ports.ts'
import { localAddress } from './interfaces.ts'
import type { RawSocket } from './raw.ts'

export interface Opened extends OpenTransport {
  readonly local: Endpoint
}

export interface Handing extends Omit<TransportOptions, 'port' | 'free'> {
  /**
   * How long the first ICE check may go unanswered, in milliseconds; if left out, as long as everything may take. It is for a
   * path that was heard: there the far side answers at once, or the path is lost.
   */
  readonly checkMs?: number | undefined
}

/** Resolves and rejects as the transport does, and rejects with `timeout` if the first check is not answered. */
export async function handOver(raw: RawSocket, open: Opener, { checkMs, ...options }: Handing): Promise<Opened> {
  const over = new AbortController()
  const signal = AbortSignal.any([options.signal, over.signal])
  const { port } = raw
  using _held = holdPort(port)
  const refused = refusals()
  let isAnswered = false
  const step = (name: string) => {
    isAnswered ||= name === 'ice'
    options.step(name)
  }
  const free = () => {
    step('bound')
    void raw.close()
  }
  const opening = open({ ...options, port, free, step, signal })
  const isRefused = refusals() > refused
  if (checkMs !== undefined) void patience(checkMs, signal).then(() => !isAnswered && over.abort(unanswered(checkMs)))
  try {
    const [opened, address] = await Promise.all([opening, localAddress(options.remote)])
    return { ...opened, local: { address, port } }
  } catch (error) {
    await raw.close()
    if (isRefused && !isAnswered) step('refused')
    throw error
  } finally {
    over.abort()
  }
}

const unanswered = (ms: number) =>
  new PosternError('timeout', `the path was heard, and no ICE check on it was answered within ${Math.round(ms)} ms`)

/** Into so many waits a patience is cut. */
const PARTS = 5

/**
 * A process that is held up wakes up late from each part, so it waits longer by as much as it is behind with all else. Never
 * rejects.
 */
async function patience(ms: number, signal: AbortSignal): Promise<void> {
  for (let part = 0; part < PARTS && !signal.aborted; part++)
    await sleep(ms / PARTS, undefined, { signal }).catch(() => {})
}

/**
 * How many datagrams this host, or its network namespace, has refused because their port was closed (RFC 4113, udpNoPorts).
 * Linux tells it, and elsewhere it is 0.
 */
function refusals(): number {
  try {
    const [names, values] = readFileSync('/proc/net/snmp', 'utf8')
      .split('\n')
      .filter(line => line.startsWith('Udp:'))
      .map(line => line.split(' '))
    return Number(values?.[names?.indexOf('NoPorts') ?? 0]) || 0
  } catch {
    return 0
  }
}
