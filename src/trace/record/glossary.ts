// The words of a trace that are not plain at a first reading, and what they mean: for the pages and the terminal, which tell those
// that stand in the trace they show. Causes have their meanings in vocabulary.ts.

import { vocabulary } from '../../vocabulary.ts'
import type { EventName, SpanName } from './conventions.ts'
import { read } from './reader.ts'
import type { SpanRecord } from './record.ts'

type Step = SpanName extends infer Name ? (Name extends `postern.${infer Short}` ? Short : never) : never

const steps: Partial<Readonly<Record<Step, string>>> = {
  observe: 'the gateway waits for sockets of the sides, or for fresh samples of their NATs',
  profile: 'what the gateway concludes of the NAT of one side',
  plan: 'one try: both sides are ordered to send at the same moment',
  probe: 'one side sends and listens, in search of the other',
  handover: 'the port on which a path was found passes on to ICE and DTLS, which open the connection'
}

const orders: Readonly<Record<string, string>> = {
  ice: 'both sides begin with ICE, which finds the path',
  punch: 'both sides send probes to each other, so that each NAT lets the other in',
  splice: 'both sides send to the gateway, which forwards from one to the other'
}

const events: Partial<Readonly<Record<EventName, string>>> = {
  warm: 'the side has an idle socket at hand that its NAT has mapped',
  cold: 'the side has no such socket',
  sample: 'where one endpoint of the gateway saw the socket',
  checked: 'the first ICE check of the other side came',
  latched: 'the gateway forwards to the socket from now on',
  beside: 'another socket took the place of one to which nothing came back',
  walked: 'all ports were tried once',
  spent: 'all datagrams that the order allows were sent'
}

/** What the name of a step or the kind of an order means; undefined if it is plain. */
export const meaningOfWord = (word: string): string | undefined => steps[word as Step] ?? orders[word]

/** The words of these spans that need to be explained, in the order in which they come, each with what it means. */
export function wordsIn(spans: readonly SpanRecord[]): ReadonlyMap<string, string> {
  const all = spans.flatMap((span): [string, string | undefined][] => {
    const [step, order, cause] = [
      span.name.replace(/^postern\./, ''),
      read(span).shown('order'),
      read(span).shown('cause')
    ]
    return [
      [step, steps[step as Step]],
      [order, orders[order]],
      ...span.events.map(({ name }): [string, string | undefined] => [name, events[name as EventName]]),
      [cause, causes.get(cause)]
    ]
  })
  return new Map(all.filter((word): word is [string, string] => word[1] !== undefined))
}

const causes: ReadonlyMap<string, string> = new Map(Object.entries(vocabulary))
