import { createPrivateKey } from 'node:crypto'
import { chmod, mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { type Pair, readPair } from '../../../src/config/pair.ts'
import { Certificate } from '../../../src/gateway/http/certificate.ts'
import { createCertificate } from '../../../src/peer/identity/self-signed.ts'
import { authority, certified, renewed } from '../../peer/tls.ts'
import { until } from '../../until.ts'

const over = createCertificate(new Date('1901-01-01'))

/** A folder with a certificate and its key, beneath a link, as certbot leaves them. */
async function folder(t: ExecutionContext) {
  const at = await mkdtemp(join(tmpdir(), 'postern-certificate-'))
  t.teardown(() => rm(at, { recursive: true }))
  const live = join(at, 'live')
  const put = async (name: string, pair: { cert: string; key: string }) => {
    await mkdir(join(at, name), { recursive: true })
    await writeFile(join(at, name, 'cert.pem'), pair.cert)
    await writeFile(join(at, name, 'key.pem'), pair.key)
  }
  /** Turns the link to another folder at once. */
  const turn = async (name: string) => {
    await symlink(name, join(at, 'next'))
    await rename(join(at, 'next'), live)
  }
  await put('1', certified)
  await turn('1')
  return { at, put, turn, files: { cert: join(live, 'cert.pem'), key: join(live, 'key.pem') } }
}

async function opened(t: ExecutionContext, now?: () => number) {
  const place = await folder(t)
  const lines: string[] = []
  const log = {
    info: (_: object, text: string) => void lines.push(text),
    warn: (_: object, text: string) => void lines.push(text)
  }
  const certificate = await Certificate.open(place.files, { log, everyMs: 10, ...(now ? { now } : {}) })
  t.teardown(() => certificate[Symbol.dispose]())
  const pairs: Pair[] = []
  certificate.onRenewed = pair => void pairs.push(pair)
  return { ...place, lines, certificate, pairs }
}

test('what is wrong with a pair is told with the file, and what was expected', async t => {
  const { at, files } = await folder(t)
  const write = async (name: string, text: string) => {
    await writeFile(join(at, name), text)
    return join(at, name)
  }
  const encrypted = createPrivateKey(certified.key).export({
    type: 'pkcs8',
    format: 'pem',
    cipher: 'aes-256-cbc',
    passphrase: 'x'
  })
  const wrong = async (changed: Partial<typeof files>, option: string, text: RegExp) => {
    const pair = readPair({ ...files, ...changed })
    t.like(pair, { wrong: option })
    if ('wrong' in pair) t.regex(pair.text, new RegExp(`^${changed[pair.wrong]}: ${text.source}`))
  }
  await wrong({ cert: join(at, 'none') }, 'cert', /there is no such file; expected a certificate in PEM/)
  await wrong({ key: join(at, 'none') }, 'key', /there is no such file; expected a private key in PEM/)
  await wrong({ cert: at }, 'cert', /it is not a file/)
  await wrong({ cert: await write('empty', '') }, 'cert', /it holds no certificate/)
  await wrong({ cert: await write('torn', certified.cert.slice(0, 300)) }, 'cert', /it holds no certificate/)
  await wrong({ cert: files.key }, 'cert', /it holds no certificate/)
  await wrong({ key: files.cert }, 'key', /it holds no private key/)
  await wrong({ key: await write('locked', String(encrypted)) }, 'key', /it is encrypted; .*without a passphrase/)
  await wrong(
    { key: await write('other', renewed.key) },
    'key',
    /it does not belong to the certificate in .*live\/cert\.pem/
  )
  await wrong(
    { cert: await write('turned', authority + certified.cert) },
    'cert',
    /the certificate of the key is not the first/
  )
  t.like(readPair({ ...files, cert: await write('full', certified.cert + authority) }), { key: certified.key })
})

const asUser = process.getuid?.() === 0 ? test.skip : test

asUser('a key that may not be read is told as that', async t => {
  const { files } = await folder(t)
  await chmod(files.key, 0)
  t.like(readPair(files), {
    wrong: 'key',
    text: `${files.key}: permission is denied; expected a private key in PEM without a passphrase`
  })
})

test('a pair that cannot be used at the start is a mistake of the configuration', async t => {
  const { files } = await folder(t)
  await writeFile(files.key, renewed.key)
  const log = { info() {}, warn() {} }
  const message = /^listen\.tls\.key: .* does not belong to the certificate/
  await t.throwsAsync(Certificate.open(files, { log }), { code: 'bad-config', message })
})

test('a link that is turned is noticed, and both files are taken together', async t => {
  const { put, turn, certificate, pairs, lines } = await opened(t)
  await put('2', renewed)
  await turn('2')
  await until(() => pairs.length === 1)
  t.is(pairs[0], certificate.pair)
  t.like(certificate.pair, renewed)
  t.regex(lines.join(), /^certificate: renewed/)
})

test('files that are written anew are noticed, whatever their size and name', async t => {
  const { put, certificate, pairs } = await opened(t)
  await put('1', renewed)
  await until(() => pairs.some(({ key }) => key === renewed.key))
  t.like(certificate.pair, renewed)
  t.deepEqual(certificate.warnings, [])
})

test('a pair that cannot be used takes nobody’s place, is told once, and is read again when it is mended', async t => {
  const { files, certificate, pairs, lines } = await opened(t)
  await writeFile(files.key, renewed.key)
  await until(() => certificate.warnings.length > 0)
  t.like(certificate.pair, certified)
  t.deepEqual(
    certificate.warnings.map(({ code }) => code),
    ['certificate-kept']
  )
  certificate.renew()
  t.is(lines.length, 2, 'once by itself, and once as it was asked for')
  for (const line of lines)
    t.regex(line, /not renewed, the one before stays in use: listen\.tls\.key: .* does not belong/)
  await writeFile(files.cert, renewed.cert)
  await until(() => pairs.length === 1)
  t.like(certificate.pair, renewed)
  t.deepEqual(certificate.warnings, [])
  await rm(files.cert)
  await until(() => certificate.warnings.length > 0)
  t.regex(lines.at(-1) ?? '', /listen\.tls\.cert: .*there is no such file/)
  await writeFile(files.cert, renewed.cert)
  await until(() => certificate.warnings.length === 0)
  t.regex(lines.at(-1) ?? '', /the files have the one in use/)
})

test('whoever asks has the files read at once, and is told also if nothing has changed', async t => {
  const { put, certificate, lines } = await opened(t)
  certificate.renew()
  t.regex(lines[0] ?? '', /the files have the one in use/)
  await put('1', renewed)
  certificate.renew()
  t.like(certificate.pair, renewed)
})

test('a certificate that is over takes nobody’s place', async t => {
  const { put, certificate, lines } = await opened(t)
  await put('1', { cert: over.certificatePem, key: over.keyPem })
  certificate.renew()
  t.like(certificate.pair, certified)
  t.regex(
    lines.at(-1) ?? '',
    /stays in use: listen\.tls\.cert: .*: it ended at 2000-12-31T.*; expected one that is valid now/
  )
})

test('at the start one that is over is taken, as the clock may be wrong, and told', async t => {
  const { put, files } = await folder(t)
  await put('1', { cert: over.certificatePem, key: over.keyPem })
  const lines: string[] = []
  const log = { info() {}, warn: (_: object, text: string) => void lines.push(text) }
  using certificate = await Certificate.open(files, { log })
  t.regex(lines.join(), /^certificate: .*cert\.pem ended at 2000-12-31T/)
  t.deepEqual(
    certificate.warnings.map(({ code }) => code),
    ['certificate-ends']
  )
})

test('before a certificate ends it is told, once in the log', async t => {
  let now = Date.now()
  const { certificate, lines } = await opened(t, () => now)
  t.deepEqual(certificate.warnings, [])
  const { validFromDate, validToDate } = certificate.pair.leaf
  now = validToDate.getTime() - (validToDate.getTime() - validFromDate.getTime()) / 11
  await until(() => lines.length > 0)
  now = validToDate.getTime() + 1000
  t.regex(certificate.warnings[0]?.sentence ?? '', /^the gateway's certificate ended at /)
  now = validFromDate.getTime() - 1000
  t.regex(certificate.warnings[0]?.sentence ?? '', /is not valid before /)
  t.is(lines.length, 1)
  t.regex(lines[0] ?? '', /^certificate: .*cert\.pem ends at /)
})
