// The doors of the relay: the ways by which datagrams of a side come to it. UDP is the one that costs nothing. Where UDP is blocked
// there are streams: TCP in frames (framing.ts), and WebSocket, each of whose binary messages is a datagram, for networks that let
// nothing but HTTPS out.

import { z } from 'zod'

/** Doors where UDP is blocked, in the order in which a peer tries them: a WebSocket costs a round trip or more on top of TCP. */
export const streams = ['tcp', 'websocket'] as const

export const doorKinds = ['udp', ...streams] as const

export type StreamDoor = (typeof streams)[number]
export type DoorKind = (typeof doorKinds)[number]

export const streamDoor = z.enum(streams)

/** The path on the gateway's HTTP server at which datagrams come over WebSocket. */
export const RELAY_PATH = '/relay'

/** The gateway's word, among its features, for having doors besides UDP. */
export const DOORS = 'doors'
