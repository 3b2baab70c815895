// `postern config`: checks, shows and describes the configuration of a gateway.

import { Command } from 'commander'
import { perform, type Run } from './door.ts'
import { configOf } from './gateway.ts'

export function configCommand(): Command {
  const command = new Command('config')
    .summary('check, show or describe the configuration')
    .description('The configuration of a gateway: one YAML file, in which everything has a default.')
    .addHelpText(
      'after',
      `
Examples:
  postern config validate postern.yaml   every mistake with its line and column
  postern config show postern.yaml       what would be in effect, secrets masked
  postern config schema > schema.json    for an editor that completes and checks`
    )
  command
    .command('validate')
    .description('Checks a file and the strategies in it.')
    .argument('<file>', 'configuration in YAML')
    .option('--json', 'one JSON object a line, for programs')
    .action((file: string, options: { readonly json?: boolean }) => perform(options, run => validate(file, run)))
  command
    .command('show')
    .description('Prints the configuration in effect as YAML, with secrets masked.')
    .argument('[file]', 'configuration in YAML; without it every option has its default')
    .action((file?: string) => perform({}, run => show(file, run)))
  command
    .command('schema')
    .description('Prints the JSON schema of the file.')
    .action(() => perform({}, schema))
  return command
}

async function validate(file: string, { output }: Run): Promise<void> {
  const [{ builtIns }, { checkPlugins }, { checkFile }, { inOrderOf, throwProblems }] = await Promise.all([
    import('../plugins/built-in.ts'),
    import('../plugins/load.ts'),
    import('../config/config.ts'),
    import('../config/located-yaml.ts')
  ])
  const checked = checkFile(file)
  const { plugins, problems } = await checkPlugins(checked.strategies, builtIns)
  const wrong = inOrderOf([...checked.problems, ...problems])
  for (const { at, text } of wrong) output.tell({ event: 'problem', ...at, reason: text })
  throwProblems(wrong)
  const strategies = plugins.map(({ plugin }) => plugin.name)
  output.tell({ event: 'valid', file, strategies }, `${file} is right; its strategies: ${strategies.join(', ')}`)
}

async function show(file: string | undefined, { output }: Run): Promise<void> {
  const { showConfig } = await import('../config/config.ts')
  output.line(showConfig(await configOf(file)).trimEnd())
}

async function schema({ output }: Run): Promise<void> {
  const [{ builtIns }, { configSchema }] = await Promise.all([
    import('../plugins/built-in.ts'),
    import('../config/config.ts')
  ])
  output.line(JSON.stringify(configSchema(builtIns), undefined, 2))
}
