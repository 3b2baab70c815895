import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import test from 'ava'
import { holdPort } from '../../../src/peer/punch/candidate-ports.ts'
import { bindFirst, checkFree, forwardTo, ownPortsOf } from '../../../src/peer/punch/own-ports.ts'
import { RawSocket } from '../../../src/peer/punch/raw.ts'

test('a range of ports is reached at as many outside, from the first one on', t => {
  const ports = ownPortsOf({ port: [4000, 4003], public: { address: '198.51.100.7', port: 5000 } })
  t.deepEqual(forwardTo(ports, 4002), { address: '198.51.100.7', port: 5002 })
  t.is(forwardTo(ports, 4004), undefined)
  t.is(forwardTo(ownPortsOf({ port: 4000 }), 4000), undefined)
  t.is(ownPortsOf({}), undefined)
})

test('nonsense is refused with a sentence', t => {
  const address = '198.51.100.7'
  const wrong = (given: Parameters<typeof ownPortsOf>[0], message: RegExp) =>
    t.throws(() => ownPortsOf(given), { code: 'bad-config', message })
  wrong({ public: { address, port: 4000 } }, /leads to no port of this peer; choose one with --port$/)
  for (const port of [0, 65_536, 1.5, Number.NaN]) wrong({ port }, /is no range of UDP ports/)
  for (const port of [
    [4003, 4000],
    [4000, 4016],
    [65_535, 65_536]
  ] as const)
    wrong({ port }, /expected at most 16 ports/)
  for (const local of ['10.0.0.1', '127.0.0.1', '0.0.0.0', '224.0.0.1', '255.255.255.255', '2001:db8::1'])
    wrong(
      { port: 4000, public: { address: local, port: 4000 } },
      /is no public IPv4 address; expected the outside address/
    )
  wrong({ port: [4000, 4001], public: { address, port: 65_535 } }, /not enough ports/)
})

test('the first free port is bound, one that changes hands is left alone, and if none is free that is told', async t => {
  const foreign = createSocket('udp4')
  foreign.bind(0, '0.0.0.0')
  await once(foreign, 'listening')
  const { port } = foreign.address()
  const one = { first: port, last: port, public: undefined }
  t.is(await bindFirst([port]), undefined)
  await t.throwsAsync(checkFree(one), { code: 'port-in-use', message: /^UDP port \d+ is in use by another program/ })
  foreign.close()
  await once(foreign, 'close')
  {
    using _held = holdPort(port)
    t.is(await RawSocket.bindAt(port), undefined)
  }
  await checkFree(one)
  const raw = await bindFirst([port])
  t.is(raw?.port, port)
  await raw?.close()
})
