// The configuration as commands are given it: a file, variables of the environment over it, and flags over both.

import { type Command, Option } from 'commander'
import type { CheckedConfig, Config } from '../config/config.ts'

export interface ConfigOptions {
  readonly config?: string
  /** Such as `limits.peers=50`. */
  readonly set?: readonly string[]
}

/** Where no file is given, relative paths begin at the current folder, as they would in a file there. */
const NO_FILE = 'postern.yaml'

const VARIABLE = 'POSTERN_CONFIG'

/** The file that the environment names; an empty variable is as good as none. */
export const namedFile = (): string | undefined => process.env[VARIABLE] || undefined

export function withConfigOptions(command: Command): Command {
  const option = new Option('--config <file>', 'configuration in YAML (see: postern config --help)')
  const isEmpty = process.env[VARIABLE] === ''
  return withSetOption(command.addOption(isEmpty ? option : option.env(VARIABLE)))
}

export const withSetOption = (command: Command): Command =>
  command.option(
    '--set <option=value>',
    'sets an option, whatever the file and POSTERN_… variables say; may be there several times',
    (flag: string, before: readonly string[] = []) => [...before, flag]
  )

/** The configuration, or every mistake in it with its place. */
export async function checkedConfig({ config: file, set: flags = [] }: ConfigOptions): Promise<CheckedConfig> {
  const { checkFile, checkText } = await import('../config/config.ts')
  return file === undefined ? checkText('', NO_FILE, { flags }) : checkFile(file, { flags })
}

/** Throws `bad-config`. */
export async function configOf(options: ConfigOptions): Promise<Config> {
  const { configIn } = await import('../config/config.ts')
  return configIn(await checkedConfig(options), options.config ?? NO_FILE)
}
