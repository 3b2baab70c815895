import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { PosternError } from '../../../src/errors.ts'
import { Directory } from '../../../src/gateway/peers/directory.ts'
import { Joined } from '../../../src/gateway/peers/joined.ts'
import { Names } from '../../../src/gateway/peers/names.ts'

test('the owner of a name who joined twice is found at the newer link, and at the older one when that has gone', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'postern-directory-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const directory = new Directory(await Names.open(folder, { max: 10, log: { warn: () => {} } }))
  const [older, newer, caller] = [joined('1'), joined('2'), joined('3', false)]
  for (const { peer } of [older, newer, caller]) directory.add(peer)
  t.is(await directory.find('bob'), newer.peer)
  newer.leave()
  t.is(await directory.find('bob'), older.peer)
  older.leave()
  await t.throwsAsync(directory.find('bob'), { instanceOf: PosternError, code: 'unknown-peer' })
  t.is(directory.size, 1)
})

function joined(id: string, accepts = true) {
  const gone = new AbortController()
  const endpoints = [{ address: '127.0.0.1', port: 3478 }] as const
  const who = { id, name: 'bob', named: true, fingerprint: 'AA', accepts, key: Buffer.alloc(20), endpoints }
  return {
    peer: new Joined(
      { ...who, endpoints: [endpoints[0]] },
      { send: () => {}, hail: () => {}, heardMs: 0, gone: gone.signal }
    ),
    leave: () => gone.abort()
  }
}
