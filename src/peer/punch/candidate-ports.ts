// Local ports for sockets that change hands. node-datachannel binds the very port that a raw socket has just let go, and
// aborts the process when somebody else took it in between, so these ports lie outside the range the system gives to
// sockets that ask for any.

import { readFileSync } from 'node:fs'

/** Fewest ports to choose from. */
const LEAST = 1024

/** Ports that were chosen or let go of late, the latest last. */
const resting = new Set<number>()

/**
 * A port nobody in this process took or let go of late, in random order. Whether it is free, a bind will tell. Half of
 * all ports rest: a NAT may still have a mapping for one that was let go minutes ago, and what is sent from there would
 * not be mapped anew.
 */
export function candidatePort(): number {
  const { first, last } = range
  for (;;) {
    const port = first + Math.floor(Math.random() * (last - first + 1))
    if (resting.has(port)) continue
    restPort(port)
    return port
  }
}

/** A port is being let go. It rests from now on: node-datachannel may be about to bind it, or about to close it. */
export function restPort(port: number): void {
  resting.delete(port)
  resting.add(port)
  const [oldest = port] = resting
  if (resting.size > sizeOf(range) / 2) resting.delete(oldest)
}

interface Range {
  readonly first: number
  readonly last: number
}

/**
 * The larger of the two ranges that the ephemeral one leaves above 10000 (below it are well-known services). Where the
 * system has given nearly all of them away, all are used: a port may then be lost midway, but without any a peer could
 * not start.
 */
export function outside({ first, last }: Range): Range {
  const below = { first: 10_000, last: first - 1 }
  const above = { first: last + 1, last: 65_535 }
  const larger = sizeOf(below) > sizeOf(above) ? below : above
  return sizeOf(larger) < LEAST ? { first: 10_000, last: 65_535 } : larger
}

const sizeOf = ({ first, last }: Range) => last - first + 1

const range = outside(ephemeral())

/** Linux says its range; elsewhere the one of IANA (RFC 6335 section 6). */
function ephemeral(): { first: number; last: number } {
  try {
    const [first, last] = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').trim().split(/\s+/).map(Number)
    if (first && last) return { first, last }
  } catch {}
  return { first: 49_152, last: 65_535 }
}
