import test from 'ava'
import { isAttempt, treeOf } from '../../../src/trace/record/fate.ts'

const span = (id: string, parent?: string) => ({
  ...{ id, name: 'postern.plan', startMs: 0, endMs: 1, attributes: {}, events: [] },
  ...(parent === undefined ? {} : { parent })
})

const shape = (spans: readonly ReturnType<typeof span>[]) =>
  treeOf(spans).map(({ span, depth }) => `${depth} ${span.id}`)

test('the tree is depth first, and spans of one parent stay in their order', t => {
  const spans = [span('root'), span('a', 'root'), span('b', 'root'), span('a1', 'a'), span('b1', 'b'), span('a2', 'a')]
  t.deepEqual(shape(spans), ['0 root', '1 a', '2 a1', '2 a2', '1 b', '2 b1'])
})

test('a file in which each span stands beneath the one before is a tree as well, however long it is', t => {
  const chain = Array.from({ length: 50_000 }, (_, at) => span(`${at}`, at > 0 ? `${at - 1}` : undefined))
  t.is(shape(chain).at(-1), '49999 49999')
})

test('of requests for a connection shares are told, and not of searches, of joins, or of calls to nobody', t => {
  const verdict = (code: string) => ({ code, sentence: '', side: 'none' as const, evidence: [], advice: '', also: [] })
  t.true(isAttempt({ callee: 'bob', verdict: verdict('both-random') }))
  t.false(isAttempt({ callee: 'bob', verdict: verdict('both-random'), continues: '00112233445566aa' }))
  t.false(isAttempt({ callee: '', verdict: verdict('bad-token') }))
  t.false(isAttempt({ callee: 'bob', verdict: verdict('unknown-peer') }))
})
