// What the pages say of times, outcomes and spans: the same everywhere.

import type { Fate } from '../../../trace/record/fate.ts'
import type { TraceSummary } from '../../../trace/record/record.ts'
import { percent } from '../../../units.ts'
import type { Blamed } from '../../../verdict.ts'
import { type Html, html } from './html.ts'

/** A shape for each fate, so that it is not told by colour alone. */
const shapes: Readonly<Record<Fate, Html>> = {
  direct: html`<path d="M3 8.5l3.2 3.2L13 4.8"/>`,
  relayed: html`<path d="M2.5 11.5L8 4.5l5.5 7"/><circle cx="8" cy="4.5" r="1.5"/>`,
  failed: html`<path d="M4 4l8 8M12 4l-8 8"/>`
}

export const badge = (fate: Fate): Html =>
  html`<span class="badge ${fate}"><svg viewBox="0 0 16 16" aria-hidden="true">${shapes[fate]}</svg>${fate}</span>`

/** `0.4 ms`, `12.3 ms`, `1,234 ms`, `12.3 s`, `3 min 20 s`. */
export function lasted(ms: number): string {
  if (ms >= 119_950) return `${grouped(Math.floor(ms / 60_000))} min ${Math.floor((ms / 1000) % 60)} s`
  if (ms >= 10_000) return `${(ms / 1000).toFixed(1)} s`
  return ms >= 1000 ? `${grouped(Math.round(ms))} ms` : `${ms.toFixed(1)} ms`
}

/** A rate that was measured, with the digits that matter: `640 bit/s`, `12.3 kbit/s`, `4.0 Mbit/s`. */
export function speed(bitsPerSecond: number): string {
  if (bitsPerSecond < 1000) return `${Math.round(bitsPerSecond)} bit/s`
  const [size, unit] = [[1e9, 'Gbit/s'] as const, [1e6, 'Mbit/s'] as const].find(([size]) => bitsPerSecond >= size) ?? [
    1e3,
    'kbit/s'
  ]
  return `${(bitsPerSecond / size).toFixed(1)} ${unit}`
}

/** An offset with its sign. One that rounds to zero has a plus. */
export const signed = (ms: number): string => `${ms <= -0.05 ? '−' : '+'}${lasted(Math.abs(ms))}`

export const grouped = (count: number): string => count.toLocaleString('en-US')

export const share = (part: number, whole: number): string => (whole === 0 ? '–' : percent(part / whole))

/** Times are UTC: pages, logs and traces of several hosts are read side by side. */
export function timeTag(atMs: number, nowMs = Date.now()): Html {
  const iso = new Date(atMs).toISOString()
  const sameDay = iso.slice(0, 10) === new Date(nowMs).toISOString().slice(0, 10)
  return html`<time datetime="${iso}">${sameDay ? '' : `${iso.slice(0, 10)} `}${iso.slice(11, 19)}</time>`
}

export const utc = (atMs: number): string => `${new Date(atMs).toISOString().replace('T', ' ').slice(0, 19)} UTC`

/** Any attribute, as people read it. */
export function shown(value: unknown): string {
  if (Array.isArray(value)) return value.map(shown).join(', ')
  if (typeof value === 'number') return Number.isInteger(value) ? String(value) : String(Number(value.toFixed(3)))
  return String(value)
}

/** Who is to blame, with the name where there is one. */
export function blamedOn(side: Blamed, { caller, callee }: Pick<TraceSummary, 'caller' | 'callee'>): string {
  const who: Readonly<Record<Blamed, string>> = {
    caller: `the caller, ${caller}`,
    callee: `the callee, ${callee}`,
    both: 'both sides',
    gateway: 'the gateway',
    path: 'the network between the two sides',
    none: 'nobody'
  }
  return who[side]
}

/** A sentence begins with a capital, unless it begins with a name, which is written as it is. */
export function begun(sentence: string, { caller, callee }: Pick<TraceSummary, 'caller' | 'callee'>): string {
  const named = [caller, callee].some(name => name !== '' && sentence.startsWith(name))
  return named ? sentence : sentence.charAt(0).toUpperCase() + sentence.slice(1)
}
