import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { PosternError } from '../../../src/errors.ts'
import { Directory } from '../../../src/gateway/peers/directory.ts'
import { Joined } from '../../../src/gateway/peers/joined.ts'
import { Names } from '../../../src/gateway/peers/names.ts'

test('the owner of a name who joined twice is found at the newer link, and at the older one when that has gone', async t => {
  const directory = await opened(t)
  const [older, newer, caller] = [joined('1'), joined('2'), joined('3', false)]
  for (const { peer } of [older, newer, caller]) directory.add(peer)
  t.is(await directory.find('bob'), newer.peer)
  newer.leave()
  t.is(await directory.find('bob'), older.peer)
  older.leave()
  await t.throwsAsync(directory.find('bob'), { instanceOf: PosternError, code: 'unknown-peer' })
  t.is(directory.size, 1)
})

test('who does not answer, or was lost without a goodbye, is silent: told how long, and when to ask again', async t => {
  const directory = await opened(t)
  const said = { isSilent: true, isLeft: false }
  const [first, second] = [joined('1', true, said), joined('2')]
  directory.add(first.peer)
  await t.throwsAsync(directory.find('bob'), silent)
  t.deepEqual(
    directory.silent.map(({ name }) => name),
    ['bob']
  )
  directory.add(second.peer)
  t.is(await directory.find('bob'), second.peer, 'the one that answers')
  second.leave()
  said.isSilent = false
  t.is(await directory.find('bob'), first.peer)
  first.leave()
  const error = await t.throwsAsync(directory.find('BOB'), silent)
  t.regex(error?.message ?? '', /^bob has been silent for 12 s; it may be changing its network$/)
  t.true((error?.retryMs ?? 0) > 0)
  directory.add(second.peer)
  t.deepEqual(directory.silent, [])
})

test('an id is given again to the certificate that had it, and to no other; its older link is closed', async t => {
  const directory = await opened(t)
  t.true(directory.giveAgain('1', 'AA'), 'nobody has it, as after a restart')
  const { peer } = joined('1')
  directory.add(peer)
  t.false(directory.giveAgain('1', 'BB'))
  t.false(peer.gone.aborted)
  t.true(directory.giveAgain('1', 'AA'))
  t.true(peer.gone.aborted)
  t.false(directory.giveAgain('1', 'BB'), 'nor once it has gone')
})

test('where many may be joined, the certificates of all their ids are remembered when they are lost at once', async t => {
  const many = 12_000
  const said = { isSilent: false, isLeft: false }
  const directory = await opened(t, many)
  const all = Array.from({ length: many }, (_, id) => joined(`${id}`, true, said, `bob-${id}`))
  for (const { peer } of all) directory.add(peer)
  for (const { leave } of all) leave()
  t.false(directory.giveAgain('0', 'BB'))
  t.true(directory.giveAgain('0', 'AA'))
})

const silent = { instanceOf: PosternError, code: 'silent-peer' }

async function opened(t: ExecutionContext, peers = 10): Promise<Directory> {
  const folder = mkdtempSync(join(tmpdir(), 'postern-directory-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  return new Directory(await Names.open(folder, { max: 10, log: { warn: () => {} } }), peers)
}

function joined(id: string, accepts = true, said = { isSilent: false, isLeft: true }, name = 'bob') {
  const gone = new AbortController()
  const endpoints = [{ address: '127.0.0.1', port: 3478 }] as const
  const who = { id, name, named: true, fingerprint: 'AA', accepts, endpoints }
  return {
    peer: new Joined(
      { ...who, endpoints: [endpoints[0]] },
      {
        send: () => {},
        hail: () => {},
        heardMs: Date.now() - 12_000,
        gone: gone.signal,
        replace: () => gone.abort(),
        get isSilent() {
          return said.isSilent
        },
        get isLeft() {
          return said.isLeft
        }
      }
    ),
    leave: () => gone.abort()
  }
}
