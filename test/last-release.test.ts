// Folders as postern wrote them before names had a journal (test/last-release): all that is in them is read.

import { cp, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import test, { type ExecutionContext } from 'ava'
import { loadIdentity } from '../src/peer/identity/identity.ts'
import { KnownPeers } from '../src/peer/identity/known-peers.ts'
import { World } from './world.ts'

const before = (name: string) => fileURLToPath(new URL(`last-release/${name}`, import.meta.url))
const textOf = async (name: string) => (await readFile(before(name), 'utf8')).trim()

const table = JSON.parse(await textOf('gateway/names.json')) as Record<string, string>

test('a gateway knows its tokens, all names with their owners, and its traces', async t => {
  await using world = await World.open({ more: 'traces: { file: state/traces.jsonl }' })
  await world.gateway.close()
  const state = join(world.folder, 'state')
  await rm(state, { recursive: true })
  await cp(before('gateway'), state, { recursive: true })
  for (const _ of ['first', 'second']) {
    await world.start()
    const { joinToken, adminToken, traces } = world.gateway
    t.is(joinToken, await textOf('gateway/join-token'))
    t.is(adminToken, await textOf('gateway/admin-token'))
    const told = (await (await world.api('/api/names')).json()) as { name: string; fingerprint: string }[]
    t.deepEqual(Object.fromEntries(told.map(({ name, fingerprint }) => [name, fingerprint])), table)
    t.deepEqual(Object.keys(table), ['ann', 'Bob', 'bob', 'carol'])
    const kept = traces.list({ limit: 10 })
    t.deepEqual(
      kept.map(({ callee, outcome }) => [callee, outcome]),
      [
        ['bob', 'path'],
        ['Bob', 'path']
      ]
    )
    await world.gateway.close()
  }
  await world.start()
})

test('a peer is who it was, and knows whom it knew', async t => {
  const folder = await copyOf(t, 'peer')
  const { fingerprint } = await loadIdentity(folder)
  t.is(fingerprint as string | undefined, table.ann)
  const known = new KnownPeers(folder)
  for (const name of ['Bob', 'bob']) t.is(await known.check('http://127.0.0.1:18080', name, table[name] ?? ''), 'known')
})

async function copyOf(t: ExecutionContext, name: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'postern-before-'))
  t.teardown(() => rm(folder, { recursive: true }))
  await cp(before(name), folder, { recursive: true })
  return folder
}
