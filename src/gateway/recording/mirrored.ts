// Whoever asks for another path is the caller of that search, also where he was called when the connection was made. In its trace
// the sides stay what they are in the connection: a reader finds one peer in one lane, and whoever may see where one side is
// (trace/record/for-caller.ts) does not see it of the other. So both words are exchanged in whatever such a search records.

import type { Attributes, AttributeValue, Span, Tracer } from '@opentelemetry/api'
import type { AttributeName } from '../../trace/record/conventions.ts'
import { otherSide, type SideName } from '../../wire/side.ts'

/** Attributes whose value names sides. The others name peers, who may be called anything. */
const naming: ReadonlySet<string> = new Set<AttributeName>([
  'postern.side',
  'postern.sides',
  'postern.asker',
  'postern.reason',
  'postern.why'
])

/** A tracer in whose spans caller and callee have changed places. */
export function mirrored(tracer: Tracer): Tracer {
  return {
    startSpan: (name, options = {}, context) => {
      const { attributes = {} } = options
      return turned(tracer.startSpan(name, { ...options, attributes: exchanged(attributes) }, context))
    },
    startActiveSpan: () => {
      throw new Error('spans are not made active here: their contexts are handed on by hand')
    }
  }
}

/** The same span, with methods that exchange what they are given, once: the span's own `setAttributes` would call the new `setAttribute`. */
function turned(span: Span): Span {
  const [setAttribute, addEvent] = [span.setAttribute.bind(span), span.addEvent.bind(span)]
  const ways: Pick<Span, 'setAttributes' | 'setAttribute' | 'addEvent'> = {
    setAttributes: attributes => {
      for (const [name, value] of Object.entries(exchanged(attributes)))
        if (value !== undefined) setAttribute(name, value)
      return span
    },
    setAttribute: (name, value) => setAttribute(swapped(name), naming.has(name) ? exchangedValue(value) : value),
    addEvent: (name, attributes, time) => addEvent(name, exchanged(attributes as Attributes), time)
  }
  return Object.assign(span, ways)
}

const exchanged = (attributes: Attributes): Attributes =>
  Object.fromEntries(
    Object.entries(attributes).map(([name, value]) => [
      swapped(name),
      value !== undefined && naming.has(name) ? exchangedValue(value) : value
    ])
  )

const exchangedValue = (value: AttributeValue): AttributeValue => (typeof value === 'string' ? swapped(value) : value)

const swapped = (text: string): string => text.replace(/\b(?:caller|callee)\b/g, side => otherSide(side as SideName))
