import test from 'ava'
import { PosternError } from '../../../src/errors.ts'
import { Trial } from '../../../src/gateway/session/trial.ts'
import type { Report } from '../../../src/wire/report.ts'
import type { SideName } from '../../../src/wire/side.ts'
import { nothingDone } from '../../hand-made.ts'

const word = { session: '0123456789abcdef', plan: 1 } as const
const found = { ...word, type: 'progress', step: 'found' } as const
const at = { address: '192.0.2.1', port: 4000 }
const opened = { ...word, type: 'opened', local: at, remote: at, report: nothingDone } as const
const failed = (steps: Report['steps'] = []) =>
  ({ ...word, type: 'failed', code: 'io', reason: 'no', report: { ...nothingDone, steps } }) as const

/** A trial with its time: a side's search has the first, the handover the second, in milliseconds. */
function trial({
  waitMs = 60_000,
  handoverMs = 60_000,
  blind
}: {
  waitMs?: number
  handoverMs?: number
  blind?: SideName
}) {
  const over = new AbortController()
  return { over, trial: new Trial({ waitMs, handoverMs, blind, signal: over.signal }) }
}

const causeOf = async ({ trial: { result } }: ReturnType<typeof trial>) => (await result).cause

test('where nobody finds the path in time, nothing was heard', async t => {
  t.is(await causeOf(trial({ waitMs: 1 })), 'unheard')
})

test('a path that was found and is not open in time was lost in the handover', async t => {
  const tried = trial({ handoverMs: 1 })
  tried.trial.receive('callee', found)
  t.is(await causeOf(tried), 'handover-lost')
})

test('a side that hands its socket over blindly has found nothing yet, and starts no handover’s time', async t => {
  const early = trial({ waitMs: 20, handoverMs: 60_000, blind: 'callee' })
  early.trial.receive('callee', found)
  t.is(await causeOf(early), 'unheard')
  t.deepEqual([...(await early.trial.result).used], ['callee'], 'its socket is gone all the same')
  const both = trial({ handoverMs: 1, blind: 'callee' })
  both.trial.receive('callee', found)
  both.trial.receive('caller', found)
  t.is(await causeOf(both), 'handover-lost')
})

test('a side that fails could not obey, or lost what was found', async t => {
  const before = trial({})
  before.trial.receive('caller', failed())
  t.is(await causeOf(before), 'never-obeyed')
  const after = trial({})
  after.trial.receive('callee', found)
  after.trial.receive('caller', failed())
  t.is(await causeOf(after), 'handover-lost')
  const blindly = trial({ blind: 'callee' })
  blindly.trial.receive('callee', found)
  blindly.trial.receive('callee', failed([['ice', 30]]))
  t.is(await causeOf(blindly), 'handover-lost')
})

test('the deadline and a side that is gone are told apart', async t => {
  const late = trial({})
  late.over.abort(new DOMException('', 'TimeoutError'))
  t.is(await causeOf(late), 'deadline')
  const left = trial({})
  left.over.abort(new PosternError('io', 'bob left'))
  t.like(await left.trial.result, { open: false, cause: 'peer-left', reason: 'bob left' })
  const impatient = trial({})
  impatient.trial.receive('callee', opened)
  impatient.over.abort(new PosternError('timeout', 'ann left: it took too long'))
  t.is(await causeOf(impatient), 'peer-left', 'its own time is not that of all strategies')
})

test('a channel that is open on both sides has no cause', async t => {
  const both = trial({})
  both.trial.receive('caller', opened)
  both.trial.receive('callee', opened)
  t.like(await both.trial.result, { open: true, cause: undefined })
})
