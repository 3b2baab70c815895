import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { wordsOf } from '../../../src/gateway/relay/batch/flows.ts'
import { Inbox, nameOf, Outbox, Raw } from '../../../src/gateway/relay/batch/raw.ts'
import { Overload } from '../../../src/gateway/udp/overload.ts'

const head =
  '   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops'
const line = (port: string, drops: number) =>
  ` 3679: 020200C0:${port} 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 964563 2 000000007b5bcd3c ${drops}`

test('what the kernel dropped at our ports is counted, and what it dropped at others is not', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'postern-overload-'))
  const tables = ['udp', 'udp6', 'none'].map(name => join(folder, name)) as [string, string, string]
  const engine = { strangersLost: 0, sendsLost: 0 }
  const ports = [3478, 3479].map(port => ({ local: { address: '0.0.0.0', port } }))
  using overload = new Overload({ ports: () => ports, engine, tables })
  const write = async (drops: number) => {
    await writeFile(tables[0], [head, line('0D96', drops), line('0D97', 2), line('1000', 99), ''].join('\n'))
    await writeFile(tables[1], [head, line('0D96', 1)].join('\n'))
  }
  await write(4)
  t.deepEqual(await overload.look(0), { received: 7, strangers: 0, sent: 0 })
  t.deepEqual(overload.warnings(0), [])
  await write(200)
  engine.sendsLost = 5
  t.deepEqual(await overload.read(), { received: 203, strangers: 0, sent: 5 }, 'as often as somebody scrapes')
  t.deepEqual(await overload.look(10_000), { received: 203, strangers: 0, sent: 5 })
  t.like(overload.warnings(10_000), [{ code: 'overloaded' }])
  await overload.look(60_000)
  t.is(overload.warnings(69_000).length, 1)
  t.deepEqual(overload.warnings(71_000), [])
  await rm(folder, { recursive: true })
})

test('where the kernel tells nothing, nothing is told', async t => {
  using overload = new Overload({ ports: () => [{ local: { address: '0.0.0.0', port: 3478 } }], tables: ['/nowhere'] })
  t.deepEqual(await overload.look(), { received: 0, strangers: 0, sent: 0 })
})

test('this kernel tells of a socket that nobody reads', async t => {
  const raw = Raw.open()
  if (typeof raw === 'string') return t.fail(raw)
  const [one, other] = [
    raw.bind({ address: '127.0.0.1', port: 0 }, 8192),
    raw.bind({ address: '127.0.0.1', port: 0 }, 8192)
  ]
  using overload = new Overload({ ports: () => [other] })
  const { memory } = new Inbox(raw)
  const outbox = new Outbox(raw, one)
  for (let sent = 0; sent < 400; sent++) outbox.put(memory, 0, 1000, 1000, wordsOf(nameOf(other.local)), 0)
  outbox.flush()
  const { received } = await overload.look()
  t.true(received > 100 && received < 400, String(received))
  raw.close(one.fd)
  raw.close(other.fd)
})
