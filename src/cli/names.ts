// `postern names`: which certificate each name belongs to, and the way to free one.

import { Command } from 'commander'
import { PosternError } from '../errors.ts'
import { normaliseFingerprint, pinOf } from '../wire/identity/fingerprint.ts'
import { checkName } from '../wire/name.ts'
import { ask } from './api.ts'
import { perform, type Run } from './door.ts'
import { type AdminOptions, withAdminOptions } from './options.ts'

export function namesCommand(): Command {
  const command = new Command('names')
    .summary('list or free the names of peers')
    .description(
      'A name belongs to the first certificate that joined under it, for good.\nForgetting it lets another computer take it.'
    )
    .addHelpText(
      'after',
      `
Examples:
  postern names list
  postern names forget bob                 bob has a new computer
  postern names forget --fingerprint FP    all names of one certificate`
    )
  command.addCommand(
    withAdminOptions(new Command('list'))
      .description('Lists the names and the fingerprints they belong to.')
      .action((options: AdminOptions) => perform(options, run => list(options, run)))
  )
  command.addCommand(
    withAdminOptions(new Command('forget'))
      .description('Frees a name, or all of a certificate. A peer that is joined under it stays joined.')
      .argument('[name]', 'the name to free')
      .option('--fingerprint <fp>', 'free all names of this certificate, as names list has it')
      .action((name: string | undefined, options: ForgetOptions) =>
        perform(options, run => (name === undefined ? forgetAll(options, run) : forget(name, options, run)))
      )
  )
  return command
}

async function list(options: AdminOptions, { output, signal }: Run): Promise<void> {
  const names = (await ask(options, '/api/names', { signal })) as { name: string; fingerprint: string }[]
  if (names.length === 0) output.line('nobody has joined under a name yet')
  for (const { name, fingerprint } of names)
    output.tell({ event: 'name', name, fingerprint }, `${name.padEnd(14)} ${pinOf(fingerprint)}`)
}

interface ForgetOptions extends AdminOptions {
  readonly fingerprint?: string
}

async function forget(name: string, options: ForgetOptions, { output, signal }: Run): Promise<void> {
  if (options.fingerprint !== undefined) throw new PosternError('bad-config', 'give a name or --fingerprint, not both')
  await ask(options, `/api/names/${checkName(name)}`, { method: 'DELETE', signal })
  output.tell({ event: 'forgotten', name }, `${name} is free: whoever joins under it next owns it`)
}

async function forgetAll(options: ForgetOptions, { output, signal }: Run): Promise<void> {
  const fingerprint = normaliseFingerprint(options.fingerprint ?? '')
  if (!fingerprint)
    throw new PosternError('bad-config', 'give a name, or --fingerprint with the 64 digits that names list prints')
  const path = `/api/names?fingerprint=${fingerprint.replaceAll(':', '')}`
  const { forgotten } = (await ask(options, path, { method: 'DELETE', signal })) as { forgotten: string[] }
  for (const name of forgotten) output.tell({ event: 'forgotten', name }, `${name} is free`)
  output.line(`whoever joins under ${forgotten.length === 1 ? 'it' : 'one of them'} next owns it`)
}
