// `postern completion SHELL`: a script by which a shell completes commands, options, choices and files. It is made of the tree of commands
// that runs, so it is as old as the postern that has printed it.

import { Argument, Command } from 'commander'
import { bashCompletion } from './completion/bash.ts'
import { fishCompletion } from './completion/fish.ts'
import { type Branch, treeOf } from './completion/tree.ts'
import { zshCompletion } from './completion/zsh.ts'
import { perform } from './door.ts'

const shells: Readonly<Record<string, (tree: Branch) => string>> = {
  bash: bashCompletion,
  zsh: zshCompletion,
  fish: fishCompletion
}

export function completionCommand(): Command {
  return new Command('completion')
    .summary('print a script by which a shell completes postern')
    .description('Prints a script by which a shell completes commands, options, choices and files.')
    .addArgument(new Argument('<shell>', 'which shell').choices(Object.keys(shells)))
    .addHelpText(
      'after',
      `
For every new shell:
  echo 'source <(postern completion bash)' >> ~/.bashrc
  echo 'source <(postern completion zsh)' >> ~/.zshrc       below compinit
  postern completion fish > ~/.config/fish/completions/postern.fish

Print it anew after an update.`
    )
    .action((shell: string, _options: object, command: Command) =>
      perform({}, async ({ output }) => {
        const print = shells[shell]
        if (print && command.parent) output.line(print(treeOf(command.parent)).trimEnd())
      })
    )
}
