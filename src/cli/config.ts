// `postern config`: checks, shows and describes the configuration of a gateway.

import { Command } from 'commander'
import type { StrategyEntry } from '../config/strategies.ts'
import { type ConfigOptions, checkedConfig, namedFile, withSetOption } from './configured.ts'
import { perform, type Run } from './door.ts'
import type { Output } from './text/output.ts'

export function configCommand(): Command {
  const command = new Command('config')
    .summary('check, show or describe the configuration')
    .description(
      'The configuration of a gateway: one YAML file, in which everything has a default. Variables go over the\nfile, and --set over both: limits.sessionsPerPeer is POSTERN_LIMITS_SESSIONS_PER_PEER, and\n--set limits.sessionsPerPeer=8. A list is one value in YAML; an empty variable is as good as none.'
    )
    .addHelpText(
      'after',
      `
Examples:
  postern config validate postern.yaml   every mistake with its line and column
  postern config show postern.yaml       what would be in effect, and where each
                                         value is from; secrets masked
  postern config schema > schema.json    for an editor that completes and checks`
    )
  withSetOption(command.command('validate'))
    .description('Checks a file, what variables say besides, and the strategies in it.')
    .argument('<file>', 'configuration in YAML')
    .option('--json', 'one JSON object a line, for programs')
    .action((config: string, options: Options) => perform(options, run => validate({ ...options, config }, run)))
  withSetOption(command.command('show'))
    .description(
      'Prints the configuration in effect as YAML, secrets masked, and beside each value where it is from:\nthe file with its line, a variable, a flag, or its default.'
    )
    .argument('[file]', 'configuration in YAML; without it that of POSTERN_CONFIG, or else none')
    .option('--json', 'one JSON object a line, for programs')
    .action((file: string | undefined, options: Options) => {
      const config = file ?? namedFile()
      return perform(options, run => show(config === undefined ? options : { ...options, config }, run))
    })
  command
    .command('schema')
    .description('Prints the JSON schema of the file.')
    .action(() => perform({}, schema))
  return command
}

interface Options extends ConfigOptions {
  readonly json?: boolean
}

async function validate(options: Options, { output }: Run): Promise<void> {
  const { plugins } = await wholly(options, output)
  const { config: file } = options
  const strategies = plugins.map(({ plugin }) => plugin.name)
  output.tell({ event: 'valid', file, strategies }, `${file} is right; its strategies: ${strategies.join(', ')}`)
}

async function show(options: Options, { output }: Run): Promise<void> {
  const { showConfig, shownOptions } = await import('../config/show.ts')
  const { config, sourceOf, plugins } = await wholly(options, output)
  // Plugins stand in the order of their entries, of which none is wrong.
  const defaultsOf = (entry: StrategyEntry) => plugins[config.strategies.indexOf(entry)]?.plugin.defaults ?? {}
  const origins = { sourceOf, defaultsOf }
  if (options.json) for (const one of shownOptions(config, origins)) output.tell({ event: 'option', ...one })
  else output.line(showConfig(config, origins).trimEnd())
}

/** The configuration with the plugins of its strategies. Throws `bad-config` with every mistake in both, and tells each to programs. */
async function wholly(options: ConfigOptions, output: Output) {
  const [{ builtIns }, { checkPlugins }, { configIn }, { inOrderOf }] = await Promise.all([
    import('../plugins/built-in.ts'),
    import('../plugins/load.ts'),
    import('../config/config.ts'),
    import('../config/located-yaml.ts')
  ])
  const checked = await checkedConfig(options)
  const { plugins, problems } = await checkPlugins(checked.strategies, builtIns)
  const wrong = inOrderOf([...checked.problems, ...problems])
  for (const { at, text } of wrong) output.tell({ event: 'problem', ...at, reason: text })
  return {
    plugins,
    sourceOf: checked.sourceOf,
    config: configIn({ ...checked, problems: wrong }, options.config ?? '')
  }
}

async function schema({ output }: Run): Promise<void> {
  const [{ builtIns }, { configSchema }] = await Promise.all([
    import('../plugins/built-in.ts'),
    import('../config/config.ts')
  ])
  output.line(JSON.stringify(configSchema(builtIns), undefined, 2))
}
