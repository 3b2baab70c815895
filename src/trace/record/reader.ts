// The one reader of spans. It gives each attribute the type that it should have. A record may come from a file that is torn
// or of another version, so what is missing, or something else, is undefined.

import { type Behaviour, behaviours } from '../../nat/profile.ts'
import { type SideName, sideNames } from '../../wire/side.ts'
import type { AttributeName, EventName, ShortName } from './conventions.ts'
import type { SpanRecord } from './record.ts'

export class Reader {
  readonly #attributes: Readonly<Record<string, unknown>>

  /** @param span a span, or an event of one; if there is none, everything is undefined */
  constructor(span: Pick<SpanRecord, 'attributes'> | undefined) {
    this.#attributes = span?.attributes ?? {}
  }

  of(name: AttributeName): unknown {
    return this.#attributes[name]
  }

  text(name: ShortName): string | undefined {
    const value = this.#own(name)
    return typeof value === 'string' && value !== '' ? value : undefined
  }

  number(name: ShortName): number | undefined {
    const value = this.#own(name)
    return typeof value === 'number' && Number.isFinite(value) ? value : undefined
  }

  flag(name: ShortName): boolean | undefined {
    const value = this.#own(name)
    return typeof value === 'boolean' ? value : undefined
  }

  /** A text or a number as it is shown; empty if there is neither. */
  shown(name: ShortName): string {
    return this.text(name) ?? String(this.number(name) ?? '')
  }

  list(name: ShortName): string[] {
    const value = this.#own(name)
    return Array.isArray(value) ? value.filter(item => typeof item === 'string') : []
  }

  numbers(name: ShortName): number[] {
    const value = this.#own(name)
    return Array.isArray(value) ? value.filter(item => Number.isFinite(item)) : []
  }

  side(name: ShortName): SideName | undefined {
    return sideNames.find(side => side === this.text(name))
  }

  behaviour(name: ShortName): Behaviour {
    return behaviours.find(one => one === this.text(name)) ?? 'unknown'
  }

  #own(name: ShortName): unknown {
    return this.#attributes[`postern.${name}`]
  }
}

export const read = (span: Pick<SpanRecord, 'attributes'> | undefined): Reader => new Reader(span)

export const eventsOf = (span: SpanRecord, name: EventName): Reader[] =>
  span.events.filter(event => event.name === name).map(read)
