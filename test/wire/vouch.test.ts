// A browser's key vouches for its DTLS certificate: signatures are made here as WebCrypto makes them.

import { Buffer } from 'node:buffer'
import { webcrypto } from 'node:crypto'
import test from 'ava'
import { helloProof } from '../../src/wire/identity/proof.ts'
import { holds, keyFingerprint, type Vouch, vouch } from '../../src/wire/identity/vouch.ts'

const algorithm = { name: 'ECDSA', namedCurve: 'P-256' } as const
const said = {
  place: 'https://postern.example',
  nonce: Buffer.alloc(32, 7).toString('base64'),
  dtls: Array(32).fill('AB').join(':')
}

async function vouchOf(curve: 'P-256' | 'P-384' = 'P-256'): Promise<Vouch> {
  const pair = await webcrypto.subtle.generateKey({ ...algorithm, namedCurve: curve }, false, ['sign', 'verify'])
  const spki = Buffer.from(await webcrypto.subtle.exportKey('spki', pair.publicKey))
  const made = await webcrypto.subtle.sign({ name: 'ECDSA', hash: 'SHA-256' }, pair.privateKey, helloProof(said))
  return { ...said, key: spki.toString('base64'), signature: Buffer.from(made).toString('base64') }
}

test('what a key signed holds, and nothing else', async t => {
  const made = await vouchOf()
  t.true(vouch.safeParse(made).success)
  t.true(holds(made))
  t.false(holds({ ...made, dtls: Array(32).fill('AC').join(':') }))
  t.false(holds({ ...made, place: 'https://other.example' }))
  t.false(holds({ ...made, nonce: Buffer.alloc(32, 8).toString('base64') }))
  t.false(holds({ ...made, key: (await vouchOf()).key }))
})

test('a key is known by the digest of all of it', async t => {
  const { key } = await vouchOf()
  t.regex(keyFingerprint(key), /^[0-9A-F]{2}(:[0-9A-F]{2}){31}$/)
  t.not(keyFingerprint(key), keyFingerprint((await vouchOf()).key))
})

test('keys of other kinds, and what is no key or no signature, hold nothing', async t => {
  const made = await vouchOf()
  t.false(holds(await vouchOf('P-384')))
  for (const key of ['', 'AAAA', made.key.slice(0, 40)]) t.false(holds({ ...made, key }), key)
  for (const signature of ['', 'AAAA', made.signature.slice(4)]) t.false(holds({ ...made, signature }), signature)
})
