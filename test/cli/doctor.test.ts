// What the doctor says of a gateway that is as it should be, and of each thing that can be wrong: always by whom it is to be mended.

import { createServer, request, type ServerResponse } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import { stripVTControlCharacters } from 'node:util'
import test from 'ava'
import type { Child } from '../../examples/child.ts'
import { checks, parted } from '../../src/cli/doctor/check.ts'
import { summaryText, type Told } from '../../src/cli/text/doctor-text.ts'
import { unpainted } from '../../src/cli/text/output.ts'
import { createCertificate } from '../../src/peer/identity/self-signed.ts'
import { httpProxy, listening, tlsFront } from '../peer/doors/fronts.ts'
import { authority, certified } from '../peer/tls.ts'
import { tokens, World } from './world.ts'

type Events = Child['events']

/** By check: the outcomes, in their order. */
const outcomes = (events: Events): Record<string, unknown[]> =>
  Object.fromEntries(
    Object.entries(
      Object.groupBy(
        events.filter(({ event }) => event === 'check'),
        ({ check }) => String(check)
      )
    ).map(([check, some = []]) => [check, some.map(({ outcome }) => outcome)])
  )

/** The first check that is not as it should be. */
const ill = (events: Events) => events.find(({ outcome }) => outcome === 'wrong' || outcome === 'warning')

/** A server of ours on loopback, until it is disposed of. */
async function served(answer: (path: string, response: ServerResponse) => void) {
  const server = createServer((asked, response) => answer(asked.url ?? '', response))
  const open = await listening(server)
  return Object.assign(open, { server, url: `http://127.0.0.1:${open.port}` })
}

/** A proxy that passes requests on to a gateway, and no WebSocket, with its own time of day. */
const proxied = (gateway: string, date: Date) =>
  served((path, response) => {
    request(`${gateway}${path}`, { agent: false }, answer => {
      response.writeHead(answer.statusCode ?? 0, { ...answer.headers, date: date.toUTCString() })
      answer.pipe(response)
    }).end()
  })

test.serial('where all is as it should be, every check is right, in 80 columns and in JSON', async t => {
  await using world = await World.withGateway()
  const [said, told] = await Promise.all([
    world.run(['doctor', world.url]),
    world.run(['doctor', '--json'], { who: 'bob' })
  ])
  t.deepEqual([said.code, told.code], [0, 0], `${said.lines.join('\n')}\n${told.lines.join('\n')}`)
  t.true(said.lines.includes('everything is fine'))
  t.true(said.lines.every(line => line.length <= 80))
  t.is(stripVTControlCharacters(said.lines.join('')), said.lines.join(''), 'no colour where there is no terminal')
  const seen = outcomes(told.events)
  t.deepEqual(Object.keys(seen), [...checks])
  t.deepEqual(new Set(Object.values(seen).flat()), new Set(['ok']))
  t.is(seen.udp?.length, 2, 'both endpoints')
  t.is(seen.doors?.length, 2, 'TCP and WebSocket')
  t.like(
    told.events.findLast(({ check }) => check === 'packets'),
    { bytes: 1280, isWhole: true, isBothWays: true }
  )
  t.like(told.events.at(-1), { event: 'doctor', outcome: 'ok', wrong: 0, warnings: 0, unchecked: 0 })
})

test.serial('without a token it says what it did not check, and with a wrong one whose that is', async t => {
  await using world = await World.withGateway()
  const [none, bad] = await Promise.all([
    world.run(['doctor'], { env: { POSTERN_TOKEN: '' } }),
    world.run(['doctor', '--json'], { env: { POSTERN_TOKEN: 'another-token-of-the-test' } })
  ])
  t.is(none.code, 0)
  t.regex(
    none.lines.join(' '),
    /what was checked is fine.*not checked: token, udp, .*\(it takes the join token: +--token/
  )
  t.is(bad.code, 2)
  t.like(ill(bad.events), { check: 'token', outcome: 'wrong', side: 'you', code: 'bad-token' })
  t.regex(String(ill(bad.events)?.advice), /whoever runs the gateway .*POSTERN_TOKEN/)
  t.deepEqual(outcomes(bad.events).udp, ['unchecked'])
  t.like(bad.events.at(-1), { event: 'doctor', outcome: 'wrong', wrong: 1, unchecked: 5 })
})

test.serial('a wrong port, an unknown name, nonsense, and a server of something else', async t => {
  await using world = await World.open()
  await using other = await served((_, response) => response.end('hello'))
  await using missing = await served((_, response) => response.writeHead(404).end('nothing'))
  const name = `${'x'.repeat(70)}.example`
  const cases = [
    [
      'http://127.0.0.1:1',
      { check: 'tcp', side: 'gateway', code: 'ECONNREFUSED' },
      /nothing listens at 127\.0\.0\.1:1 /
    ],
    [`http://${name}`, { check: 'name', side: 'you', code: 'ENOTFOUND' }, /nobody knows the name xxx/],
    ['nonsense', { check: 'url', side: 'you' }, /no address of a gateway/],
    [other.url, { check: 'http', side: 'you' }, /is no postern gateway \(HTTP 200\)/],
    [missing.url, { check: 'http', side: 'you' }, /is no postern gateway \(HTTP 404\)/],
    [other.url.replace('http:', 'https:'), { check: 'tls', side: 'you' }, /speaks no TLS/]
  ] as const
  const runs = await Promise.all(cases.map(([url]) => world.run(['doctor', url, '--json'])))
  for (const [index, [url, expected, sentence]] of cases.entries()) {
    const { events, code } = runs[index] as (typeof runs)[number]
    t.is(code, 2, url)
    t.like(ill(events), { outcome: 'wrong', ...expected }, url)
    t.regex(String(ill(events)?.sentence), sentence)
    t.deepEqual(Object.keys(outcomes(events)).length, checks.length, 'what is behind it is told to be unchecked')
  }
})

test.serial('a certificate that nobody here trusts is told with who gave it, and is right with --ca', async t => {
  await using world = await World.open()
  await world.write('cert.pem', certified.cert)
  await world.write('key.pem', certified.key)
  const ca = await world.write('ca.pem', authority)
  const listen = `listen: { http: '127.0.0.1:0', tls: { cert: cert.pem, key: key.pem }, udp: { addresses: [127.0.0.1], ports: [0, 0] } }`
  const config = await world.write('tls.yaml', `${listen}\njoin: { token: ${tokens.join} }\n`)
  const gateway = world.start(['gateway', '--config', config, '--json'])
  const url = String((await gateway.event('listening')).url)
  const [strange, named, clear] = await Promise.all([
    world.run(['doctor', url, '--json']),
    world.run(['doctor', url, '--json', '--ca', ca], { who: 'bob' }),
    world.run(['doctor', url.replace('https:', 'http:'), '--json'])
  ])
  t.is(strange.code, 2)
  t.like(ill(strange.events), { check: 'tls', outcome: 'wrong', side: 'you', issuer: 'an authority made for a test' })
  t.regex(String(ill(strange.events)?.advice), /--ca FILE/)
  t.is(named.code, 0, named.lines.join('\n'))
  t.like(
    named.events.find(({ check }) => check === 'tls'),
    { outcome: 'ok', issuer: 'an authority made for a test' }
  )
  t.deepEqual(outcomes(named.events).doors, ['ok'], 'a WebSocket with TLS')
  t.like(ill(clear.events), { check: 'http', outcome: 'wrong', side: 'you' })
  t.regex(String(ill(clear.events)?.advice), /write https:/)
})

test.serial(
  'a certificate of another time is its own fault, or that of the clock here, which the gateway tells',
  async t => {
    await using world = await World.open()
    const { keyPem: key, certificatePem: cert } = createCertificate(new Date('2090-01-01T00:00:00Z'))
    const ca = await world.write('ca.pem', cert)
    const verdictOf = async (date: Date) => {
      const server = createSecureServer({ key, cert }, (_, response) =>
        response.writeHead(200, { date: date.toUTCString() }).end('{ "ok": true }')
      )
      await using open = await listening(server)
      return ill((await world.run(['doctor', `https://127.0.0.1:${open.port}`, '--ca', ca, '--json'])).events)
    }
    const [now, later] = [await verdictOf(new Date()), await verdictOf(new Date('2091-01-01T00:00:00Z'))]
    t.like(now, { check: 'tls', outcome: 'wrong', side: 'gateway', code: 'CERT_NOT_YET_VALID' })
    t.regex(String(now?.sentence), /its certificate is not valid yet/)
    t.like(later, { check: 'tls', outcome: 'wrong', side: 'you', code: 'CERT_NOT_YET_VALID' })
    t.regex(String(later?.sentence), /this clock is \d+ days behind that of the gateway/)
  }
)

test.serial('UDP that nothing answers is wrong, though the doors are open', async t => {
  await using world = await World.open()
  await world.muteGateway()
  const { events, code } = await world.run(['doctor', '--json'])
  t.is(code, 2)
  t.like(ill(events), { check: 'udp', outcome: 'wrong', side: 'network' })
  t.regex(String(ill(events)?.sentence), /127\.0\.0\.9:\d+ does not answer over UDP/)
  t.regex(String(ill(events)?.advice), /let UDP out.*reached at 127\.0\.0\.1: .*listen\.udp\.public/)
  t.deepEqual(outcomes(events).doors, ['ok', 'ok'])
  t.deepEqual([outcomes(events).packets, outcomes(events).nat], [['unchecked'], ['unchecked']])
})

test.serial(
  'a proxy that swallows the request for a WebSocket has a sentence of its own; so has a clock that is wrong',
  async t => {
    await using world = await World.withGateway()
    await using proxy = await proxied(world.url, new Date(Date.now() + 5 * 60_000))
    proxy.server.on('upgrade', (_, socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'))
    const { events, code } = await world.run(['doctor', proxy.url, '--json'])
    t.is(code, 2)
    t.like(ill(events), { check: 'clock', outcome: 'warning', side: 'you' })
    t.regex(String(ill(events)?.sentence), /this clock is 5 min behind that of the gateway/)
    const webSocket = events.find(({ check }) => check === 'websocket')
    t.like(webSocket, { outcome: 'wrong', side: 'gateway', status: 200 })
    t.regex(
      String(webSocket?.sentence),
      /a proxy in front of the gateway swallows the request for a WebSocket \(HTTP 200\)/
    )
    t.regex(String(webSocket?.advice), /have the proxy pass WebSockets on/)
    const said = (await world.run(['doctor', proxy.url])).lines.join('\n')
    t.regex(
      said,
      /^for you to mend, on this computer:\n {2}clock: [\s\S]*^for whoever runs the gateway:\n {2}websocket: /m
    )
  }
)

test.serial('where /healthz is not to be had and peers can join all the same, that is a warning', async t => {
  await using world = await World.withGateway()
  await using proxy = await served((_, response) => response.writeHead(403).end('no'))
  const { host } = new URL(world.url)
  proxy.server.on('upgrade', (asked, socket) => {
    const onward = request(`http://${host}${asked.url}`, { headers: asked.headers, agent: false })
    onward.on('upgrade', (answer, far, head) => {
      const headers = Object.entries(answer.headers).map(([name, value]) => `${name}: ${value}\r\n`)
      socket.write(`HTTP/1.1 101 Switching Protocols\r\n${headers.join('')}\r\n`)
      socket.write(head)
      far.pipe(socket).pipe(far)
      for (const end of [far, socket]) end.on('error', () => {})
    })
    onward.end()
  })
  const { events } = await world.run(['doctor', proxy.url, '--json'], { env: { POSTERN_TOKEN: '' } })
  t.like(ill(events), { check: 'http', outcome: 'warning', side: 'gateway' })
  t.deepEqual(outcomes(events).websocket, ['ok'])
})

test.serial(
  'a proxy that lets programs out is dialled in the place of the gateway, and told of where it is in the way',
  async t => {
    await using world = await World.withGateway()
    const ca = await world.write('ca.pem', authority)
    await using front = await tlsFront(Number(new URL(world.url).port))
    await using proxy = await httpProxy('user:secret')
    const run = (HTTPS_PROXY: string) =>
      world.run(['doctor', `https://127.0.0.1:${front.port}`, '--ca', ca, '--json'], {
        env: { HTTPS_PROXY, POSTERN_TOKEN: '' }
      })
    const through = await run(`http://user:secret@127.0.0.1:${proxy.port}`)
    const [refused, absent] = [await run(`127.0.0.1:${proxy.port}`), await run('127.0.0.1:9')]
    t.is(through.code, 0, through.lines.join('\n'))
    t.deepEqual(outcomes(through.events).websocket, ['ok'])
    t.is(proxy.asked.length, 3, 'the certificate, /healthz and the WebSocket')
    t.like(ill(refused.events), { check: 'tls', outcome: 'wrong', side: 'you' })
    t.regex(String(ill(refused.events)?.sentence), /the proxy 127\.0\.0\.1:\d+ asks for a login \(HTTP 407\)/)
    t.like(ill(absent.events), { check: 'tcp', outcome: 'wrong', side: 'you' })
    t.regex(String(ill(absent.events)?.sentence), /the proxy 127\.0\.0\.1:9 that HTTPS_PROXY names is not there/)
  }
)

test.serial('interrupted it ends with 130 and leaves; an option that is wrong is told', async t => {
  await using world = await World.withGateway()
  const child = world.start(['doctor', '--json'])
  await child.line(line => line.includes('"check":"udp"'))
  child.signal('SIGINT')
  t.is(await child.ended, 130)
  t.is(child.stderr, '')
  const { code, stderr } = await world.run(['doctor', '--mtu', '9'])
  t.is(code, 1)
  t.regex(stderr, /bad-config/)
})

test('a sentence of peer/unreachable.ts comes in parts, and each side has its part of the summary', t => {
  const { sentence, advice } = parted('gateway', 'nothing listens at x:1; is it running? (ECONNREFUSED)')
  t.deepEqual([sentence, advice], ['nothing listens at x:1 (ECONNREFUSED)', 'is it running?'])
  t.is(parted('you', 'it is closed').advice, undefined)
  const check = (told: Partial<Told>): Told => ({ check: 'udp', outcome: 'ok', sentence: 'it is so', ms: 1, ...told })
  const look = { width: 80, paint: unpainted }
  t.is(summaryText([check({})], look), '\neverything is fine')
  const lines = summaryText(
    [
      check({ outcome: 'warning', side: 'gateway', sentence: 'odd' }),
      check({ outcome: 'wrong', side: 'gateway', sentence: 'broken', advice: 'mend it' }),
      check({ check: 'nat', outcome: 'unchecked', sentence: 'no UDP' })
    ],
    look
  )
  t.is(
    lines,
    '\nfor whoever runs the gateway:\n  udp: broken\n    to do: mend it\n  udp: odd\n\nnot checked: nat (no UDP)'
  )
})
