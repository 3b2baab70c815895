import test from 'ava'
import { Places, type Way } from '../../../src/gateway/peers/places.ts'

/** A peer that came straight from the Internet to a public address, unless told otherwise. */
const way = (address = '203.0.113.6', from = '198.51.100.7', port = 8080): Way => ({ from, reached: { address, port } })

interface Spec {
  urls?: readonly string[]
  told?: readonly string[]
  scheme?: 'http:' | 'https:'
}

function made({ urls = [], told = [], scheme = 'http:' }: Spec = {}) {
  const lines: string[] = []
  const places = new Places({ urls, told: () => told, scheme, log: { warn: (_, text) => void lines.push(text) } })
  const judge = (place: string, came = way()) => {
    const before = places.warnings.length
    try {
      places.check(place, came)
    } catch (error) {
      return (error as { code: string }).code
    }
    return places.warnings.length > before ? 'unchecked' : 'own'
  }
  return { lines, places, judge }
}

test('the address and port that were reached are its own, in clear and without a path', t => {
  t.is(made().judge('http://203.0.113.6:8080'), 'own')
  t.is(made().judge('http://203.0.113.6', way('203.0.113.6', '198.51.100.7', 80)), 'own')
  t.is(made().judge('http://[2001:db8::1]:8080', way('2001:db8::1', '2001:db8::7')), 'own')
  t.is(made().judge('http://203.0.113.6:8080', way('::ffff:203.0.113.6', '::ffff:198.51.100.7')), 'own')
  t.is(made().judge('http://127.0.0.1:8080', way('127.0.0.1', '127.0.0.1')), 'own')
  t.is(made().judge('http://localhost:8080', way('::1', '::1')), 'own')
  for (const other of ['https://203.0.113.6:8080', 'http://203.0.113.6:8081', 'http://203.0.113.6:8080/gate'])
    t.is(made().judge(other), 'unchecked', other)
})

test('an address that peers are told is its own as well, at the port that was reached', t => {
  const told = ['203.0.113.9']
  t.is(made({ told }).judge('http://203.0.113.9:8080', way('10.0.0.2')), 'own')
  t.is(made({ told }).judge('http://203.0.113.9:80', way('10.0.0.2')), 'unchecked')
})

test('another public address, and another of loopback, is another gateway', t => {
  t.is(made().judge('http://203.0.113.7:8080'), 'wrong-gateway')
  t.is(made().judge('http://[2001:db8::2]:8080', way('2001:db8::1')), 'wrong-gateway')
  t.is(made().judge('http://127.0.0.2:8080', way('127.0.0.1', '127.0.0.1')), 'wrong-gateway')
})

test('an address that something may have translated cannot be checked, nor can a name', t => {
  t.is(made().judge('http://203.0.113.7:8080', way('10.0.0.2')), 'unchecked', 'a NAT')
  t.is(made().judge('http://192.168.1.5:8080', way('172.17.0.2', '192.168.1.9')), 'unchecked', 'a container')
  t.is(made().judge('https://203.0.113.7'), 'unchecked', 'a proxy that speaks TLS')
  t.is(made().judge('https://203.0.113.7', way('127.0.0.1', '127.0.0.1')), 'unchecked', 'a proxy on this host')
  t.is(made().judge('https://postern.example.org'), 'unchecked')
})

test('where the gateway speaks TLS itself its own address is one with https', t => {
  const secure = made({ scheme: 'https:', told: ['203.0.113.9'] })
  t.is(secure.judge('https://203.0.113.6:8080'), 'own')
  t.is(secure.judge('https://203.0.113.6', way('203.0.113.6', '198.51.100.7', 443)), 'own')
  t.is(secure.judge('https://203.0.113.9:8080', way('10.0.0.2')), 'own')
  t.is(secure.judge('https://203.0.113.7:8080'), 'wrong-gateway')
  t.is(secure.judge('http://203.0.113.6:8080'), 'unchecked', 'a proxy that takes TLS off')
})

test('a private address is its own for whoever may be a neighbour alone', t => {
  t.is(made().judge('http://10.0.0.2:8080', way('10.0.0.2', '10.0.0.9')), 'own')
  t.is(made().judge('http://10.0.0.2:8080', way('10.0.0.2', '198.51.100.7')), 'unchecked')
  t.is(made().judge('http://127.0.0.1:8080', way('127.0.0.1', '10.0.0.9')), 'unchecked')
})

test('where listen.url says its names, everything else but the address that was reached is refused', t => {
  const urls = ['https://postern.example.org/gate', 'http://203.0.113.9:8080']
  const { judge, lines } = made({ urls })
  for (const own of [...urls, 'http://203.0.113.6:8080']) t.is(judge(own), 'own', own)
  for (const other of [
    'https://postern.example.org',
    'http://postern.example.org/gate',
    'https://postern.example.org:8443/gate',
    'https://evil.example/gate',
    'http://203.0.113.9:8081'
  ])
    t.is(judge(other), 'wrong-gateway', other)
  t.is(judge('http://10.0.0.2:8080', way('10.0.0.2', '198.51.100.7')), 'wrong-gateway')
  t.deepEqual(lines, [])
})

test('each URL that cannot be checked is told once, with the line to add, and a made-up multitude is not', t => {
  const { judge, lines, places } = made()
  for (const place of ['https://a.example', 'https://a.example', 'https://b.example']) judge(place)
  t.is(lines.length, 2)
  t.regex(lines[1] ?? '', /listen: \{ url: \['https:\/\/a\.example', 'https:\/\/b\.example'\] \}/)
  t.is(places.warnings[0]?.code, 'unchecked-url')
  for (let number = 0; number < 100; number++) judge(`https://${number}.example`)
  t.is(lines.length, 8)
})
