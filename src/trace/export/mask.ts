// Cuts addresses in traces to their subnet before anything is recorded, whatever text they stand in. So no reader of the
// spans sees a whole address: neither the store, nor a collector, nor the verdict. Ports stay, since traces are about what
// NATs do with them.

import type { Attributes, AttributeValue, Span, Tracer } from '@opentelemetry/api'
import { groupsOf } from '../../wire/endpoint.ts'
import { withInstead } from '../record/addresses.ts'

/** A tracer whose spans carry no host's address: IPv4 up to its /24, IPv6 up to its /48. */
export function masking(tracer: Tracer): Tracer {
  return {
    startSpan: (name, options = {}, context) => masked(tracer.startSpan(name, maskedOptions(options), context)),
    startActiveSpan: () => {
      throw new Error('spans are not made active here: their contexts are handed on by hand')
    }
  }
}

/** The SDK's own span, which processors know, with methods that mask what they are given. */
function masked(span: Span): Span {
  const own = {
    setAttribute: span.setAttribute.bind(span),
    setAttributes: span.setAttributes.bind(span),
    addEvent: span.addEvent.bind(span)
  }
  const ways: Pick<Span, keyof typeof own> = {
    setAttribute: (name, value) => own.setAttribute(name, maskedValue(value)),
    setAttributes: attributes => own.setAttributes(maskedAttributes(attributes)),
    addEvent: (name, attributes, time) =>
      own.addEvent(name, isTime(attributes) ? attributes : maskedAttributes(attributes ?? {}), time)
  }
  return Object.assign(span, ways)
}

type Given = Parameters<Span['addEvent']>[1]

const isTime = (given: Given): given is Exclude<Given, Attributes | undefined> =>
  typeof given === 'number' || Array.isArray(given) || given instanceof Date

const maskedOptions = (options: NonNullable<Parameters<Tracer['startSpan']>[1]>) => ({
  ...options,
  ...(options.attributes ? { attributes: maskedAttributes(options.attributes) } : {})
})

const maskedAttributes = (attributes: Attributes): Attributes =>
  Object.fromEntries(Object.entries(attributes).map(([name, value]) => [name, value && maskedValue(value)]))

function maskedValue(value: AttributeValue): AttributeValue {
  if (typeof value === 'string') return maskedText(value)
  if (!Array.isArray(value)) return value
  return value.map(part => (typeof part === 'string' ? maskedText(part) : part)) as AttributeValue
}

const maskedText = (text: string): string => withInstead(text, { ipv4: '$1.0', ipv6: subnet48 })

const subnet48 = (address: string): string => `${groupsOf(address).slice(0, 3).join(':')}::`
