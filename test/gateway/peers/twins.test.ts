import test from 'ava'
import { nowMs } from '../../../src/clock.ts'
import { Twins } from '../../../src/gateway/peers/twins.ts'
import type { FromGateway } from '../../../src/wire/signal.ts'
import { HandMade } from '../../hand-made.ts'
import { until } from '../../until.ts'
import { World } from '../../world.ts'

/** A joined peer that answers when it is hailed, or does not. */
class Somebody {
  readonly name: string
  readonly fingerprint: string
  readonly told: FromGateway[] = []
  readonly #gone = new AbortController()
  readonly #answers: boolean
  readonly gone = this.#gone.signal
  heardMs = 0
  hailed = 0

  constructor(name: string, { fingerprint = 'AA', answers = true } = {}) {
    this.name = name
    this.fingerprint = fingerprint
    this.#answers = answers
  }

  hail(): void {
    this.hailed++
    if (this.#answers)
      setImmediate(() => {
        this.heardMs = nowMs()
      })
  }

  send(message: FromGateway): void {
    this.told.push(message)
  }

  leave(): void {
    this.#gone.abort()
  }
}

function watching() {
  const lines: string[] = []
  const twins = new Twins({ log: { warn: (_, text) => void lines.push(text) }, answerMs: 50 })
  /** Resolves when nobody is waited for any more. */
  const settled = () => new Promise(resolve => setTimeout(resolve, 100))
  return { twins, lines, settled }
}

test('two that answer at once from two networks are told of each other, and the log names both, once', async t => {
  const { twins, lines, settled } = watching()
  const [one, two] = [new Somebody('bob'), new Somebody('bob')]
  twins.joined(one, '203.0.113.5')
  twins.joined(two, '::ffff:198.51.100.7')
  await settled()
  t.deepEqual(one.told, [{ type: 'twin', name: 'bob', from: '198.51.100.7' }])
  t.deepEqual(two.told, [{ type: 'twin', name: 'bob', from: '203.0.113.5' }])
  t.is(twins.count, 1)
  t.regex(lines[0] ?? '', /identity-twice: bob is joined from two places at once.*identity\.pem/)
  t.is(twins.warnings[0]?.code, 'identity-twice')
  t.notRegex(JSON.stringify(twins.warnings), /bob|AA|\d+\.\d+\.\d+/)
  two.leave()
  t.deepEqual([twins.count, twins.warnings], [0, []])
  const again = new Somebody('bob')
  twins.joined(again, '198.51.100.7')
  await settled()
  t.is(one.told.length, 2)
  t.is(lines.length, 1)
})

test('two hosts behind one address are told apart by the addresses of their interfaces', async t => {
  const { twins, settled } = watching()
  const [one, two] = [new Somebody('bob'), new Somebody('bob')]
  for (const peer of [one, two]) twins.joined(peer, '203.0.113.5')
  twins.shown(one, [{ address: '192.168.1.2' }, { address: '172.17.0.1' }])
  await settled()
  t.deepEqual(one.told, [])
  twins.shown(two, [{ address: '192.168.1.3' }, { address: '172.17.0.1' }])
  twins.shown(two, [{ address: '192.168.1.3' }])
  await settled()
  t.deepEqual(one.told, [{ type: 'twin', name: 'bob', from: '192.168.1.3 behind 203.0.113.5' }])
  t.is(two.told.length, 1)
})

test('a second program of one computer is no twin, by IPv6 either, nor is one that only calls or another certificate', async t => {
  const { twins, settled } = watching()
  const all = [
    new Somebody('bob'),
    new Somebody('bob2'),
    new Somebody('bob3'),
    new Somebody('ann', { fingerprint: 'BB' })
  ]
  for (const [at, from] of ['203.0.113.5', '203.0.113.5', '2001:db8::5', '198.51.100.7'].entries()) {
    twins.joined(all[at] as Somebody, from)
    twins.shown(all[at] as Somebody, [{ address: '192.168.1.2' }])
  }
  twins.shown(new Somebody('bob'), [{ address: '192.168.1.9' }])
  await settled()
  t.deepEqual(
    all.flatMap(({ told }) => told),
    []
  )
})

test('the link that a peer lost as it changed networks does not answer, and is no twin', async t => {
  const { twins, lines, settled } = watching()
  const [dead, alive] = [new Somebody('bob', { answers: false }), new Somebody('bob')]
  twins.joined(dead, '203.0.113.5')
  twins.joined(alive, '198.51.100.7')
  for (let turn = 0; turn < 100; turn++) twins.shown(alive, [{ address: '192.168.1.2' }])
  t.is(dead.hailed, 1, 'two are asked once at a time')
  await settled()
  t.deepEqual([alive.told, lines, twins.count], [[], [], 0])
})

test('over the wire: a clone of a peer that waits is told to both, and to the operator', async t => {
  await using world = await World.open({ trustProxy: ['127.0.0.1'] })
  const spec = { identity: await world.identity('bob'), token: world.gateway.joinToken, name: 'bob' }
  const from = async (address: string, accepts = true) => {
    const made = new HandMade(world.url, { 'x-forwarded-for': address })
    await made.hello({ ...spec, accepts })
    await made.hears('welcome')
    return made
  }
  const [original, calling] = [await from('203.0.113.5'), await from('192.0.2.1', false)]
  const clone = await from('198.51.100.7')
  t.is((await original.hears('twin')).from, '198.51.100.7')
  t.is((await clone.hears('twin')).from, '203.0.113.5')
  t.is((await world.gateway.status()).twins, 1)
  t.regex(await (await fetch(`${world.url}/healthz`)).text(), /identity-twice/)
  await clone.close()
  await until(async () => (await world.gateway.status()).twins === 0)
  t.false(calling.heard.some(({ type }) => type === 'twin'))
  await Promise.all([original.close(), calling.close()])
})
