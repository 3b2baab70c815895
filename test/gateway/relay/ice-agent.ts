// A browser's ICE agent as far as the relay hears of it: its checks and its answers, made byte by byte.

import { randomBytes } from 'node:crypto'
import type { IceCredentials } from '../../../src/wire/order.ts'
import { type Attribute, fingerprinted, isSealed, message, read } from '../stun-by-hand.ts'

export const [REQUEST, SUCCESS, ERROR] = [0x0001, 0x0101, 0x0111]
export const [USERNAME, ERROR_CODE, MAPPED, PRIORITY, USE_CANDIDATE] = [0x0006, 0x0009, 0x0020, 0x0024, 0x0025]
export const [CONTROLLED, CONTROLLING, NETWORK_INFO] = [0x8029, 0x802a, 0xc057]

export class IceAgent {
  readonly local: IceCredentials
  readonly remote: IceCredentials

  constructor(local: IceCredentials, remote: IceCredentials) {
    this.local = local
    this.remote = remote
  }

  /** As Chromium sends it, the offerer's. */
  check({ pwd = this.remote.pwd, role = CONTROLLING, more = [] as readonly Attribute[] } = {}): Buffer {
    const attributes: Attribute[] = [
      [USERNAME, `${this.remote.ufrag}:${this.local.ufrag}`],
      ...more,
      [NETWORK_INFO, Buffer.from([0, 1, 3, 0xe7])],
      [role, randomBytes(8)],
      ...(role === CONTROLLING ? [[USE_CANDIDATE, ''] as const] : []),
      [PRIORITY, Buffer.from([0x6e, 0x7f, 0x1e, 0xff])]
    ]
    return fingerprinted(message(REQUEST, randomBytes(12), attributes, pwd))
  }

  /** Whether this is a check that the agent would answer. */
  accepts(datagram: Buffer): boolean {
    const { type, attributes } = read(datagram)
    const username = `${this.local.ufrag}:${this.remote.ufrag}`
    const hasRole = attributes.has(CONTROLLED) !== attributes.has(CONTROLLING)
    const isWhole = hasRole && attributes.get(PRIORITY)?.length === 4 && !attributes.has(USE_CANDIDATE)
    const isOurs = type === REQUEST && String(attributes.get(USERNAME)) === username
    return isOurs && isWhole && isSealed(datagram, this.local.pwd)
  }

  answer(request: Buffer, { pwd = this.local.pwd, conflict = false } = {}): Buffer {
    const { transaction } = read(request)
    if (conflict) {
      const code: Attribute = [ERROR_CODE, Buffer.concat([Buffer.from([0, 0, 4, 87]), Buffer.from('Role Conflict')])]
      return fingerprinted(message(ERROR, transaction, [code], pwd))
    }
    return fingerprinted(message(SUCCESS, transaction, [[MAPPED, Buffer.alloc(8, 1)]], pwd))
  }
}

const chosen = (name: string): IceCredentials => ({
  ufrag: `${name}${randomBytes(3).toString('hex')}`,
  pwd: randomBytes(16).toString('hex')
})

/** Two agents that know each other. */
export function agents(): { caller: IceAgent; callee: IceAgent } {
  const [caller, callee] = [chosen('a'), chosen('b')]
  return { caller: new IceAgent(caller, callee), callee: new IceAgent(callee, caller) }
}
