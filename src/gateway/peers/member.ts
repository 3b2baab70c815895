// A joined peer as sessions know it. Another process may keep its state. So a member is reached by its id, questions to it are
// answered later, and its fields tell what was last heard of it.

import type { FilteringTest } from '../../nat/profile.ts'
import type { Claim, Open, RouterFacts } from '../../strategy/scene.ts'
import type { AgentPace, LinkHost } from '../../wire/agent.ts'
import type { StreamDoor } from '../../wire/doors/door.ts'
import type { Endpoint } from '../../wire/endpoint.ts'
import type { Vouch } from '../../wire/identity/vouch.ts'
import type { IceCredentials } from '../../wire/order.ts'
import type { Address } from '../../wire/shapes.ts'
import { type SideName, sideNames } from '../../wire/side.ts'
import type { Asker } from '../shares/shares.ts'
import type { Clock } from './peer-clock.ts'

/** A socket a peer has bound, mapped and proved, and that no session has taken yet. */
export interface WarmSocket {
  readonly number: number
  readonly port: number
  readonly addresses: readonly Address[]
  readonly rttMs: number
  /** What its ICE agent has chosen, where nobody else can choose it. */
  readonly ice?: IceCredentials
  /** Where its ICE agent is found on its link, as it says. */
  readonly hosts?: readonly LinkHost[]
  /** Nothing of it comes over UDP: its ICE agent takes a door of the relay. */
  readonly isBlocked?: true
}

/** Why a peer has no warm socket. */
export interface Cold {
  readonly code: 'udp-blocked' | 'wrong-family'
  /** As the peer said it. */
  readonly reason: string
  readonly atMs: number
  /** The address that the gateway told it for want of a better one, where it may be the wrong one. */
  readonly told?: string
  /** Doors of the relay that answer it, as it says; left out: none. */
  readonly doors?: readonly StreamDoor[]
  /** Round trip to the gateway over the first of these, as it says, in milliseconds. */
  readonly rttMs?: number
}

/** What became of an endpoint that the peer claims. */
export interface Forward extends Open {
  readonly state: 'proved' | Claim['state']
  /** On the clock of whoever asks, in milliseconds. */
  readonly atMs: number
}

export type { RouterFacts }

/** The steps of a join, in milliseconds since the epoch. */
export interface Arrival {
  readonly cameMs: number
  readonly helloMs: number
  /** When it had its first warm socket. */
  readonly warmMs?: number
}

/** A room as its guests have it. */
export interface GuestRoom {
  /** Whether this member is inside: not elsewhere, and not waiting before it. */
  has(member: Member): boolean
  /** The guest inside that has this name; undefined where there is none. */
  find(name: string): Member | undefined
  /** Somebody inside lets in a guest that waits; nothing happens where there is none, or no place. */
  admit(by: Member, id: string): void
  /** Somebody inside sends a guest away that waits. */
  turnAway(by: Member, id: string): void
}

export interface Member {
  readonly id: string
  readonly name: string
  /** False for a caller that gave no name: its name is made up and forgotten with it. */
  readonly named: boolean
  readonly fingerprint: string
  /** The fingerprint of the certificate that its DTLS connections have. */
  readonly dtls: string
  /** What shows that this certificate is the peer's, where it is not the one that it is known by. */
  readonly vouch: Vouch | undefined
  /** What its ICE agent can do, where it has no raw sockets and speaks ICE alone: a browser. */
  readonly iceOnly: AgentPace | undefined
  /** Who has what it uses of all that is bounded: itself, or, of a guest, whoever made its room. */
  readonly account: Asker
  /** The room that it is a guest of; undefined for a peer that has joined by the token. */
  readonly room: GuestRoom | undefined
  /** The gateway's endpoints as this peer was told them, the primary first. */
  readonly endpoints: readonly Endpoint[]
  /** Where it is relayed: the primary endpoint, or, for a peer that speaks ICE alone, one at the same address that it does not ask. */
  readonly gateway: Endpoint
  /** Aborted with the reason when it is no longer joined. */
  readonly gone: AbortSignal
  readonly arrival: Arrival
  /** How far its clock is from ours, as it says; undefined until it does. */
  readonly clock: Clock | undefined
  /** What its NAT lets in; undefined until its test is over. */
  readonly filtering: FilteringTest | undefined
  /** True while its filtering test is not over. A test needs a second endpoint. */
  readonly isTesting: boolean
  /** What its router said when the peer asked it for a port; undefined if it has not asked. */
  readonly router: RouterFacts | undefined
  /** A proved endpoint that leads to any of its ports; undefined if there is none. */
  readonly open: Open | undefined
  /** What is known of an endpoint that leads to a local port of its own; undefined if it claims none. */
  forwardOf(port: number): Forward | undefined
  /** Waits while such an endpoint is being proved, or until `signal` aborts. */
  forwardKnown(port: number, signal: AbortSignal): Promise<void>
  readonly isWarm: boolean
  /** It speaks ICE alone, its UDP is blocked, and an agent that no session has taken is ready for a door. */
  readonly isPrepared: boolean
  /** When the first of its warm sockets came, in milliseconds since the epoch. */
  readonly warmMs: number
  /** It can send and hear beacons on its links (peer/link/beacon.ts). */
  readonly beacons: boolean
  /** The largest IP packet that it wants to send or be sent, in bytes; undefined where it has not said. */
  readonly mtu: number | undefined
  /** It shows its address to no other peer: the relay alone leads to it, and nothing that is told to others says where it is. */
  readonly relayOnly: boolean
  /** Why it has no warm socket, as it said; undefined where it has one, or has said nothing yet. */
  readonly cold: Cold | undefined
  /** Its latest local ports that were not answered, while others of it were. */
  readonly deadPorts: readonly number[]
  /** When it was heard over signalling last, in milliseconds since the epoch. */
  readonly heardMs: number
  /** Asks it over signalling for a sign of life, which it gives at once if it lives; it shows in `heardMs`. */
  hail(): void
  /**
   * Waits for a warm socket, which another session may take first, or until it is known that there is none and a door of the relay
   * leads to the peer, and its agent is prepared where it speaks ICE alone. Rejects with `udp-blocked` or `wrong-family` where none does, or with what `signal` aborts with.
   */
  warm(signal: AbortSignal): Promise<void>
  /** Takes a warm socket that a forward leads to, or else the oldest one, which belongs to the session from now on; undefined where there is none. */
  takeSocket(): Promise<WarmSocket | undefined>
  /** Takes what it has prepared for a door; undefined where there is nothing. */
  takePrepared(): Promise<WarmSocket | undefined>
  /** Gives back a socket that was taken but never ordered to do anything: it is as warm, or as well prepared, as before. */
  giveBack(socket: WarmSocket): void
  /** Waits until the filtering test is over, or until `signal` aborts; in the second case the verdict is `unknown`. */
  filteringKnown(signal: AbortSignal): Promise<void>
}

/** The sides of a pair that show their address to no other peer. */
export const relayOnlyOf = (pair: Readonly<Record<SideName, Pick<Member, 'relayOnly'>>>): SideName[] =>
  sideNames.filter(side => pair[side].relayOnly)

/** Why nothing but the relay leads from one side of a pair to the other; undefined where both show their addresses. */
export function relayOnlyReason(
  pair: Readonly<Record<SideName, Pick<Member, 'name' | 'relayOnly'>>>
): string | undefined {
  const [first, second] = relayOnlyOf(pair).map(side => pair[side].name)
  if (first === undefined) return undefined
  return second === undefined
    ? `${first} shows its address to no other peer`
    : `${first} and ${second} show their addresses to no other peer`
}

/** The peers that are joined. */
export interface Members {
  /** The peer that answers to a name. Rejects with `peer-offline` or `unknown-peer`. */
  find(name: string): Promise<Member>
  /** The peer of this id, whether it answers to a name or not. Throws `peer-offline` where it is not joined now. */
  joined(id: string): Member
}
