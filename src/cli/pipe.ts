// `postern pipe`: joins standard input and output to those of a peer that runs with --pipe.

import { Command } from 'commander'
import { pipe } from '../peer/services/pipe.ts'
import { perform, type Run } from './door.ts'
import { describePath, pathEvent, withConnection } from './meet.ts'
import { type JoinOptions, openOptionsOf, withConnectionOptions, withJoinOptions } from './options.ts'

export function pipeCommand(): Command {
  return withConnectionOptions(withJoinOptions(new Command('pipe')))
    .summary('join standard input and output to a peer')
    .description('Joins standard input and output to those of a peer that runs with --pipe.')
    .argument('<peer>', 'NAME, or NAME@FINGERPRINT to be sure who it is')
    .addHelpText(
      'after',
      `
Examples:
  tar c photos | postern pipe bob       on bob: postern peer bob --pipe | tar x
  postern pipe bob < /dev/null > copy   on bob: postern peer bob --pipe < file

It ends when both directions have ended. What it says goes to standard error.`
    )
    .action((peer: string, options: JoinOptions) =>
      perform({ json: options.json, dataOnStdout: true }, run => joinStreams(peer, options, run))
    )
}

async function joinStreams(peer: string, options: JoinOptions, run: Run): Promise<void> {
  await withConnection(peer, options, run, async met => {
    const { connection } = met
    run.output.tell(pathEvent(met, await connection.ping()), describePath(met, run.output))
    const stream = await met.connection.open('pipe', openOptionsOf(options))
    await pipe(stream, process.stdin, process.stdout, run.signal)
  })
}
