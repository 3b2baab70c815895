// All commands as one tree. The command line runs it, and what is told of the commands elsewhere is made of it: completion in shells,
// and the manual page. A command that is named is the only one that is loaded: what the others need takes time, and a gateway's memory.

import { Command } from 'commander'
import { version } from '../version.ts'
import { exitCodes } from './exit-codes.ts'

/**
 * The tree, with nothing run.
 * @param first the first word of a command line: only this command is loaded, if there is one of this name; left out: all
 */
export async function programOf(first = ''): Promise<Command> {
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
  const named = first !== NEEDS_ALL && Object.hasOwn(commands, first) ? commands[first] : undefined
  for (const load of named ? [named] : Object.values(commands)) program.addCommand(await load())
  return program
}

/** It tells what all the others take. */
const NEEDS_ALL = 'completion'

/** In the order of the help. */
const commands: Readonly<Record<string, () => Promise<Command>>> = {
  gateway: async () => (await import('./gateway.ts')).gatewayCommand(),
  healthcheck: async () => (await import('./healthcheck.ts')).healthcheckCommand(),
  config: async () => (await import('./config.ts')).configCommand(),
  peer: async () => (await import('./peer.ts')).peerCommand(),
  send: async () => (await import('./send.ts')).sendCommand(),
  pipe: async () => (await import('./pipe.ts')).pipeCommand(),
  ping: async () => (await import('./ping.ts')).pingCommand(),
  camera: async () => (await import('./camera.ts')).cameraCommand(),
  watch: async () => (await import('./watch.ts')).watchCommand(),
  nat: async () => (await import('./nat.ts')).natCommand(),
  doctor: async () => (await import('./doctor.ts')).doctorCommand(),
  traces: async () => (await import('./traces.ts')).tracesCommand(),
  trace: async () => (await import('./traces.ts')).traceCommand(),
  explain: async () => (await import('./explain.ts')).explainCommand(),
  names: async () => (await import('./names.ts')).namesCommand(),
  room: async () => (await import('./room.ts')).roomCommand(),
  completion: async () => (await import('./completion.ts')).completionCommand()
}
