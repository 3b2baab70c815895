// `postern ping`: which path leads to a peer, by which strategy, how fast it is, and, as long as it runs, what becomes of it.

import { setTimeout as sleep } from 'node:timers/promises'
import { Command } from 'commander'
import { type PingSummary, ping, Times } from '../peer/services/ping.ts'
import { perform, type Run } from './door.ts'
import { describePath, pathEvent, tenths, withConnection } from './meet.ts'
import { type JoinOptions, wholeNumber, withConnectionOptions, withJoinOptions } from './options.ts'
import type { Output } from './text/output.ts'

interface Options extends JoinOptions {
  readonly count?: number
}

/** Milliseconds between the first pings: a few are over in the blink of an eye, and none disturbs the next. */
const INTERVAL_MS = 200

/** Round trips that the path is judged by where no number was given. After these there is one in a second. */
const FIRST = 3
const LIVE_MS = 1000

export function pingCommand(): Command {
  return withConnectionOptions(withJoinOptions(new Command('ping')))
    .summary('find the path to a peer and measure it')
    .description(
      'Connects to a peer, and says which path that took, how long a round trip is, and what becomes of the path.'
    )
    .argument('<peer>', 'NAME, or NAME@FINGERPRINT to be sure who it is')
    .option('--count <n>', 'how many round trips (default: until it is interrupted)', wholeNumber(1, 1_000_000))
    .addHelpText(
      'after',
      `
Examples:
  postern ping bob                    shows live what becomes of the path
  postern ping bob --count 1 --json   ends with the path, or why there is none`
    )
    .action((peer: string, options: Options) => perform(options, run => pingPeer(peer, options, run)))
}

async function pingPeer(peer: string, { count, ...options }: Options, run: Run): Promise<void> {
  const { output, signal } = run
  await withConnection(peer, options, run, async met => {
    output.line(describePath(met, output))
    const times = new Times()
    const reply = ({ ms }: { ms: number }) => tellReply(times.add(ms), ms, met.connection.peer.name, output)
    const pinging = { onReply: reply, signal }
    const { minMs } = await ping(met.connection, { ...pinging, count: count ?? FIRST, intervalMs: INTERVAL_MS })
    // The smallest round trip is the path's own; the others waited for something.
    const path = pathEvent(met, minMs)
    if (count === undefined && !signal.aborted) {
      output.tell(path)
      await sleep(LIVE_MS, undefined, { signal }).catch(() => {})
      await ping(met.connection, { ...pinging, count: Number.POSITIVE_INFINITY, intervalMs: LIVE_MS })
    }
    output.line(timesText(times.summary))
    signal.throwIfAborted()
    output.tell(path)
  })
}

function tellReply(seq: number, ms: number, from: string, output: Output): void {
  const text = `reply from ${from}: seq=${seq} time=${ms.toFixed(2)} ms`
  output.tell({ event: 'ping', seq, ms: tenths(ms) }, text)
}

function timesText({ count, minMs, avgMs, maxMs }: PingSummary): string {
  if (count === 0) return 'no round trip'
  const times = [minMs, avgMs, maxMs].map(ms => ms.toFixed(2)).join('/')
  return `${count} round trip${count === 1 ? '' : 's'}, min/avg/max ${times} ms`
}
