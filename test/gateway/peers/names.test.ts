import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { PosternError } from '../../../src/errors.ts'
import { Names, type NamesOptions } from '../../../src/gateway/peers/names.ts'
import { NamesFile } from '../../../src/gateway/peers/names-file.ts'
import { canLimit, limitFiles } from '../../full-disk.ts'

const HOUR_MS = 3_600_000
const fingerprintOf = (owner: string) =>
  Array(32).fill(Buffer.from(owner).toString('hex').slice(0, 2).toUpperCase()).join(':')
const [ann, bob] = [fingerprintOf('a'), fingerprintOf('b')]

/** A folder for a table, and what the log says of it. */
async function place(t: ExecutionContext) {
  const folder = await mkdtemp(join(tmpdir(), 'postern-names-'))
  t.teardown(() => rm(folder, { recursive: true }))
  const said: string[] = []
  const log = { warn: (text: unknown) => void said.push(String(text)) }
  const open = (options: Partial<NamesOptions> = {}) => Names.open(folder, { max: 100, log, ...options })
  return { folder, said, open, base: join(folder, 'names.json'), journal: join(folder, 'names.journal') }
}

const tableOf = (names: Names) => Object.fromEntries(names.list())
const refused = (code: string, message?: RegExp) => ({
  instanceOf: PosternError,
  code,
  ...(message ? { message } : {})
})
const linesOf = (text: string) => text.split('\n').filter(line => line !== '' && !line.startsWith('#'))

const withLimit = canLimit ? test.serial : test.serial.skip

withLimit(
  'while the disk is full a new name is refused without a path, once in the log, and known ones join',
  async t => {
    const { folder, said, open, journal } = await place(t)
    const names = await open()
    await names.claim('ann', ann, 'home')
    {
      using _ = limitFiles((await stat(journal)).size + 5)
      for (const name of ['bob', 'bert', 'bill']) {
        const error = await t.throwsAsync(names.claim(name, bob, 'home'), refused('gateway-disk'))
        t.is(error?.message, 'the gateway cannot keep the name now: its disk is full')
      }
      await t.throwsAsync(names.forget('ann'), refused('gateway-disk', /cannot forget the name now: its disk is full$/))
      t.is(await names.claim('ann', ann, 'home'), 'ann')
      t.deepEqual([said.length, names.counters.unkept], [1, 4])
      t.regex(said[0] ?? '', /^names cannot be written: .*; who is known still joins/)
    }
    t.deepEqual(tableOf(names), { ann })
    t.deepEqual(tableOf(await open()), { ann }, 'nothing of what was refused is on disk')
    await names.claim('bob', bob, 'home')
    t.deepEqual(tableOf(await Names.open(folder, { max: 9, log: { warn: () => {} } })), { ann, bob })
  }
)

test('claims that come together are written together', async t => {
  const { folder, journal } = await place(t)
  const { file } = await NamesFile.open(folder, { warn: t.fail })
  const together = () => new Set(['ann', 'bob', 'carol'].map(name => file.append([{ name, fingerprint: ann }])))
  const writes = [...together()]
  t.is(writes.length, 1, 'one write for all three')
  await Promise.resolve()
  writes.push(...together())
  t.is(writes.length, 2, 'and one for all that come while it is under way')
  await Promise.all(writes)
  t.is(linesOf(await readFile(journal, 'utf8')).length, 6)
})

test('a claim is on disk when it is granted, in a line of its own, however large the table is', async t => {
  const { open, base, journal } = await place(t)
  const table = Object.fromEntries(Array.from({ length: 9999 }, (_, i) => [`peer-${i}`, ann]))
  await writeFile(base, JSON.stringify(table))
  const names = await open({ max: 10_000 })
  const [before, began] = [await stat(base), (await stat(journal)).size]
  await names.claim('bob', bob, 'home')
  const line = `${JSON.stringify({ name: 'bob', fingerprint: bob })}\n`
  t.is((await stat(journal)).size, began + line.length)
  t.true((await readFile(journal, 'utf8')).endsWith(line))
  const { mtimeMs, ino } = await stat(base)
  t.deepEqual([mtimeMs, ino], [before.mtimeMs, before.ino], 'the rest is not written again')
  await t.throwsAsync(names.claim('carol', bob, 'home'), refused('name-taken', /10000 names is full/))
})

test('claims and forgotten names outlive a restart, and so does a kill without a word', async t => {
  const { open, base } = await place(t)
  const names = await open()
  for (const name of ['one', 'two', 'three']) await names.claim(name, ann, 'home')
  await names.forget('two')
  await names.claim('two', bob, 'home')
  await names.forget('three')
  const expected = { one: ann, two: bob }
  for (const _ of [1, 2]) t.deepEqual(tableOf(await open()), expected)
  t.deepEqual(JSON.parse(await readFile(base, 'utf8')), expected)
})

test('two links of one owner get the same name, and of two owners the first does', async t => {
  const { open } = await place(t)
  const names = await open()
  const claims = await Promise.allSettled([
    names.claim('ann', ann, 'home'),
    names.claim('ann', ann, 'home'),
    names.claim('ann', bob, 'home')
  ])
  t.deepEqual(
    claims.map(({ status }) => status),
    ['fulfilled', 'fulfilled', 'rejected']
  )
  t.deepEqual(tableOf(names), { ann })
})

test('capitals make no other name, which is shown as it was claimed first', async t => {
  const { open } = await place(t)
  const names = await open()
  t.is(await names.claim('Bob', bob, 'home'), 'Bob')
  t.is(await names.claim('BOB', bob, 'home'), 'Bob')
  await t.throwsAsync(names.claim('bob', ann, 'home'), refused('name-taken', /as Bob; .*postern names forget Bob$/))
  t.deepEqual([names.spelling('bOb'), names.spelling('bo')], ['Bob', undefined])
  t.is(await names.forget('bob'), 'Bob')
  t.is(await names.claim('bob', ann, 'home'), 'bob')
  t.deepEqual(tableOf(names), { bob: ann })
})

test('a table of before that has Bob and bob leaves each to its owner, and says so', async t => {
  const { open, base, said } = await place(t)
  await writeFile(base, JSON.stringify({ Bob: bob, bob: ann }))
  const names = await open()
  t.deepEqual(said.length, 1)
  t.regex(said[0] ?? '', /^Bob and bob are one name .*postern names forget bob leaves one$/)
  t.is(await names.claim('Bob', bob, 'home'), 'Bob')
  t.is(await names.claim('bob', ann, 'home'), 'bob')
  await t.throwsAsync(names.claim('bob', bob, 'home'), refused('name-taken'))
  t.is(await names.claim('BOB', ann, 'home'), 'bob')
  await t.throwsAsync(names.claim('BOB', fingerprintOf('c'), 'home'), refused('name-taken'))
  await names.forget('bob')
  t.is(names.spelling('bob'), 'Bob')
})

test('the seventeenth new name of a certificate within an hour is refused and counted, and no other is', async t => {
  const { open } = await place(t)
  let nowMs = 0
  const names = await open({ now: () => nowMs })
  for (let i = 0; i < 16; i++) await names.claim(`a${i}`, ann, 'home')
  await t.throwsAsync(names.claim('a16', ann, 'home'), refused('relay-full', /claimed 16 names within an hour/))
  t.like(names.counters, { limited: 1, full: 0 })
  t.is(await names.claim('a3', ann, 'home'), 'a3', 'its own are no new ones')
  await names.claim('b0', bob, 'home')
  nowMs = HOUR_MS + 1
  await names.claim('a16', ann, 'home')
  t.is(names.size, 18)
})

test('one network leaves others names, however many certificates it has, and gets more of them another day', async t => {
  const { open } = await place(t)
  let nowMs = 0
  const names = await open({ max: 400, now: () => nowMs })
  const claimed = async (network: string) => {
    for (let count = 0; ; count++) {
      const [name, owner] = [`${network}-${nowMs}-${count}`, fingerprintOf(network) + count]
      if (!(await names.claim(name, owner, network).catch(() => false))) return count
    }
  }
  t.is(await claimed('a'), 90, 'nine tenths of what is given out in a day')
  t.is(await claimed('b'), 2)
  await t.throwsAsync(names.claim('more', ann, 'a'), refused('relay-full', /its network has claimed its share/))
  nowMs = 10 * 24 * HOUR_MS
  t.true((await claimed('a')) >= 89)
})

test('the last names of a table are for networks that have claimed hardly any', async t => {
  const { open, base } = await place(t)
  await writeFile(base, JSON.stringify(Object.fromEntries(Array.from({ length: 90 }, (_, i) => [`peer-${i}`, ann]))))
  const names = await open({ max: 100 })
  for (const name of ['a1', 'a2']) await names.claim(name, fingerprintOf(name), 'a')
  await t.throwsAsync(names.claim('a3', bob, 'a'), refused('relay-full', /its network has claimed its share/))
  t.is(await names.claim('b1', bob, 'b'), 'b1')
})

test('all names of a fingerprint are forgotten together, and the names of others stay', async t => {
  const { open } = await place(t)
  const names = await open()
  for (const name of ['one', 'two']) await names.claim(name, ann, 'home')
  await names.claim('other', bob, 'home')
  t.deepEqual(await names.forgetAllOf(ann), ['one', 'two'])
  t.deepEqual(await names.forgetAllOf(ann), [])
  t.deepEqual(tableOf(await open()), { other: bob })
})

test('of a table that was cut short every whole name is kept, and what was lost is said and set aside', async t => {
  const { folder, open, base, said } = await place(t)
  const whole = `${JSON.stringify({ one: ann, two: bob, three: ann }, undefined, 1)}\n`
  for (const torn of [whole.slice(0, -60), whole.slice(0, -60) + '\0'.repeat(60)]) {
    said.length = 0
    await writeFile(base, torn)
    t.deepEqual(tableOf(await open()), { one: ann, two: bob })
    t.is(said.length, 1)
    t.regex(said[0] ?? '', /names\.json was damaged: 2 names in it are whole.* lost.*names\.json\.damaged$/)
    t.is(await readFile(`${base}.damaged`, 'utf8'), torn)
  }
  said.length = 0
  t.deepEqual(tableOf(await open()), { one: ann, two: bob })
  t.deepEqual(said, [], 'it is said once')
  t.deepEqual((await readdir(folder)).sort(), ['names.journal', 'names.json', 'names.json.damaged'].sort())
})

test('a table of which nothing is whole keeps the gateway from starting, with what to do', async t => {
  const { open, base } = await place(t)
  await (await open()).claim('ann', ann, 'home')
  for (const lost of ['', '\0\0\0', '{', '[1]', '"x"']) {
    await writeFile(base, lost)
    const what = lost === '' ? 'empty' : 'damaged'
    const error = await t.throwsAsync(
      open(),
      refused('io', new RegExp(`names\\.json is ${what}, .*put a copy of it there`))
    )
    t.regex(error?.message ?? '', /or delete it: then every name that names\.journal does not list belongs to whoever/)
    t.is(await readFile(base, 'utf8'), lost, 'it is left as it is')
  }
  await rm(base)
  t.deepEqual(tableOf(await open()), { ann }, 'what the journal has is there')
})

test('a line of the journal that is torn costs that line alone', async t => {
  const { open, journal, said } = await place(t)
  const line = (name: string) => `${JSON.stringify({ name, fingerprint: ann })}\n`
  await writeFile(journal, `# header\n${line('one')}\0\0\n${line('two')}${line('three').slice(0, 20)}`)
  t.deepEqual(tableOf(await open()), { one: ann, two: ann })
  t.regex(said.join(), /names\.journal was damaged: 2 lines are whole/)
  t.deepEqual(tableOf(await open()), { one: ann, two: ann })
  t.is(said.length, 1)
})

test('a folder that cannot be written is said at the start, with its path and what to do', async t => {
  const { folder, open } = await place(t)
  await writeFile(join(folder, 'file'), '')
  const log = { warn: () => {} }
  for (const below of ['file', join('file', 'state')]) {
    const opening = Names.open(join(folder, below), { max: 9, log })
    await t.throwsAsync(
      opening,
      refused('bad-config', /^state: .*file.* cannot be .*: what should be a folder is not one; /)
    )
  }
  await mkdir(join(folder, 'names.journal'))
  await t.throwsAsync(open(), refused('bad-config', /^state: .* cannot be read: it is not a file; /))
  if (process.getuid?.() === 0) return
  await rm(join(folder, 'names.journal'), { recursive: true })
  await chmod(folder, 0o500)
  await t.throwsAsync(open(), refused('bad-config', /^state: .* cannot be written: permission is denied; give it to/))
  await chmod(folder, 0o700)
})

withLimit('a full disk is said at the start', async t => {
  const { open } = await place(t)
  using _ = limitFiles(10)
  await t.throwsAsync(open(), refused('bad-config', /^state: .* cannot be written: its disk is full; make room on it/))
})
