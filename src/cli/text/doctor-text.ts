// Shows what a doctor has found: a line for each check, and at the end what is to be mended, by whom.
//
//   ok      tcp         1.2 ms  203.0.113.6:443 takes connections
//   wrong   udp          2.5 s  203.0.113.6:3478 does not answer over UDP
//
//   for whoever runs the network that this computer is in:
//     udp: 203.0.113.6:3478 does not answer over UDP
//       to do: let UDP out to 203.0.113.6, port 3478

import { formatMs, type Paint, wrap } from './output.ts'

export interface Told {
  readonly check: string
  readonly outcome: 'ok' | 'warning' | 'wrong' | 'unchecked'
  readonly sentence: string
  readonly side?: 'you' | 'network' | 'gateway'
  readonly advice?: string
  readonly ms: number
}

interface Look {
  /** In columns. */
  readonly width: number
  readonly paint: Paint
}

/** Where the sentence begins. */
const COLUMN = 30

const styles = { ok: 'green', warning: 'yellow', wrong: 'red', unchecked: 'dim' } as const

export function checkLine({ check, outcome, sentence, ms }: Told, { width, paint }: Look): string {
  const head = `  ${paint(styles[outcome], outcome.padEnd(7))} ${check.padEnd(9)} ${paint('dim', formatMs(ms).padStart(8))}`
  return wrap(`${head}  ${sentence}`, width, COLUMN)
}

const whose = {
  you: 'for you to mend, on this computer',
  network: 'for whoever runs the network that this computer is in',
  gateway: 'for whoever runs the gateway'
} as const

/** The lines at the end: whether all is fine; otherwise each side with what it has to mend, what is wrong before what may be. */
export function summaryText(checks: readonly Told[], look: Look): string {
  const { width, paint } = look
  const ill = checks.filter(({ outcome }) => outcome === 'wrong' || outcome === 'warning')
  const left = Map.groupBy(
    checks.filter(({ outcome }) => outcome === 'unchecked'),
    ({ sentence }) => sentence
  )
  const verdict = left.size === 0 ? 'everything is fine' : 'what was checked is fine'
  const told =
    ill.length === 0 ? ['', paint(['bold', 'green'], verdict)] : sides.flatMap(side => sideLines(side, ill, look))
  const unseen = [...left].map(([why, some]) =>
    wrap(paint('dim', `not checked: ${some.map(({ check }) => check).join(', ')} (${why})`), width, 2)
  )
  return [...told, ...(unseen.length > 0 ? ['', ...unseen] : [])].join('\n')
}

const sides = ['you', 'network', 'gateway'] as const

function sideLines(side: Told['side'] & string, ill: readonly Told[], look: Look): string[] {
  const here = ill.filter(one => one.side === side)
  if (here.length === 0) return []
  const weightiest = here.toSorted((a, b) => Number(b.outcome === 'wrong') - Number(a.outcome === 'wrong'))
  return ['', look.paint('bold', `${whose[side]}:`), ...weightiest.flatMap(one => troubleLines(one, look))]
}

function troubleLines({ check, outcome, sentence, advice }: Told, { width, paint }: Look): string[] {
  return [
    wrap(`  ${paint(styles[outcome], check)}: ${sentence}`, width, 4),
    ...(advice ? [wrap(`    ${paint('dim', 'to do:')} ${advice}`, width, 6)] : [])
  ]
}
