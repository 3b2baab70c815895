// Chooses local ports for sockets that change hands. node-datachannel binds the very port that a raw socket has just let go,
// and aborts the process if somebody else took it in between. So these ports lie outside the range from which the system
// serves sockets that ask for any port.

import { readFileSync } from 'node:fs'

/** The fewest ports to choose from. */
const LEAST = 1024

/** Ports that were chosen or let go lately, the latest last. */
const resting = new Set<number>()

/** Ports are far from each other if this share of all ports lies between them: three always find room. */
const FAR = 1 / 5

/**
 * A random port that nobody in this process took or let go lately. Only a bind tells whether it is free. Up to half of all
 * ports rest. A NAT may still have a mapping for a port that was let go minutes ago, and would make no new mapping for what
 * is sent from there.
 * @param farFrom at most two ports, of which it is far: a firewall that drops a range of ports seldom drops both
 */
export function candidatePort(farFrom: readonly number[] = []): number {
  const { first, last } = range
  const isNear = (port: number) => farFrom.some(other => Math.abs(port - other) < FAR * sizeOf(range))
  for (;;) {
    const port = first + Math.floor(Math.random() * (last - first + 1))
    if (resting.has(port) || isNear(port)) continue
    restPort(port)
    return port
  }
}

/** Call this when a port is let go. It rests from now on, because node-datachannel may be about to bind or to close it. */
export function restPort(port: number): void {
  resting.delete(port)
  resting.add(port)
  const [oldest = port] = resting
  if (resting.size > sizeOf(range) / 2) resting.delete(oldest)
}

/** Ports between two owners. */
const held = new Set<number>()

/** Nobody in this process binds the port that is chosen by its number until this is disposed of. */
export function holdPort(port: number): Disposable {
  held.add(port)
  return { [Symbol.dispose]: () => held.delete(port) }
}

export const isHeld = (port: number): boolean => held.has(port)

interface Range {
  readonly first: number
  readonly last: number
}

/**
 * The larger of the two ranges that the ephemeral range leaves above 10000. Below 10000 are well-known services. If the
 * ephemeral range takes up nearly everything, all ports are used. A port may then be lost midway, but without any port a peer
 * could not start.
 */
export function outside({ first, last }: Range): Range {
  const below = { first: 10_000, last: first - 1 }
  const above = { first: last + 1, last: 65_535 }
  const larger = sizeOf(below) > sizeOf(above) ? below : above
  return sizeOf(larger) < LEAST ? { first: 10_000, last: 65_535 } : larger
}

const sizeOf = ({ first, last }: Range) => last - first + 1

const range = outside(ephemeral())

/** The ephemeral range: Linux says what it is, and elsewhere it is IANA's (RFC 6335 section 6). */
function ephemeral(): { first: number; last: number } {
  try {
    const [first, last] = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').trim().split(/\s+/).map(Number)
    if (first && last) return { first, last }
  } catch {}
  return { first: 49_152, last: 65_535 }
}
