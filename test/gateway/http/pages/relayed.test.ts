// The list of what is relayed now, as a page and as JSON.

import test from 'ava'
import { relayedPage } from '../../../../src/gateway/http/pages/relayed.ts'
import { nothing } from '../../../../src/gateway/relay/counters.ts'
import type { RelayedNow } from '../../../../src/gateway/session/presence.ts'
import { servePages } from './serve.ts'

const idle = { bitsPerSecond: 0, delayMs: 0 }

const pair = (caller: string, more: Partial<RelayedNow> = {}): RelayedNow => ({
  ...{ caller, callee: 'nas', sinceMs: 1000, trace: '4bf92f3577b34da6a3ce929d0e0e4736' },
  counters: { caller: nothing(), callee: nothing() },
  rates: { caller: idle, callee: idle },
  ...more
})
const counted = (caller: object, callee: object = {}) => ({
  counters: { caller: { ...nothing(), ...caller }, callee: { ...nothing(), ...callee } }
})
const pairs = [
  pair('ann', { sinceMs: 3000, ...counted({ sentBytes: 500 }) }),
  pair('bob', { sinceMs: 2000, rates: { caller: { bitsPerSecond: 4_000_000, delayMs: 12 }, callee: idle } }),
  pair('cleo', {
    ...counted({ sentBytes: 100 }, { droppedBytes: 9, dropped: { ...nothing().dropped, session: 1200, total: 3 } }),
    rates: { caller: idle, callee: { bitsPerSecond: 1000, delayMs: 30 } }
  })
]

const order = (sort?: string) =>
  [
    ...String(relayedPage(pairs, sort === undefined ? {} : { sort }, false)).matchAll(
      /(ann|bob|cleo) <span class="arrow">/g
    )
  ].map(([, name]) => name)

test('the list is sorted by what is asked for, and by the rate where that is nothing', t => {
  t.deepEqual(order(), ['bob', 'cleo', 'ann'])
  t.deepEqual(order('bytes'), ['ann', 'cleo', 'bob'])
  t.deepEqual(order('dropped'), ['cleo', 'ann', 'bob'])
  t.deepEqual(order('delay'), ['cleo', 'bob', 'ann'])
  t.deepEqual(order('since'), ['cleo', 'bob', 'ann'])
  t.deepEqual(order('pair'), ['ann', 'bob', 'cleo'])
  t.deepEqual(order('constructor'), order())
})

test('each pair is told with its rate, its bytes, how long it waits, and what the limits cost it', t => {
  const text = String(relayedPage(pairs, {}, false))
  t.regex(text, /4\.0 Mbit\/s/)
  t.regex(text, /<span class="sentence">session 1,200, total 3<\/span>/)
  t.regex(text, /12\.0 ms/)
  t.regex(text, /aria-sort="descending"><a href="\/relayed\?sort=rate">/)
})

test('where nothing is relayed the page says so, and where there is much, how much more there is', t => {
  t.regex(String(relayedPage([], {}, false)), /Nothing goes through the gateway/)
  const many = Array.from({ length: 1501 }, (_, at) => pair(`p${at}`))
  t.regex(String(relayedPage(many, {}, false)), /and 1,001 more/)
})

test('the API has the same list, in the same order', async t => {
  await using served = await servePages([])
  const list = async (query: string) =>
    (await (await fetch(`${served.url}/api/relayed${query}`)).json()) as RelayedNow[]
  t.deepEqual(
    (await list('')).map(({ callee }) => callee),
    ['nas', 'bob']
  )
  t.deepEqual(
    (await list('?sort=bytes')).map(({ callee }) => callee),
    ['bob', 'nas']
  )
  t.like((await list(''))[0], {
    caller: 'alice-laptop',
    rates: { caller: { bitsPerSecond: 4_012_345 } },
    doors: { callee: 'tcp' }
  })
})
