// Local ports for sockets that change hands. node-datachannel binds the very port that a raw socket has just let go, and
// aborts the process when somebody else took it in between, so these ports lie outside the range the system gives to
// sockets that ask for any.

import { readFileSync } from 'node:fs'

/** Ports freed less than this many allocations ago are not chosen again: their last owner may still be closing. */
const REST = 512

const resting: number[] = []

/** A port nobody in this process holds or held of late, in random order. Whether it is free, a bind will tell. */
export function candidatePort(): number {
  const { first, last } = range
  for (;;) {
    const port = first + Math.floor(Math.random() * (last - first + 1))
    if (resting.includes(port)) continue
    resting.push(port)
    if (resting.length > Math.min(REST, (last - first) / 2)) resting.shift()
    return port
  }
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
  return sizeOf(larger) < 2 * REST ? { first: 10_000, last: 65_535 } : larger
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
