// The gateway's UDP ports, and what carries relayed datagrams between them: threads with calls for many at once (batch/batch.ts), or the
// event loop (udp/listen.ts and the splice). Both do the same, and test/gateway/relay/engines.test.ts holds them to it.

import type { Logger } from 'pino'
import type { Config } from '../../config/config.ts'
import { PosternError } from '../../errors.ts'
import { type Listening, listen } from '../udp/listen.ts'
import { Batch } from './batch/batch.ts'
import type { FastPath } from './fast.ts'

export interface Udp {
  readonly udp: Listening
  /** Left out: the event loop carries everything. */
  readonly fast?: FastPath
  /** For people: `batch, 1 thread`. */
  readonly engine: string
  /** The most sessions that it can carry at once, whatever it is allowed. */
  readonly room: number
}

/** The threads' memory has room for at least so many sessions: a reload may allow more than the start did. It is touched where it is used. */
const ROOM = 20_000

/** Opens the ports. Throws `port-in-use` or `io`, or `bad-config` where an engine is asked for that cannot be had. */
export async function openUdp(
  { listen: { udp: at }, relay, limits: { sessions } }: Pick<Config, 'listen' | 'relay' | 'limits'>,
  log: Logger
): Promise<Udp> {
  if (relay.engine === 'dgram') return { udp: await listen(at), engine: 'dgram', room: Number.POSITIVE_INFINITY }
  const room = Math.max(sessions, ROOM)
  const batch = await Batch.open({ ...at, threads: relay.threads, sessions: room })
  if (batch instanceof Batch)
    return {
      room,
      udp: batch,
      fast: batch,
      engine: `batch, ${batch.threads} thread${batch.threads === 1 ? '' : 's'}, ${batch.library}`
    }
  if (relay.engine === 'batch') throw new PosternError('bad-config', `relay.engine: batch cannot be had: ${batch}`)
  log.info(`relayed datagrams are carried by the event loop (relay.engine: dgram), since ${batch}`)
  return { udp: await listen(at), engine: 'dgram', room: Number.POSITIVE_INFINITY }
}
