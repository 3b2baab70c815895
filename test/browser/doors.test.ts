import test from 'ava'
import { doorsOf, tcpCandidate } from '../../src/browser/doors.ts'
import { isDialled } from '../../src/wire/doors/ice-tcp.ts'

const address = '203.0.113.1'
const features = ['proofs', 'doors', 'ice-tcp']
const told = (tcp: number[] = []) => ({ type: 'features', features, tcp }) as const
const ports = (doors: readonly { port: number }[]) => doors.map(({ port }) => port)

test('a page finds the ports of the relay that browsers dial, and the HTTP port where no TLS is on it', t => {
  t.deepEqual(doorsOf(told([3478, 25]), 'https://postern.example.org', address), [{ address, port: 3478 }])
  t.deepEqual(ports(doorsOf(told(), 'https://postern.example.org:8443', address)), [])
  t.deepEqual(ports(doorsOf(told([443]), 'http://postern.example.org', address)), [443, 80])
  t.deepEqual(doorsOf(told(), 'http://198.51.100.7:8080/gate', address), [{ address: '198.51.100.7', port: 8080 }])
  t.deepEqual(doorsOf(told(), 'http://localhost:8080', address), [{ address, port: 8080 }])
  t.deepEqual(doorsOf(told(), 'http://localhost:81', address), [])
})

test('a gateway that takes no agents by TCP has no door for a page', t => {
  const older = { type: 'features', features: ['proofs', 'doors'], tcp: [3478] } as const
  t.deepEqual(doorsOf({ ...older, features: [...older.features], tcp: [...older.tcp] }, 'http://a:8080', address), [])
})

test('of ports that browsers were tried with, those that both dial are dialled', t => {
  for (const port of [80, 443, 3478, 5349, 8080, 8443, 65_535]) t.true(isDialled(port), String(port))
  for (const port of [1, 22, 25, 53, 500, 1023, 1719, 1720, 1723, 2049, 5060, 6000, 6667, 10_080])
    t.false(isDialled(port), String(port))
})

test('a door is a passive candidate, the first one is tried first', t => {
  t.deepEqual(
    [
      { address, port: 443 },
      { address, port: 3478 }
    ].map(tcpCandidate),
    [
      'candidate:1 1 tcp 1518280447 203.0.113.1 443 typ host tcptype passive',
      'candidate:2 1 tcp 1518280446 203.0.113.1 3478 typ host tcptype passive'
    ]
  )
})
