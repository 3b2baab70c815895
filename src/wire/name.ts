// What a peer may be called, in one place: names stand in commands, files, logs and labels.

import { PosternError } from '../errors.ts'

/** 1 to 63 letters, digits, dots, underscores and hyphens, a letter or a digit first. */
export const nameShape = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/

/**
 * A name, checked.
 * @throws PosternError bad-config
 */
export function checkName(name: string): string {
  if (nameShape.test(name)) return name
  const shown = JSON.stringify(name.length > 63 ? `${name.slice(0, 63)}…` : name)
  const expected = '1 to 63 letters, digits, ".", "_" and "-", a letter or a digit first'
  throw new PosternError('bad-config', `${shown} is no name for a peer; expected ${expected}`)
}
