import { createHash, generateKeyPairSync, sign as signBytes } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { GuardedToken } from '../../../src/gateway/peers/guarded-token.ts'
import { Rooms } from '../../../src/gateway/rooms/rooms.ts'
import { normaliseFingerprint } from '../../../src/wire/identity/fingerprint.ts'
import { helloProof } from '../../../src/wire/identity/proof.ts'
import { roomKeys } from '../../../src/wire/room/keys.ts'
import { newSecret } from '../../../src/wire/room/link.ts'
import { entryProof } from '../../../src/wire/room/proof.ts'
import { canLimit, limitFiles } from '../../full-disk.ts'
import { HandMade } from '../../hand-made.ts'
import { until } from '../../until.ts'
import { Hand } from '../session/made.ts'
import { answerOf, House, type Key, rosterWith } from './house.ts'

const unknown = (to: string) => `nobody has ever joined as ${to}`

/** A request for a peer, and what it is refused with. */
async function refusedConnect(from: HandMade, to: string, more: object = {}) {
  from.say({ type: 'connect', request: 9, to, ...more })
  const { code, reason } = await from.hears('refused')
  return { code, reason }
}

async function introduced(t: ExecutionContext, from: HandMade, to: HandMade): Promise<void> {
  from.say({ type: 'connect', request: 3, to: to.welcome.name })
  const [caller, callee] = await Promise.all([from.hears('session'), to.hears('session')])
  t.deepEqual([caller.peer.name, callee.peer.name], [to.welcome.name, from.welcome.name])
  from.say({ type: 'leave', session: caller.session, code: 'io', reason: 'enough' })
  await from.hears('over')
}

test('whoever has the link is a guest with a name for this join alone; the first is in, and the next one waits', async t => {
  await using house = await House.open()
  const room = await house.room(await house.maker())
  const { guest: bob, roster } = await house.guest(room, 'bob')
  const { peer: id, name } = bob.welcome
  t.is(name, `guest-${id}`)
  t.false(bob.features?.features.includes('proofs'))
  t.deepEqual(roster, {
    ...{ type: 'roster', room: 'standup', isIn: true, inside: 1 },
    members: [{ id, name, isIn: true }]
  })
  const { guest: carol, roster: waiting } = await house.guest(room, 'carol')
  t.deepEqual(waiting, { type: 'roster', room: 'standup', isIn: false, inside: 1, members: [] })
  const both = await bob.hears('roster')
  const here = { id: carol.welcome.peer, name: carol.welcome.name }
  t.deepEqual(both.members, [...roster.members, { ...here, isIn: false }])
  bob.say({ type: 'admit', id: here.id })
  const inside = await rosterWith(carol, ({ isIn }) => isIn)
  t.deepEqual(inside.members, [...roster.members, { ...here, isIn: true }])
  t.deepEqual((await bob.hears('roster')).members, inside.members)
  t.like((await house.world.gateway.status()).rooms, { open: 1, inside: 2, waiting: 0, made: 1 })
})

test('without the secret nobody enters, and nobody is told whether there is such a room', async t => {
  await using house = await House.open()
  const maker = await house.maker()
  const room = await house.room(maker)
  const gone = await house.room(maker, 'gone')
  maker.say({ type: 'close-room', request: 2, name: 'GONE' })
  t.like(await answerOf(maker), { type: 'room', name: 'GONE' })
  const short = await house.room(maker, 'short', { hours: 1 / 3600 })
  await until(async () => (await house.world.gateway.status()).rooms.open === 1)
  const answers = [
    await house.refused({ ...room, secret: newSecret() }, 'eve'),
    await house.refused({ name: 'nowhere', secret: newSecret() }, 'eve'),
    await house.refused(gone, 'eve'),
    await house.refused(short, 'eve'),
    await house.refused(room, 'eve', { lie: { room: { name: 'standup', proof: '' } } }),
    await house.refused(room, 'eve', { lie: { room: { name: 'standup', proof: 'AAAA' } } })
  ]
  t.is(answers[0]?.code, 'no-room')
  t.regex(answers[0]?.reason ?? '', /^this link leads to no room: /)
  for (const answer of answers) t.deepEqual(answer, answers[0])
})

test('a proof is good for one room, one gateway, one join and one certificate, and means nothing elsewhere', async t => {
  await using house = await House.open()
  const maker = await house.maker()
  const room = await house.room(maker)
  const eve = await house.world.identity('eve')
  const fingerprint = (await house.world.identity('bob')).fingerprint
  const elsewhere = [
    { room: 'standup2' },
    { place: 'https://other.example.org' },
    { nonce: 'b2YgYW5vdGhlciBqb2lu' },
    { fingerprint },
    { dtls: fingerprint }
  ]
  for (const entry of elsewhere)
    t.is((await house.refused(room, 'eve', { entry })).code, 'no-room', JSON.stringify(entry))
  const proof = { place: house.world.url, nonce: 'bm9uY2U=', dtls: eve.fingerprint }
  t.notDeepEqual(entryProof({ room: 'a', fingerprint: 'b', ...proof }).slice(0, 13), helloProof(proof).slice(0, 13))
  const other = await house.room(maker, 'standup2')
  t.is((await house.refused({ name: other.name, secret: room.secret }, 'eve')).code, 'no-room')
  t.true((await house.guest(room, 'eve')).roster.isIn, 'with none of these it is good')
})

test('a proof that was heard is good at no other link', async t => {
  await using house = await House.open()
  const room = await house.room(await house.maker())
  const bob = new HandMade(house.world.url)
  const said: string[] = []
  const send = bob.ws.send.bind(bob.ws)
  bob.ws.send = ((text: string) => {
    said.push(text)
    send(text)
  }) as typeof bob.ws.send
  await bob.hello({ identity: await house.world.identity('bob'), room })
  await bob.hears('welcome')
  const eve = new HandMade(house.world.url)
  await eve.hears('challenge')
  eve.say(said[0] ?? '')
  t.is((await eve.hears('refused')).code, 'fingerprint-mismatch')
  await Promise.all([bob.close(), eve.close()])
})

test('a hello has a token or a room, and a guest no name of its own', async t => {
  await using house = await House.open()
  const room = await house.room(await house.maker())
  const token = house.world.gateway.joinToken
  t.is((await house.refused(room, 'bob', { lie: { token } })).code, 'bad-message')
  t.is((await house.refused(room, 'bob', { lie: { room: undefined } })).code, 'bad-message')
  t.is((await house.refused(room, 'bob', { name: 'bob' })).code, 'bad-message')
  const names = (await (await house.world.api('/api/names')).json()) as { name: string }[]
  t.deepEqual(
    names.map(({ name }) => name),
    ['ann']
  )
})

test('a guest reaches those inside its room alone, once it is inside, and nobody else reaches it', async t => {
  await using house = await House.open()
  const maker = await house.maker()
  const [one, other] = [await house.room(maker, 'one'), await house.room(maker, 'other')]
  const { guest: bob } = await house.guest(one, 'bob')
  const { guest: carol } = await house.guest(one, 'carol')
  const { guest: dave } = await house.guest(other, 'dave')
  const nobody = { code: 'unknown-peer', reason: unknown('guest-0123456789ab') }
  t.deepEqual(await refusedConnect(bob, 'guest-0123456789ab'), nobody)
  const strangers: [HandMade, string][] = [
    [bob, 'ann'],
    [bob, 'nobody'],
    [bob, dave.welcome.name],
    [bob, carol.welcome.name],
    [carol, bob.welcome.name],
    [dave, bob.welcome.name],
    [maker, bob.welcome.name],
    [maker, carol.welcome.name]
  ]
  for (const [from, to] of strangers)
    t.deepEqual(await refusedConnect(from, to), { code: 'unknown-peer', reason: unknown(to) }, to)
  // By the id that each of them has, which nobody told: as if one of them had a connection to continue.
  const offline = { code: 'peer-offline', reason: 'the other side of this connection is not joined now' }
  const continues = (peer: string) => ({ continues: { session: '0'.repeat(16), peer, only: 'direct' } })
  for (const [from, to] of [
    [bob, dave],
    [bob, carol],
    [carol, bob],
    [maker, bob],
    [bob, maker]
  ] as const)
    t.deepEqual(await refusedConnect(from, 'x', continues(to.welcome.peer)), offline)
  t.deepEqual(await refusedConnect(bob, 'x', continues('0123456789ab')), offline)
  bob.say({ type: 'admit', id: carol.welcome.peer })
  await rosterWith(carol, ({ isIn }) => isIn)
  await introduced(t, carol, bob)
  await introduced(t, bob, carol)
})

test('whoever waits is told no id, no name and no address of those inside, and lets nobody in', async t => {
  await using house = await House.open()
  const room = await house.room(await house.maker())
  const { guest: bob } = await house.guest(room, 'bob')
  await bob.warm(0)
  const { guest: carol } = await house.guest(room, 'carol')
  const { guest: dave } = await house.guest(room, 'dave')
  await carol.warm(0)
  for (const id of [carol, dave].map(({ welcome }) => welcome.peer)) {
    carol.say({ type: 'admit', id })
    carol.say({ type: 'turn-away', id: dave.welcome.peer })
  }
  carol.say({ type: 'connect', request: 1, to: bob.welcome.name })
  await carol.hears('refused')
  await Promise.all([carol.settled(), dave.settled(), bob.settled()])
  const told = JSON.stringify(carol.heard)
  for (const word of [bob.welcome.peer, dave.welcome.peer, '127.0.0.1', bob.welcome.name])
    t.false(told.includes(word), word)
  t.like((await house.world.gateway.status()).rooms, { inside: 1, waiting: 2 })
  t.deepEqual(
    bob.heard.filter(({ type }) => type === 'session'),
    []
  )
})

test('whoever is turned away is told so, and its link ends; who is inside already stays', async t => {
  await using house = await House.open()
  const room = await house.room(await house.maker())
  const { guest: bob } = await house.guest(room, 'bob')
  const { guest: carol } = await house.guest(room, 'carol')
  bob.say({ type: 'turn-away', id: carol.welcome.peer })
  t.is((await carol.hears('refused')).code, 'turned-away')
  t.is(await carol.closed, 1008)
  const { guest: dave } = await house.guest(room, 'dave')
  bob.say({ type: 'admit', id: dave.welcome.peer })
  await rosterWith(dave, ({ isIn }) => isIn)
  bob.say({ type: 'turn-away', id: dave.welcome.peer })
  bob.say({ type: 'turn-away', id: 'none' })
  await bob.settled()
  await introduced(t, bob, dave)
})

test('four are inside and eight wait; one more is told that it is full', async t => {
  await using house = await House.open()
  const room = await house.room(await house.maker())
  const { guest: first } = await house.guest(room, 'g0')
  const others = []
  for (let at = 1; at < 9; at++) others.push((await house.guest(room, `g${at}`)).guest)
  const crowd = await house.refused(room, 'more')
  t.is(crowd.code, 'room-full')
  t.regex(crowd.reason, /^8 wait to be let into this room already/)
  for (const { welcome } of others.slice(0, 4)) first.say({ type: 'admit', id: welcome.peer })
  await rosterWith(first, ({ inside }) => inside === 4)
  await first.settled()
  t.like((await house.world.gateway.status()).rooms, { inside: 4, waiting: 5 }, 'the fifth stays where it is')
  t.deepEqual(await house.refused(room, 'more'), {
    code: 'room-full',
    reason: '4 are in this room, as many as it takes'
  })
  await others[0]?.close()
  first.say({ type: 'admit', id: others[3]?.welcome.peer })
  await rosterWith(first, ({ inside, members }) => inside === 4 && members.length === 8)
})

test('twenty knocks a minute come to a room, and other rooms have theirs', async t => {
  await using house = await House.open()
  const maker = await house.maker()
  const room = await house.room(maker)
  for (let at = 0; at < 20; at++) await (await house.guest(room, `g${at}`)).guest.close()
  const late = await house.refused(room, 'late')
  t.is(late.code, 'room-full')
  t.regex(late.reason, /^20 have knocked at this room within a minute; ask again in 60 s$/)
  t.true((await house.guest(room, 'g19')).roster.isIn, 'whoever was inside a moment ago comes back')
  t.true((await house.guest(await house.room(maker, 'other'), 'late')).roster.isIn)
  t.is((await house.world.gateway.status()).signalling.full.knocks, 1)
})

test('links that are not good count as wrong tokens of a network do, and keep nobody out who has a good one', async t => {
  await using house = await House.open()
  const room = await house.room(await house.maker())
  const wrong = { ...room, secret: newSecret() }
  for (let at = 0; at < 20; at++) t.regex((await house.refused(wrong, 'eve')).reason, /leads to no room/)
  const limited = await house.refused(wrong, 'eve')
  t.is(limited.code, 'no-room')
  t.regex(limited.reason, /^too many links that are not good came from this network; ask again/)
  t.is((await house.world.gateway.status()).signalling.full.wrongTokens, 1)
  t.true((await house.guest(room, 'bob')).roster.isIn)
})

test('a guest has no judgement of its network, claims nothing and makes no rooms', async t => {
  await using house = await House.open()
  const room = await house.room(await house.maker())
  const { guest: bob } = await house.guest(room, 'bob')
  const entry = 'A'.repeat(43)
  const sockets = [{ socket: 0, port: 4000 }]
  bob.say({ type: 'nat', request: 1, sockets, addresses: [], rttMs: 1 })
  bob.say({ type: 'room', request: 2, name: 'mine', entry })
  bob.say({ type: 'close-room', request: 3, name: 'standup' })
  for (const request of [1, 2, 3]) t.like(await bob.hears('refused'), { request, code: 'no-room' })
  t.is((await house.world.gateway.status()).rooms.open, 1)
  bob.say({ type: 'claim', socket: 0, port: 4000, endpoint: { address: '203.0.113.1', port: 4000 }, by: 'given' })
  t.is((await bob.hears('refused')).code, 'bad-message')
})

test('a room belongs to who made it, who alone makes it anew or closes it; then all in it have to go', async t => {
  await using house = await House.open()
  const [ann, eve] = [await house.maker(), await house.maker('eve')]
  const room = await house.room(ann)
  const { answer } = await house.asked(eve, 'StandUp')
  t.like(answer, { type: 'refused', code: 'name-taken' })
  eve.say({ type: 'close-room', request: 5, name: 'standup' })
  const foreign = await answerOf(eve)
  eve.say({ type: 'close-room', request: 5, name: 'nowhere' })
  const none = await answerOf(eve)
  t.like(foreign, { type: 'refused', code: 'no-room' })
  t.is(JSON.stringify(none), JSON.stringify(foreign).replace('standup', 'nowhere'))
  const { guest: bob } = await house.guest(room, 'bob')
  const anew = await house.room(ann)
  t.like(await bob.hears('refused'), { code: 'no-room', reason: 'this room was made anew; ask for its new link' })
  t.is((await house.refused(room, 'bob')).code, 'no-room')
  const { guest: carol } = await house.guest(anew, 'carol')
  ann.say({ type: 'close-room', request: 6, name: 'standup' })
  t.is((await carol.hears('refused')).code, 'no-room')
  t.is((await house.refused(anew, 'carol')).code, 'no-room')
  t.like((await house.asked(eve, 'standup')).answer, { type: 'room' }, 'the name is free')
})

test('what a link is good for is said, bounded, and over when it is over', async t => {
  await using house = await House.open({ more: '', publicUrls: ['http://127.0.0.1', 'https://call.example.org/x'] })
  const identity = await house.world.identity('ann')
  const place = 'https://call.example.org/x'
  await using ann = await HandMade.join(house.world.url, { identity, token: house.world.gateway.joinToken, place })
  const { answer } = await house.asked(ann, 'standup', { hours: 2 })
  t.like(answer, { type: 'room', url: place })
  t.true(answer.type === 'room' && Math.abs(answer.expiresMs - Date.now() - 7_200_000) < 5000)
  t.like((await house.asked(ann, 'long', { hours: 25 })).answer, { type: 'refused', code: 'bad-config' })
  const { key } = await house.asked(ann, 'short', { hours: 1.5 / 3600 })
  const { guest: bob } = await house.guest(key, 'bob', { place })
  t.like(await bob.hears('refused'), {
    code: 'no-room',
    reason: 'the link of this room has expired; ask for a new one'
  })
})

test('rooms are bounded in all, and one network leaves others some', async t => {
  await using house = await House.open({ call: 'enabled: true, rooms: 20' })
  const [ann, eve] = [await house.maker(), await house.maker('eve', '198.51.100.7')]
  await house.room(eve)
  for (let at = 0; at < 25; at++) {
    const { answer } = await house.asked(ann, `r${at}`)
    if (answer.type === 'room') continue
    t.like(answer, { code: 'relay-full', reason: `the gateway has no room for another room: ${at + 1} of 20 are open` })
    t.true(at > 10 && at < 20, `${at} rooms`)
    break
  }
  await house.room(eve, 'another')
  t.like(await house.asked(ann, 'r0'), { answer: { type: 'room' } }, 'one that is there is made anew all the same')
  t.like((await house.world.gateway.status()).rooms, { refused: 1 })
})

test('one certificate makes or closes thirty rooms within a minute', async t => {
  await using house = await House.open()
  const [ann, eve] = [await house.maker(), await house.maker('eve')]
  for (let at = 0; at < 15; at++) {
    await house.room(ann)
    ann.say({ type: 'close-room', request: 2, name: 'standup' })
    t.like(await answerOf(ann), { type: 'room' })
  }
  const { answer } = await house.asked(ann, 'standup')
  t.like(answer, { type: 'refused', code: 'relay-full', retryMs: 60_000 })
  t.like((await house.asked(eve, 'standup')).answer, { type: 'room' })
})

test('names of rooms are such as peers have', async t => {
  await using house = await House.open()
  for (const name of ['', '-a', 'a/b', 'a b', 'x'.repeat(64)]) {
    const ann = await house.maker()
    ann.say({ type: 'room', request: 1, name, entry: 'A'.repeat(43) })
    t.like(await ann.hears('refused'), { code: 'bad-message' }, name)
  }
})

test('a gateway that has no rooms says so to makers and to guests', async t => {
  await using house = await House.open({ call: 'enabled: false' })
  const ann = await house.maker()
  const { key, answer } = await house.asked(ann, 'standup')
  t.like(answer, { type: 'refused', code: 'no-room' })
  const refused = await house.refused(key, 'bob')
  t.is(refused.code, 'no-room')
  t.regex(refused.reason, /^this gateway has no rooms; its operator can let it have some/)
  await t.throwsAsync(readFile(join(house.world.folder, 'state', 'rooms.json')), { code: 'ENOENT' })
})

test('rooms outlive a restart of the gateway, and their file has no secret', async t => {
  await using house = await House.open()
  const maker = await house.maker()
  const [room, short] = [await house.room(maker), await house.room(maker, 'short', { hours: 1 / 3600 })]
  const closed = await house.room(maker, 'closed')
  maker.say({ type: 'close-room', request: 2, name: 'closed' })
  await answerOf(maker)
  await house.world.gateway.close()
  const text = await readFile(join(house.world.folder, 'state', 'rooms.json'), 'utf8')
  for (const { secret } of [room, short]) t.false(text.includes(secret))
  await until(() => Date.now() > Date.parse(new Date(JSON.parse(text).rooms[1].expiresMs).toISOString()))
  await house.world.start()
  t.true((await house.guest(room, 'bob')).roster.isIn)
  for (const gone of [short, closed]) t.is((await house.refused(gone, 'carol')).code, 'no-room')
  const again = await house.maker()
  t.like((await house.asked(await house.maker('eve'), 'standup')).answer, { code: 'name-taken' })
  t.like((await house.asked(again, 'standup')).answer, { type: 'room' }, 'its maker is known by its certificate')
})

test('of a damaged file what is whole is kept, and the log says what is lost', async t => {
  await using house = await House.open()
  const maker = await house.maker()
  const [room, other] = [await house.room(maker), await house.room(maker, 'other')]
  await house.world.gateway.close()
  const file = join(house.world.folder, 'state', 'rooms.json')
  const { rooms } = JSON.parse(await readFile(file, 'utf8'))
  await writeFile(file, JSON.stringify({ rooms: [{ ...rooms[1], entry: 'x' }, rooms[0]] }))
  await house.world.start()
  t.true((await house.guest(room, 'bob')).roster.isIn)
  t.is((await house.refused(other, 'bob')).code, 'no-room')
  t.regex(await readFile(`${file}.damaged`, 'utf8'), /"entry":"x"/)
  await house.world.gateway.close()
  await writeFile(file, 'no JSON')
  await house.world.start()
  t.is((await house.refused(room, 'bob')).code, 'no-room')
})

test('a link whose time is over is good no more, also where the timer for it is late', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'postern-rooms-'))
  const guarded = new GuardedToken('x')
  await using rooms = await Rooms.open(folder, guarded, { max: 1, hours: 1, log: { warn: () => {} } })
  const room = { name: 'standup', secret: newSecret() }
  const { entry, sign } = await roomKeys(room)
  const about = { room: 'standup', place: 'http://a', nonce: '', fingerprint: 'AA', dtls: 'AA' }
  const knock = { ...about, proof: await sign(entryProof(about)), from: '127.0.0.1' }
  const asked = { type: 'room', request: 1, name: 'standup', entry: await entry(), hours: 0.1 / 3600 } as const
  // All in one turn of the loop, in which no timer runs.
  const made = rooms.make(new Hand('ann'), asked)
  t.is(rooms.knocked(knock).name, 'standup')
  const endMs = Date.now() + 110
  while (Date.now() < endMs);
  t.throws(() => rooms.knocked(knock), { code: 'no-room' })
  t.is(rooms.size, 1)
  await made
  await rm(folder, { recursive: true })
})

test('a page is a guest as well: by its key, which vouches for a certificate that cannot sign', async t => {
  await using house = await House.open()
  const room = await house.room(await house.maker())
  const { sign } = await roomKeys(room)
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const spki = publicKey.export({ type: 'spki', format: 'der' })
  const fingerprint = normaliseFingerprint(createHash('sha256').update(spki).digest('hex')) ?? ''
  const dtls = (await house.world.identity('certificate')).fingerprint
  const place = house.world.url
  const page = async (about: { fingerprint: string }) => {
    const made = new HandMade(house.world.url)
    const { nonce } = await made.hears('challenge')
    const proof = await sign(entryProof({ room: room.name, place, nonce, dtls, ...about }))
    const hello = helloProof({ place, nonce, dtls })
    const signature = signBytes('sha256', hello, { key: privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64')
    const key = spki.toString('base64')
    const iceOnly = { perConnection: 20, inAll: 100, connections: 8 }
    made.say({
      type: 'hello',
      v: 3,
      room: { name: room.name, proof },
      key,
      iceOnly,
      place,
      dtls,
      signature,
      accepts: true
    })
    return made
  }
  // What the proof is about is the key, and not the certificate.
  await using wrong = await page({ fingerprint: dtls })
  t.is((await wrong.hears('refused')).code, 'no-room')
  await using right = await page({ fingerprint })
  t.like(await right.hears('roster'), { isIn: true })
})

const limited = canLimit ? test.serial : test.serial.skip

limited('a room is granted when it is on disk, and otherwise nothing is as if it were', async t => {
  await using house = await House.open()
  const maker = await house.maker()
  const room = await house.room(maker)
  {
    using _full = limitFiles(10)
    t.like((await house.asked(maker, 'standup')).answer, { type: 'refused', code: 'gateway-disk' })
    t.like((await house.asked(maker, 'another')).answer, { type: 'refused', code: 'gateway-disk' })
  }
  t.like((await house.world.gateway.status()).rooms, { open: 1, unkept: 2 })
  t.true((await house.guest(room, 'bob')).roster.isIn, 'the room before is what it was')
})

test('what guests use is what their maker has: seats, and what is under way', async t => {
  await using house = await House.open({ more: 'limits: { sessionsPerPeer: 2 }' })
  const ann = await house.maker()
  const rooms: Key[] = []
  for (let at = 0; at < 4; at++) rooms.push(await house.room(ann, `r${at}`))
  const guests: HandMade[] = []
  // A certificate is joined 32 times, its maker included.
  for (let at = 0; at < 31; at++) guests.push((await house.guest(rooms[at % 4] as Key, `g${at}`)).guest)
  const full = await house.refused(rooms[0] as Key, 'one more')
  t.deepEqual(full, { code: 'relay-full', reason: 'this certificate is joined 32 times already' })
  const eve = await house.maker('eve')
  t.true((await house.guest(await house.room(eve, 'of-eve'), 'one more')).roster.isIn)
  const inside = async (from: number, whom: number) => {
    guests[from]?.say({ type: 'admit', id: guests[whom]?.welcome.peer })
    await rosterWith(guests[whom] as HandMade, ({ isIn }) => isIn)
  }
  await inside(0, 4)
  await inside(1, 5)
  await inside(2, 6)
  const [first, second, third] = [0, 1, 2].map(at => guests[at] as HandMade)
  const asks = (from: HandMade | undefined, to: number) =>
    from?.say({ type: 'connect', request: to, to: guests[to]?.welcome.name })
  asks(first, 4)
  asks(second, 5)
  await Promise.all([first?.hears('session'), second?.hears('session')])
  asks(third, 6)
  t.like(await third?.hears('refused'), { code: 'relay-full', request: 6 })
  const [bob, carol] = [await house.maker('bob'), await house.maker('carol')]
  await introduced(t, bob, carol)
})
