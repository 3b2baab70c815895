// The one error class for everything a user is told about, and the codes it may have. A search that finds nothing gives
// `undefined`; an error is for what should not happen.

import type { Code } from './codes.ts'
import type { Verdict } from './verdict.ts'

export { type Code, codes } from './codes.ts'

export class PosternError extends Error {
  readonly code: Code
  /** The id of the trace in which the gateway recorded the failed connection, if there is one. */
  readonly trace: string | undefined
  /** The gateway's verdict on that trace. */
  readonly verdict: Verdict | undefined
  /** By this key the caller may read that trace at the gateway, for an hour. */
  readonly traceKey: string | undefined
  /** After how many milliseconds it may be tried again; undefined where that does not help, or nobody knows. */
  readonly retryMs: number | undefined

  /** @param message one sentence for a person, without a stack or a secret in it. */
  constructor(
    code: Code,
    message: string,
    options: {
      cause?: unknown
      trace?: string | undefined
      verdict?: Verdict | undefined
      traceKey?: string | undefined
      retryMs?: number | undefined
    } = {}
  ) {
    super(message, options)
    this.name = 'PosternError'
    this.code = code
    this.trace = options.trace
    this.verdict = options.verdict
    this.traceKey = options.traceKey
    this.retryMs = options.retryMs
  }
}

/**
 * Makes a PosternError of any thrown value. A PosternError stays as it is, a passed deadline becomes `timeout`, an abort or
 * an error of the system becomes `io`, and anything else becomes `internal`.
 */
export function asPosternError(thrown: unknown): PosternError {
  if (thrown instanceof PosternError) return thrown
  // `AbortSignal.timeout` and an `abort()` without a reason throw these.
  if (thrown instanceof DOMException && thrown.name === 'TimeoutError')
    return new PosternError('timeout', 'the deadline passed', { cause: thrown })
  if (thrown instanceof DOMException && thrown.name === 'AbortError')
    return new PosternError('io', 'it was called off', { cause: thrown })
  const system = thrown instanceof Error && 'syscall' in thrown
  return new PosternError(system ? 'io' : 'internal', messageOf(thrown), { cause: thrown })
}

/** What a thrown value says. Code of others may throw anything, also what cannot be written as a text. */
export function messageOf(thrown: unknown): string {
  try {
    return String(thrown instanceof Error ? thrown.message : thrown)
  } catch {
    return 'something that is no text'
  }
}
