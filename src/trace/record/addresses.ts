// Addresses in texts, which may be a peer's own: something else is put in their place.

import { isIPv6 } from 'node:net'

/** Four numbers with dots between them, and nothing of the kind before or behind. */
const ipv4 = /(?<![\d.])(\d{1,3}\.\d{1,3}\.\d{1,3})\.\d{1,3}(?!\.?\d)/g

/**
 * Anything that may be an IPv6 address; most of it is a number, a time, or a fingerprint. It has one star, since peers
 * choose the text.
 */
const ipv6 = /(?<![\w:.])[0-9a-fA-F:][0-9a-fA-F:.]*(?![\w:])/g

export interface Instead {
  /** In the place of an IPv4 address, of which `$1` is all but the last number. */
  readonly ipv4: string
  readonly ipv6: (address: string) => string
}

export const withInstead = (text: string, instead: Instead): string =>
  text.replace(ipv4, instead.ipv4).replace(ipv6, word => {
    const address = addressIn(word)
    return address === undefined ? word : `${instead.ipv6(address)}${word.slice(address.length)}`
  })

/** The address in a word, without what a sentence may put behind it. */
const addressIn = (word: string): string | undefined =>
  [word, word.replace(/\.{1,3}$/, ''), word.replace(/:$/, '')].find(one => isIPv6(one))

const nothing: Instead = { ipv4: 'ADDRESS', ipv6: () => 'ADDRESS' }

/** JSON without any address in its texts. */
export const withoutAddresses = <T>(json: T): T =>
  JSON.parse(JSON.stringify(json), (_, value) => (typeof value === 'string' ? withInstead(value, nothing) : value))
