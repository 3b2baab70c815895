// What the ICE agent of a side can do that speaks ICE alone, as a browser's does. It is a poor prober, and sets the pace itself; but it
// may be one of several, each with a mapping of its own.

import { z } from 'zod'
import { port } from './shapes.ts'

/** No browser goes beyond these. What a peer claims decides what others do, so it ends here. */
const most = { perConnection: 100, inAll: 2000, connections: 64 }

export const agentPace = z.strictObject({
  /** Candidates that one connection checks in a second. */
  perConnection: z.int().min(1).max(most.perConnection),
  /** Checks of all connections together in a second. */
  inAll: z.int().min(1).max(most.inAll),
  /** How many connections it makes at once. */
  connections: z.int().min(1).max(most.connections)
})

export type AgentPace = z.infer<typeof agentPace>

/** The most checks that so many connections send in a time in milliseconds: an agent goes on at its pace, whatever it was told. */
export const checksIn = ({ perConnection, inAll }: AgentPace, connections: number, ms: number): number =>
  Math.ceil((Math.min(connections * perConnection, inAll) * ms) / 1000)

/**
 * Where an ICE agent is found by others of its link: a name that its browser made up and answers for (RFC 6762,
 * draft-ietf-mmusic-mdns-ice-candidates). Never an address: others would send to whatever a page calls its own.
 */
export const linkHost = z.strictObject({
  address: z.string().regex(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\.local$/i),
  port
})

/** The most of these that are told. */
export const LINK_HOSTS = 4

export type LinkHost = z.infer<typeof linkHost>
