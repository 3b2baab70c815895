// The router of this network: the next hop of the default route, as Linux tells it in /proc/net/route.

import { readFile } from 'node:fs/promises'
import { endianness } from 'node:os'

/** RTF_UP and RTF_GATEWAY of Linux's route.h. */
const UP_GATEWAY = 0x3

/** The IPv4 address of the default gateway. Undefined where there is none, and on systems without `/proc/net/route`. */
export async function defaultGateway(): Promise<string | undefined> {
  const table = await readFile('/proc/net/route', 'utf8').catch(() => '')
  return gatewayIn(table)
}

/**
 * Reads the table's text. Its columns: interface, destination, gateway, flags, two of no use here, metric, mask. Addresses are
 * 32 bits in hexadecimal, in this computer's byte order. Of several default routes the one with the smallest metric counts.
 */
export function gatewayIn(table: string): string | undefined {
  const routes = table.split('\n').map(line => line.trim().split(/\s+/))
  const defaults = routes.filter(
    ([, destination, , flags, , , , mask]) =>
      destination === '00000000' &&
      mask === '00000000' &&
      (Number.parseInt(flags ?? '', 16) & UP_GATEWAY) === UP_GATEWAY
  )
  const [best] = defaults.toSorted((a, b) => Number(a[6]) - Number(b[6]))
  return best && addressOf(best[2] ?? '')
}

function addressOf(hex: string): string | undefined {
  const bytes = Buffer.from(hex, 'hex')
  if (bytes.length !== 4) return undefined
  return (endianness() === 'LE' ? bytes.reverse() : bytes).join('.')
}
