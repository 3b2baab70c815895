import test from 'ava'
import fc from 'fast-check'
import { hostOf, placeOf, urlAt } from '../../src/wire/place.ts'

test('one place is one text, however it is written', t => {
  const same = {
    'https://postern.example.org': [
      'https://postern.example.org/',
      'wss://postern.example.org:443',
      'WSS://Postern.Example.ORG.//',
      'https://user:secret@postern.example.org/?a=b#c'
    ],
    'http://postern.example.org': ['ws://postern.example.org:80/', 'http://postern.example.org:80'],
    'https://postern.example.org/gate': ['wss://postern.example.org/gate/', 'https://postern.example.org/x/../gate'],
    'https://xn--bcher-kva.example': ['https://bücher.example', 'https://B%C3%BCcher.example'],
    'http://[::1]:8080': ['ws://[0:0:0:0:0:0:0:1]:8080', 'http://[::0001]:08080'],
    'http://127.0.0.1:8080': ['ws://127.1:8080', 'http://0x7f000001:8080']
  }
  for (const [place, others] of Object.entries(same))
    for (const url of [place, ...others]) t.is(placeOf(url), place, url)
})

test('another scheme, host, port or path is another place', t => {
  const urls = ['https://a', 'http://a', 'https://b', 'https://a:80', 'https://a/b', 'https://a/B', 'http://a:443']
  t.is(new Set(urls.map(placeOf)).size, urls.length)
})

test('what is no URL of a gateway is no place', t => {
  for (const url of ['', 'a', 'a:1', 'ftp://a', '127.0.0.1:80', 'https://', 'file:///a', 'https://a b'])
    t.is(placeOf(url), undefined, url)
})

test('a place is its own text, and holds nothing that ends a line', t => {
  const part = fc.oneof(
    fc.domain(),
    fc.string(),
    fc.ipV4(),
    fc.ipV6().map(address => `[${address}]`)
  )
  const property = fc.property(
    fc.constantFrom('ws', 'wss', 'http', 'https'),
    part,
    fc.string(),
    (scheme, host, path) => {
      const place = placeOf(`${scheme}://${host}/${path}`)
      if (place === undefined) return
      t.is(placeOf(place), place)
      t.notRegex(place, /[\s\p{Cc}]/u)
    }
  )
  t.notThrows(() => fc.assert(property))
})

test('the host of a URL is an address without brackets, or a name', t => {
  t.is(hostOf(new URL('http://[::1]:8080')), '::1')
  t.is(hostOf(new URL('http://a.example')), 'a.example')
})

test('what a gateway has is found below its path', t => {
  t.is(urlAt('https://a', '/join').href, 'https://a/join')
  t.is(urlAt('https://a/gate//', '/join').href, 'https://a/gate/join')
  t.is(urlAt('https://a/gate?x=y#z', '/api/traces?failed=').href, 'https://a/gate/api/traces?failed=')
  t.is(urlAt('https://user:secret@a/gate', '/').href, 'https://user:secret@a/gate/')
})
