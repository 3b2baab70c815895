// NAT-PMP, the NAT Port Mapping Protocol (RFC 6886). The router is asked for its outside address (section 3.2) and then for the
// port (section 3.3). Numbers are in network order.
//
//   address?   0  0                                                    answer: 0 128 result:16 epoch:32 address:32
//   map UDP    0  1  0:16  local port:16  outside port:16  lifetime:32 answer: 0 129 result:16 epoch:32 the same three
//
// A lifetime of 0 ends the mapping (section 3.4). The outside port is a wish, as it is in PCP.

import {
  type Asker,
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
import { exchange, type Question } from './datagram.ts'

const ADDRESS = 0
const MAP_UDP = 1
const ANSWER = 0x80

export function natPmp(router: Router, localPort: number): Asker {
  let externalPort = localPort
  /** Whether the router may have made a mapping. */
  let asked = false

  const put = async <T extends Answer>(
    question: Pick<Question<T>, 'read' | 'patienceMs'>,
    request: Buffer,
    signal: AbortSignal
  ) => {
    const to = { address: router.address, port: router.ports.mapping }
    const answer = await exchange({ ...question, to, datagram: () => request }, signal)
    if (typeof answer === 'object') router.epoch.told(answer.epochS)
    return answer
  }

  return {
    protocol: 'nat-pmp',
    async ask(signal) {
      const outside = await put({ read: readAddress }, Buffer.from([0, ADDRESS]), signal)
      if (typeof outside === 'string') return wordless(router, 'nat-pmp', outside)
      const denied = denial(router, outside) ?? unreachable(router, outside.address)
      if (denied) return denied
      asked = true
      const request = mapRequest(localPort, externalPort, LIFETIME_S)
      const mapped = await put({ read: bytes => readMap(bytes, localPort) }, request, signal)
      if (typeof mapped === 'string') return wordless(router, 'nat-pmp', mapped)
      if (mapped.result !== SUCCESS) asked = false
      const external = { address: outside.address, port: mapped.externalPort }
      const outcome = denial(router, mapped) ?? judge(router, external, mapped.lifetimeS)
      if (isGrant(outcome)) externalPort = external.port
      return outcome
    },
    async release(patienceMs) {
      if (!asked) return
      asked = false
      await put({ read: bytes => readMap(bytes, localPort), patienceMs }, mapRequest(localPort, 0, 0), never)
    }
  }
}

/** With a lifetime of 0 the wish has to be 0, too (section 3.4). */
function mapRequest(localPort: number, externalPort: number, lifetimeS: number): Buffer {
  const bytes = Buffer.alloc(12)
  bytes.writeUInt8(MAP_UDP, 1)
  bytes.writeUInt16BE(localPort, 4)
  bytes.writeUInt16BE(externalPort, 6)
  bytes.writeUInt32BE(lifetimeS, 8)
  return bytes
}

interface Answer {
  readonly result: number
  readonly epochS: number
}

/** What all answers begin with. An answer that refuses may have no more (section 3.5). */
function readAnswer(bytes: Buffer, operation: number): Answer | undefined {
  if (bytes.length < 8 || bytes.readUInt8(0) !== 0 || bytes.readUInt8(1) !== (ANSWER | operation)) return undefined
  return { result: bytes.readUInt16BE(2), epochS: bytes.readUInt32BE(4) }
}

function readAddress(bytes: Buffer): (Answer & { address: string }) | undefined {
  const answer = readAnswer(bytes, ADDRESS)
  if (!answer || (answer.result === SUCCESS && bytes.length < 12)) return undefined
  return { ...answer, address: bytes.subarray(8, 12).join('.') }
}

function readMap(bytes: Buffer, localPort: number): (Answer & { externalPort: number; lifetimeS: number }) | undefined {
  const answer = readAnswer(bytes, MAP_UDP)
  if (answer && answer.result !== SUCCESS) return { ...answer, externalPort: 0, lifetimeS: 0 }
  if (!answer || bytes.length < 16 || bytes.readUInt16BE(8) !== localPort) return undefined
  return { ...answer, externalPort: bytes.readUInt16BE(10), lifetimeS: bytes.readUInt32BE(12) }
}

// Result codes, RFC 6886 section 3.5.
const SUCCESS = 0
const NETWORK_FAILURE = 3
const reasons: Readonly<Record<number, string>> = {
  1: 'does not know this version',
  2: 'does not allow it',
  4: 'has no ports left',
  5: 'knows no mappings'
}

function denial(router: Router, { result }: Answer): Refusal | undefined {
  if (result === SUCCESS) return undefined
  // It has no outside address: miniupnpd says so where that address is not public.
  if (result === NETWORK_FAILURE) return unreachable(router, '')
  return refused(router, 'nat-pmp', reasons[result] ?? `gives error ${result}`)
}
