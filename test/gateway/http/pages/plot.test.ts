import test from 'ava'
import fc from 'fast-check'
import { barsOf, plot } from '../../../../src/gateway/http/pages/drawing/plot.ts'

const nowMs = Date.UTC(2026, 10, 23, 14, 3, 22)
const minute = 60_000

const at = (...agosMs: number[]) => agosMs.map(agoMs => ({ atMs: nowMs - agoMs, category: 'x' }))

test('bars reach back to the oldest, and are no wider than that takes', t => {
  const widthOf = (agoMs: number) => barsOf(at(0, agoMs), nowMs).widthMs / minute
  t.is(widthOf(minute), 1)
  t.is(widthOf(23 * minute), 1)
  t.is(widthOf(25 * minute), 2)
  t.is(widthOf(20 * 60 * minute), 60)
  t.is(widthOf(13 * 24 * 60 * minute), 1440)
})

test('whatever happened since is in one bar, and the bars are equally long', t => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: -minute, max: 160 * 1440 * minute }), { maxLength: 50 }), agosMs => {
      const { widthMs, bars } = barsOf(at(...agosMs), nowMs)
      t.is(bars.length, 24)
      t.is(
        bars.reduce((sum, { total }) => sum + total, 0),
        agosMs.length
      )
      for (const [index, { fromMs }] of bars.entries()) t.is(fromMs, (bars[0]?.fromMs ?? 0) + index * widthMs)
    })
  )
  t.pass()
})

const drawn = (categories: readonly string[], colours: Readonly<Record<string, string>> = {}) =>
  String(
    plot({
      id: 'p',
      title: 'Title',
      happenings: categories.map(category => ({ atMs: nowMs, category })),
      nowMs,
      colours,
      others: [],
      shares: true
    })
  )

test('shares add up in the legend, known categories come first, rare ones are taken together', t => {
  const kinds = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i']
  const text = drawn([...kinds.flatMap((kind, index) => Array(10 - index).fill(kind)), 'z'], { f: 's-failed' })
  const names = [...text.matchAll(/<th scope="row">.*?<\/svg>([a-z]+)<\/th>/g)].map(([, name]) => name)
  t.deepEqual(names, ['f', 'a', 'b', 'c', 'd', 'e', 'others'])
  const counts = [...text.matchAll(/<td class="number">(\d+)<\/td><td class="number">[\d.]+ %/g)].map(([, count]) =>
    Number(count)
  )
  t.is(
    counts.reduce((sum, count) => sum + count, 0),
    55
  )
})

test('a category is what somebody called a plugin: it is text', t => {
  t.false(drawn(['<script>']).includes('<script>'))
})
