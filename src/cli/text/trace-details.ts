// Shows the attributes of a span in short lines for people. The sentences are a table, and each sentence takes the attributes
// that it tells. Attributes that no sentence has taken follow as they are, so that nothing recorded is hidden.
//
//   attributes -> sentences that know them -> the rest as `name value`; events that none of them told as `name +ms`

import type { AttributeName, EventName, ShortName } from '../../trace/record/conventions.ts'
import { type Reader, read } from '../../trace/record/reader.ts'
import type { SpanRecord } from '../../trace/record/record.ts'
import { formatBytes, percent, roughly } from '../../units.ts'
import { formatEndpoint } from '../../wire/endpoint.ts'
import { abridged, signed } from './output.ts'

type Event = SpanRecord['events'][number]

/** The most ports that are named one by one. A trace may have more, and --json shows those. */
const PORTS = 6

/** The most of the latest observations that are shown, for the same reason. */
const OBSERVED = 8

/** The title, the header and the verdict show these; `error.type` repeats the code. */
const toldElsewhere =
  /^(outcome|side|sides|peer|plugin|order|change|only|path|caller|callee|verdict(\..+)?|error\.type|(caller|callee)\.clock\..+)$/

export function detailsOf(span: SpanRecord): string[] {
  const facts = new Facts(span)
  const lines = sentences.map(sentence => sentence(facts)).filter(line => line !== undefined && line !== '')
  return [...(lines as string[]), ...facts.rest()]
}

type Name = ShortName | `network.${'local' | 'peer'}.${'address' | 'port'}`

const fullName = (name: Name): AttributeName =>
  (name.startsWith('network.') ? name : `postern.${name}`) as AttributeName
const shortName = (name: string): string => name.replace(/^postern\./, '')

/** The attributes and events of a span that were not told yet. */
class Facts {
  readonly name: string
  readonly outcome: string
  readonly #startMs: number
  readonly #span: Reader
  readonly #untold: Set<string>
  #events: readonly Event[]

  constructor(span: SpanRecord) {
    this.name = shortName(span.name)
    this.outcome = read(span).shown('outcome')
    this.#startMs = span.startMs
    this.#span = read(span)
    this.#untold = new Set(Object.keys(span.attributes).filter(name => !toldElsewhere.test(shortName(name))))
    this.#events = span.events
  }

  /** The value as text; undefined if there is none, or only an empty one. */
  text(name: Name): string | undefined {
    const value = this.#take(name)
    return value === undefined || value === '' ? undefined : abridged(plain(value))
  }

  number(name: Name): number | undefined {
    const value = this.#take(name)
    return typeof value === 'number' ? value : undefined
  }

  list(name: Name): readonly unknown[] {
    const value = this.#take(name)
    return Array.isArray(value) ? value : []
  }

  /** The event's offset from the span's start, `+12.3`. */
  event(name: EventName): string | undefined {
    const event = this.#events.find(event => event.name === name)
    this.#events = this.#events.filter(other => other !== event)
    return event && this.#offset(event)
  }

  events(name: EventName): readonly Event[] {
    const found = this.#events.filter(event => event.name === name)
    this.#events = this.#events.filter(event => event.name !== name)
    return found
  }

  rest(): string[] {
    const left = [...this.#untold].map(name => [shortName(name), plain(this.#span.of(name as AttributeName))] as const)
    const attributes = left.filter(([, value]) => value !== '').map(part => part.join(' '))
    const events = this.#events.map(event => [event.name, ...about(event), this.#offset(event)].join(' '))
    return [attributes.join('; '), events.join(', ')].filter(line => line !== '')
  }

  #take(name: Name): unknown {
    const full = fullName(name)
    return this.#untold.delete(full) ? this.#span.of(full) : undefined
  }

  #offset({ atMs }: Event): string {
    return signed(atMs - this.#startMs)
  }
}

const sentences: readonly ((facts: Facts) => string | undefined)[] = [
  whySentence,
  reasonSentence,
  searchSentence,
  facts => labelled('strategies: ', facts.list('strategies').join(', ')),
  gatewaySentence,
  networkSentence,
  mappedSentence,
  allocationSentence,
  observedSentence,
  facts => effortSentence('caller', facts),
  facts => effortSentence('callee', facts),
  limitsSentence,
  probesSentence,
  boundsSentence,
  facts => labelled('heard from ', facts.list('heard').join(', ')),
  endsSentence,
  changeSentence,
  facts => bytesSentence('caller', facts),
  facts => bytesSentence('callee', facts)
]

/** The reasons for a plan, which stand before what became of it. */
function whySentence(facts: Facts): string | undefined {
  const [expected, waitMs] = [facts.number('expected'), facts.number('wait')]
  return joined([
    facts.text('why'),
    expected === undefined ? undefined : `expected probability ${percent(expected)}`,
    waitMs === undefined ? undefined : `at most ${waitMs.toFixed(0)} ms`,
    labelled('label ', facts.text('label'))
  ])
}

/**
 * The reason and the code. They are left out where they stand elsewhere: those of the root are in the header, and the reason
 * of a plugin that won is with its plan.
 */
function reasonSentence(facts: Facts): string | undefined {
  const [reason, cause, code] = [facts.text('reason'), facts.text('cause'), facts.text('code')]
  if (facts.name === 'connect' || (facts.name === 'plugin' && facts.outcome === 'path')) return undefined
  const words = [cause, code].filter(word => word !== undefined).join(', ')
  return [reason, words && `(${words})`].filter(Boolean).join(' ')
}

/** A connection has many searches. What they have in common with its request is told there. */
function searchSentence(facts: Facts): string | undefined {
  if (facts.name !== 'again') return undefined
  const [asker, session] = [facts.text('asker'), facts.text('session')]
  for (const name of ['continues', 'source'] as const) facts.text(name)
  facts.event('asked')
  return joined([labelled('asked for by the ', asker), labelled('session ', session)])
}

function gatewaySentence(facts: Facts): string | undefined {
  const [addresses, ports] = [facts.number('gateway.addresses'), facts.number('gateway.ports')]
  const [relay, heard, deadline] = [
    facts.text('relay.configured'),
    facts.text('gateway.heard'),
    facts.number('deadline')
  ]
  return joined([
    addresses === undefined ? undefined : `gateway: ${counted(addresses, 'address', 'addresses')}`,
    ports === undefined ? undefined : counted(ports, 'UDP endpoint'),
    labelled('others heard over UDP: ', heard),
    labelled('nobody heard at ', facts.list('gateway.deaf').join(', ')),
    labelled('relay configured: ', relay),
    deadline === undefined ? undefined : `deadline ${deadline / 1000} s`,
    labelled('limit reached: ', facts.text('limit'))
  ])
}

function networkSentence(facts: Facts): string | undefined {
  const [mapping, filtering] = [facts.text('mapping'), facts.text('filtering')]
  const [translated, remaps] = [facts.text('translated'), facts.text('remaps')]
  return joined([
    facts.text('hidden') === 'yes' ? 'hidden from the gateway: its NAT is not seen' : undefined,
    translated === 'no' ? 'no NAT' : undefined,
    labelled('mapping ', mapping),
    labelled('filtering ', filtering),
    remaps === 'yes' ? 'gives a flow another port after packets nobody asked for' : undefined
  ])
}

function mappedSentence(facts: Facts): string | undefined {
  const rtt = facts.number('rtt')
  return joined([
    labelled('seen at ', facts.name === 'profile' ? facts.text('mapped') : undefined),
    labelled('own port ', facts.text('port')),
    labelled('interfaces ', facts.list('links').join(' ')),
    rtt === undefined ? undefined : `round trip ${rtt.toFixed(1)} ms`,
    labelled('guesses left ', facts.text('probes_left'))
  ])
}

function allocationSentence(facts: Facts): string | undefined {
  const [kind, confidence, drift] = [facts.text('allocation'), facts.number('confidence'), facts.number('drift')]
  const evidence = facts.text('evidence')
  return joined([
    labelled('ports: ', kind),
    labelled('step ', facts.text('step')),
    labelled('block ', facts.text('block')),
    labelled('range ', facts.text('range')),
    drift === undefined ? undefined : `drift ${drift.toFixed(1)} mappings a second`,
    // The evidence already says how sure it is.
    confidence === undefined || evidence ? undefined : `${percent(confidence)} sure`,
    evidence
  ])
}

/** The ports in `address:port milliseconds-before local-port`, the oldest first, if there are more than the samples show. */
function observedSentence(facts: Facts): string | undefined {
  const ports = facts.list('observed').map(text => /:(\d+)(?: |$)/.exec(String(text))?.[1] ?? String(text))
  const samples = facts.events('sample')
  const by = Map.groupBy(samples, ({ attributes }) => read({ attributes }).shown('mapped'))
  const sampled = joined([...by].map(([mapped, seen]) => `${mapped} seen by ${seen.map(viaOf).join(', ')}`))
  if (ports.length <= samples.length) return sampled
  const more = ports.length > OBSERVED ? '… ' : ''
  return joined([
    sampled,
    `${counted(ports.length, 'port')} in all, oldest first: ${more}${ports.slice(-OBSERVED).join(' ')}`
  ])
}

const viaOf = (event: Event): string => read(event).shown('via')

function effortSentence(side: 'caller' | 'callee', facts: Facts): string | undefined {
  const own = ['sockets', 'probes', 'ports'] as const
  const [sockets, probes, ports] = own.map(name => facts.number(`${side}.${name}`))
  const [low, high] = [facts.number(`${side}.low_port`), facts.number(`${side}.high_port`)]
  const first = facts.list(`${side}.first_ports`)
  const range = low === undefined || high === undefined ? '' : ` from ${low} to ${high}`
  const named = first.length === 0 ? '' : `: ${first.slice(0, PORTS).join(' ')}${first.length > PORTS ? ' …' : ''}`
  const text = joined([
    sockets === undefined ? undefined : counted(sockets, 'socket'),
    probes === undefined ? undefined : `at most ${counted(probes, 'probe')}`,
    ports === undefined || ports === 0 ? undefined : `${counted(ports, 'port')}${range}${named}`,
    labelled('latched from ', facts.text(`${side}.latched`)),
    labelled('by ', facts.text(`${side}.door`))
  ])
  return labelled(`${side}: `, text)
}

function limitsSentence(facts: Facts): string | undefined {
  const rates = [
    ['a session', facts.number('relay.per_session')],
    ['a peer', facts.number('relay.per_peer')],
    ['a network', facts.number('relay.per_network')],
    ['in all', facts.number('relay.total')]
  ] as const
  const told = rates.flatMap(([whose, rate]) => (rate === undefined ? [] : [`${rate / 1e6} Mbit/s ${whose}`]))
  return labelled('limits: ', told.join(', '))
}

/** Counts of datagrams, each with the offsets of the first and the last one from the arrival of the order. */
function probesSentence(facts: Facts): string | undefined {
  const [sent, received, flows] = [facts.number('sent'), facts.number('received'), facts.number('flows')]
  const when = (what: 'sent' | 'received') => {
    const [first, last] = [facts.event(`first_${what}`), facts.event(`last_${what}`)]
    if (first === undefined || last === undefined || first === last) return first === undefined ? '' : ` (${first})`
    return ` (${first} to ${last})`
  }
  return joined([
    sent === undefined ? undefined : `sent ${sent}${when('sent')}`,
    received === undefined ? undefined : `received ${received}${when('received')}`,
    flows === undefined ? undefined : counted(flows, 'flow')
  ])
}

/** What the side could not do as ordered. */
function boundsSentence(facts: Facts): string | undefined {
  const [held, sockets] = [facts.number('held'), facts.number('sockets')]
  return joined([
    sockets === undefined ? undefined : `only ${counted(sockets, 'socket')}, as many as there were open files for`,
    held === undefined ? undefined : `${held} held back by the peer's own bounds`
  ])
}

function endsSentence(facts: Facts): string | undefined {
  const end = (name: 'local' | 'peer') => {
    const [address, port] = [facts.text(`network.${name}.address`), facts.text(`network.${name}.port`)]
    return address === undefined
      ? undefined
      : port === undefined
        ? address
        : formatEndpoint({ address, port: Number(port) })
  }
  const [local, peer] = [end('local'), end('peer')]
  if (peer === undefined) return labelled('from ', local)
  return local === undefined ? `to ${peer}` : `${local} to ${peer}`
}

/** What a peer told of its path. */
function changeSentence(facts: Facts): string | undefined {
  if (facts.name !== 'change') return undefined
  const [silence, pause, resent] = [facts.number('silence'), facts.number('pause'), facts.number('resent')]
  const [slept, late] = [facts.number('slept'), facts.number('late')]
  return joined([
    labelled('door ', facts.text('door')),
    silence === undefined || silence === 0 ? undefined : `nothing heard for ${roughly(silence)}`,
    pause === undefined ? undefined : pause === 0 ? 'without a pause' : `no stream could send for ${roughly(pause)}`,
    resent === undefined || resent === 0 ? undefined : `${formatBytes(resent)} sent once more`,
    slept === undefined ? undefined : `did not run for ${roughly(slept)}`,
    late === undefined ? undefined : `told ${roughly(late)} late`,
    labelled('told by the ', facts.text('told_by'))
  ])
}

function bytesSentence(side: 'caller' | 'callee', facts: Facts): string | undefined {
  const [bytes, dropped] = [facts.number(`${side}.bytes`), facts.number(`${side}.dropped`)]
  const parts = [
    bytes === undefined ? undefined : `${formatBytes(bytes)} forwarded`,
    dropped === undefined ? undefined : `${counted(dropped, 'datagram')} dropped`
  ]
  return labelled(`${side}: `, joined(parts))
}

/** The values of an event's attributes, without its name. */
const about = ({ attributes }: Event): string[] => Object.values(attributes).map(plain)

const labelled = (label: string, text: string | undefined): string | undefined => (text ? `${label}${text}` : undefined)

const joined = (parts: readonly (string | undefined)[]): string =>
  parts.filter(part => part !== undefined && part !== '').join('; ')

const counted = (count: number, one: string, many = `${one}s`): string => `${count} ${count === 1 ? one : many}`

function plain(value: unknown): string {
  if (typeof value === 'boolean') return value ? 'yes' : 'no'
  if (typeof value === 'number') return `${Number(value.toPrecision(6))}`
  return Array.isArray(value) ? value.map(plain).join(', ') : String(value)
}
