// The addresses of this host's interfaces: what the gateway is told of them, and what is not to be sent to. Only a few fit
// into a message, and fewer are tried. So the most useful one comes first: from it this host reaches the gateway. Bridges of
// containers and virtual machines, and tunnels, come last, however many there are.

import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { isIPv4 } from 'node:net'
import { networkInterfaces } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Endpoint, isLoopback, isPrivate } from '../../wire/endpoint.ts'
import { narrowed, natureOf, type Order } from '../../wire/order.ts'
import type { Address } from '../../wire/shapes.ts'

/** As many addresses as a message may have. */
const TOLD = 16

/** Names that container engines, hypervisors and VPNs give to what they make. */
const VIRTUAL =
  /^(?:docker|br-|virbr|veth|vnet|podman|cni|flannel|cali|cilium|lxc|lxd|incus|kube|nerdctl|vmnet|vboxnet|vEthernet|bridge1\d\d|tun|tap|utun|wg|tailscale|zt|ppp|ipsec|nordlynx|proton)/

interface Link extends Address {
  readonly name: string
}

export class Interfaces {
  readonly #excluded: RegExp
  readonly #list: typeof networkInterfaces

  /**
   * @param excluded names of interfaces that the gateway is not told of; `*` stands for any characters
   * @param list what this host has now
   */
  constructor(excluded: readonly string[] = [], list = networkInterfaces) {
    this.#list = list
    this.#excluded = new RegExp(`^(?:${excluded.map(patternOf).join('|')})$`)
  }

  /** The addresses to tell a gateway. Loopback counts if the gateway itself is on loopback. */
  async told(primary: Endpoint | undefined): Promise<Address[]> {
    const withLoopback = primary !== undefined && isLoopback(primary.address)
    const source = primary && (await localAddress(primary))
    return this.#links()
      .filter(link => isLoopback(link.address) === withLoopback && !this.#isExcluded(link))
      .toSorted((a, b) => lateness(a, source) - lateness(b, source))
      .slice(0, TOLD)
      .map(({ address, prefix }) => ({ address, prefix }))
  }

  /** False for an address that no message may have. */
  mayTell(address: string): boolean {
    return !this.#links().some(link => link.address === address && this.#isExcluded(link))
  }

  /**
   * The order without what would not leave this host: addresses of its own, unless another peer is on this host, and private
   * addresses that an excluded interface leads to. Undefined if nothing but own addresses was ordered.
   */
  async narrow(order: Order): Promise<Order | undefined> {
    const own = this.#links()
    const isOwn = (address: string) => !isLoopback(address) && own.some(link => link.address === address)
    const hidden = own.filter(link => this.#isExcluded(link))
    const { targets = [], guesses = [] } = natureOf(order).effort ?? {}
    const aims = [...targets, ...guesses]
    if (aims.length === 0) return order
    const ownTargets = targets.filter(({ address }) => isOwn(address))
    const taken = await Promise.all(ownTargets.map(({ port }) => isTaken(port)))
    const here = ownTargets.filter((_, index) => taken[index])
    const mayAim = (address: string, port?: number) =>
      isOwn(address)
        ? here.some(target => target.address === address && target.port === port)
        : !(isPrivate(address) && hidden.some(link => isWithin(link, address)))
    if (here.length === 0 && aims.every(({ address }) => isOwn(address))) return undefined
    return narrowed(order, mayAim)
  }

  #isExcluded({ name }: Link): boolean {
    return this.#excluded.test(name)
  }

  #links(): Link[] {
    return Object.entries(this.#list()).flatMap(([name, list = []]) =>
      list
        .filter(({ family }) => family === 'IPv4')
        .map(({ address, cidr }) => ({ name, address, prefix: Number(cidr?.split('/')[1] ?? 32) }))
    )
  }
}

/** True if an interface of this host has the address now. */
export const isOwnAddress = (address: string): boolean =>
  Object.values(networkInterfaces()).some((list = []) => list.some(one => one.address === address))

/** The address from which this host sends to an endpoint, by its routes. Nothing is sent. */
export async function localAddress({ address, port }: Endpoint): Promise<string> {
  const socket = createSocket('udp4')
  try {
    socket.connect(port, address)
    await once(socket, 'connect')
    return socket.address().address
  } catch {
    return '0.0.0.0'
  } finally {
    socket.close()
  }
}

/** A host that has the first address of a subnet is its router: others are beyond it, and rarely the other peer. */
function lateness({ name, address, prefix }: Link, source: string | undefined): number {
  if (address === source) return 0
  if (VIRTUAL.test(name)) return 3
  return prefix < 31 && (numberOf(address) & ~maskOf(prefix)) >>> 0 === 1 ? 2 : 1
}

const isWithin = ({ address, prefix }: Link, other: string): boolean =>
  isIPv4(other) && ((numberOf(address) ^ numberOf(other)) & maskOf(prefix)) === 0

const numberOf = (address: string) => address.split('.').reduce((sum, part) => (sum << 8) | Number(part), 0)
const maskOf = (prefix: number) => (prefix === 0 ? 0 : -1 << (32 - prefix))

/** A peer that hands its socket over lets the port go for a moment, so it is looked at again. Milliseconds. */
const LOOKS_MS = [0, 5, 15] as const

/** True if a socket of this host holds the UDP port: whether it is this peer's or another's is not told. Nothing is sent. */
async function isTaken(port: number): Promise<boolean> {
  for (const waitMs of LOOKS_MS) {
    if (waitMs > 0) await sleep(waitMs)
    const socket = createSocket('udp4')
    try {
      socket.bind(port, '0.0.0.0')
      await once(socket, 'listening')
    } catch {
      return true
    } finally {
      socket.close()
    }
  }
  return false
}

/** `*` stands for any characters, and everything else for itself. */
const patternOf = (excluded: string) => excluded.replace(/[\\^$.+?()[\]{}|/-]/g, '\\$&').replaceAll('*', '.*')
