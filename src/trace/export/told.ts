// A span as a collector is told it. Three send: the gateway, and the two peers whose reports it has. A collector tells senders
// apart by the resource of a span, so what a peer did itself is sent as that peer's. And a span is cut to the operator's limits.

import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import type { Attributes } from '@opentelemetry/api'
import { defaultResource, type Resource, resourceFromAttributes } from '@opentelemetry/resources'
import type { ReadableSpan } from '@opentelemetry/sdk-trace'
import { LRUCache } from 'lru-cache'
import { version } from '../../version.ts'
import { read } from '../record/reader.ts'
import type { Cut } from './environment.ts'

/** Peers whose resources are kept, so that their spans of one batch stand together. */
const PEERS = 1000

/** @param attributes of the operator */
export const gatewayResource = (attributes: Readonly<Record<string, string>>): Resource =>
  defaultResource().merge(
    resourceFromAttributes({
      'service.name': 'postern',
      'service.version': version,
      'service.instance.id': randomUUID(),
      'host.name': hostname(),
      ...attributes
    })
  )

/**
 * The gateway's resource under another name: a peer is another service, of a version that it does not tell. `host.name` stays:
 * it tells a reader whose clock the times are on.
 */
function peerResource({ attributes }: Resource, peer: string): Resource {
  const { 'service.version': _, ...rest } = attributes
  return resourceFromAttributes({
    ...rest,
    'service.name': `${attributes['service.name']}-peer`,
    'service.instance.id': peer
  })
}

/** What a peer did itself, and reported. */
const reported: readonly string[] = ['postern.probe', 'postern.handover']

export class Telling {
  readonly #gateway: Resource
  readonly #limits: Cut | undefined
  readonly #peers = new LRUCache<string, Resource>({ maxSize: PEERS, sizeCalculation: () => 1 })

  constructor(gateway: Resource, limits: Cut | undefined) {
    this.#gateway = gateway
    this.#limits = limits
  }

  told(span: ReadableSpan): ReadableSpan {
    const peer = reported.includes(span.name) ? read(span).text('peer') : undefined
    if (peer === undefined && !this.#limits) return span
    const { name, kind, startTime, endTime, status, links, duration, ended } = span
    const { parentSpanContext, instrumentationScope, droppedLinksCount } = span
    return {
      ...{ name, kind, startTime, endTime, status, links, duration, ended },
      ...{ instrumentationScope, droppedLinksCount },
      ...(parentSpanContext ? { parentSpanContext } : {}),
      spanContext: () => span.spanContext(),
      resource: peer === undefined ? span.resource : this.#resourceOf(peer),
      ...within(span, this.#limits)
    }
  }

  #resourceOf(peer: string): Resource {
    const known = this.#peers.get(peer) ?? peerResource(this.#gateway, peer)
    this.#peers.set(peer, known)
    return known
  }
}

type Cuttable = Pick<ReadableSpan, 'attributes' | 'droppedAttributesCount' | 'events' | 'droppedEventsCount'>

/** The SDK keeps to its own limits. This cuts a span to the operator's, if they are lower. */
function within(span: Cuttable, limits: Cut | undefined): Cuttable {
  const { attributes: whole, droppedAttributesCount, events: all, droppedEventsCount } = span
  if (!limits) return { attributes: whole, droppedAttributesCount, events: all, droppedEventsCount }
  const events = all.slice(0, limits.events).map(event => {
    const { attributes, dropped } = cutAttributes(event.attributes ?? {}, limits.eventAttributes, limits.characters)
    return { ...event, attributes, droppedAttributesCount: (event.droppedAttributesCount ?? 0) + dropped }
  })
  const { attributes, dropped } = cutAttributes(whole, limits.attributes, limits.characters)
  return {
    attributes,
    droppedAttributesCount: droppedAttributesCount + dropped,
    events,
    droppedEventsCount: droppedEventsCount + all.length - events.length
  }
}

function cutAttributes(whole: Attributes, count: number, characters: number) {
  const entries = Object.entries(whole)
  const kept = entries.slice(0, count).map(([name, value]) => [name, cutValue(value, characters)])
  return { attributes: Object.fromEntries(kept) as Attributes, dropped: entries.length - kept.length }
}

const cutValue = (value: unknown, characters: number): unknown =>
  typeof value === 'string'
    ? value.slice(0, characters)
    : Array.isArray(value)
      ? value.map(one => cutValue(one, characters))
      : value
