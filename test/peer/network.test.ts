import test from 'ava'
import { Network, type Reading, reading } from '../../src/peer/network.ts'

/** A host whose network is what the test says, and that looks when it is told to. */
function host(addresses: readonly string[], route?: string) {
  const now: { reading: Reading; ms: number[] } = { reading: { addresses, route }, ms: [1_000_000, 1000] }
  const network = new Network({ read: () => now.reading, clocks: () => now.ms, looks: false })
  const heard: string[] = []
  network.on('changed', ({ what }) => heard.push(what))
  network.on('woke', ({ sleptMs }) => heard.push(`slept ${sleptMs}`))
  return {
    network,
    heard,
    look(...readings: Reading[]) {
      for (const next of readings) {
        now.reading = next
        network.look()
      }
    },
    /** Looks later, by the time of day and by the clock that stands still in a sleep. */
    later(dayMs: number, runMs: number) {
      now.ms = [(now.ms[0] ?? 0) + dayMs, (now.ms[1] ?? 0) + runMs]
      network.look()
    }
  }
}

const none: Reading = { addresses: [], route: undefined }
const home: Reading = { addresses: ['192.168.1.5'], route: 'eth0 192.168.1.1' }
const away: Reading = { addresses: ['10.0.0.2'], route: 'wlan0 10.0.0.1' }

test('a change that comes in three steps is told once, when it is over, and in words', t => {
  const { look, heard, network } = host(['192.168.1.5'], 'eth0 192.168.1.1')
  look(home, none, none, { addresses: ['10.0.0.2'], route: undefined })
  t.deepEqual(heard, [])
  look(away, away, away)
  t.deepEqual(heard, ['192.168.1.5 is gone, 10.0.0.2 is new, the default route is wlan0 10.0.0.1'])
  t.true(network.has('10.0.0.2'))
  t.false(network.has('192.168.1.5'))
  t.true(network.has('127.0.0.1'), 'loopback is always there')
})

test('nothing is told while there is no network, and that it was away when it is back', t => {
  const { look, heard, network } = host(['192.168.1.5'], 'eth0 192.168.1.1')
  look(...Array.from({ length: 50 }, () => none))
  t.deepEqual([heard.length, network.isUp], [0, false])
  look(home, home, home)
  t.deepEqual([heard, network.isUp], [['the network was away, and is back'], true])
})

test('another default route is a change, and one that only flickered between two looks is none', t => {
  const { look, heard } = host(['192.168.1.5'], 'eth0 192.168.1.1')
  const other = { ...home, route: 'eth0 192.168.1.254' }
  look(other, home, home, home)
  t.deepEqual(heard, [])
  look(other, other)
  t.deepEqual(heard, ['the default route is eth0 192.168.1.254'])
})

test('a network that never comes to rest is told of all the same', t => {
  const { look, heard } = host(['10.0.0.1'])
  look(...Array.from({ length: 25 }, (_, at) => ({ addresses: [`10.0.1.${at}`], route: undefined })))
  t.true(heard.length >= 1 && heard.length <= 3, `${heard.length}`)
})

test('a process that did not run has slept, on whichever clock; a busy event loop has not', t => {
  const { later, heard } = host(['192.168.1.5'])
  later(500, 500)
  later(2500, 2500)
  t.deepEqual(heard, [])
  later(45_500, 45_500)
  later(3_600_500, 500)
  t.deepEqual(heard, ['slept 45000', 'slept 3600000'])
  later(-3_600_000, 500)
  t.is(heard.length, 2, 'a clock that is set back is no sleep')
})

test('where a system tells no addresses, it is taken for one that has a network', t => {
  const { look, heard, network } = host([])
  t.false(network.isUp)
  const untold = { addresses: undefined, route: undefined }
  look(untold, untold)
  t.true(network.isUp && network.has('192.168.1.5'))
  t.is(heard.length, 1)
})

test('a listener that was taken away hears nothing, nor does any once the watch is closed', t => {
  const { look, heard, network } = host(['192.168.1.5'], 'eth0 192.168.1.1')
  let more = 0
  const off = network.on('changed', () => more++)
  look(away, away)
  off()
  look(home, home)
  t.deepEqual([more, heard.length], [1, 2])
  network.close()
  look(away, away)
  t.is(heard.length, 2)
})

test('what this host tells of itself is read without loopback, and the same twice', t => {
  const first = reading()
  t.false(first.addresses?.includes('127.0.0.1') ?? false)
  t.deepEqual(reading(), first)
})
