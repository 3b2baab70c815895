import { execFileSync } from 'node:child_process'
import { chmod, lstat, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import {
  appendToStateFile,
  createStateFile,
  cutStateFile,
  exposures,
  openToAppend,
  readStateFile,
  replaceStateFile,
  troubleOf
} from '../src/state-file.ts'
import { canLimit, limitFiles } from './full-disk.ts'

async function folderOf(t: ExecutionContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'postern-state-'))
  t.teardown(() => rm(folder, { recursive: true }))
  return folder
}

test.serial('files are for their owner alone, however open the process makes files', async t => {
  const folder = await folderOf(t)
  const umask = process.umask(0)
  t.teardown(() => process.umask(umask))
  const [made, replaced, appended] = ['made', 'replaced', 'appended'].map(name => join(folder, name)) as [
    string,
    string,
    string
  ]
  await createStateFile(made, 'a')
  await replaceStateFile(replaced, 'a')
  await appendToStateFile(appended, 'a')
  for (const path of [made, replaced, appended]) t.is((await stat(path)).mode & 0o777, 0o600, path)
})

const withLimit = canLimit ? test.serial : test.serial.skip

withLimit('what a full disk took of a line is cut off again, and the next line is whole', async t => {
  const path = join(await folderOf(t), 'lines')
  await appendToStateFile(path, 'first\n')
  {
    using _ = limitFiles(20)
    const error = await t.throwsAsync(appendToStateFile(path, `${'x'.repeat(30)}\n`))
    t.is(troubleOf(error), 'its disk is full')
  }
  t.is(await readFile(path, 'utf8'), 'first\n')
  await appendToStateFile(path, 'second\n')
  t.is(await readFile(path, 'utf8'), 'first\nsecond\n')
})

withLimit('a file that a full disk does not take leaves the one before it, and nothing beside it', async t => {
  const folder = await folderOf(t)
  const path = join(folder, 'table')
  await replaceStateFile(path, 'before')
  {
    using _ = limitFiles(20)
    await t.throwsAsync(replaceStateFile(path, 'x'.repeat(30)))
  }
  t.is(await readFile(path, 'utf8'), 'before')
  t.deepEqual(await readdir(folder), ['table'])
})

test('nothing is written through a link: what it leads to stays as it is', async t => {
  const folder = await folderOf(t)
  const target = join(folder, 'target')
  await writeFile(target, 'of somebody else\n', { mode: 0o644 })
  const [table, lines, key] = ['table', 'lines', 'key'].map(name => join(folder, name)) as [string, string, string]
  for (const path of [table, `${table}.new`, lines, key]) await symlink(target, path)
  await replaceStateFile(table, 'ours')
  t.false((await lstat(table)).isSymbolicLink())
  t.is(await readFile(table, 'utf8'), 'ours')
  const refused = await t.throwsAsync(appendToStateFile(lines, 'ours'))
  t.is(troubleOf(refused), 'it is a symbolic link, and nothing is written through one')
  t.is(troubleOf(await t.throwsAsync(openToAppend(lines))), 'it is a symbolic link, and nothing is written through one')
  await createStateFile(key, 'ours')
  t.is(await readFile(target, 'utf8'), 'of somebody else\n')
  t.is((await stat(target)).mode & 0o777, 0o644)
})

test('of several that make a file at once one wins, and all read the same', async t => {
  const path = join(await folderOf(t), 'key')
  await Promise.all([1, 2, 3].map(one => createStateFile(path, `${one}`.repeat(1000))))
  const won = await readStateFile(path)
  t.true(['1', '2', '3'].some(one => won === one.repeat(1000)))
  await createStateFile(path, 'later')
  t.is(await readStateFile(path), won)
})

test('a FIFO, a folder and a device are told to be no file, without waiting for anybody', async t => {
  const folder = await folderOf(t)
  const fifo = join(folder, 'fifo')
  execFileSync('mkfifo', [fifo])
  await mkdir(join(folder, 'folder'))
  for (const path of [fifo, join(folder, 'folder'), '/dev/zero']) {
    t.is(troubleOf(await t.throwsAsync(readStateFile(path), undefined, path)), 'it is not a file', path)
    t.is(troubleOf(await t.throwsAsync(openToAppend(path), undefined, path)), 'it is not a file', path)
  }
  t.is(await readStateFile(join(folder, 'nothing')), undefined)
})

test('only what the end of a file really is can be cut off', async t => {
  const path = join(await folderOf(t), 'lines')
  await writeFile(path, 'whole\nhal')
  t.false(await cutStateFile(path, 'whole'))
  t.false(await cutStateFile(path, 'much longer than the file is'))
  t.true(await cutStateFile(path, 'hal'))
  t.is(await readFile(path, 'utf8'), 'whole\n')
})

test('who else may write to the folder or read a secret is told, with what to do', async t => {
  const folder = await folderOf(t)
  const [open, shut, none] = ['open', 'shut', 'none'].map(name => join(folder, name)) as [string, string, string]
  await writeFile(open, '')
  await writeFile(shut, '')
  await chmod(open, 0o644)
  await chmod(shut, 0o600)
  t.deepEqual(await exposures(folder, [shut, none]), [])
  await chmod(folder, 0o777)
  const [first = '', second = '', ...more] = await exposures(folder, [open, shut, none])
  t.regex(first, new RegExp(`^${folder} may be written by every user .*; chmod 700 ${folder}$`))
  t.regex(second, new RegExp(`^${open} may be used by others .*; chmod 600 ${open}, and make a new one`))
  t.deepEqual(more, [])
})
