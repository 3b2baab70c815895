// A picture of the ports. Each side whose ports were not known beforehand has a number line. The line shows the ports that
// were seen of its NAT, the predicted ports, the tried ports, and the ports where the side was met.
//
//   profile of the side          postern.observed                        seen, the oldest on top
//   plans, what the OTHER side   postern.<other>.first_ports             predicted: the first guesses
//   was ordered to try           postern.<other>.low_port, high_port     tried: from the lowest to the highest
//   the other side's probe       postern.heard                           hit
//   the other side's handover    network.peer.port                       hit

import { observedIn } from '../../../../trace/record/observed.ts'
import { read } from '../../../../trace/record/reader.ts'
import type { SpanRecord, TraceRecord } from '../../../../trace/record/record.ts'
import { otherSide, type SideName, sideNames } from '../../../../wire/side.ts'
import { type Html, html } from '../html.ts'
import { profileOf } from '../profiles.ts'
import { grouped } from '../words.ts'
import { axis, portTicks } from './axis.ts'

export interface PortPicture {
  readonly side: SideName
  readonly name: string
  /** Ports by age, the oldest first. */
  readonly observed: readonly number[]
  readonly guesses: readonly Guess[]
  readonly hits: readonly number[]
}

interface Guess {
  readonly by: string
  /** The first ones, in the order in which they were tried. */
  readonly first: readonly number[]
  readonly low: number
  readonly high: number
  readonly ports: number
  readonly sockets: number
}

/** A side whose ports take less than this part of the scale of both is drawn once more by itself. */
const CLOSER = 8

/** How many plans are drawn, the first ones. */
const GUESSES = 6

export function portPictures(record: TraceRecord): Html {
  const pictures = sideNames.map(side => pictureOf(record, side)).filter(isHard)
  if (pictures.length === 0) return html`<p class="empty">${nothingGuessed(record)}</p>`
  const scale = scaleOf(pictures)
  return html`<div class="pictures">${pictures.map(picture => drawing(picture, scale))}</div>`
}

function nothingGuessed(record: TraceRecord): string {
  const unseen = sideNames.filter(side => !profileOf(record, side)).map(side => record[side])
  if (unseen.length > 0) return `No port had to be guessed: the gateway did not see ${unseen.join(' nor ')}.`
  return 'No port had to be guessed: what the gateway saw of both sides was all there was to try.'
}

export function pictureOf(record: TraceRecord, side: SideName): PortPicture {
  const profile = profileOf(record, side)
  const address = addressOf(read(profile).shown('mapped'))
  const other = otherSide(side)
  const plans = record.spans.filter(({ name }) => name === 'postern.plan')
  return {
    side,
    name: record[side],
    observed: read(profile)
      .list('observed')
      .flatMap(one => portOf(observedIn(String(one))?.mapped ?? '')),
    guesses: plans.flatMap(plan => guessOf(plan, other)),
    hits: [...new Set(plans.flatMap(({ id }) => hitsOf(record, { plan: id, other, address })))]
  }
}

/** One mapping that serves all destinations needs no picture. */
const isHard = ({ observed, guesses }: PortPicture) => guesses.length > 0 || new Set(observed).size > 1

function guessOf(plan: SpanRecord, other: SideName): Guess[] {
  const ports = read(plan).number(`${other}.ports`) ?? 0
  const first = read(plan).numbers(`${other}.first_ports`)
  if (ports === 0 || first.length === 0) return []
  const low = read(plan).number(`${other}.low_port`) ?? Math.min(...first)
  const high = read(plan).number(`${other}.high_port`) ?? Math.max(...first)
  return [
    { by: read(plan).shown('plugin'), first, low, high, ports, sockets: read(plan).number(`${other}.sockets`) ?? 1 }
  ]
}

/** The ports where the other side met this one within a plan. Any address but the NAT's is on a LAN, or the relay's. */
function hitsOf({ spans }: TraceRecord, { plan, other, address }: { plan: string; other: SideName; address: string }) {
  const own = spans.filter(span => span.parent === plan && read(span).shown('side') === other)
  return own.flatMap(span => {
    const heard = read(span)
      .list('heard')
      .filter(one => addressOf(String(one)) === address)
    const { 'network.peer.address': peer, 'network.peer.port': port } = span.attributes
    return [
      ...heard.flatMap(one => portOf(String(one))),
      ...(peer === address && typeof port === 'number' ? [port] : [])
    ]
  })
}

const addressOf = (endpoint: string) => endpoint.slice(0, Math.max(0, endpoint.lastIndexOf(':')))

function portOf(endpoint: string): number[] {
  const port = Number(endpoint.slice(endpoint.lastIndexOf(':') + 1))
  return Number.isInteger(port) && port > 0 && port < 65_536 ? [port] : []
}

interface Scale {
  readonly low: number
  readonly high: number
  /** Percent of the width. */
  at(port: number): string
}

/**
 * One scale for all pictures that stand beside each other: from the lowest to the highest port to show, with some room; a single
 * port stands in the middle.
 */
export function scaleOf(pictures: readonly PortPicture[]): Scale {
  const all = pictures.flatMap(({ observed, guesses, hits }) => [
    ...[...observed, ...hits],
    ...guesses.flatMap(({ low, high, first }) => [low, high, ...first])
  ])
  const [least, most] = [Math.min(...all), Math.max(...all)]
  const room = Math.max(4, Math.ceil((most - least) * 0.04))
  const low = Math.max(0, least - room)
  const high = Math.min(65_535, most + room)
  return { low, high, at: port => `${(((port - low) / (high - low)) * 100).toFixed(2)}%` }
}

function drawing(picture: PortPicture, scale: Scale): Html {
  const { side, name, guesses, hits } = picture
  const own = scaleOf([picture])
  return html`<figure class="ports card"><figcaption><span class="role">${side}</span> ${name}</figcaption>
${tracks(picture, scale)}
${own.high - own.low < (scale.high - scale.low) / CLOSER && html`<p class="closer">The same, closer</p>${tracks(picture, own)}`}
${guesses.length > GUESSES && html`<p class="note">${guesses.length - GUESSES} more plans are in the steps above.</p>`}
<ul class="keys" aria-label="Signs">
${key('seen: a mapping, the oldest on top', html`<circle class="seen" cx="8" cy="8" r="3"/>`)}
${guesses.length > 0 && key('tried: from the lowest to the highest', html`<rect class="tried by-${otherSide(side)}" width="16" height="8" y="4"/>`)}
${guesses.length > 0 && key('predicted: the first guesses', html`<line class="first by-${otherSide(side)}" x1="8" x2="8" y1="1" y2="15"/>`)}
${hits.length > 0 && key('hit: where it was met', hitShape('8', 8))}
</ul></figure>`
}

/** What there is of one side, on a scale. */
const tracks = ({ side, observed, guesses, hits }: PortPicture, scale: Scale): Html => html`<div class="tracks">
${observed.length > 0 && track('seen', seenText(observed), seen(observed, scale))}
${guesses.slice(0, GUESSES).map(guess => track(guess.by || 'plan', guessText(guess), tried(guess, scale, otherSide(side))))}
${guesses.length > 0 && track('hit', hitText(hits), hit(hits, scale))}
<p class="scale" aria-hidden="true"><span></span><span>${axis(portTicks(scale.low, scale.high))}</span></p>
</div>`

const key = (text: string, shape: Html) =>
  html`<li><svg class="key" viewBox="0 0 16 16" aria-hidden="true">${shape}</svg>${text}</li>`

const track = (label: string, text: string, shapes: { height: number; svg: Html }) =>
  html`<div class="track"><span class="label">${label}</span><svg width="100%" height="${shapes.height}" aria-hidden="true"><line class="base" x1="0" x2="100%" y1="${shapes.height - 0.5}" y2="${shapes.height - 0.5}"/>${shapes.svg}</svg><span class="text">${text}</span></div>`

function seen(observed: readonly number[], { at }: Scale) {
  const height = Math.min(72, 16 + observed.length * 4)
  const step = (height - 12) / Math.max(1, observed.length - 1)
  return {
    height,
    svg: html`${observed.map((port, age) => html`<circle class="seen" cx="${at(port)}" cy="${(6 + (observed.length > 1 ? age * step : 0)).toFixed(1)}" r="3"><title>${port}</title></circle>`)}`
  }
}

function tried({ low, high, first }: Guess, { at, low: least, high: most }: Scale, by: SideName) {
  const width = Math.max(0.4, ((high - low) / (most - least)) * 100)
  return {
    height: 24,
    svg: html`${low < high && html`<rect class="tried by-${by}" x="${at(low)}" width="${width.toFixed(2)}%" y="8" height="8" rx="1"/>`}${first.map(port => html`<line class="first by-${by}" x1="${at(port)}" x2="${at(port)}" y1="4" y2="20"><title>${port}</title></line>`)}`
  }
}

function hit(hits: readonly number[], { at }: Scale) {
  return { height: 24, svg: html`${hits.map(port => hitShape(at(port), 12, port))}` }
}

/** A ring with a point in it, so that colour alone does not tell it from the other signs. */
const hitShape = (x: string, y: number, port?: number) =>
  html`<circle class="hit" cx="${x}" cy="${y}" r="6">${port !== undefined && html`<title>${port}</title>`}</circle><circle class="point" cx="${x}" cy="${y}" r="2"/>`

function seenText(observed: readonly number[]): string {
  const ports = [...new Set(observed)]
  if (ports.length === 1) return `${ports[0]} each time`
  return `${grouped(observed.length)} mappings from ${Math.min(...ports)} to ${Math.max(...ports)}, last ${observed.at(-1)}`
}

function guessText({ first, low, high, ports, sockets }: Guess): string {
  const where = low === high ? `port ${low}` : `${grouped(ports)} ports from ${low} to ${high}, first ${first[0]}`
  return sockets > 1 ? `${where}, each from ${grouped(sockets)} sockets` : where
}

const hitText = (hits: readonly number[]) => (hits.length > 0 ? hits.join(', ') : 'none')
