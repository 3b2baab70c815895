import { ROOT_CONTEXT } from '@opentelemetry/api'
import test from 'ava'
import { mirrored } from '../../../src/gateway/recording/mirrored.ts'
import { recordProfile } from '../../../src/gateway/recording/profile-span.ts'
import { within } from '../../../src/gateway/recording/step.ts'
import { forCaller } from '../../../src/trace/record/for-caller.ts'
import { asRecord } from '../../../src/trace/record/schema.ts'
import { relayedRecord } from '../../gateway/http/pages/records.ts'
import { Home } from '../../gateway/session/made.ts'
import { sideOf } from '../../scenes.ts'

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

test('of a callee that shows its address to nobody, a caller reads no address in any words either', t => {
  const record = relayedRecord()
  const [root, ...others] = record.spans
  if (!root) return t.fail()
  const attributes = { ...root.attributes, 'postern.reason': 'bob: nothing comes back to 192.0.2.7' }
  const told = (more: object) =>
    JSON.stringify(forCaller({ ...record, spans: [{ ...root, attributes: { ...attributes, ...more } }, ...others] }))
  t.true(told({}).includes('192.0.2.7'))
  t.notRegex(told({ 'postern.callee.relay_only': true }), /\d+\.\d+\.\d+\.\d+/)
})

test('of a search that the callee asked for, the caller reads no more of where the callee is', async t => {
  using home = new Home()
  const tracer = mirrored(home.tracer)
  const [own, theirs] = [{ mapped: at('198.51.100.23') }, { mapped: at('192.0.2.140') }]
  // Whoever asks is the caller of the search: here the callee of the connection.
  await within(tracer, ROOT_CONTEXT, 'postern.again', {}, async step => {
    recordProfile(step, 'caller', sideOf('caller', theirs))
    recordProfile(step, 'callee', sideOf('callee', own))
    step.set({ 'postern.caller.latched': '192.0.2.140:7', 'postern.callee.latched': '198.51.100.23:7' })
  })
  const text = JSON.stringify(forCaller({ ...relayedRecord(), spans: home.spans }).spans)
  t.false(text.includes('192.0.2.140'), text)
  t.true(text.includes('198.51.100.23:7'))
})

const at = (address: string) => ({ address, port: 4000 })
