// How large an IP packet of a connection may be. The size is fixed when a path is made, and told to both sides with the order for
// it; whether packets of it pass is proved on the path (peer/connection/size-proof.ts).

import { PosternError } from '../errors.ts'

/**
 * Sizes of IP packets in bytes that paths are made with, the largest first: what every IPv6 link carries (RFC 8200 section 5), and what
 * is left of it within one tunnel, and within two.
 */
export const PACKET_SIZES = [1280, 1200, 1100] as const

/** The size that a path begins with where nothing else is known, and the largest, in bytes. */
export const PACKET_BYTES = PACKET_SIZES[0]

/** The size that is tried last, in bytes. */
export const SMALLEST_PACKET_BYTES = PACKET_SIZES[2]

/** The least that can be asked for, in bytes: the encrypted handshake does not do with packets of 600. */
export const LEAST_PACKET_BYTES = 800

/** The size to be tried where this one does not pass; 0 where there is none. */
export const smallerThan = (bytes: number): number => PACKET_SIZES.find(size => size < bytes) ?? 0

/** Throws `bad-config` for a size that a peer's user may not ask for. */
export function checkPacketSize(bytes: number | undefined): void {
  if (bytes === undefined) return
  if (Number.isInteger(bytes) && bytes >= LEAST_PACKET_BYTES && bytes <= PACKET_BYTES) return
  throw new PosternError(
    'bad-config',
    `mtu is to be a whole number of bytes from ${LEAST_PACKET_BYTES} to ${PACKET_BYTES}, and not ${bytes}`
  )
}
