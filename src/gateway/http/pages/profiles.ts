// What the gateway knew of both networks when it looked last, side by side.

import { read } from '../../../trace/record/reader.ts'
import type { SpanRecord, TraceRecord } from '../../../trace/record/record.ts'
import { type SideName, sideNames } from '../../../wire/side.ts'
import { type Html, html, type Piece } from './html.ts'
import { grouped, lasted, share, shown, signed } from './words.ts'

/** The last judgement on a side: it is renewed when fresh sockets are shown. */
export const profileOf = ({ spans }: TraceRecord, side: SideName): SpanRecord | undefined =>
  spans.findLast(span => span.name === 'postern.profile' && read(span).shown('side') === side)

const rows: readonly {
  readonly label: string
  of(span: SpanRecord, root: SpanRecord | undefined, side: SideName): Piece
}[] = [
  { label: 'NAT', of: natOf },
  { label: 'Mapping', of: span => explained(read(span).shown('mapping'), mappings) },
  { label: 'Filtering', of: span => explained(read(span).shown('filtering'), filterings) },
  { label: 'Seen as', of: span => read(span).shown('mapped') },
  { label: 'Own port', of: span => read(span).shown('port') },
  { label: 'Interfaces', of: span => shown(span.attributes['postern.links'] ?? '') },
  { label: 'Ports are', of: allocationOf },
  { label: 'What shows it', of: span => read(span).shown('evidence') },
  { label: 'Step', of: span => read(span).shown('step') },
  { label: 'Others use', of: driftOf },
  { label: 'Block', of: span => read(span).shown('block').replace('-', '–') },
  { label: 'Range', of: span => read(span).shown('range').replace('-', '–') },
  {
    label: 'Packets nobody asked for',
    of: span => span.attributes['postern.remaps'] === true && 'move a flow to another port'
  },
  { label: 'Mappings known', of: span => String(read(span).list('observed').length || '') },
  { label: 'Guesses left', of: span => guessesLeft(read(span).number('probes_left')) },
  { label: 'Round trip', of: span => milliseconds(read(span).number('rtt')) },
  { label: 'Clock', of: (_, root, side) => clockOf(root, side) }
]

export function profiles(record: TraceRecord): Html {
  const spans = sideNames.map(side => profileOf(record, side))
  if (spans.every(span => span === undefined))
    return html`<p class="empty">It ended before either side’s network was judged.</p>`
  const cells = rows
    .map(({ label, of }) => ({
      label,
      values: sideNames.map((side, at) => {
        const span = spans[at]
        return span && of(span, record.spans[0], side)
      })
    }))
    .filter(({ values }) => values.some(value => value))
  return html`<table class="profiles"><thead><tr><td></td>${sideNames.map(side => html`<th scope="col"><span class="role">${side}</span> ${record[side]}</th>`)}</tr></thead>
<tbody>${cells.map(({ label, values }) => html`<tr><th scope="row">${label}</th>${values.map(value => html`<td>${value || '–'}</td>`)}</tr>`)}</tbody></table>`
}

const kinds: Readonly<Record<string, string>> = {
  kept: 'preserved: the inside port, where it is free',
  stepping: 'counted up or down',
  block: 'random within a block',
  random: 'random'
}

function natOf({ attributes }: SpanRecord): Piece {
  if (attributes['postern.hidden'] === true) return 'not seen: sources are hidden from the gateway'
  return attributes['postern.translated'] === false ? 'none in between' : 'yes'
}

/** RFC 4787 section 4.1, and what follows from it. */
const mappings: Readonly<Record<string, string>> = {
  'endpoint-independent': 'one port towards everybody',
  'address-dependent': 'another port for each address',
  'address-and-port-dependent': 'another port for each address and port'
}

/** RFC 4787 section 5. */
const filterings: Readonly<Record<string, string>> = {
  'endpoint-independent': 'lets everybody in',
  'address-dependent': 'lets in the addresses that were sent to',
  'address-and-port-dependent': 'lets in the very endpoints that were sent to'
}

const explained = (word: string, meanings: Readonly<Record<string, string>>): Piece =>
  meanings[word] === undefined ? word : html`${word} <span class="meaning">${meanings[word]}</span>`

const guessesLeft = (probes: number | undefined): Piece =>
  probes === undefined
    ? undefined
    : html`${grouped(probes)} <span class="meaning">datagrams may still go to guessed ports of this address</span>`

/** What was seen says how sure that is; only where it does not, it stands here. */
function allocationOf(span: SpanRecord): Piece {
  const kind = read(span).shown('allocation')
  const confidence = read(span).number('confidence')
  if (!kind) return undefined
  const isSaid = / sure$/.test(read(span).shown('evidence'))
  return `${kinds[kind] ?? kind}${confidence === undefined || isSaid ? '' : ` (${share(confidence, 1)} sure)`}`
}

function driftOf(span: SpanRecord): Piece {
  const drift = read(span).number('drift')
  return drift === undefined ? undefined : `${shown(drift)} mappings a second`
}

/** How far a side's clock was off; the times of its steps are corrected by this. */
function clockOf(root: SpanRecord | undefined, side: SideName): Piece {
  const offset = read(root).number(`${side}.clock.offset`)
  const uncertainty = read(root).number(`${side}.clock.uncertainty`)
  if (offset === undefined) return undefined
  return `${signed(offset)}${uncertainty === undefined ? '' : ` (± ${lasted(uncertainty)})`} to the gateway’s`
}

const milliseconds = (ms: number | undefined) => (ms === undefined ? undefined : lasted(ms))
