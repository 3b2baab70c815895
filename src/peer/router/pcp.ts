// PCP, the Port Control Protocol (RFC 6887). One request asks for a mapping, renews it, or with a lifetime of 0 ends it (MAP,
// section 11). All three carry the same nonce, so that nobody else ends the mapping.
//
//    0                   1                   2                   3
//    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   |  version 2    |R| opcode: 1   |   reserved    | result code   |   R and the result in the answer alone
//   |                      lifetime in seconds                      |
//   |    this host's address (128 bits), or in the answer: the      |
//   |    epoch in seconds, and 96 bits that are reserved            |
//   +- MAP: --------------------------------------------------------+
//   |                        nonce (96 bits)                        |
//   |  protocol: 17 |                   reserved                    |
//   |         internal port         |        external port          |   asked for, or in the answer: granted
//   |                   external address (128 bits)                 |
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//
// The external port is what this host would like. A router that has given it away grants another one, and that is taken.

import { randomBytes } from 'node:crypto'
import {
  type Asker,
  type Grant,
  isGrant,
  judge,
  LIFETIME_S,
  never,
  type Refusal,
  type Router,
  refused,
  unreachable,
  wordless
} from './asking.ts'
import { exchange } from './datagram.ts'

const VERSION = 2
const MAP = 1
const ANSWER = 0x80
const UDP = 17
const MAP_BYTES = 60
/** RFC 6887 section 7. */
const MOST_BYTES = 1100

export function pcp(router: Router, localPort: number): Asker {
  const nonce = randomBytes(12)
  let externalPort = localPort
  /** Whether the router may have made a mapping. */
  let asked = false

  const map = async (lifetimeS: number, signal: AbortSignal, patienceMs?: number) => {
    const answer = await exchange(
      {
        to: { address: router.address, port: router.ports.mapping },
        datagram: ownAddress => mapRequest({ ownAddress, nonce, localPort, externalPort, lifetimeS }),
        read: datagram => readMap(datagram, nonce, localPort),
        ...(patienceMs === undefined ? {} : { patienceMs })
      },
      signal
    )
    if (typeof answer === 'object') router.epoch.told(answer.epochS)
    return answer
  }

  return {
    protocol: 'pcp',
    async ask(signal) {
      asked = true
      const answer = await map(LIFETIME_S, signal)
      if (answer === 'not-spoken' || (typeof answer === 'object' && answer.result !== SUCCESS)) asked = false
      if (typeof answer === 'string') return wordless(router, 'pcp', answer)
      const outcome = outcomeOf(router, answer)
      if (isGrant(outcome)) externalPort = outcome.external.port
      return outcome
    },
    async release(patienceMs) {
      if (!asked) return
      asked = false
      await map(0, never, patienceMs)
    }
  }
}

interface MapRequest {
  readonly ownAddress: string
  readonly nonce: Buffer
  readonly localPort: number
  readonly externalPort: number
  /** 0 ends the mapping. */
  readonly lifetimeS: number
}

function mapRequest({ ownAddress, nonce, localPort, externalPort, lifetimeS }: MapRequest): Buffer {
  const bytes = Buffer.alloc(MAP_BYTES)
  bytes.writeUInt8(VERSION, 0)
  bytes.writeUInt8(MAP, 1)
  bytes.writeUInt32BE(lifetimeS, 4)
  mappedAddress(ownAddress).copy(bytes, 8)
  nonce.copy(bytes, 24)
  bytes.writeUInt8(UDP, 36)
  bytes.writeUInt16BE(localPort, 40)
  bytes.writeUInt16BE(lifetimeS === 0 ? 0 : externalPort, 42) // section 15.1
  mappedAddress('0.0.0.0').copy(bytes, 44) // any external address, but of IPv4 (section 11.1)
  return bytes
}

interface MapAnswer {
  readonly result: number
  readonly lifetimeS: number
  readonly epochS: number
  readonly externalPort: number
  /** One of IPv6, which is of no use here, as its digits. */
  readonly externalAddress: string
}

/** `not-spoken`: the router does not know version 2 (section 9), as NAT-PMP's routers say (RFC 6886 section 3.5). */
type Read = MapAnswer | 'not-spoken'

/** RFC 6887 sections 8.3 and 11.4. Undefined if this is no answer to the request with that nonce and that port. */
function readMap(bytes: Buffer, nonce: Buffer, localPort: number): Read | undefined {
  if (bytes.length < 4 || bytes.length > MOST_BYTES) return undefined
  const [version, operation, , result] = bytes
  if (version === 0 && bytes.readUInt8(1) >= ANSWER && bytes.readUInt16BE(2) === UNSUPP_VERSION) return 'not-spoken'
  if (operation !== (ANSWER | MAP)) return undefined
  if (version !== VERSION) return result === UNSUPP_VERSION ? 'not-spoken' : undefined
  if (bytes.length < MAP_BYTES || bytes.length % 4 !== 0) return undefined
  if (!bytes.subarray(24, 36).equals(nonce) || bytes.readUInt8(36) !== UDP) return undefined
  if (bytes.readUInt16BE(40) !== localPort) return undefined
  return {
    result: bytes.readUInt8(3),
    lifetimeS: bytes.readUInt32BE(4),
    epochS: bytes.readUInt32BE(8),
    externalPort: bytes.readUInt16BE(42),
    externalAddress: plainAddress(bytes.subarray(44, 60))
  }
}

// Result codes, RFC 6887 section 7.4.
const SUCCESS = 0
const UNSUPP_VERSION = 1
const NETWORK_FAILURE = 7
const reasons: Readonly<Record<number, string>> = {
  2: 'does not allow it',
  4: 'knows no mappings',
  8: 'has no ports left',
  9: 'maps no UDP',
  10: 'has given this host all the ports that it may have',
  11: 'cannot give such an outside address',
  12: 'sees this host at another address, so another NAT lies between them'
}

function outcomeOf(router: Router, { result, externalAddress, externalPort, lifetimeS }: MapAnswer): Grant | Refusal {
  if (result === SUCCESS) return judge(router, { address: externalAddress, port: externalPort }, lifetimeS)
  // It has no outside address, or one that is not public: miniupnpd says in that case that it has no resources, and tells it.
  const outside = unreachable(router, result === NETWORK_FAILURE ? '' : externalAddress)
  if (outside && (result === NETWORK_FAILURE || outside.outsideAddress)) return outside
  return refused(router, 'pcp', reasons[result] ?? `gives error ${result}`)
}

// Addresses of IPv4 are written as IPv6 addresses that they are mapped to (RFC 6887 section 5, RFC 4291 section 2.5.5.2).

const mappedPrefix = Buffer.from('00000000000000000000ffff', 'hex')

function mappedAddress(address: string): Buffer {
  return Buffer.concat([mappedPrefix, Buffer.from(address.split('.').map(Number))])
}

function plainAddress(bytes: Buffer): string {
  return bytes.subarray(0, 12).equals(mappedPrefix) ? bytes.subarray(12).join('.') : bytes.toString('hex')
}
