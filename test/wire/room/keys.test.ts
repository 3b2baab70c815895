import { createPrivateKey, createPublicKey, hkdfSync, verify } from 'node:crypto'
import test from 'ava'
import { roomKeys } from '../../../src/wire/room/keys.ts'
import { formatRoomLink, newSecret, parseRoomLink } from '../../../src/wire/room/link.ts'
import { entryProof } from '../../../src/wire/room/proof.ts'

const secret = 'AAECAwQFBgcICQoLDA0ODw'
const bytes = Buffer.from(secret, 'base64url')

test('both keys of a room are HKDF-SHA-256 of its secret, as another implementation has it', async t => {
  const keys = await roomKeys({ name: 'Standup', secret })
  const derived = (use: string) => Buffer.from(hkdfSync('sha256', bytes, 'standup', `postern room ${use}`, 32))
  t.deepEqual(Buffer.from(keys.members), derived('members'))
  const pkcs8 = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), derived('entry')])
  const own = createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' })
  t.is(await keys.entry(), createPublicKey(own).export({ format: 'jwk' }).x ?? '')
  const words = new TextEncoder().encode('words')
  t.true(verify(null, words, createPublicKey(own), Buffer.from(await keys.sign(words), 'base64')))
})

test('another name, or another secret, gives other keys; capitals of the name make no difference', async t => {
  const of = async (name: string, by = secret) => (await roomKeys({ name, secret: by })).entry()
  t.is(await of('standup'), await of('STANDUP'))
  t.not(await of('standup'), await of('standup2'))
  t.not(await of('standup'), await of('standup', newSecret()))
})

test('what a guest signs is about the room, the gateway, this join, and who it is', t => {
  const about = { room: 'Standup', place: 'https://a', nonce: 'bm9uY2U=', fingerprint: 'AA', dtls: 'BB' }
  t.is(String(Buffer.from(entryProof(about))), 'postern room\n3\nstandup\nhttps://a\nbm9uY2U=\nAA\nBB')
})

test('a link is read as it was made, also below a path and from a browser that has changed its host', t => {
  const made = { gateway: 'https://postern.example.org/gate', name: 'stand-up', secret: newSecret() }
  t.deepEqual(parseRoomLink(formatRoomLink(made)), made)
  t.deepEqual(parseRoomLink(`https://POSTERN.example.org:443/call/a#${secret}`), {
    gateway: 'https://postern.example.org',
    name: 'a',
    secret
  })
  t.is(new Set(Array.from({ length: 100 }, newSecret)).size, 100)
  t.regex(newSecret(), /^[\w-]{22}$/)
})

test('what is no link, or not all of one, is refused with a sentence that repeats nothing of the secret', t => {
  const wrong = [
    '',
    'standup',
    `ftp://a/call/b#${secret}`,
    `https://a/calls/b#${secret}`,
    `https://a/call/#${secret}`,
    `https://a/call/b/c#${secret}`,
    `https://a/call/%20#${secret}`,
    'https://a/call/b',
    'https://a/call/b#',
    `https://a/call/b#${secret.slice(1)}`,
    `https://a/call/b#${secret}A`,
    `https://a/call/b#${secret.slice(0, -1)}x`,
    `https://a/call/b#${secret.slice(0, -1)}!`
  ]
  for (const link of wrong) {
    const error = t.throws(() => parseRoomLink(link), { code: 'bad-config' } as object, link)
    t.false(error?.message.includes(secret.slice(1, 9)), link)
  }
})
