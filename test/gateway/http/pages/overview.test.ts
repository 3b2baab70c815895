import test from 'ava'
import { overviewPage } from '../../../../src/gateway/http/pages/overview.ts'
import { failedRecord } from './records.ts'

test('a verdict that is no verdict, as a damaged file may have it, keeps nobody from the overview', t => {
  const { verdict, ...record } = failedRecord()
  const traces = [{ ...record, verdict: { ...verdict, code: 'half a \ud83d' } }]
  const page = overviewPage({ traces, status: {}, warnings: [], nowMs: Date.now(), session: false }).toString()
  t.true(page.includes('/traces?verdict=half%20a%20%EF%BF%BD'))
})
