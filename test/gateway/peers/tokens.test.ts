import { lstat, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { PosternError } from '../../../src/errors.ts'
import { token } from '../../../src/gateway/peers/tokens.ts'

test('a token that was lost from its file lets nobody in: the gateway does not start', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'postern-tokens-'))
  t.teardown(() => rm(folder, { recursive: true }))
  for (const [lost, what] of [
    ['\n', 'is empty'],
    ['', 'is empty'],
    ['\0'.repeat(17), 'is damaged, or shorter than 16 characters'],
    ['short\n', 'is damaged, or shorter than 16 characters']
  ] as const) {
    await writeFile(join(folder, 'admin-token'), lost)
    const error = await t.throwsAsync(token('', folder, 'admin'), { instanceOf: PosternError, code: 'io' })
    t.regex(error?.message ?? '', new RegExp(`admin-token ${what}; delete the file, and a new one is made up$`))
  }
})

test('a token is made up once, and nothing half-written is left beside it', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'postern-tokens-'))
  t.teardown(() => rm(folder, { recursive: true }))
  const made = await token('', folder, 'join')
  t.regex(made, /^[\w-]{16}$/)
  t.is(await token('', folder, 'join'), made)
  t.not(await token('', folder, 'admin'), made)
  t.deepEqual((await readdir(folder)).sort(), ['admin-token', 'join-token'])
})

test('a link that lies where a token is written leads to no other file', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'postern-tokens-'))
  t.teardown(() => rm(folder, { recursive: true }))
  await writeFile(join(folder, 'target'), 'of somebody else')
  await symlink('target', join(folder, 'join-token.new'))
  const made = await token('', folder, 'join')
  t.is(await readFile(join(folder, 'target'), 'utf8'), 'of somebody else')
  t.true((await lstat(join(folder, 'join-token'))).isFile())
  t.is(await token('', folder, 'join'), made)
})
