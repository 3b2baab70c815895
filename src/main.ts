// The command line. Each command is a file in cli/. This file puts them together, and reports the errors that they do not
// catch. A command that is named is the only one that is loaded: what the others need takes time, and a gateway's memory.

import { Command, CommanderError } from 'commander'
import { report } from './cli/door.ts'
import { PosternError } from './errors.ts'
import { version } from './version.ts'

/** In the order of the help. */
const commands: Readonly<Record<string, () => Promise<Command>>> = {
  gateway: async () => (await import('./cli/gateway.ts')).gatewayCommand(),
  healthcheck: async () => (await import('./cli/healthcheck.ts')).healthcheckCommand(),
  config: async () => (await import('./cli/config.ts')).configCommand(),
  peer: async () => (await import('./cli/peer.ts')).peerCommand(),
  send: async () => (await import('./cli/send.ts')).sendCommand(),
  pipe: async () => (await import('./cli/pipe.ts')).pipeCommand(),
  ping: async () => (await import('./cli/ping.ts')).pingCommand(),
  camera: async () => (await import('./cli/camera.ts')).cameraCommand(),
  watch: async () => (await import('./cli/watch.ts')).watchCommand(),
  nat: async () => (await import('./cli/nat.ts')).natCommand(),
  traces: async () => (await import('./cli/traces.ts')).tracesCommand(),
  trace: async () => (await import('./cli/traces.ts')).traceCommand(),
  explain: async () => (await import('./cli/explain.ts')).explainCommand(),
  names: async () => (await import('./cli/names.ts')).namesCommand(),
  room: async () => (await import('./cli/room.ts')).roomCommand()
}

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

const [, , first = ''] = process.argv
const named = Object.hasOwn(commands, first) ? commands[first] : undefined
for (const load of named ? [named] : Object.values(commands)) program.addCommand(await load())
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
