// How much memory a span takes that waits, about: an object with its tables, and the texts in it.

import type { Attributes, AttributeValue } from '@opentelemetry/api'
import type { ReadableSpan } from '@opentelemetry/sdk-trace'

/** Bytes, as the heap of Node 24 grows by spans with one attribute and with many: within a tenth or so. */
const SPAN = 1000
const EVENT = 200
const ATTRIBUTE = 40

export const weightOf = ({ name, attributes, events, status }: ReadableSpan): number =>
  SPAN +
  name.length +
  (status.message?.length ?? 0) +
  weightOfAll(attributes) +
  events.reduce((sum, event) => sum + EVENT + event.name.length + weightOfAll(event.attributes ?? {}), 0)

const weightOfAll = (attributes: Attributes): number =>
  Object.values(attributes).reduce<number>((sum, value) => sum + ATTRIBUTE + weightOfValue(value), 0)

function weightOfValue(value: AttributeValue | null | undefined): number {
  if (Array.isArray(value)) return value.reduce<number>((sum, one) => sum + ATTRIBUTE + weightOfValue(one), 0)
  return typeof value === 'string' ? value.length : 0
}
