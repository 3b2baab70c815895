import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { PosternError } from '../../../src/errors.ts'
import { token } from '../../../src/gateway/peers/tokens.ts'

test('a token that was lost from its file lets nobody in: the gateway does not start', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'postern-tokens-'))
  t.teardown(() => rm(folder, { recursive: true }))
  await writeFile(join(folder, 'admin-token'), '\n')
  const error = t.throws(() => token('', folder, 'admin'), { instanceOf: PosternError, code: 'io' })
  t.regex(error?.message ?? '', /admin-token is empty; delete the file/)
})

test('a token is made up once, and nothing half-written is left beside it', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'postern-tokens-'))
  t.teardown(() => rm(folder, { recursive: true }))
  const made = token('', folder, 'join')
  t.regex(made, /^[\w-]{16}$/)
  t.is(token('', folder, 'join'), made)
  t.not(token('', folder, 'admin'), made)
  t.deepEqual((await readdir(folder)).sort(), ['admin-token', 'join-token'])
})
