// Joins a stream to an input and an output. The two halves are independent: the end of the input ends the stream's sending
// half while the other one goes on, as with a plain pipe between two programs. A failure on one half ends both.

import type { Readable, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { asPosternError, PosternError } from '../../errors.ts'
import type { Stream } from '../connection/streams/stream.ts'

/** Resolves when both directions have ended; throws a PosternError (`io`) when the connection or one of the ends fails. */
export async function pipe(stream: Stream, input: Readable, output: Writable, signal?: AbortSignal): Promise<void> {
  const stop = () => stream.destroy(new PosternError('io', 'the pipe was interrupted', { cause: signal?.reason }))
  if (signal?.aborted) stop()
  signal?.addEventListener('abort', stop, { once: true })
  try {
    await Promise.all([pipeline(input, stream), pipeline(stream, output)])
  } catch (error) {
    const reason = asPosternError(stream.errored ?? error)
    stream.destroy(reason)
    throw reason
  } finally {
    signal?.removeEventListener('abort', stop)
  }
}
