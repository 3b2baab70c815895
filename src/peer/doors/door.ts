// The doors of a gateway's relay besides UDP, as a peer finds them: TCP ports that the gateway has told, its HTTP port where no TLS
// is on it, and last a WebSocket at the place where the peer joined, which passes wherever the peer itself could join.

import { DOORS, RELAY_PATH, type StreamDoor } from '../../wire/doors/door.ts'
import { type Endpoint, formatEndpoint } from '../../wire/endpoint.ts'
import { hostOf, urlAt } from '../../wire/place.ts'
import type { FromGateway, Message } from '../../wire/signal.ts'

export type Door =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'websocket'; readonly url: string; readonly ca?: readonly string[] | undefined }

export interface Found {
  /** Where the peer joined (wire/place.ts). */
  readonly place: string
  /** The first endpoint that the gateway told. */
  readonly primary: Endpoint | undefined
  /** All certificates that are trusted; those of Node if left out. */
  readonly ca?: readonly string[] | undefined
}

/** The doors in the order in which they are tried; none where the gateway has none. */
export function doorsOf(
  { features, tcp = [] }: Message<FromGateway, 'features'>,
  { place, primary, ca }: Found
): Door[] {
  if (!features.includes(DOORS)) return []
  const at = new URL(place)
  const own = primary ? tcp.map(one => ({ kind: 'tcp', host: primary.address, port: one }) as const) : []
  const isClear = at.protocol === 'http:'
  const shared = isClear ? [{ kind: 'tcp', host: hostOf(at), port: Number(at.port || 80) } as const] : []
  const url = urlAt(place, RELAY_PATH)
  url.protocol = isClear ? 'ws:' : 'wss:'
  return [...own, ...shared, { kind: 'websocket', url: url.href, ca }]
}

/** The doors of these kinds alone. */
export const ofKinds = (doors: readonly Door[], kinds: readonly StreamDoor[]): Door[] =>
  doors.filter(({ kind }) => kinds.includes(kind))

/** A door as people read it. */
export const nameOf = (door: Door): string =>
  door.kind === 'tcp' ? `TCP ${formatEndpoint({ address: door.host, port: door.port })}` : door.url
