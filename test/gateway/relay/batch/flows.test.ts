import test from 'ava'
import fc from 'fast-check'
import { Flows, wordsOf } from '../../../../src/gateway/relay/batch/flows.ts'
import { nameOf } from '../../../../src/gateway/relay/batch/raw.ts'

// Few of each, so that they are met again, and stand in each other's way.
const address = fc.constantFrom('203.0.113.1', '203.0.113.2', '2001:db8::1', '2001:db8::2', '::ffff:0:1')
const source = fc.record({ socket: fc.nat(2), address, port: fc.integer({ min: 1, max: 9 }) })
const step = fc.oneof(
  fc.record({ does: fc.constant('set' as const), source }),
  fc.record({ does: fc.constant('delete' as const), source })
)

test('what was put is found, by socket, address and port, and what was taken away is not', t => {
  const property = fc.property(fc.array(step, { maxLength: 400 }), steps => {
    const flows = new Flows()
    const model = new Map<string, number>()
    for (const [value, { does, source }] of steps.entries()) {
      const name = wordsOf(nameOf(source))
      const key = JSON.stringify([source.socket, source.address, source.port])
      if (does === 'set') {
        flows.set(source.socket, name, value)
        model.set(key, value)
      } else {
        flows.delete(source.socket, name)
        model.delete(key)
      }
      if (flows.size !== model.size) return false
      for (const [key, value] of model) {
        const [socket, address, port] = JSON.parse(key) as [number, string, number]
        if (flows.find(socket, wordsOf(nameOf({ address, port })), 0) !== value) return false
      }
      if (does === 'delete' && flows.find(source.socket, name, 0) !== -1) return false
    }
    return true
  })
  t.notThrows(() => fc.assert(property, { numRuns: 60 }))
})

test('a hundred thousand sources are told apart', t => {
  const flows = new Flows()
  const name = (index: number) =>
    wordsOf(nameOf({ address: `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}`, port: 40_000 + (index % 7) }))
  for (let index = 0; index < 100_000; index++) flows.set(0, name(index), index)
  for (let index = 0; index < 100_000; index += 2) flows.delete(0, name(index))
  t.is(flows.size, 50_000)
  for (let index = 0; index < 100_000; index += 997) t.is(flows.find(0, name(index), 0), index % 2 === 0 ? -1 : index)
  t.is(flows.find(1, name(1), 0), -1)
})

test('a name is found where it stands among others', t => {
  const flows = new Flows()
  const [one, other] = [
    wordsOf(nameOf({ address: '203.0.113.1', port: 1 })),
    wordsOf(nameOf({ address: '2001:db8::1', port: 1 }))
  ]
  flows.set(0, other, 7)
  t.is(flows.find(0, Uint32Array.from([...one, ...other]), one.length), 7)
})
