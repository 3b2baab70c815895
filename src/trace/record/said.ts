// What a span says of itself, each attribute as the type it should have. What is missing, or something else, is undefined.

import { type Behaviour, behaviours } from '../../nat/profile.ts'
import { type Role, roles } from '../../wire/role.ts'
import type { SpanRecord } from './record.ts'

export class Said {
  readonly #attributes: Readonly<Record<string, unknown>>

  constructor(span: Pick<SpanRecord, 'attributes'> | undefined) {
    this.#attributes = span?.attributes ?? {}
  }

  of(name: string): unknown {
    return this.#attributes[name]
  }

  text(name: string): string | undefined {
    const value = this.of(`postern.${name}`)
    return typeof value === 'string' && value !== '' ? value : undefined
  }

  number(name: string): number | undefined {
    const value = this.of(`postern.${name}`)
    return typeof value === 'number' && Number.isFinite(value) ? value : undefined
  }

  flag(name: string): boolean | undefined {
    const value = this.of(`postern.${name}`)
    return typeof value === 'boolean' ? value : undefined
  }

  list(name: string): string[] {
    const value = this.of(`postern.${name}`)
    return Array.isArray(value) ? value.filter(item => typeof item === 'string') : []
  }

  role(name: string): Role | undefined {
    return roles.find(role => role === this.text(name))
  }

  behaviour(name: string): Behaviour {
    return behaviours.find(one => one === this.text(name)) ?? 'unknown'
  }
}

export const eventsOf = (span: SpanRecord, name: string): Said[] =>
  span.events.filter(event => event.name === name).map(event => new Said(event))
