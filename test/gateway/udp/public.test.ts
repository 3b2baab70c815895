import test from 'ava'
import type { Port } from '../../../src/gateway/udp/listen.ts'
import { PublicAddresses, toldOf } from '../../../src/gateway/udp/public.ts'

const port = (row: number, column: number): Port => ({
  ...{ local: { address: '10.0.0.2', port: 3478 + column }, door: 'udp', row, column, send: () => {} }
})

/** The lines of a log. */
function logged() {
  const lines: string[] = []
  const line = (text: string) => void lines.push(text)
  return { lines, log: { info: line, warn: line } }
}

test('a port is told where it is published', async t => {
  using told = await PublicAddresses.open(
    [{ host: '203.0.113.7', ports: [40000, 40005, 40009] }, { host: '203.0.113.8' }],
    logged()
  )
  t.deepEqual(toldOf(told.told, port(0, 1)), { address: '203.0.113.7', port: 40005 })
  t.deepEqual(toldOf(told.told, port(1, 2)), { address: '203.0.113.8', port: 3480 })
  t.is(toldOf([], port(0, 0)), undefined)
  t.deepEqual(told.addresses, ['203.0.113.7', '203.0.113.8'])
})

test('a name is told by its address, which may be another one later, and stays where it cannot be asked for', async t => {
  const answers: (string | Error)[] = [
    '203.0.113.7',
    '203.0.113.9',
    Object.assign(new Error('no'), { code: 'EAI_AGAIN' })
  ]
  const resolve = async () => {
    const answer = answers.shift()
    if (typeof answer !== 'string') throw answer
    return answer
  }
  const { lines, log } = logged()
  using told = await PublicAddresses.open([{ host: 'gw.example.org' }], { log, resolve })
  t.deepEqual(told.addresses, ['203.0.113.7'])
  await told.refresh()
  t.deepEqual(told.addresses, ['203.0.113.9'])
  await told.refresh()
  t.deepEqual(told.addresses, ['203.0.113.9'])
  t.deepEqual(lines, [
    'gw.example.org is at 203.0.113.9 now, and was at 203.0.113.7',
    'listen.udp.public[0]: gw.example.org has no IPv4 address (EAI_AGAIN); expected a name that leads to this gateway; peers are told 203.0.113.9 as before'
  ])
})

test('of two names the one that can be asked for is told anew', async t => {
  let last = 7
  const resolve = async (host: string) => {
    if (host === 'b' && last > 7) throw Object.assign(new Error('no'), { code: 'EAI_AGAIN' })
    return `203.0.113.${host === 'a' ? last : 8}`
  }
  const both = [{ host: 'a' }, { host: 'b', ports: [1] }]
  using told = await PublicAddresses.open(both, { ...logged(), resolve })
  last = 9
  await told.refresh()
  t.deepEqual(told.told, [{ address: '203.0.113.9' }, { address: '203.0.113.8', ports: [1] }])
})

test('while an answer is due nobody asks again', async t => {
  const due = [Promise.withResolvers<string>(), Promise.withResolvers<string>()]
  let asked = 0
  const resolve = async () => (asked++ === 0 ? '203.0.113.7' : ((await due[asked - 2]?.promise) ?? ''))
  using told = await PublicAddresses.open([{ host: 'gw.example.org' }], { ...logged(), resolve })
  const both = [told.refresh(), told.refresh()]
  due[0]?.resolve('203.0.113.9')
  await Promise.all(both)
  t.is(asked, 2)
  const next = told.refresh()
  due[1]?.resolve('203.0.113.10')
  await next
  t.deepEqual(told.addresses, ['203.0.113.10'])
})

test('a name without an address keeps a gateway from starting', async t => {
  const resolve = () => Promise.reject(Object.assign(new Error('no'), { code: 'ENOTFOUND' }))
  await t.throwsAsync(PublicAddresses.open([{ host: 'none.example' }], { ...logged(), resolve }), {
    code: 'bad-config',
    message: /listen\.udp\.public\[0\]: none\.example has no IPv4 address \(ENOTFOUND\); expected a name/
  })
})
