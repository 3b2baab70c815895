// The command line. It runs the tree of commands (cli/program.ts), and reports the errors that no command catches.

import { type Command, CommanderError } from 'commander'
import { report } from './cli/door.ts'
import { FAILED } from './cli/exit-codes.ts'
import { programOf } from './cli/program.ts'
import { PosternError } from './errors.ts'

const program = await programOf(process.argv[2])
takeErrors(program)

process.on('uncaughtException', error => {
  report(error)
  process.exit(FAILED)
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
  return FAILED
}
