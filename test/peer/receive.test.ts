// What a receiver takes of a stranger: under which names, with which modes and times, how much of it, and what it tells.

import { createHash } from 'node:crypto'
import { utimesSync, writeSync } from 'node:fs'
import { chmod, open, readdir, readFile, stat, statfs, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'ava'
import fc from 'fast-check'
import { PosternError } from '../../src/errors.ts'
import { Comparisons } from '../../src/peer/services/digest.ts'
import { checkFileName } from '../../src/peer/services/file-name.ts'
import { Reader, writeLine } from '../../src/peer/services/lines.ts'
import { tidyParts } from '../../src/peer/services/parts.ts'
import type { Progress } from '../../src/peer/services/send.ts'
import { clearAway, fails, file, folderNamed, one, type Post, post } from './post.ts'

test.after.always(clearAway)

const sha256 = (content: string) => createHash('sha256').update(content).digest('hex')

const header = { type: 'file', name: 'note', size: 3, mtimeMs: 0, mode: 0o644, speaks: 2 }

/** A stream of a sender made by hand that has said what it wants to send. */
async function offering({ alice }: Post, offered: Record<string, unknown>) {
  const stream = await alice.open('send')
  await writeLine(stream, { ...header, ...offered })
  return { stream, reader: new Reader(stream) }
}

const partOf = (sender: number, of = 0) =>
  `.x.${sender.toString(16).padStart(16, '0')}.${of.toString(16).padStart(16, '0')}.part`

test('hostile names are refused before anything is written, and both sides are told why', async t => {
  const p = await post()
  const hostile = {
    '.bash_profile': /begins with a dot; only a receiver with --dotfiles/,
    '-rf': /begins with a dash; only a receiver with --dotfiles/,
    '../x': /it has a separator of folders/,
    'a\u200bb': /it has the invisible character U\+200B/,
    'a:stream': /it has a colon/
  }
  for (const [name, why] of Object.entries(hostile)) {
    const { reader } = await offering(p, { name })
    await fails(t, reader.line(), why)
    t.regex(String(await p.ended.at(-1)), why)
  }
  for (const name of [7, null, ['x'], '\x1b[2J'])
    await fails(t, (await offering(p, { name })).reader.line(), /^peer bob: .* is not allowed as the name of a file: /)
  t.deepEqual(await readdir(p.to), [])
})

test('names that say another thing than they show, or another on Windows, are nobody’s', t => {
  const refused = ['', '.', '..', 'a/b', 'a\\b', '/etc/x', 'a\0b', 'a\nb', 'x'.repeat(256), '\ud800', 'a\u202etxt.exe']
  const invisible = ['a\u200e', '\ufeffa', 'a\u00adb', '\u{e0041}a']
  const windows = ['CON', 'nul', 'Com1.txt', 'LPT9 .tar.gz', 'com².x', 'conin$', 'a.', 'a ', 'a\u00a0', '...']
  for (const name of [...refused, ...invisible, ...windows, partOf(1), '.x.0123456789abcdef.part'])
    t.throws(() => checkFileName(name, { dotfiles: true }), { instanceOf: PosternError, code: 'io' }, name)
  for (const name of ['console', 'com10', 'nulls.txt', 'grüße 👋.txt', 'a.b', '.part'])
    t.is(checkFileName(name, { dotfiles: true }), name)
})

test('a name that is taken stays within the folder, and is shown as it is', t => {
  const parts = fc.constantFrom('..', '.', '/', '\\', '\0', 'x', ' ', '\u202e', '👋', '\n', '.part', '-', ':', '\u200b')
  const names = fc.oneof(
    fc.array(parts).map(all => all.join('')),
    fc.string({ unit: 'binary' })
  )
  fc.assert(
    fc.property(names, name => {
      if (!taken(name)) return
      t.is(join('/in', name), `/in/${name}`)
      t.notRegex(name, /^[.-]|[/\\:\p{Cc}\p{Cf}]|[.\s]$/u)
    })
  )
  t.pass()
})

function taken(name: string): boolean {
  try {
    return checkFileName(name, {}) === name
  } catch {
    return false
  }
}

test('a hidden file is taken by whoever asks for such names', async t => {
  const p = await post({ dotfiles: true })
  for (const name of ['.profile', '-x']) await one(p.alice, await file(p, name, name))
  t.deepEqual((await readdir(p.to)).toSorted(), ['-x', '.profile'])
})

test('a file keeps its time and its permissions, but may be run only where that was asked for', async t => {
  const [p, running] = await Promise.all([post(), post({ executable: true })])
  for (const [to, mode] of [
    [p, 0o640],
    [running, 0o750]
  ] as const) {
    const path = await file(to, 'tool', 'echo hello')
    await chmod(path, 0o6750)
    await utimes(path, new Date(), new Date('1969-07-20T20:17:40.123Z'))
    await one(to.alice, path)
    const there = await stat(join(to.to, 'tool'))
    t.is(there.mode & 0o7777, mode & ~process.umask())
    t.is(there.mtime.toISOString(), '1969-07-20T20:17:40.123Z')
  }
})

test('a file that is larger than is taken, or than is free, is refused before its first byte', async t => {
  const p = await post({ maxBytes: 1000 })
  const path = await file(p, 'big', Buffer.alloc(1001))
  const seen: Progress[] = []
  const onProgress = (progress: Progress) => seen.push(progress)
  await fails(
    t,
    one(p.alice, path, { onProgress }),
    /^peer bob: "big" has 1001 B, and files of at most 1000 B are taken$/
  )
  t.is((await one(p.alice, await file(p, 'small', Buffer.alloc(1000)))).outcome, 'sent')
  const all = await post()
  const { reader } = await offering(all, { size: 2 ** 52 })
  await fails(t, reader.line(), /^peer bob: no space left for "note": it takes 4096\.0 TiB, and [\d.]+ .?i?B are free$/)
  t.deepEqual([seen, await readdir(all.to)], [[], []])
})

test('what is still to come of one transfer is not free for another', async t => {
  const p = await post()
  const { bavail, bsize } = await statfs(p.to)
  const { reader, stream } = await offering(p, { name: 'first', size: Math.floor(bavail * bsize * 0.8) })
  t.like(await reader.line(), { type: 'have', bytes: 0 })
  const second = { name: 'second', size: Math.floor(bavail * bsize * 0.3) }
  await fails(t, (await offering(p, second)).reader.line(), /no space left for "second"/)
  stream.destroy()
  await p.ended[0]
  t.like(await (await offering(p, second)).reader.line(), { type: 'have', bytes: 0 })
})

test('of cut transfers few parts are left, and none that has nothing in it', async t => {
  const p = await post()
  for (let index = 0; index < 12; index++) {
    const { reader, stream } = await offering(p, { name: `cut-${index}`, size: 10 })
    await reader.line()
    await writeLine(stream, { type: 'from', offset: 0, same: true })
    if (index > 1) stream.write('half')
    stream.destroy(new PosternError('io', 'cut'))
    await p.ended[index]
  }
  const left = (await readdir(p.to)).map(name => /cut-\d+/.exec(name)?.[0])
  t.deepEqual(
    left.toSorted(),
    [10, 11, 4, 5, 6, 7, 8, 9].map(index => `cut-${index}`)
  )
})

test('parts go after a day, and above a number in all; a file that looks like one stays', async t => {
  const folder = await folderNamed('parts')
  const write = async (name: string, ageMs: number) => {
    await writeFile(join(folder, name), 'x')
    await utimes(join(folder, name), new Date(), new Date(Date.now() - ageMs))
  }
  const hour = 3_600_000
  await Promise.all([
    write(partOf(0xa), 25 * hour),
    write('.x.0123456789abcdef.part', 25 * hour),
    write('note.part', 99 * hour)
  ])
  await Promise.all(Array.from({ length: 70 }, (_, age) => write(partOf(0xb00 + age), age * 60_000)))
  await tidyParts(folder)
  const left = await readdir(folder)
  const newest = Array.from({ length: 64 }, (_, age) => partOf(0xb00 + age))
  t.deepEqual(left.toSorted(), [...newest, 'note.part'].toSorted())
  await Promise.all(newest.slice(0, 12).map((_, of) => write(partOf(0xc, of), of * 60_000)))
  await tidyParts(folder)
  t.is((await readdir(folder)).filter(name => name.startsWith('.x.000000000000000c')).length, 8)
})

test('nothing is told of a file that is there before the sender has shown its digest', async t => {
  const p = await post()
  await writeFile(join(p.to, 'note'), 'pin')
  const guessed = await offering(p, {})
  t.deepEqual(await guessed.reader.line(), { v: 1, type: 'have', where: 'file', bytes: 3 })
  await writeLine(guessed.stream, { type: 'sum', sha256: sha256('pan') })
  await fails(t, guessed.reader.line(), /^peer bob: a different file named "note" is already there$/)
  const known = await offering(p, {})
  await known.reader.line()
  await writeLine(known.stream, { type: 'sum', sha256: sha256('pin') })
  t.deepEqual(await known.reader.line(), { v: 1, type: 'done', where: 'file' })
})

test('whoever guesses at a file that is there is slow', async t => {
  let nowMs = 0
  const comparisons = new Comparisons(() => nowMs)
  const path = join(await folderNamed('guess'), 'pin')
  await writeFile(path, '1234')
  await using handle = await open(path)
  const guess = (content: string) => comparisons.isSame(handle, 4, sha256(content))
  for (let times = 0; times < 300; times++) t.true(await guess('1234'))
  for (let times = 0; times < 256; times++) t.false(await guess(`${times}`))
  await t.throwsAsync(guess('1234'), { code: 'io', message: /try again in a minute/ })
  nowMs += 1000
  t.false(await guess('9999'))
  await t.throwsAsync(guess('9998'), { code: 'io' })
})

test('a sender of a former release is told in one sentence what it cannot ask, and can send all else', async t => {
  const p = await post()
  await writeFile(join(p.to, 'note'), 'pin')
  const { reader } = await offering(p, { speaks: undefined })
  await fails(
    t,
    reader.line(),
    /^peer bob: "note" is already there, and the sender's postern is too old to ask if it is the same; update it$/
  )
  const other = await offering(p, { name: 'other', speaks: undefined })
  t.deepEqual(await other.reader.line(), { v: 1, type: 'have', where: 'part', bytes: 0, sha256: sha256('') })
})

test('a receiver of a former release is understood', async t => {
  const p = await post()
  p.bob.serve('send', async stream => {
    const reader = new Reader(stream)
    await reader.line()
    await writeLine(stream, { type: 'have', where: 'file', bytes: 3, sha256: sha256('pin') })
    t.like(await reader.line(), { type: 'from', offset: 3, same: true })
    t.like(await reader.line(), { type: 'sum', sha256: sha256('pin') })
    await writeLine(stream, { type: 'done', where: 'file' })
    await reader.line()
    stream.end()
  })
  t.is((await one(p.alice, await file(p, 'note', 'pin'))).outcome, 'already-there')
})

test('a sender that is not admitted is told why, and one that waits for a person is told that', async t => {
  const answers = Promise.withResolvers<void>()
  const offers: unknown[] = []
  const p = await post({
    admit: async offer => {
      offers.push(offer)
      if (offer.file === 'no') throw new PosternError('io', 'its owner said no')
      await answers.promise
    }
  })
  await fails(t, one(p.alice, await file(p, 'no', 'abc')), /^peer bob: its owner said no$/)
  let asked = 0
  const onAsking = () => {
    asked++
    answers.resolve()
  }
  t.is((await one(p.alice, await file(p, 'yes', 'abc'), { onAsking })).outcome, 'sent')
  t.is(asked, 1)
  t.deepEqual(offers, [
    { file: 'no', bytes: 3 },
    { file: 'yes', bytes: 3 }
  ])
  t.deepEqual(await readdir(p.to), ['yes'])
})

test('a file that is rewritten while it is sent is an error, also if its time is set back', async t => {
  const p = await post()
  const path = await file(p, 'rewritten', Buffer.alloc(20_000_000))
  await utimes(path, 1_000_000, 1_000_000)
  await using handle = await open(path, 'r+')
  let isRewritten = false
  const onProgress = () => {
    if (isRewritten) return
    writeSync(handle.fd, 'others', 0)
    utimesSync(path, 1_000_000, 1_000_000)
    isRewritten = true
  }
  await fails(t, one(p.alice, path, { onProgress }), /^"rewritten" changed while it was being sent$/)
  t.false((await readdir(p.to)).includes('rewritten'))
})

test('a file that does not say how much it holds does not arrive empty', async t => {
  const p = await post()
  t.true((await readFile('/proc/version')).length > 0)
  await fails(t, one(p.alice, '/proc/version'), /^"version" holds more than its size says; postern pipe can carry/)
  // The part of a transfer that was cut may still lie there for a moment.
  t.false((await readdir(p.to)).includes('version'))
})
