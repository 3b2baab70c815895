// How far the clock of the gateway is from that of this computer, by what it says of the time with any answer.

import type { IncomingMessage } from 'node:http'
import { roughly } from '../../units.ts'
import { type Finding, found, ok, type Stepped, unchecked, warning } from './check.ts'

export interface Health {
  /** How far the gateway's clock is ahead of ours, in milliseconds; undefined where it does not tell the time. */
  readonly aheadMs: number | undefined
}

/** Clocks that are further apart than this are set wrong, in milliseconds: `Date` has whole seconds. */
const APART_MS = 30_000

export function checkClock({ aheadMs }: Health): Stepped<true> {
  if (aheadMs === undefined) return found(unchecked('the gateway does not tell the time (no Date)'), true)
  if (Math.abs(aheadMs) > APART_MS) return found(clockWrong(aheadMs), true)
  return found(ok('this clock and that of the gateway agree', { aheadMs: Math.round(aheadMs) }), true)
}

export function clockWrong(aheadMs: number): Finding {
  const sentence = `this clock is ${roughly(Math.abs(aheadMs))} ${aheadMs > 0 ? 'behind' : 'ahead of'} that of the gateway`
  const advice = `set it: here it is ${new Date().toISOString().slice(0, 19)}Z; if that is right, the gateway's operator has to set theirs`
  return warning('you', sentence, { advice, facts: { aheadMs: Math.round(aheadMs) } })
}

/** `Date` (RFC 9110 section 6.6.1) is cut to whole seconds, so half of one is added; it was said half a round trip ago. */
export function aheadOf({ headers }: IncomingMessage, sentMs: number, rttMs: number): number | undefined {
  const saidMs = Date.parse(headers.date ?? '')
  return Number.isNaN(saidMs) ? undefined : saidMs + 500 - (sentMs + rttMs / 2)
}
