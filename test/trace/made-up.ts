// Spans as a gateway would record them, for tests of what is read from them.

import type { SpanRecord } from '../../src/trace/record/record.ts'
import type { SideName } from '../../src/wire/side.ts'

type Attributes = Record<string, unknown>
type Event = string | readonly [name: string, attributes: Attributes]

/** A request of alice's for bob, as it goes on. Times are a count of what was recorded. */
export class MadeUp {
  readonly spans: SpanRecord[] = []

  constructor(root: Attributes = {}, name = 'connect') {
    const request = name === 'connect' ? { ...ordinary, ...root } : root
    this.#add(name, request)
  }

  profile(side: SideName, attributes: Attributes = {}, vias: readonly string[] = endpoints): this {
    const sample = (via: string): Event => ['sample', { via, mapped: '198.51.100.1:40000' }]
    return this.#add('profile', { side, ...easy, ...attributes }, { events: vias.map(sample) })
  }

  observe(sides: readonly SideName[], attributes: Attributes = {}, events: readonly Event[] = []): this {
    return this.#add('observe', { sides: sides.join(' '), ...attributes }, { events })
  }

  /** A strategy's turn, with its plans. */
  turn(plugin: string, outcome: string, cause?: string, more: Attributes = {}): this {
    const reason = `${plugin} said why`
    return this.#add('plugin', { plugin, outcome, reason, ...(cause ? { cause } : {}), ...more })
  }

  /** A plan of the last turn's, and what the sides did: left out where a side reported nothing. */
  plan(cause: string | undefined, sides: Partial<Record<SideName, Did>> = {}, more: Attributes = {}): this {
    const turn = this.spans.findLast(({ name }) => name === 'postern.plugin')
    const plugin = turn?.attributes['postern.plugin']
    const outcome = cause ? { outcome: 'failed', cause } : { outcome: 'path' }
    const kind = plugin === 'relay' ? 'relay' : 'plan'
    this.#add(kind, { plugin, ...outcome, ...more }, { parent: turn?.id })
    const parent = this.spans.at(-1)?.id
    for (const side of ['caller', 'callee'] as const) {
      const { events = [], handover, ...did } = sides[side] ?? {}
      if (!sides[side]) continue
      this.#add('probe', { side, sent: 12, received: 0, ...did }, { parent, events })
      if (handover) this.#add('handover', { side, ...handover.said }, { parent, events: handover.events ?? [] })
    }
    return this
  }

  /** What a side told of the path afterwards. */
  change(change: string, attributes: Attributes): this {
    return this.#add('change', { change, told_by: 'caller', ...attributes })
  }

  #add(
    name: string,
    attributes: Attributes,
    { parent = this.spans[0]?.id, events = [] }: { parent?: string | undefined; events?: readonly Event[] } = {}
  ): this {
    const at = this.spans.length
    this.spans.push({
      id: `span-${at}`,
      ...(parent === undefined ? {} : { parent }),
      name: `postern.${name}`,
      startMs: 1000 + at,
      endMs: 1000 + at + 5,
      attributes: prefixed(attributes),
      events: events.map(event => {
        const [named, said] = typeof event === 'string' ? [event, {}] : event
        return { name: named, atMs: 1000 + at, attributes: prefixed(said) }
      })
    })
    return this
  }
}

interface Did extends Attributes {
  readonly events?: readonly Event[]
  readonly handover?: { readonly said?: Attributes; readonly events?: readonly Event[] }
}

const prefixed = (attributes: Attributes) =>
  Object.fromEntries(
    Object.entries(attributes).map(([name, value]) => [name.startsWith('network.') ? name : `postern.${name}`, value])
  )

export const endpoints = ['192.0.2.1:3478', '192.0.2.1:3479', '192.0.2.2:3478', '192.0.2.2:3479'] as const

/** Relayed, in the end. */
const ordinary: Attributes = {
  caller: 'alice',
  callee: 'bob',
  session: '0123456789abcdef',
  outcome: 'path',
  path: 'relay',
  plugin: 'relay',
  reason: 'every other strategy passed or failed',
  strategies: ['direct', 'stun', 'predict', 'spray', 'relay'],
  'relay.configured': true,
  deadline: 10_000,
  'gateway.addresses': 2,
  'gateway.ports': 4,
  'gateway.heard': true
}

const easy: Attributes = {
  mapping: 'endpoint-independent',
  filtering: 'address-and-port-dependent',
  translated: true,
  mapped: '198.51.100.1:40000',
  port: 5000
}

const hard: Attributes = { mapping: 'address-and-port-dependent', filtering: 'address-and-port-dependent' }
export const random: Attributes = { ...hard, allocation: 'random', range: '1024-65535' }
export const block: Attributes = { ...hard, allocation: 'block', block: '40960-41471' }
export const stepping: Attributes = { ...hard, allocation: 'stepping', step: 1, drift: 53.2 }
