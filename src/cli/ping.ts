// `postern ping`: which path leads to a peer, by which strategy, and how fast it is.

import { Command } from 'commander'
import { ping } from '../peer/services/ping.ts'
import { perform, type Run } from './door.ts'
import { describePath, pathEvent, tenths, withConnection } from './meet.ts'
import { type JoinOptions, wholeNumber, withJoinOptions } from './options.ts'

interface Options extends JoinOptions {
  readonly count: number
}

/** Milliseconds between two pings: a few are over in the blink of an eye, and none disturbs the next. */
const INTERVAL_MS = 200

export function pingCommand(): Command {
  return withJoinOptions(new Command('ping'))
    .summary('find the path to a peer and measure it')
    .description('Connects to a peer, and says which path that took and how long a round trip is.')
    .argument('<peer>', 'NAME, or NAME@FINGERPRINT to be sure who it is')
    .option('--count <n>', 'how many round trips', wholeNumber(1, 1_000_000), 3)
    .addHelpText(
      'after',
      `
Examples:
  postern ping bob
  postern ping bob --count 1 --json   ends with the path, or why there is none`
    )
    .action((peer: string, options: Options) => perform(options, run => pingPeer(peer, options, run)))
}

async function pingPeer(peer: string, { count, ...options }: Options, run: Run): Promise<void> {
  const { output, signal } = run
  await withConnection(peer, options, run, async met => {
    output.line(describePath(met, output))
    const { name } = met.connection.peer
    const onReply = ({ index, ms }: { index: number; ms: number }) =>
      output.tell(
        { event: 'ping', seq: index + 1, ms: tenths(ms) },
        `reply from ${name}: seq=${index + 1} time=${ms.toFixed(2)} ms`
      )
    const {
      minMs,
      avgMs,
      maxMs,
      count: got
    } = await ping(met.connection, { count, intervalMs: INTERVAL_MS, onReply, signal })
    signal.throwIfAborted()
    const times = [minMs, avgMs, maxMs].map(ms => ms.toFixed(2)).join('/')
    output.line(`${got} round trip${got === 1 ? '' : 's'}, min/avg/max ${times} ms`)
    // The smallest round trip is the path's own; the others waited for something.
    output.tell(pathEvent(met, minMs))
  })
}
