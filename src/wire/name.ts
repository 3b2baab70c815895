// What a peer may be called, in one place: names stand in commands, files, logs and labels.

import { PosternError } from '../errors.ts'

/**
 * A name of 1 to 63 letters, digits, dots, underscores and hyphens that starts with a letter or a digit.
 * @throws PosternError bad-config
 */
export function checkName(name: string): string {
  if (/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/.test(name)) return name
  const shown = JSON.stringify(name.length > 63 ? `${name.slice(0, 63)}…` : name)
  const expected = '1 to 63 letters, digits, ".", "_" and "-", a letter or a digit first'
  throw new PosternError('bad-config', `${shown} is no name for a peer; expected ${expected}`)
}
