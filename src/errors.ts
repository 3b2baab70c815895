// One error class for everything a user is told about, and the table of its codes. A code is stable: scripts match it,
// `--json` prints it, traces carry it. Nothing found is `undefined`; an error is for what should not happen.

import type { Verdict } from './verdict.ts'

/** Each code and what it means to the person who reads it. */
export const codes = {
  'bad-config': 'the configuration or a command line option is wrong',
  'port-in-use': 'an address and port to listen on is taken',
  'gateway-unreachable': 'no WebSocket connection to the gateway could be made, or it was lost',
  'bad-token': 'the join or admin token was refused',
  'name-taken': 'the name belongs to another certificate',
  'unknown-peer': 'nobody has ever joined under this name',
  'peer-offline': 'the peer is known but not joined now, or it left',
  'self-connect': 'a peer asked for a connection to itself',
  'fingerprint-mismatch': 'the certificate is not the pinned or remembered one',
  'udp-blocked': 'no UDP datagram reaches the gateway from one of the peers',
  'no-path': 'every strategy passed or failed',
  'relay-full': 'the gateway, or a share of it, has no room for another peer, session or relayed connection',
  timeout: 'a deadline passed',
  io: 'a file, a stream or the connection failed midway',
  'bad-message': 'a message broke the protocol',
  internal: 'a fault in postern itself'
} as const

export type Code = keyof typeof codes

export class PosternError extends Error {
  readonly code: Code
  /** The id of the trace in which the gateway recorded the failed connection, where there is one. */
  readonly trace: string | undefined
  /** What the gateway makes of that trace. */
  readonly verdict: Verdict | undefined

  /** @param message one sentence for a person, without a stack or a secret in it. */
  constructor(
    code: Code,
    message: string,
    options: { cause?: unknown; trace?: string | undefined; verdict?: Verdict | undefined } = {}
  ) {
    super(message, options)
    this.name = 'PosternError'
    this.code = code
    this.trace = options.trace
    this.verdict = options.verdict
  }
}

/** Any thrown value as a PosternError: its own, `timeout` or `io` for an abort or the system's errors, or `internal`. */
export function asPosternError(thrown: unknown): PosternError {
  if (thrown instanceof PosternError) return thrown
  // What `AbortSignal.timeout` and an `abort()` without a reason throw.
  if (thrown instanceof DOMException && thrown.name === 'TimeoutError')
    return new PosternError('timeout', 'the deadline passed', { cause: thrown })
  if (thrown instanceof DOMException && thrown.name === 'AbortError')
    return new PosternError('io', 'it was called off', { cause: thrown })
  const message = thrown instanceof Error ? thrown.message : String(thrown)
  const system = thrown instanceof Error && 'syscall' in thrown
  return new PosternError(system ? 'io' : 'internal', message, { cause: thrown })
}
