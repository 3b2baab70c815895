// `postern send`: sends files to a peer that runs with --receive, and verifies them by their SHA-256.

import { Command } from 'commander'
import { type Progress, type Sent, send } from '../peer/services/send.ts'
import { checkSendable } from '../peer/services/source.ts'
import { formatBytes } from '../units.ts'
import { perform, type Run } from './door.ts'
import { describePath, pathEvent, withConnection } from './meet.ts'
import { type JoinOptions, openOptionsOf, withConnectionOptions, withJoinOptions } from './options.ts'
import { formatSeconds, formatThroughput, type Output } from './text/output.ts'
import { ProgressBar } from './text/progress.ts'

export function sendCommand(): Command {
  return withConnectionOptions(withJoinOptions(new Command('send')))
    .summary('send files to a peer')
    .description('Sends files to a peer that runs with --receive. Each is verified at its end.')
    .argument('<peer>', 'NAME, or NAME@FINGERPRINT to be sure who it is')
    .argument('<file...>', 'files to send')
    .addHelpText(
      'after',
      `
Examples:
  postern send bob holiday.mp4
  postern send bob *.pdf --gateway https://postern.example.org

Where the path is lost, the transfer waits, and goes on over the next one.
One that was cut goes on where it stopped when the command is run again.
A folder is packed first: tar c photos | postern pipe bob`
    )
    .action((peer: string, files: string[], options: JoinOptions) =>
      perform(options, run => sendFiles(peer, files, options, run))
    )
}

async function sendFiles(peer: string, files: string[], options: JoinOptions, run: Run): Promise<void> {
  const { output, signal } = run
  // A mistyped name is told before anybody is bothered.
  await checkSendable(files)
  await withConnection(peer, options, run, async met => {
    output.tell(pathEvent(met, await met.connection.ping()), describePath(met, output))
    const to = peer.split('@')[0] ?? peer
    const onSent = (sent: Sent) => tellSent(sent, to, output)
    const onAsking = () => tellAsking(to, output)
    const bar = new ProgressBar(output, met.connection)
    const onProgress = (progress: Progress) => bar.show(progress)
    const told = { onProgress, onSent, onAsking }
    await send(met.connection, files, { ...told, ...openOptionsOf(options), signal }).finally(() => bar.end())
  })
}

function tellAsking(to: string, output: Output): void {
  output.tell({ event: 'asking', peer: to }, `${to} is being asked whether to take it`)
}

function tellSent({ file, bytes, sha256, ms, outcome }: Sent, to: string, output: Output): void {
  const seconds = formatSeconds(ms / 1000)
  const how = {
    sent: `in ${seconds} (${formatThroughput(bytes, ms)})`,
    resumed: `in ${seconds}, going on from before`,
    'already-there': 'was there already, the same'
  }[outcome]
  output.tell(
    { event: 'done', file, bytes, sha256, ms: Math.round(ms), outcome },
    `${output.paint('green', 'sent')} ${file} to ${to}: ${formatBytes(bytes)} ${how}, verified\n  sha256 ${sha256}`
  )
}
