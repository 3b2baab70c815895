// The role of the registration server that tells peers what to do. It is an interface, so that it can run on another host.

import type { FromGateway } from '../../wire/signal.ts'

/** Tells peers what to do. Orders handed over in one call leave together. */
export interface Commander {
  command(messages: readonly { peer: string; message: FromGateway }[]): void
  /** Whether there is a peer of this id to tell anything. */
  isJoined(peer: string): boolean
}
