import { mkdtempSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { PosternError } from '../../../src/errors.ts'
import { KnownPeers, parsePeer } from '../../../src/peer/identity/known-peers.ts'
import { checkName } from '../../../src/wire/name.ts'
import { canLimit, limitFiles } from '../../full-disk.ts'

const one = Array(32).fill('AA').join(':')
const two = Array(32).fill('BB').join(':')
const gateway = 'wss://gw.example:8080/postern'

const temporary = () => mkdtempSync(join(tmpdir(), 'postern-known-'))

test('a fingerprint never seen is new, and known from then on', async t => {
  const folder = join(temporary(), 'made')
  t.is(await new KnownPeers(folder).check(gateway, 'bob', one), 'new')
  t.is(await new KnownPeers(folder).check(gateway, 'bob', one.toLowerCase()), 'known')
  t.is(await new KnownPeers(folder).check('http://GW.example:8080', 'bob', one), 'known')
  t.is(statSync(join(folder, 'known-peers')).mode & 0o777, 0o600)
  t.is(readFileSync(join(folder, 'known-peers'), 'utf8').trim(), `gw.example:8080 bob ${one}`)
})

test('a changed fingerprint is refused with both of them and what to do', async t => {
  const peers = new KnownPeers(temporary())
  await peers.check(gateway, 'alice', two)
  await peers.check(gateway, 'bob', one)
  const error = await t.throwsAsync(peers.check(gateway, 'bob', two), {
    instanceOf: PosternError,
    code: 'fingerprint-mismatch'
  })
  t.is(
    error?.message,
    `bob at gw.example:8080 has the fingerprint ${two} but had ${one} before; somebody may stand in between; ` +
      `if its owner tells you that it changed, delete line 4 of ${peers.file}`
  )
  const lines = readFileSync(peers.file, 'utf8').split('\n')
  t.true(lines[3]?.includes('bob'))
  writeFileSync(peers.file, lines.filter((_, index) => index !== 3).join('\n'))
  t.is(await peers.check(gateway, 'bob', two), 'new')
})

test('the same name at another gateway is somebody else', async t => {
  const peers = new KnownPeers(temporary())
  t.is(await peers.check('ws://a.example', 'bob', one), 'new')
  t.is(await peers.check('ws://b.example', 'bob', two), 'new')
})

test('capitals make nobody else of a peer that is known', async t => {
  const peers = new KnownPeers(temporary())
  t.is(await peers.check(gateway, 'Bob', one), 'new')
  t.is(await peers.check(gateway, 'bob', one), 'known')
  await t.throwsAsync(peers.check(gateway, 'BOB', two), {
    instanceOf: PosternError,
    code: 'fingerprint-mismatch',
    message: /but Bob, which is the same name, had .* delete line 2 of .*, or add one for BOB if both are right$/
  })
  writeFileSync(peers.file, `gw.example:8080 Bob ${one}\ngw.example:8080 bob ${two}\n`)
  t.deepEqual([await peers.check(gateway, 'bob', two), await peers.check(gateway, 'Bob', one)], ['known', 'known'])
})

test('half a line at the end costs that line alone, which is cut off and told when the next is written', async t => {
  const told: string[] = []
  for (const torn of ['gw.example:8080 ca', `gw.example:8080 carol ${one.slice(0, 50)}`, '\0'.repeat(40)]) {
    const peers = new KnownPeers(temporary(), sentence => told.push(sentence))
    await peers.check(gateway, 'bob', one)
    const whole = readFileSync(peers.file, 'utf8')
    writeFileSync(peers.file, `${whole}\n${torn}`)
    t.is(await peers.check(gateway, 'bob', one), 'known')
    await t.throwsAsync(peers.check(gateway, 'bob', two), { code: 'fingerprint-mismatch' })
    t.is(await peers.check(gateway, 'carol', two), 'new')
    t.is(readFileSync(peers.file, 'utf8'), `${whole}\n\ngw.example:8080 carol ${two}\n`)
  }
  t.is(told.length, 3)
  t.regex(
    told[0] ?? '',
    /known-peers ended in half a line, which was cut off; the peer that it was about counts as new$/
  )
})

test('nobody is remembered through a link', async t => {
  const folder = temporary()
  writeFileSync(join(folder, 'target'), '# of somebody else\n')
  symlinkSync('target', join(folder, 'known-peers'))
  const expected = { instanceOf: PosternError, code: 'io', message: /known-peers cannot be .*: it is a symbolic link/ }
  await t.throwsAsync(new KnownPeers(folder).check(gateway, 'bob', one), expected)
  t.is(readFileSync(join(folder, 'target'), 'utf8'), '# of somebody else\n')
})

const withLimit = canLimit ? test.serial : test.serial.skip

withLimit('a disk that fills up while a peer is remembered forgets nobody', async t => {
  const peers = new KnownPeers(temporary())
  await peers.check(gateway, 'bob', one)
  {
    using _ = limitFiles(statSync(peers.file).size + 30)
    const expected = { instanceOf: PosternError, code: 'io', message: /cannot be read or written: its disk is full$/ }
    await t.throwsAsync(peers.check(gateway, 'carol', two), expected)
  }
  t.is(await peers.check(gateway, 'bob', one), 'known')
  t.is(await peers.check(gateway, 'carol', two), 'new')
})

test('a pin decides alone, and is not remembered', async t => {
  const peers = new KnownPeers(temporary())
  t.is(await peers.check(gateway, 'bob', one, one.replaceAll(':', '').toLowerCase()), 'pinned')
  t.is(await peers.check(gateway, 'bob', two), 'new')
  t.is(await peers.check(gateway, 'bob', one, one), 'pinned')
  await t.throwsAsync(peers.check(gateway, 'bob', two, one), {
    instanceOf: PosternError,
    code: 'fingerprint-mismatch',
    message: new RegExp(`${two}.*${one}`)
  })
})

test('of several who meet a name at once with different fingerprints, one wins for all', async t => {
  const folder = temporary()
  const shown = Array.from({ length: 12 }, (_, i) => (i % 2 ? one : two))
  const verdicts = await Promise.allSettled(shown.map(f => new KnownPeers(folder).check(gateway, 'bob', f)))
  const trusted = new Set(shown.filter((_, i) => verdicts[i]?.status === 'fulfilled'))
  t.is(trusted.size, 1)
  t.is(await new KnownPeers(folder).check(gateway, 'bob', [...trusted][0] ?? ''), 'known')
})

test('peers met at once are all remembered', async t => {
  const folder = temporary()
  const names = Array.from({ length: 20 }, (_, i) => `peer-${i}`)
  await Promise.all(names.map(name => new KnownPeers(folder).check(gateway, name, one)))
  t.deepEqual(
    await Promise.all(names.map(name => new KnownPeers(folder).check(gateway, name, one))),
    Array(20).fill('known')
  )
})

test("comments, blank lines and a last line without its end are people's right", async t => {
  const folder = temporary()
  writeFileSync(join(folder, 'known-peers'), `# mine\n\n  gw.example:8080  bob ${one.toLowerCase()}`)
  const peers = new KnownPeers(folder)
  t.is(await peers.check(gateway, 'bob', one), 'known')
  t.is(await peers.check(gateway, 'carol', two), 'new')
  t.is(await peers.check(gateway, 'bob', one), 'known')
})

test('a damaged line stops the check instead of forgetting whom it was about', async t => {
  const folder = temporary()
  const file = join(folder, 'known-peers')
  for (const line of [`gw.example:8080 bob ${one.slice(3)}`, 'gw.example:8080 bob', `a b ${one} c`]) {
    writeFileSync(file, `# x\n${line}\n`)
    const expected = { instanceOf: PosternError, code: 'bad-config', message: /known-peers:2:1: expected/ }
    await t.throwsAsync(new KnownPeers(folder).check(gateway, 'bob', two), expected)
  }
})

test('the file is bounded', async t => {
  const folder = temporary()
  const lines = Array.from({ length: 10_000 }, (_, i) => `g p${i} ${one}`)
  writeFileSync(join(folder, 'known-peers'), `${lines.join('\n')}\n`)
  const expected = { instanceOf: PosternError, code: 'io', message: /takes no more/ }
  await t.throwsAsync(new KnownPeers(folder).check('g', 'one-more', one), expected)
  t.is(await new KnownPeers(folder).check('g', 'p9999', one), 'known')
})

test('a fingerprint that is none is refused before anything is written', async t => {
  const peers = new KnownPeers(temporary())
  await t.throwsAsync(peers.check(gateway, 'bob', 'AA:BB'), { instanceOf: PosternError, code: 'bad-message' })
  t.throws(() => readFileSync(peers.file))
})

test('a name is 1 to 63 letters, digits and . _ -, and starts with a letter or digit', t => {
  for (const name of ['a', '7', 'Bob', 'my-host.lan', 'a_b', 'x'.repeat(63)]) t.is(checkName(name), name)
  for (const name of ['', '.', '..', '-a', '_a', 'a b', 'a/b', 'a@b', 'ä', 'a\n', 'x'.repeat(64)]) {
    t.throws(() => checkName(name), { instanceOf: PosternError, code: 'bad-config' }, name)
  }
})

test('a peer is named with or without a pin', t => {
  t.deepEqual(parsePeer('bob'), { name: 'bob' })
  t.deepEqual(parsePeer(`bob@${one}`), { name: 'bob', pin: one })
  t.deepEqual(parsePeer(`bob@${one.replaceAll(':', '').toLowerCase()}`), { name: 'bob', pin: one })
  for (const text of ['bob@', 'bob@AA', `@${one}`, `bob@${one}@`, `b b@${one}`]) {
    t.throws(() => parsePeer(text), { instanceOf: PosternError, code: 'bad-config' }, text)
  }
})
