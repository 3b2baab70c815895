// `postern nat`: says what network this computer is in, as the gateway sees it, and which peers can be reached from there.

import { Command } from 'commander'
import { persist } from '../peer/patience.ts'
import { SOCKETS } from '../peer/survey.ts'
import { perform, type Run } from './door.ts'
import { withPeer } from './meet.ts'
import { type JoinOptions, wholeNumber, withJoinOptions } from './options.ts'
import { kindOf, renderNat } from './text/nat-text.ts'

interface Options extends JoinOptions {
  readonly sockets: number
}

export function natCommand(): Command {
  return withJoinOptions(new Command('nat'))
    .summary('say what network this is, and what can be reached from it')
    .description(
      'Says what NAT is in front of this computer: its type, how it chooses ports, what it lets in, and which peers can ' +
        'be reached directly from behind it. That UDP is blocked is an answer too.'
    )
    .option('--sockets <n>', 'how many sockets to look at, 2 to 16', wholeNumber(2, 16), SOCKETS)
    .addHelpText(
      'after',
      `
Examples:
  postern nat
  postern nat --sockets 16     looks longer: counts what others use up
  postern nat --json           one event named nat, after joined`
    )
    .action((options: Options) => perform(options, run => judge(options, run)))
}

async function judge({ sockets, ...options }: Options, run: Run): Promise<void> {
  const { output, signal } = run
  await withPeer(options, { accepts: false }, run, async peer => {
    const onSocket = (number: number) => output.bar(`looking at socket ${number} of ${sockets} …`)
    // A gateway judges a network once a second: whoever asks right after another command waits for it.
    const findings = await persist(() => peer.nat({ sockets, onSocket, signal }), { signal })
    const { own, ...found } = findings
    const text = renderNat(findings, { width: output.width, paint: output.paint.bind(output) })
    const type = kindOf(findings).type
    if (found.udp === 'blocked') output.tell({ event: 'nat', type, ...found, own }, text)
    else output.tell({ event: 'nat', type, udp: found.udp, ...found.report, own }, text)
  })
}
