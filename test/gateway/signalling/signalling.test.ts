import { once } from 'node:events'
import { cp, mkdir, mkdtemp, rename, rm, rmdir } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { trace } from '@opentelemetry/api'
import test, { type ExecutionContext } from 'ava'
import { WebSocketServer } from 'ws'
import { Directory } from '../../../src/gateway/peers/directory.ts'
import { GuardedToken } from '../../../src/gateway/peers/guarded-token.ts'
import { Names } from '../../../src/gateway/peers/names.ts'
import { Refusals } from '../../../src/gateway/recording/refusals.ts'
import { Drain } from '../../../src/gateway/session/drain.ts'
import { Shares } from '../../../src/gateway/shares/shares.ts'
import { noneYet } from '../../../src/gateway/signalling/counters.ts'
import { join as joinAt } from '../../../src/gateway/signalling/join.ts'
import { Pace } from '../../../src/gateway/signalling/pace.ts'
import type { PeerSocket } from '../../../src/gateway/signalling/peer-socket.ts'
import type { Reception } from '../../../src/gateway/signalling/reception.ts'
import { RefusalLog } from '../../../src/gateway/signalling/refusal-log.ts'
import { receive } from '../../../src/gateway/signalling/signalling.ts'
import { type Identity, loadIdentity } from '../../../src/peer/identity/identity.ts'
import { createCertificate } from '../../../src/peer/identity/self-signed.ts'
import { helloProof, PROTOCOL, type Proof } from '../../../src/wire/identity/proof.ts'
import { JOIN_PATH } from '../../../src/wire/place.ts'
import { MESSAGE_BYTES } from '../../../src/wire/signal.ts'
import { HandMade, type HelloSpec, nothingDone } from '../../hand-made.ts'
import { until } from '../../until.ts'
import { World } from '../../world.ts'

/** Says hello, and gives what it is refused with. */
async function refusal(
  world: World,
  spec: Partial<HelloSpec> = {}
): Promise<{ code: string; reason: string; retryMs: number }> {
  const made = new HandMade(world.url)
  await made.hello({ identity: await world.identity('ann'), token: world.gateway.joinToken, name: 'ann', ...spec })
  const { code, reason, retryMs = Number.NaN } = await made.hears('refused')
  if ((await made.closed) !== 1008) throw new Error('the link was not closed for a policy violation')
  return { code, reason, retryMs }
}

/** A peer that does everything by hand, named and with an identity of its own. */
async function joins(world: World, name: string | undefined, key = name ?? 'guest'): Promise<HandMade> {
  const hello = { identity: await world.identity(key), token: world.gateway.joinToken }
  return HandMade.join(world.url, name === undefined ? hello : { ...hello, name })
}

const signed = (by: Identity, proof: Proof) => by.sign(helloProof(proof)).toString('base64')

async function refusedConnect(
  t: ExecutionContext,
  world: World,
  from: HandMade,
  to: string,
  more: object = {}
): Promise<string> {
  from.say({ type: 'connect', request: 7, to, ...more })
  const { code, request, trace = '', verdict } = await from.hears('refused')
  t.is(request, 7, 'only the request is refused')
  const [record] = world.gateway.traces.get(trace)
  t.like(record, { callee: to, outcome: 'failed', by: code, verdict }, 'it is a trace of its own')
  t.is(record?.spans.length, 1)
  await from.settled()
  return code
}

/** Without anything that a terminal would take for a command, also where it is written as JSON. */
const isPlain = (text: string) => !/[\p{Cc}\p{Cf}]|\\u00/u.test(text)

test('a wrong token is refused before anything else is looked at', async t => {
  await using world = await World.open()
  for (const token of ['', 'x', world.gateway.adminToken, `${world.gateway.joinToken} `])
    t.is((await refusal(world, { token, lie: { certificate: 'none' } })).code, 'bad-token')
  t.deepEqual(await namesOf(world), [])
  t.is((await world.gateway.status()).signalling.refused, 4)
  t.is((await world.gateway.status()).peers, 0)
})

test('a certificate whose key did not sign the nonce is refused, and its name not claimed', async t => {
  await using world = await World.open()
  const eve = await world.identity('eve')
  const ann = await world.identity('ann')
  const place = world.url
  const { fingerprint: dtls } = ann
  const wrong = [
    { certificate: ann.certificatePem, signature: signed(eve, { place, dtls, nonce: 'x' }) },
    { signature: signed(ann, { place, dtls, nonce: 'of another link' }) },
    { signature: '' },
    { certificate: createCertificate().certificatePem }
  ]
  for (const lie of wrong) t.is((await refusal(world, { lie })).code, 'fingerprint-mismatch')
  t.is((await refusal(world, { lie: { certificate: 'none' } })).code, 'bad-message')
  t.deepEqual(await namesOf(world), [])
})

test('nothing that a stranger or a peer makes up reaches terminals and traces as it is', async t => {
  await using world = await World.open()
  const made = ['\u001b]0;x\u0007', '\u009b2J', '\u202e', `\u001b${'x'.repeat(9000)}`]
  for (const one of made) t.true(isPlain((await refusal(world, { lie: { [one]: 1 } })).reason))
  for (const name of made) t.true(isPlain((await refusal(world, { name: name.slice(0, 99) })).reason))
  const ann = await joins(world, 'ann')
  await joins(world, 'bob')
  for (const one of made.map(text => text.slice(0, 99)))
    for (const asked of [{ to: one }, { to: 'bob', fingerprint: one }]) {
      ann.say({ type: 'connect', request: 7, ...asked })
      await ann.hears('refused')
    }
  const kept = world.gateway.traces.list({ limit: 99 }).flatMap(({ id }) => world.gateway.traces.get(id))
  t.true(kept.length >= 2 * made.length)
  for (const record of kept) {
    t.true(isPlain(record.reason), JSON.stringify(record.reason))
    t.true(isPlain(JSON.stringify(record)))
    t.true(JSON.stringify(record).length < 3000)
  }
})

test("another peer's certificate cannot be used by replaying its hello", async t => {
  await using world = await World.open()
  const ann = new HandMade(world.url)
  const { nonce } = await ann.hears('challenge')
  const identity = await world.identity('ann')
  const signature = signed(identity, { place: world.url, dtls: identity.fingerprint, nonce })
  t.is((await refusal(world, { lie: { signature } })).code, 'fingerprint-mismatch')
  await ann.close()
})

test('a peer of another version of the protocol is told which one is spoken here, and what to do', async t => {
  await using world = await World.open()
  for (const [v, reason] of [
    [2, /peer speaks version 2 .* this gateway version 3; install a newer postern on the peer$/],
    [4, /peer speaks version 4 .* this gateway version 3; install a newer postern on the gateway$/]
  ] as const) {
    const refused = await refusal(world, { lie: { v, place: undefined, dtls: undefined } })
    t.is(refused.code, 'bad-message')
    t.regex(refused.reason, reason)
  }
})

test('a hello for another gateway is refused, and one whose place was changed on the way as well', async t => {
  await using world = await World.open()
  const { port } = world.gateway.http
  const elsewhere = `http://127.0.0.2:${port}`
  const passedOn = await refusal(world, { place: elsewhere })
  t.is(passedOn.code, 'wrong-gateway')
  t.regex(passedOn.reason, /dialled http:\/\/127\.0\.0\.2:\d+, .*listen\.url/)
  const identity = await world.identity('ann')
  t.is((await refusal(world, { place: elsewhere, lie: { place: world.url } })).code, 'fingerprint-mismatch')
  const dtls = Array(32).fill('AB').join(':')
  t.is((await refusal(world, { lie: { dtls } })).code, 'fingerprint-mismatch')
  t.regex((await refusal(world, { identity: { ...identity, fingerprint: dtls } })).reason, /no DTLS certificates but/)
  t.deepEqual(await namesOf(world), [])
  await (await HandMade.join(world.url, { identity, token: world.gateway.joinToken, name: 'ann' })).close()
})

test('no header says what the name of the gateway is', async t => {
  await using world = await World.open({ publicUrls: ['https://postern.example.org'] })
  const headers = { host: 'evil.example', 'x-forwarded-host': 'evil.example', 'x-forwarded-proto': 'https' }
  const made = new HandMade(world.url, headers)
  const spec = { identity: await world.identity('ann'), token: world.gateway.joinToken }
  await made.hello({ ...spec, place: 'https://evil.example' })
  t.is((await made.hears('refused')).code, 'wrong-gateway')
  const own = new HandMade(world.url, headers)
  await own.hello({ ...spec, place: 'https://postern.example.org' })
  t.truthy(await own.hears('welcome'))
  await Promise.all([made.close(), own.close()])
})

test('a URL that cannot be checked is taken, and told by the health check for as long as the gateway runs', async t => {
  await using world = await World.open()
  const spec = { identity: await world.identity('ann'), token: world.gateway.joinToken, place: 'https://some.example' }
  t.deepEqual(await (await fetch(`${world.url}/healthz`)).json(), { ok: true })
  await (await HandMade.join(world.url, spec)).close()
  const { warnings } = (await (await fetch(`${world.url}/healthz`)).json()) as { warnings: { code: string }[] }
  t.deepEqual(
    warnings.map(({ code }) => code),
    ['unchecked-url']
  )
  t.false(JSON.stringify(warnings).includes('some.example'), 'the health check is for everybody')
})

test('a name must be one, and belongs to the first certificate that claimed it, over a restart too', async t => {
  await using world = await World.open()
  for (const name of ['', '-x', 'a b', 'x'.repeat(64), '__proto__', '../up', 'größe'])
    t.is((await refusal(world, { lie: { name } })).code, 'bad-config', name)
  const ann = await joins(world, 'ann')
  const eve = { identity: await world.identity('eve') }
  const { code, reason } = await refusal(world, eve)
  t.is(code, 'name-taken')
  t.regex(reason, /postern names forget ann/)
  await ann.close()
  await world.gateway.close()
  await world.start()
  t.is((await refusal(world, eve)).code, 'name-taken')
  await (await joins(world, 'ann')).close()
  t.deepEqual(await namesOf(world), ['ann'])
})

test('a full table refuses new names and forgets none, until the operator makes room', async t => {
  await using world = await World.open({ more: 'limits: { names: 2 }' })
  for (const name of ['ann', 'bob']) await (await joins(world, name)).close()
  const carol = { identity: await world.identity('carol'), name: 'carol' }
  const { code, reason } = await refusal(world, carol)
  t.is(code, 'name-taken')
  t.regex(reason, /2 names is full/)
  await (await joins(world, 'ann')).close()
  await (await joins(world, undefined, 'carol')).close()
  t.is((await world.api('/api/names/bob', { method: 'DELETE' })).status, 204)
  await (await joins(world, 'carol')).close()
  t.deepEqual((await namesOf(world)).toSorted(), ['ann', 'carol'])
})

test('a name that cannot be written down is not granted, free for the next, and known ones join', async t => {
  await using world = await World.open()
  await (await joins(world, 'bob')).close()
  const journal = join(world.folder, 'state', 'names.journal')
  await rename(journal, `${journal}.aside`)
  await mkdir(journal)
  const { code, reason } = await refusal(world)
  t.deepEqual([code, reason], ['gateway-disk', 'the gateway cannot keep the name now: it is not a file'])
  const forgotten = await world.api('/api/names/bob', { method: 'DELETE' })
  t.deepEqual(
    [forgotten.status, (await forgotten.json()) as object],
    [503, { code, reason: reason.replace('keep', 'forget') }]
  )
  const [refused] = world.gateway.traces.list({ limit: 1 })
  t.like(refused?.verdict, { code: 'join-refused', side: 'gateway' })
  await (await joins(world, 'bob')).close()
  t.like((await world.gateway.status()).names, { known: 1, unkept: 2 })
  await rmdir(journal)
  await rename(`${journal}.aside`, journal)
  await (await joins(world, 'ann', 'eve')).close()
  t.deepEqual(await namesOf(world), ['bob', 'ann'])
})

test('what a peer says right behind its hello is answered after its welcome, in its order', async t => {
  await using world = await World.open()
  const made = new HandMade(world.url)
  const order: string[] = []
  made.ws.on('message', data => order.push(JSON.parse(String(data)).type))
  await made.hello({ identity: await world.identity('ann'), token: world.gateway.joinToken, name: 'ann' })
  for (const at of [1, 2, 3]) made.say({ type: 'ping', at })
  for (const at of [1, 2, 3]) t.is((await made.hears('pong')).at, at)
  t.deepEqual(order, ['challenge', 'welcome', 'features', 'pong', 'pong', 'pong'])
  await made.close()
})

test('a peer that leaves while its name is written is not joined, and its name is its own', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'postern-join-'))
  t.teardown(() => rm(folder, { recursive: true }))
  const names = await Names.open(folder, { max: 9, log: { warn: () => {} } })
  const directory = new Directory(names)
  const identity = await loadIdentity(join(folder, 'ann'))
  const sent: unknown[] = []
  const gone = new AbortController()
  const link = { gone: gone.signal, send: (message: unknown) => void sent.push(message) } as unknown as PeerSocket
  const places = { check: () => {} }
  const seats = new Shares({ capacity: 9 })
  const door = { token: new GuardedToken('x'), directory, names, places, peers: 9, seats }
  const proof = { place: 'http://127.0.0.1', nonce: 'nonce', dtls: identity.fingerprint }
  const message = {
    ...{ type: 'hello' as const, v: PROTOCOL, token: 'x', name: 'ann', accepts: true },
    ...{
      certificate: identity.certificatePem,
      place: proof.place,
      dtls: proof.dtls,
      signature: signed(identity, proof)
    }
  }
  const reached = { address: '127.0.0.1', port: 80 }
  const newcomer = { from: '127.0.0.1', reached, prove: () => {}, whenShed: () => {} }
  const hello = { message, nonce: proof.nonce, cameMs: 0, newcomer }
  const joining = joinAt(hello, link, { door, drain: new Drain() } as unknown as Reception)
  gone.abort(new Error('it has left'))
  await t.throwsAsync(joining, { message: 'it has left' })
  t.deepEqual([directory.size, sent, seats.used], [0, [], 0])
  t.is(names.spelling('ann'), 'ann')
})

test('a peer is found however its name is written, and is told how it is', async t => {
  await using world = await World.open()
  const bob = await joins(world, 'Bob')
  const ann = await joins(world, 'ann')
  ann.say({ type: 'connect', request: 1, to: 'bOB' })
  t.is((await ann.hears('session')).peer.name, 'Bob')
  t.is((await bob.hears('session')).peer.name, 'ann')
  const { code } = await refusal(world, { identity: await world.identity('eve'), name: 'bob' })
  t.is(code, 'name-taken')
  const again = await joins(world, 'BOB', 'Bob')
  t.is(again.welcome.name, 'Bob')
  await Promise.all([ann.close(), bob.close(), again.close()])
})

test('of two that come at once where there is room for one, one joins, though their names are written meanwhile', async t => {
  await using world = await World.open({ more: 'limits: { peers: 2 }' })
  const first = await joins(world, undefined)
  const both = [new HandMade(world.url), new HandMade(world.url)]
  const spec = { token: world.gateway.joinToken }
  const [ann, bob] = await Promise.all(['ann', 'bob'].map(name => world.identity(name)))
  if (!ann || !bob) return t.fail()
  await Promise.all([
    both[0]?.hello({ ...spec, identity: ann, name: 'ann' }),
    both[1]?.hello({ ...spec, identity: bob, name: 'bob' })
  ])
  const answers = await Promise.all(
    both.map(made => Promise.any([made.hears('welcome'), made.hears('refused')]).then(({ type }) => type))
  )
  t.deepEqual(answers.sort(), ['refused', 'welcome'])
  t.is((await world.gateway.status()).peers, 2)
  await Promise.all([first, ...both].map(made => made.close()))
})

test('all names of a certificate are forgotten at once', async t => {
  await using world = await World.open()
  for (const name of ['one', 'two']) await (await joins(world, name, 'ann')).close()
  await (await joins(world, 'bob')).close()
  const { fingerprint } = await world.identity('ann')
  const forget = (of: string) => world.api(`/api/names?fingerprint=${of}`, { method: 'DELETE' })
  t.is((await forget('x')).status, 400)
  const answer = await forget(fingerprint.replaceAll(':', '').toLowerCase())
  t.deepEqual(await answer.json(), { forgotten: ['one', 'two'] })
  t.is((await forget(fingerprint)).status, 404)
  t.deepEqual(await namesOf(world), ['bob'])
})

test('who says nothing is shown out', async t => {
  await using waiting = await reception({ helloMs: 50 })
  const made = new HandMade(waiting.url)
  t.is((await made.hears('refused')).code, 'timeout')
  t.is(await made.closed, 1008)
  t.is(waiting.counters.refused, 1)
})

test('twelve jobs of one computer are joined at once, and one certificate is never joined more than thirty-two times', async t => {
  await using world = await World.open()
  const links = []
  for (let link = 0; link < 32; link++) links.push(await joins(world, link < 28 ? undefined : `ann${link}`, 'ann'))
  const { code, reason, retryMs } = await refusal(world, { name: 'ann-again' })
  t.deepEqual([code, reason], ['relay-full', 'this certificate is joined 32 times already'])
  t.true(retryMs >= 1000 && retryMs <= 3000, 'it is told to wait, since jobs end')
  t.false((await namesOf(world)).includes('ann-again'))
  const bob = await joins(world, 'bob')
  await links.pop()?.close()
  await until(async () => (await world.gateway.status()).peers === 32)
  links.push(await joins(world, 'ann-again', 'ann'))
  await Promise.all([...links, bob].map(made => made.close()))
})

test('a hundred peers of one address that come at once are all in', async t => {
  await using world = await World.open()
  const keys = await Promise.all(['a', 'b', 'c', 'd'].map(name => world.identity(name)))
  const links = keys.flatMap(identity =>
    Array.from({ length: 25 }, () => ({ identity, made: new HandMade(world.url) }))
  )
  await Promise.all(
    links.map(async ({ identity, made }) => {
      await made.hello({ identity, token: world.gateway.joinToken })
      await made.hears('welcome')
    })
  )
  t.is((await world.gateway.status()).peers, 100)
  for (const { made } of links) made.ws.terminate()
})

test('the last seats are for networks that have none, and whoever finds none is told to wait', async t => {
  await using world = await World.open({ more: 'limits: { peers: 10 }', trustProxy: ['127.0.0.1'] })
  const identity = await world.identity('ann')
  const links: HandMade[] = []
  const come = async (address: string) => {
    const made = new HandMade(world.url, { 'x-forwarded-for': address })
    links.push(made)
    await made.hello({ identity, token: world.gateway.joinToken })
    return await Promise.any([made.hears('welcome'), made.hears('refused')])
  }
  for (let index = 0; index < 9; index++) t.is((await come(`203.0.113.${index}`)).type, 'welcome')
  const refused = await come('203.0.113.9')
  t.like(refused, {
    code: 'relay-full',
    reason: 'the gateway keeps its last seats for other networks: 9 of 10 peers are joined'
  })
  t.true('retryMs' in refused && refused.retryMs !== undefined && refused.retryMs >= 1000)
  t.is((await come('198.51.100.1')).type, 'refused', 'the certificate has as many')
  await joins(world, 'bob')
  for (const { ws } of links) ws.terminate()
})

test('the twenty-first wrong join token of a network within a minute is refused unseen, and a long right one never', async t => {
  const token = 'fifteen-letters'
  const guard = new GuardedToken(token)
  for (let guess = 0; guess < 20; guess++) t.is(guard.check(`${guess}`, `203.0.113.${guess}`), 'wrong')
  t.is(guard.check(token, '203.0.113.200'), 'limited')
  t.is(guard.check(token, '203.0.114.1'), 'right')
  await using world = await World.open()
  for (let guess = 0; guess < 20; guess++) await refusal(world, { token: 'wrong' })
  const { code, reason, retryMs } = await refusal(world, { token: 'wrong' })
  t.is(code, 'bad-token')
  t.regex(reason, /too many wrong join tokens came from this network/)
  t.true(retryMs >= 60_000)
  t.like((await world.gateway.status()).signalling, { refused: 21, full: { wrongTokens: 1 } })
  await (await joins(world, 'ann')).close()
})

test('links of one certificate are heard as one', async t => {
  await using world = await World.open({ more: 'limits: { messagesPerSecond: 50 }' })
  const links = await Promise.all(Array.from({ length: 4 }, () => joins(world, undefined, 'ann')))
  const startMs = performance.now()
  for (const made of links) for (let at = 0; at < 25; at++) made.say({ type: 'ping', at })
  for (const made of links) for (let at = 0; at < 25; at++) t.is((await made.hears('pong')).at, at)
  const tookMs = performance.now() - startMs
  t.true(tookMs > 800, `50 over the budget take a second, not ${tookMs} ms`)
  await Promise.all(links.map(made => made.close()))
})

test('nobody gets a second try on the same link', async t => {
  await using world = await World.open()
  const made = new HandMade(world.url)
  const spec = { identity: await world.identity('ann'), token: world.gateway.joinToken, name: 'ann' }
  const { nonce } = await made.hears('challenge')
  const right = { type: 'challenge', v: PROTOCOL, nonce } as const
  // Both lie in one segment, so that the second has arrived before the refusal has left.
  made.ws.pause()
  for (const token of ['wrong', spec.token]) {
    made.heard.push(right)
    await made.hello({ ...spec, token })
  }
  made.ws.resume()
  t.is((await made.hears('refused')).code, 'bad-token')
  await made.closed
  t.is((await world.gateway.status()).signalling.joined, 0)
  t.deepEqual(made.heard, [])
})

test('a gateway that is full says so, and a peer that leaves makes room', async t => {
  await using world = await World.open({ more: 'limits: { peers: 1 }' })
  const ann = await joins(world, 'ann')
  const bob = { identity: await world.identity('bob'), name: 'bob' }
  t.is((await refusal(world, bob)).code, 'relay-full')
  await ann.close()
  await until(async () => (await world.gateway.status()).peers === 0)
  await (await joins(world, 'bob')).close()
})

test('a connect to oneself, to nobody, to one who left, to a guest or with a wrong pin is refused by itself', async t => {
  await using world = await World.open()
  const [ann, bob, guest] = [await joins(world, 'ann'), await joins(world, 'bob'), await joins(world, undefined)]
  const pin = (await world.identity('eve')).fingerprint
  t.is(await refusedConnect(t, world, ann, 'ann'), 'self-connect')
  t.is(await refusedConnect(t, world, ann, 'nobody'), 'unknown-peer')
  t.is(await refusedConnect(t, world, ann, guest.welcome.name), 'unknown-peer')
  t.is(await refusedConnect(t, world, ann, 'bob', { fingerprint: pin }), 'fingerprint-mismatch')
  await bob.close()
  await until(async () => (await world.gateway.status()).peers === 2)
  t.is(await refusedConnect(t, world, ann, 'bob'), 'peer-offline')
  t.is((await world.gateway.status()).sessions.started, 0)
  await Promise.all([ann.close(), guest.close()])
})

test('a second process of one peer is that peer: a connect to it is one to oneself', async t => {
  await using world = await World.open()
  const [waiting, calling] = [await joins(world, 'ann'), await joins(world, undefined, 'ann')]
  t.is(await refusedConnect(t, world, calling, 'ann'), 'self-connect')
  await Promise.all([waiting.close(), calling.close()])
})

test('a name that only calls does not take the place of the one that accepts', async t => {
  await using world = await World.open()
  const accepting = await joins(world, 'ann')
  const spec = { identity: await world.identity('ann'), token: world.gateway.joinToken, name: 'ann', accepts: false }
  const calling = await HandMade.join(world.url, spec)
  const bob = await joins(world, 'bob')
  bob.say({ type: 'connect', request: 1, to: 'ann' })
  t.is((await accepting.hears('session')).peer.name, 'bob')
  await Promise.all([accepting.close(), calling.close(), bob.close()])
})

test('what is binary, malformed, unknown or said in the wrong place ends that link, and no other', async t => {
  await using world = await World.open()
  const other = await joins(world, 'other')
  const wrong = [
    Buffer.from('{"type":"ping","at":1}'),
    'no JSON',
    '{"type":"ping"}',
    '{"type":"ping","at":1,"more":1}',
    '{"type":"surprise"}',
    '[]',
    'null',
    { type: 'hello', v: PROTOCOL, token: '', certificate: '', signature: '', accepts: true }
  ]
  for (const message of wrong) {
    const peer = await joins(world, 'ann')
    peer.say(message)
    t.is((await peer.hears('refused')).code, 'bad-message', String(message))
    t.is(await peer.closed, 1008)
  }
  t.is((await world.gateway.status()).signalling.malformed, wrong.length)
  await other.settled()
  t.is((await world.gateway.status()).peers, 1)
  await other.close()
})

test('before the hello nothing else is heard', async t => {
  await using world = await World.open()
  const made = new HandMade(world.url)
  await made.hears('challenge')
  made.say({ type: 'ping', at: 1 })
  t.is((await made.hears('refused')).code, 'bad-message')
  t.is(await made.closed, 1008)
})

test('a message that is too long is not read to its end: closed with 1009, and counted', async t => {
  await using world = await World.open()
  const peer = await joins(world, 'ann')
  peer.say('x'.repeat(MESSAGE_BYTES + 1))
  t.is(await peer.closed, 1009)
  t.is((await world.gateway.status()).signalling.malformed, 1)
})

test('a peer that says too much is read from later; nothing it said is lost, and nobody else waits', async t => {
  await using world = await World.open({ more: 'limits: { messagesPerSecond: 10 }' })
  const [flood, other] = [await joins(world, 'flood'), await joins(world, 'other')]
  const startMs = performance.now()
  // Padded, so that they do not all lie in the one segment that was read before the budget was found to be spent.
  const padding = ' '.repeat(8000)
  for (let at = 0; at < 40; at++) flood.say(`{"type":"ping","at":${at}${padding}}`)
  await other.settled()
  t.true(flood.heard.length < 40, 'the other is answered while the flood is still waiting')
  for (let at = 0; at < 40; at++) t.is((await flood.hears('pong')).at, at)
  const tookMs = performance.now() - startMs
  t.true(tookMs > 1000, `30 over the budget take 3 s but for those of one segment, not ${tookMs} ms`)
  t.true((await world.gateway.status()).signalling.slowed > 0)
  t.is((await world.gateway.status()).signalling.refused, 0)
  await Promise.all([flood.close(), other.close()])
})

test('a peer that reads nothing is cut off before its backlog grows without end', async t => {
  await using world = await World.open({ more: 'limits: { messagesPerSecond: 100000 }' })
  const deaf = await joins(world, 'deaf')
  deaf.ws.pause()
  const cutOff = until(async () => (await world.gateway.status()).peers === 0, 60_000)
  // Each answer repeats the name, and so fills the buffers of both kernels sooner than a short one.
  const flood = () => {
    for (let request = 0; request < 5000; request++) deaf.say({ type: 'connect', request, to: 'x'.repeat(250) })
  }
  const flooding = setInterval(() => deaf.ws.bufferedAmount === 0 && flood(), 100)
  await cutOff
  clearInterval(flooding)
  deaf.ws.terminate()
  t.pass()
})

test('a word on a session from a peer that takes no part in it is ignored', async t => {
  await using world = await World.open()
  const [ann, bob, eve] = [await joins(world, 'ann'), await joins(world, 'bob'), await joins(world, 'eve')]
  ann.say({ type: 'connect', request: 0, to: 'bob' })
  const { session } = await ann.hears('session')
  eve.say({ type: 'leave', session, code: 'io', reason: 'no' })
  eve.say({ type: 'failed', session, plan: 1, code: 'io', reason: 'no', report: nothingDone })
  eve.say({ type: 'leave', session: '0'.repeat(16), code: 'io', reason: 'no such session' })
  await eve.settled()
  t.is((await world.gateway.status()).sessions.now, 1)
  bob.say({ type: 'leave', session, code: 'constructor', reason: 'enough' })
  const { code, reason } = await ann.hears('over')
  t.deepEqual([code, reason], ['io', 'bob left: enough'])
  await until(async () => (await world.gateway.status()).sessions.now === 0)
  await Promise.all([ann.close(), bob.close(), eve.close()])
})

async function namesOf(world: World): Promise<string[]> {
  const told = (await (await world.api('/api/names')).json()) as { name: string }[]
  const names = told.map(({ name }) => name)
  // Opened a second time on a copy, as a restart would find it.
  const copy = await mkdtemp(join(tmpdir(), 'postern-copy-'))
  await cp(join(world.folder, 'state'), copy, { recursive: true })
  const written = (await Names.open(copy, { max: 99, log: { warn: () => {} } })).list().map(([name]) => name)
  await rm(copy, { recursive: true })
  if (JSON.stringify(names) !== JSON.stringify(written)) throw new Error(`on disk there is ${written}, not ${names}`)
  return names
}

/** The reception alone: links are served, and nobody gets further than the door. */
async function reception({ helloMs }: { helloMs?: number }) {
  const server = createServer()
  const sockets = new WebSocketServer({ server, path: JOIN_PATH })
  const counters = noneYet()
  const none = undefined as never
  const log = { info: () => {} }
  const reached = { address: '127.0.0.1', port: 80 }
  const newcomer = { from: '127.0.0.1', reached, prove: none, whenShed: () => {} }
  sockets.on('connection', ws =>
    receive(ws, newcomer, {
      door: {
        ...{
          directory: none,
          rooms: none,
          names: none,
          observer: none,
          places: none,
          peers: 10,
          relayPorts: [],
          seats: new Shares({ capacity: 10 })
        },
        token: new GuardedToken('x'),
        ...(helloMs === undefined ? {} : { helloMs })
      },
      desk: { members: none, sessions: none, sources: none, twins: none, nat: none, forwards: none, rooms: none },
      drain: new Drain(),
      ...{ pace: new Pace(10), log, refusalLog: new RefusalLog({ log }) },
      counters,
      refusals: new Refusals(
        { tracer: trace.getTracer('none'), judge: () => undefined, keyOf: () => undefined },
        counters
      )
    })
  )
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    counters,
    async [Symbol.asyncDispose]() {
      for (const ws of sockets.clients) ws.terminate()
      server.close()
      await once(server, 'close')
    }
  }
}
