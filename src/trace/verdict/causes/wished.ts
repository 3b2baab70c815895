// What stood in the way of a direct path because a side wished it so.

import type { Facts } from '../facts.ts'
import { blame, type Finding, nameOf, namesOf } from './finding.ts'

/** A side shows its address to no other peer, which a direct path would do. */
export function relayOnly(facts: Facts): Finding | undefined {
  const sides = facts.relayOnly
  if (sides.length === 0) return undefined
  const isBoth = sides.length > 1
  return {
    code: 'relay-only',
    side: blame(sides),
    sentence: `${namesOf(facts, sides)} ${isBoth ? 'show their addresses' : 'shows its address'} to no other peer`,
    evidence: sides.map(side => `${nameOf(facts, side)} joined as "relay only"`),
    advice: `${isBoth ? 'both' : nameOf(facts, sides[0] ?? 'caller')} asked for it; a direct path takes that ${isBoth ? 'they join' : 'it joins'} without "relay only" (--relay-only)`
  }
}
