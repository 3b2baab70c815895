import { execFileSync, fork } from 'node:child_process'
import { generateKeyPairSync, sign, X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { PeerConnection } from 'node-datachannel'
import { PosternError } from '../../../src/errors.ts'
import { defaultFolder, type Identity, loadIdentity } from '../../../src/peer/identity/identity.ts'
import { createCertificate } from '../../../src/peer/identity/self-signed.ts'
import { fingerprintOf, verifySignature } from '../../../src/wire/identity/certificate.ts'
import { normaliseFingerprint } from '../../../src/wire/identity/fingerprint.ts'
import { endNative } from '../../end-native.ts'

test.after.always(endNative)

const temporary = () => mkdtempSync(join(tmpdir(), 'postern-identity-'))

test('an identity is made at the first use, for its owner alone, and stays the same', async t => {
  const folder = join(temporary(), 'new', 'postern')
  const made = await loadIdentity(folder)
  const again = await loadIdentity(folder)
  t.is(made.fingerprint, again.fingerprint)
  t.is(made.keyPem, again.keyPem)
  t.is(statSync(made.path).mode & 0o777, 0o600)
  t.is(statSync(folder).mode & 0o777, 0o700)
  t.deepEqual(readdirSync(folder), ['identity.pem'])
  t.not((await loadIdentity(temporary())).fingerprint, made.fingerprint)
})

test('the certificate is one that others can read: its own issuer, its key, a hundred years from yesterday', t => {
  const now = new Date('2026-03-04T05:06:07Z')
  const { certificatePem } = createCertificate(now)
  const certificate = new X509Certificate(certificatePem)
  t.true(certificate.verify(certificate.publicKey))
  t.true(certificate.checkIssued(certificate))
  t.is(certificate.subject, 'CN=postern')
  t.is(certificate.publicKey.asymmetricKeyDetails?.namedCurve, 'prime256v1')
  t.deepEqual(certificate.validFromDate, new Date('2026-03-03T05:06:07Z'))
  t.deepEqual(certificate.validToDate, new Date('2126-03-03T05:06:07Z'))
  t.is(certificate.serialNumber.length, 32)
  t.is(certificate.toString(), certificatePem)
  t.is(fingerprintOf(certificatePem), certificate.fingerprint256)
})

test('dates from 2050 on are readable too', t => {
  const certificate = new X509Certificate(createCertificate(new Date('2051-01-01T00:00:00Z')).certificatePem)
  t.deepEqual(certificate.validFromDate, new Date('2050-12-31T00:00:00Z'))
})

test('many certificates are all well-formed, whatever lengths their signatures have', t => {
  for (let i = 0; i < 100; i++) {
    const { certificatePem } = createCertificate()
    const certificate = new X509Certificate(certificatePem)
    t.true(certificate.verify(certificate.publicKey))
  }
})

test('processes that start at once in one folder end with one identity', async t => {
  const folder = temporary()
  const program = join(folder, 'load.mjs')
  const source = new URL('../../../src/peer/identity/identity.ts', import.meta.url).href
  writeFileSync(
    program,
    `import { loadIdentity } from '${source}'
process.send('ready')
process.once('message', async home => { process.send((await loadIdentity(home)).fingerprint); process.disconnect() })`
  )
  const home = join(folder, 'home')
  const children = Array.from({ length: 4 }, () => fork(program))
  await Promise.all(children.map(child => once(child, 'message')))
  const answers = children.map(child => once(child, 'message'))
  for (const child of children) child.send(home)
  const fingerprints = new Set((await Promise.all(answers)).map(([fingerprint]) => fingerprint))
  t.deepEqual([...fingerprints], [(await loadIdentity(home)).fingerprint])
  t.deepEqual(readdirSync(home), ['identity.pem'])
})

test('many calls at once in one process end with one identity', async t => {
  const folder = temporary()
  const identities = await Promise.all(Array.from({ length: 20 }, () => loadIdentity(folder)))
  t.is(new Set(identities.map(identity => identity.fingerprint)).size, 1)
})

test('a broken or mismatching file is told, and left as it is', async t => {
  const { keyPem, certificatePem } = createCertificate()
  const other = createCertificate()
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ type: 'pkcs8', format: 'pem' })
  const contents: [string, RegExp][] = [
    ['', /expected a private key and a certificate/],
    [keyPem, /expected a private key and a certificate/],
    [certificatePem, /expected a private key and a certificate/],
    [keyPem + other.certificatePem, /of another key/],
    [rsa + certificatePem, /P-256/],
    [keyPem + certificatePem.replace(/M.{40}/, ''), /damaged/],
    [keyPem.replace(/M.{40}/, '') + certificatePem, /damaged/]
  ]
  for (const [content, message] of contents) {
    const folder = temporary()
    writeFileSync(join(folder, 'identity.pem'), content)
    const error = await t.throwsAsync(loadIdentity(folder), { instanceOf: PosternError, code: 'bad-config', message })
    t.true(error?.message.startsWith(join(folder, 'identity.pem')))
    t.is(readFileSync(join(folder, 'identity.pem'), 'utf8'), content)
  }
})

test('a file that cannot be read is an io error, not a reason to make another', async t => {
  const folder = temporary()
  mkdirSync(join(folder, 'identity.pem'))
  await t.throwsAsync(loadIdentity(folder), { instanceOf: PosternError, code: 'io', message: /cannot be read or made/ })
})

test('a key that others can read, or replace, is used and told', async t => {
  const folder = temporary()
  const told: string[] = []
  const { path } = await loadIdentity(folder, sentence => told.push(sentence))
  t.deepEqual(told, [])
  chmodSync(path, 0o644)
  chmodSync(folder, 0o777)
  await loadIdentity(folder, sentence => told.push(sentence))
  t.deepEqual(
    told.map(sentence => /chmod \d+/.exec(sentence)?.[0]),
    ['chmod 700', 'chmod 600']
  )
})

test('a FIFO in the place of the key is told at once, and so is a link that leads nowhere', async t => {
  const [fifo, link] = [temporary(), temporary()]
  execFileSync('mkfifo', [join(fifo, 'identity.pem')])
  const expected = { instanceOf: PosternError, code: 'io', message: /cannot be read or made: it is not a file$/ }
  await t.throwsAsync(loadIdentity(fifo), expected)
  symlinkSync(join(link, 'nowhere'), join(link, 'identity.pem'))
  await t.throwsAsync(loadIdentity(link), { instanceOf: PosternError })
  t.deepEqual(readdirSync(link), ['identity.pem'])
})

test('an interrupted writer leaves nothing that is taken for an identity', async t => {
  const folder = temporary()
  writeFileSync(join(folder, 'identity.pem.half'), '-----BEGIN')
  chmodSync(folder, 0o700)
  t.truthy((await loadIdentity(folder)).fingerprint)
})

test('a signature is verified by the certificate alone', async t => {
  const identity = await loadIdentity(temporary())
  const bytes = Buffer.from('nonce')
  const signature = identity.sign(bytes)
  t.true(verifySignature(identity.certificatePem, bytes, signature))
  t.false(verifySignature(identity.certificatePem, Buffer.from('nonsense'), signature))
  t.false(verifySignature(createCertificate().certificatePem, bytes, signature))
})

test('malformed certificates and signatures verify as false and never throw', async t => {
  const { certificatePem, sign } = await loadIdentity(temporary())
  const bytes = Buffer.from('nonce')
  for (const signature of [Buffer.alloc(0), Buffer.from('x'), Buffer.alloc(72, 0xff)]) {
    t.false(verifySignature(certificatePem, bytes, signature))
  }
  for (const pem of ['', 'x', certificatePem.slice(0, 200)]) t.false(verifySignature(pem, bytes, sign(bytes)))
  t.throws(() => fingerprintOf('x'), { instanceOf: PosternError, code: 'bad-message' })
})

test('a key of another kind is not accepted for a signature', t => {
  const key = generateKeyPairSync('ec', { namedCurve: 'secp384r1' }).privateKey
  t.false(verifySignature(createCertificate().certificatePem, Buffer.from('a'), sign('sha256', Buffer.from('a'), key)))
})

test('a fingerprint is read in any case, with or without colons, and nothing else is', t => {
  const digits = '0123456789abcdef'.repeat(4)
  const expected = Array(4).fill('01:23:45:67:89:AB:CD:EF').join(':')
  for (const text of [digits, digits.toUpperCase(), expected, expected.toLowerCase()]) {
    t.is(normaliseFingerprint(text), expected)
  }
  const wrong = [
    '',
    digits.slice(1),
    `${digits}0`,
    `${digits.slice(1)}g`,
    `:${digits}`,
    expected.replace(':', ''),
    ` ${digits}`
  ]
  for (const text of wrong) t.is(normaliseFingerprint(text), undefined, text)
})

test('the folder is POSTERN_HOME, or below XDG_CONFIG_HOME, or below ~/.config', t => {
  t.is(defaultFolder({ POSTERN_HOME: '/p', XDG_CONFIG_HOME: '/x', HOME: '/h' }), '/p')
  t.is(defaultFolder({ XDG_CONFIG_HOME: '/x', HOME: '/h' }), '/x/postern')
  t.is(defaultFolder({ HOME: '/h' }), '/h/.config/postern')
})

test("two node-datachannel peers connect with it and see each other's fingerprint", async t => {
  const alice = await loadIdentity(temporary())
  const bob = await loadIdentity(temporary())
  const [a, b] = [open('a', alice), open('b', bob)]
  signal(a, b)
  signal(b, a)
  const [closedA, closedB] = [closed(a), closed(b)]
  const heard = new Promise(resolve =>
    b.onDataChannel(channel => {
      channel.onMessage(resolve)
      channel.onClosed(() => {})
    })
  )
  const channel = a.createDataChannel('x')
  channel.onClosed(() => {})
  channel.onOpen(() => channel.sendMessage('hello'))
  t.is(await heard, 'hello')
  t.is(a.remoteFingerprint().value.toUpperCase(), bob.fingerprint)
  t.is(b.remoteFingerprint().value.toUpperCase(), alice.fingerprint)
  a.close()
  b.close()
  await Promise.all([closedA, closedB])
})

function open(name: string, identity: Identity): PeerConnection {
  const { certificatePem, keyPem } = identity
  return new PeerConnection(name, {
    iceServers: [],
    bindAddress: '127.0.0.1',
    certificatePemFile: certificatePem,
    keyPemFile: keyPem
  })
}

function signal(from: PeerConnection, to: PeerConnection): void {
  from.onLocalDescription((sdp, type) => to.setRemoteDescription(sdp, type))
  from.onLocalCandidate((candidate, mid) => to.addRemoteCandidate(candidate, mid))
}

function closed(pc: PeerConnection): Promise<void> {
  return new Promise(resolve => pc.onStateChange(state => state === 'closed' && resolve()))
}
