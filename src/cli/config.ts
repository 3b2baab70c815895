// `postern config`: checks, shows and describes the configuration of a gateway.

import { Command } from 'commander'
import { configSchema, loadConfig, showConfig } from '../config.ts'
import { builtIns } from '../gateway/gateway.ts'
import { loadPlugins } from '../plugins/load.ts'
import { perform } from './door.ts'
import { configOf } from './gateway.ts'

export function configCommand(): Command {
  const command = new Command('config')
    .summary('check, show or describe the configuration')
    .description('The configuration of a gateway: one YAML file, in which everything has a default.')
    .addHelpText(
      'after',
      `
Examples:
  postern config validate postern.yaml     every mistake with its line and column
  postern config show postern.yaml         what would be in effect, secrets masked
  postern config schema > schema.json      for an editor that completes and checks`
    )
  command
    .command('validate')
    .description('Checks a file and the strategies in it.')
    .argument('<file>', 'configuration in YAML')
    .action((file: string) => perform({}, ({ output }) => validate(file, text => output.line(text))))
  command
    .command('show')
    .description('Prints the configuration in effect as YAML, with secrets masked.')
    .argument('[file]', 'configuration in YAML; without it every option has its default')
    .action((file?: string) => perform({}, async ({ output }) => output.line(showConfig(configOf(file)).trimEnd())))
  command
    .command('schema')
    .description('Prints the JSON schema of the file.')
    .action(() => perform({}, async ({ output }) => output.line(JSON.stringify(configSchema(builtIns), undefined, 2))))
  return command
}

async function validate(file: string, say: (text: string) => void): Promise<void> {
  const config = loadConfig(file)
  const plugins = await loadPlugins(config.strategies, builtIns)
  say(`${file} is right; its strategies: ${plugins.map(({ plugin }) => plugin.name).join(', ')}`)
}
