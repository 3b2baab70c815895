// Why was this connection relayed, or why did it fail? One pure function turns what was recorded into a code, a sentence,
// the side at fault, the evidence and what to do about it. It reads nothing but spans, so it can also judge a trace from a
// file.

import type { Known } from '../../strategy/remedy.ts'
import { type Verdict, verdicts } from '../../verdict.ts'
import { printable } from '../../wire/text.ts'
import type { SpanRecord } from '../record/record.ts'
import { behindDoor, deadPort, silentPeer, wrongFamily } from './causes/absent.ts'
import { hairpin, ownAddress } from './causes/beside.ts'
import { type Finding, type Rule, turnLine } from './causes/finding.ts'
import { carrierAboveHome } from './causes/forwarding.ts'
import { bothRandom, budgetSharedOut, predictionMissed, sprayTooSmall } from './causes/guessing.ts'
import { tooNarrow } from './causes/narrow.ts'
import { cutShort, deadline, hiddenSources, notTried, outOfTime, pluginThrew, relayOff } from './causes/operator.ts'
import {
  gatewayPorts,
  neverObeyed,
  nobodyHeard,
  noSample,
  oneAddress,
  somePortsBlocked,
  udpBlocked
} from './causes/reached.ts'
import { refused } from './causes/refused.ts'
import {
  handoverGap,
  handoverLost,
  mappingTimedOut,
  nothingThrough,
  oneWay,
  otherCertificate,
  relayMute,
  remapped
} from './causes/through.ts'
import { relayOnly } from './causes/wished.ts'
import type { Facts } from './facts.ts'
import { factsOf } from './reading.ts'

/**
 * @param spans of one request, its root first: `postern.connect`, or `postern.join` of a peer that was refused
 * @param known the strategies that can be recommended
 */
export function judge(spans: readonly SpanRecord[], known: readonly Known[]): Verdict {
  try {
    return judged(factsOf(spans, known))
  } catch (error) {
    // A fault in the explanation must not end a connection.
    return said({ ...unknown, evidence: [`${FAULT}: ${error instanceof Error ? error.message : error}`] }, [])
  }
}

function judged(facts: Facts): Verdict {
  const narrow = tooNarrow(facts)
  if (narrow) return said(narrow, [])
  if (facts.outcome === 'path' && facts.path === 'direct') return said(found(facts), [])
  const stood = (facts.relayOnly.length > 0 ? wished : inTheWay).flatMap(rule => rule(facts) ?? [])
  const ended = [refused(facts, stood), ...decisive.map(rule => rule(facts)), relayOff(facts, stood)]
  const [first = unexplained(facts), ...others] = [...ended.filter(finding => finding !== undefined), ...stood]
  return said(first, others)
}

/** Rules for what no other strategy or relay could have mended, or what has to be mended first. The weightiest come first. */
const decisive: readonly Rule[] = [
  otherCertificate,
  neverObeyed,
  silentPeer,
  wrongFamily,
  nobodyHeard,
  udpBlocked,
  pluginThrew,
  relayMute,
  outOfTime
]

/**
 * Rules for what stood in the way of a direct path: what packets showed, then what is known of the NATs. The weightiest
 * come first.
 */
const inTheWay: readonly Rule[] = [
  behindDoor,
  hiddenSources,
  oneWay,
  hairpin,
  ownAddress,
  remapped,
  mappingTimedOut,
  handoverGap,
  handoverLost,
  cutShort,
  budgetSharedOut,
  notTried,
  deadPort,
  noSample,
  carrierAboveHome,
  bothRandom,
  sprayTooSmall,
  predictionMissed,
  gatewayPorts,
  somePortsBlocked,
  oneAddress,
  deadline,
  nothingThrough
]

/** The same where a side wants no direct path: no other was tried, so nothing else is known to have been in the way. */
const wished: readonly Rule[] = [relayOnly, behindDoor]

const found = ({ by, plans }: Facts): Finding => {
  const tried = plans.filter(({ isOpen }) => !isOpen).length
  return {
    code: 'direct',
    side: 'none',
    sentence: `a direct path was found${by ? ` by ${by}` : ''}`,
    evidence: tried > 0 ? [`${tried} ${tried === 1 ? 'plan' : 'plans'} before it failed`] : [],
    advice: ''
  }
}

const unexplained = ({ reason, turns }: Facts): Finding => ({
  ...unknown,
  evidence: [...(reason ? [reason] : []), ...turns.map(turnLine)]
})

const unknown = {
  code: 'unexplained',
  side: 'none',
  sentence: verdicts.unexplained,
  advice: 'look at the spans of this trace; if they do not tell it either, report it with the trace'
} as const

/** The evidence begins with this if a rule threw. */
export const FAULT = 'a fault in the verdict itself'

/** Characters that the wire and a page have room for. */
const SENTENCE = 200

const LIST = 8

function said({ code, side, sentence, evidence, advice }: Finding, others: readonly Finding[]): Verdict {
  const also = new Set(others.map(other => other.code))
  also.delete(code)
  return {
    code,
    sentence: line(sentence),
    side,
    evidence: [...new Set(evidence.map(line))].slice(0, LIST),
    advice: line(advice),
    also: [...also].slice(0, LIST)
  }
}

function line(text: string): string {
  const plain = printable(text, Number.POSITIVE_INFINITY)
  return plain.length > SENTENCE ? `${plain.slice(0, SENTENCE - 1)}…` : plain
}
