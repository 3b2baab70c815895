// A path was there, and only small packets pass on it: less than the least that a path is made with.

import type { Facts } from '../facts.ts'
import { type Finding, nameOf } from './finding.ts'

/** The two sides have found out that no size passes, on any path, and the connection ended for that. */
export function tooNarrow(facts: Facts): Finding | undefined {
  if (facts.ended?.code !== 'too-narrow') return undefined
  return {
    code: 'too-narrow',
    side: 'path',
    sentence: `no packet of a size that paths are made with passes between ${nameOf(facts, 'caller')} and ${nameOf(facts, 'callee')}, while smaller ones do`,
    evidence: facts.ended.narrow.length > 0 ? facts.ended.narrow : ['neither side told of a size that does not pass'],
    advice: 'start both peers with a smaller --mtu, or raise the MTU of the tunnel (VPN) between them'
  }
}
