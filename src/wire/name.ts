// The rule for names of peers, in one place, because names stand in commands, files, logs and labels.

import { PosternError } from '../errors.ts'

/** 1 to 63 letters, digits, dots, underscores and hyphens; the first is a letter or a digit. */
export const nameShape = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/

/** A peer as its caller names it. */
export interface PeerName {
  readonly name: string
  /** Its fingerprint, which it has to have: `AA:BB:…` */
  readonly pin?: string
}

/** Whether two names are one: capitals make no difference. */
export const isSameName = (one: string, other: string): boolean => fold(one) === fold(other)

/** The form in which names are looked up. They are ASCII. */
export const fold = (name: string): string => name.toLowerCase()

/**
 * Returns the name if it is a valid one.
 * @throws PosternError bad-config
 */
export function checkName(name: string): string {
  if (nameShape.test(name)) return name
  const shown = JSON.stringify(name.length > 63 ? `${name.slice(0, 63)}…` : name)
  const expected = '1 to 63 letters, digits, ".", "_" and "-", a letter or a digit first'
  throw new PosternError('bad-config', `${shown} is no name for a peer; expected ${expected}`)
}
