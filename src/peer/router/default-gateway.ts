// The router of this network: the next hop of the default route, as Linux tells it in /proc/net/route.

import { readFile } from 'node:fs/promises'
import { endianness } from 'node:os'

/** RTF_UP and RTF_GATEWAY of Linux's route.h. */
const UP = 0x1
const UP_GATEWAY = 0x3

/** The table of IPv4 routes of this process's network; there is none on other systems. */
export const ROUTES = '/proc/net/route'

/** The IPv4 address of the default gateway. Undefined where there is none, and on systems without `/proc/net/route`. */
export async function defaultGateway(): Promise<string | undefined> {
  const table = await readFile(ROUTES, 'utf8').catch(() => '')
  return gatewayIn(table)
}

/** The default gateway by the table's text. */
export function gatewayIn(table: string): string | undefined {
  const best = defaultIn(table, UP_GATEWAY)
  return best && addressOf(best[2] ?? '')
}

/** Where a default route leads, by the table's text: the interface, and the next hop if it has one. Undefined: there is none. */
export function defaultRouteIn(table: string): string | undefined {
  const best = defaultIn(table, UP)
  return best && `${best[0]} ${addressOf(best[2] ?? '')}`
}

/**
 * Reads the table's text. Its columns: interface, destination, gateway, flags, two of no use here, metric, mask. Addresses are
 * 32 bits in hexadecimal, in this computer's byte order. Of several default routes the one with the smallest metric counts.
 */
function defaultIn(table: string, flagged: number): readonly string[] | undefined {
  const routes = table.split('\n').map(line => line.trim().split(/\s+/))
  const defaults = routes.filter(
    ([, destination, , flags, , , , mask]) =>
      destination === '00000000' && mask === '00000000' && (Number.parseInt(flags ?? '', 16) & flagged) === flagged
  )
  return defaults.toSorted((a, b) => Number(a[6]) - Number(b[6]))[0]
}

function addressOf(hex: string): string | undefined {
  const bytes = Buffer.from(hex, 'hex')
  if (bytes.length !== 4) return undefined
  return (endianness() === 'LE' ? bytes.reverse() : bytes).join('.')
}
