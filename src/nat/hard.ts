// Tells which NATs are hard. A hard NAT uses another port towards a peer than towards the gateway, so that it has to be
// guessed.

import type { Behaviour } from './profile.ts'

/**
 * True if the port used towards a peer is none of those observed. If the mapping behaviour is `unknown`, the port is taken
 * to be the one observed, unless the socket was seen with several mappings.
 * @param seen mappings of that socket, as text; they may repeat
 */
export function isHard(mapping: Behaviour, seen: readonly string[]): boolean {
  return mapping === 'unknown' ? new Set(seen).size > 1 : mapping !== 'endpoint-independent'
}
