import test from 'ava'
import { forCaller } from '../../../src/trace/record/for-caller.ts'
import { asRecord } from '../../../src/trace/record/schema.ts'
import { relayedRecord } from '../../gateway/http/pages/records.ts'

test('a caller reads what both sides did and its own addresses, and not where the callee is', t => {
  const record = relayedRecord()
  const shown = forCaller(record)
  const whole = JSON.stringify(record.spans)
  const text = JSON.stringify(shown.spans)
  // What the caller's own socket heard, it knows itself.
  for (const address of ['192.168.178.40', '192.0.2.140:41322', '192.0.2.140:40806', '192.0.2.140:41001', '50116']) {
    t.true(whole.includes(address), address)
    t.false(text.includes(address), address)
  }
  for (const address of ['10.0.0.17', '198.51.100.23:50214', '192.0.2.140:41262'])
    t.true(text.includes(address), address)
  t.is(shown.spans.length, record.spans.length)
  t.deepEqual({ ...shown, spans: [] }, { ...record, spans: [] })
  const callee = shown.spans.findLast(
    ({ name, attributes }) => name === 'postern.profile' && attributes['postern.side'] === 'callee'
  )
  t.like(callee?.attributes, {
    'postern.mapping': 'address-and-port-dependent',
    'postern.step': 2,
    'postern.confidence': 0.93
  })
  t.deepEqual(asRecord(shown), shown, 'it is a record still')
})
