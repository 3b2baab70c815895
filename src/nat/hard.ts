// Which NATs are hard: those that use another port towards a peer than towards the gateway, so that it has to be guessed.

import type { Behaviour } from './profile.ts'

/**
 * True where the port used towards a peer is none that was observed. Where the mapping could not be told (`unknown`), it is
 * taken to be the one observed, unless the socket was seen with several.
 * @param seen mappings of that socket, as text; they may repeat
 */
export function isHard(mapping: Behaviour, seen: readonly string[]): boolean {
  return mapping === 'unknown' ? new Set(seen).size > 1 : mapping !== 'endpoint-independent'
}
