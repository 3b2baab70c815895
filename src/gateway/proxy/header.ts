// The header of PROXY protocol version 2 (haproxy.org, proxy-protocol.txt section 2.2), by which a proxy says whose TCP connection it passes on. It
// comes before everything else, TLS included.
//
//   signature, 12 bytes │ version, command │ family │ length, 2 bytes │ from, to, their ports │ TLVs, which are skipped │ the client's own bytes

import type { Endpoint } from '../../wire/endpoint.ts'
import { canonical } from './forwarded.ts'
import { type Gathered, Unwelcome } from './gather.ts'

const SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n')

/** How the signature begins. Neither TLS nor a frame does, nor HTTP, but for an empty line that a client may send by mistake. */
export const FIRST_BYTE = SIGNATURE[0] as number

/** As much as comes before the addresses. */
const FIXED_BYTES = SIGNATURE.length + 4

/** The longest header that is taken, in bytes: the addresses, and TLVs with a client's certificate among them. */
export const HEADER_BYTES = 4096

const VERSION = 2
const COMMANDS = ['local', 'proxy'] as const

/** TCP over IPv4 and over IPv6, by how many bytes an address has. */
const FAMILIES = new Map([
  [0x11, 4],
  [0x21, 16]
])

/** Whose connection it is, and what it reached; `local`: the proxy's own, such as a health check. */
export type Introduced = 'local' | { readonly source: Endpoint; readonly reached: Endpoint }

/** A header of which nobody is introduced, for who dials a gateway that expects one, and stands for nobody else. */
export const LOCAL_HEADER = Buffer.concat([SIGNATURE, Buffer.from([(VERSION << 4) | 0, 0, 0, 0])])

/** Whether so many bytes are, or may become, the signature. */
export function beginsHeader(bytes: Buffer): 'yes' | 'perhaps' | 'no' {
  const length = Math.min(bytes.length, SIGNATURE.length)
  if (bytes.compare(SIGNATURE, 0, length, 0, length) !== 0) return 'no'
  return length === SIGNATURE.length ? 'yes' : 'perhaps'
}

/**
 * Reads a header whose signature is there; undefined as long as there is more to come.
 * @throws Unwelcome as soon as it cannot become a header that is taken
 */
export function readHeader(bytes: Buffer): Gathered<Introduced> | undefined {
  if (bytes.length < FIXED_BYTES) return undefined
  const [what = 0, family = 0] = bytes.subarray(SIGNATURE.length)
  const length = FIXED_BYTES + bytes.readUInt16BE(FIXED_BYTES - 2)
  const command = COMMANDS[what & 15]
  if (what >> 4 !== VERSION || !command) throw wrong(`version and command are ${hex(what)}`, '20 or 21')
  if (length > HEADER_BYTES) throw wrong(`it has ${length} bytes`, `${HEADER_BYTES} at most`)
  const size = FAMILIES.get(family)
  // Whatever it says of addresses is to be ignored then.
  if (command === 'local') return bytes.length < length ? undefined : { found: 'local', length }
  if (size === undefined) throw wrong(`its family is ${hex(family)}`, '11 (TCP over IPv4) or 21 (TCP over IPv6)')
  if (length < FIXED_BYTES + 2 * size + 4)
    throw wrong(`it has ${length} bytes`, `${FIXED_BYTES + 2 * size + 4} or more`)
  return bytes.length < length ? undefined : { found: addressesIn(bytes.subarray(FIXED_BYTES), size), length }
}

const addressesIn = (bytes: Buffer, size: number) => ({
  source: { address: addressIn(bytes.subarray(0, size)), port: bytes.readUInt16BE(2 * size) },
  reached: { address: addressIn(bytes.subarray(size, 2 * size)), port: bytes.readUInt16BE(2 * size + 2) }
})

function addressIn(bytes: Buffer): string {
  if (bytes.length === 4) return bytes.join('.')
  const groups = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(2 * index).toString(16))
  return canonical(groups.join(':')) ?? ''
}

const hex = (byte: number): string => byte.toString(16).padStart(2, '0')

const wrong = (got: string, expected: string) =>
  new Unwelcome('malformed', `in a header of the PROXY protocol ${got}; expected ${expected}`)
