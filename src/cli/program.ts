// All commands as one tree. The command line runs it, and what is told of the commands elsewhere is made of it: completion in shells,
// and the manual page.

import { Command } from 'commander'
import { version } from '../version.ts'
import { cameraCommand } from './camera.ts'
import { completionCommand } from './completion.ts'
import { configCommand } from './config.ts'
import { doctorCommand } from './doctor.ts'
import { exitCodes } from './exit-codes.ts'
import { explainCommand } from './explain.ts'
import { gatewayCommand } from './gateway.ts'
import { healthcheckCommand } from './healthcheck.ts'
import { namesCommand } from './names.ts'
import { natCommand } from './nat.ts'
import { peerCommand } from './peer.ts'
import { pingCommand } from './ping.ts'
import { pipeCommand } from './pipe.ts'
import { roomCommand } from './room.ts'
import { sendCommand } from './send.ts'
import { traceCommand, tracesCommand } from './traces.ts'
import { watchCommand } from './watch.ts'

/** The tree, with nothing run. */
export function programOf(): Command {
  const program = new Command('postern')
    .description(
      'Lets two computers behind NATs talk directly, and carries their traffic itself,\nwithin a limit, only where nothing else worked.'
    )
    .version(version)
    .addHelpText(
      'after',
      `
Begin with a gateway on a host that both computers reach:
  postern gateway                                  prints the URL and the token

then, with POSTERN_GATEWAY and POSTERN_TOKEN set to these on the two computers:
  postern peer bob --receive ./received            on one
  postern send bob FILE                            on the other

Exit codes:
${exitCodes.map(({ code, meaning }) => `  ${String(code).padEnd(4)} ${meaning}`).join('\n')}`
    )
  for (const command of commands()) program.addCommand(command)
  return program
}

const commands = (): readonly Command[] => [
  gatewayCommand(),
  healthcheckCommand(),
  configCommand(),
  peerCommand(),
  sendCommand(),
  pipeCommand(),
  pingCommand(),
  cameraCommand(),
  watchCommand(),
  natCommand(),
  doctorCommand(),
  tracesCommand(),
  traceCommand(),
  explainCommand(),
  namesCommand(),
  roomCommand(),
  completionCommand()
]
