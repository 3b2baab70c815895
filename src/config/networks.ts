// Addresses and networks as a configuration names them (RFC 4632 section 3.1, RFC 4291 section 2.3), and who is in them. An IPv4 address
// that is written as an IPv6 one (RFC 4291 section 2.5.5.2) is itself.

import { BlockList, isIP } from 'node:net'
import { plainAddress } from '../wire/endpoint.ts'

interface Network {
  readonly address: string
  readonly prefix: number
}

/** The text, if it names an address or a network, but not that of all addresses; otherwise undefined. */
export const networkIn = (text: string): string | undefined => (parse(text) ? text : undefined)

/** Who is in one of a few networks. */
export class Networks {
  readonly #list = new BlockList()

  /** @param texts as `networkIn` takes them. Throws RangeError for another one. */
  constructor(texts: readonly string[]) {
    for (const text of texts) {
      const network = parse(text)
      if (!network) throw new RangeError(`${text} is no network`)
      this.#list.addSubnet(network.address, network.prefix, familyOf(network.address))
    }
  }

  has(address: string): boolean {
    const plain = plainAddress(address)
    return isIP(plain) !== 0 && this.#list.check(plain, familyOf(plain))
  }
}

function parse(text: string): Network | undefined {
  const [written = '', length, ...more] = text.split('/')
  const address = plainAddress(written)
  const bits = { 0: 0, 4: 32, 6: 128 }[isIP(address)] ?? 0
  const isMapped = address !== written
  if (bits === 0 || more.length > 0 || (isMapped && length !== undefined)) return undefined
  if (length === undefined) return { address, prefix: bits }
  const prefix = /^[1-9]\d{0,2}$/.test(length) ? Number(length) : 0
  return prefix > 0 && prefix <= bits ? { address, prefix } : undefined
}

const familyOf = (address: string): 'ipv4' | 'ipv6' => (isIP(address) === 4 ? 'ipv4' : 'ipv6')
