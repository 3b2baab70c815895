// The command line. Each command is a file in cli/. This file puts them together, and reports the errors that they do not
// catch.

import { Command, CommanderError } from 'commander'
import { cameraCommand } from './cli/camera.ts'
import { configCommand } from './cli/config.ts'
import { report } from './cli/door.ts'
import { explainCommand } from './cli/explain.ts'
import { gatewayCommand } from './cli/gateway.ts'
import { healthcheckCommand } from './cli/healthcheck.ts'
import { namesCommand } from './cli/names.ts'
import { natCommand } from './cli/nat.ts'
import { peerCommand } from './cli/peer.ts'
import { pingCommand } from './cli/ping.ts'
import { pipeCommand } from './cli/pipe.ts'
import { roomCommand } from './cli/room.ts'
import { sendCommand } from './cli/send.ts'
import { traceCommand, tracesCommand } from './cli/traces.ts'
import { watchCommand } from './cli/watch.ts'
import { PosternError } from './errors.ts'
import { version } from './version.ts'

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

Exit codes: 0 done; 1 failed, with a code and a sentence on standard error;
130 and 143 interrupted.`
  )

for (const command of [
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
  tracesCommand(),
  traceCommand(),
  explainCommand(),
  namesCommand(),
  roomCommand()
])
  program.addCommand(command)
takeErrors(program)

process.on('uncaughtException', error => {
  report(error)
  process.exit(1)
})

try {
  await program.parseAsync()
} catch (thrown) {
  process.exitCode = wrongUsage(thrown)
}

/** Commander's own errors are reported in the same way as all others. */
function takeErrors(command: Command): void {
  command.exitOverride().configureOutput({ outputError: () => {} })
  for (const sub of command.commands) takeErrors(sub)
}

function wrongUsage(thrown: unknown): number {
  // Help or the version was printed, and nothing is wrong. If help was printed because no command was given, the exit code is
  // 1.
  if (thrown instanceof CommanderError && !thrown.message.startsWith('error: ')) return thrown.exitCode
  const message =
    thrown instanceof Error ? thrown.message.replace(/^error: /, '').replaceAll('\n', ' ') : String(thrown)
  report(thrown instanceof CommanderError ? new PosternError('bad-config', `${message}; see --help`) : thrown)
  return 1
}
