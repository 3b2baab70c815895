// Local ports that are dead: a gateway made by hand lets nothing through from them.

import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import test from 'ava'
import { PosternError } from '../../../src/errors.ts'
import { firstAnswered } from '../../../src/peer/punch/beside.ts'
import { outside } from '../../../src/peer/punch/candidate-ports.ts'
import { RawSocket } from '../../../src/peer/punch/raw.ts'
import { endNative } from '../../end-native.ts'
import { until } from '../../until.ts'
import { HandMadeGateway, session } from '../hand-made-gateway.ts'

test.after.always(endNative)

const fingerprint = Array.from({ length: 32 }, () => 'AB').join(':')

/** Binds a port that must be free. */
async function bound(port: number) {
  const socket = createSocket('udp4').bind(port, '0.0.0.0')
  await once(socket, 'listening')
  return { close: () => new Promise<void>(done => socket.close(() => done())) }
}

/** Nothing passes from the first `count` ports that were seen. */
function deadAtFirst(gateway: HandMadeGateway, count: number): number[] {
  const dead: number[] = []
  gateway.passes = port => {
    if (dead.length < count && !dead.includes(port)) dead.push(port)
    return !dead.includes(port)
  }
  return dead
}

test.serial('a port that nothing comes back to is replaced by one far from it, and told', async t => {
  await using gateway = await HandMadeGateway.open()
  const dead = deadAtFirst(gateway, 1)
  const { guest, warm } = await gateway.join('guest')
  t.like(await guest.heard('cold'), { socket: 0, code: 'dead-port', port: dead[0] })
  const { first, last } = outside({ first: 32_768, last: 60_999 })
  t.true(Math.abs(warm.port - (dead[0] ?? 0)) >= (last - first) / 6, `${warm.port} beside ${dead[0]}`)
})

test.serial('two dead ports of three still leave one', async t => {
  await using gateway = await HandMadeGateway.open()
  const dead = deadAtFirst(gateway, 2)
  const { warm } = await gateway.join('guest')
  t.is(dead.length, 2)
  t.false(dead.includes(warm.port))
})

test('where none of three is answered, the first one says why, and all are closed', async t => {
  const blocked = new PosternError('udp-blocked', 'nothing comes back')
  const made: RawSocket[] = []
  const silent = async () => {
    const raw = await RawSocket.bind()
    made.push(raw)
    return { raw, show: (signal: AbortSignal) => sleep(50, undefined, { signal }).then(() => Promise.reject(blocked)) }
  }
  const answered = firstAnswered(await silent(), silent, new AbortController().signal, { aloneMs: 10 })
  await t.throwsAsync(answered, { is: blocked })
  t.is(made.length, 3)
  for (const { port } of made) await (await bound(port)).close()
})

test.serial('a warm socket whose port dies gives way to another when it is refreshed', async t => {
  await using gateway = await HandMadeGateway.open()
  gateway.refreshMs = 100
  const { guest, warm } = await gateway.join('guest')
  const { socket, port } = warm
  gateway.passes = other => other !== port
  t.like(await guest.heard('cold'), { socket, code: 'dead-port', port })
  t.not((await guest.heard('warm')).port, port)
})

test.serial('a fresh socket whose port is dead has another beside it, which is ordered like any', async t => {
  await using gateway = await HandMadeGateway.open()
  const { guest, warm } = await gateway.join('guest')
  guest.begin({ fingerprint })
  const dead: number[] = []
  gateway.passes = port => {
    if (port !== warm.port && dead.length === 0) dead.push(port)
    return !dead.includes(port)
  }
  guest.sample(0)
  const first = await guest.heard('fresh')
  const second = await guest.heard('fresh')
  t.deepEqual([first.session, second.session, second.round], [session, session, 0])
  t.like(await guest.heard('cold'), { socket: first.socket, code: 'dead-port', port: first.port })
})

test.serial(
  'a port that dies before the relay is used is latched from another, which goes with the session',
  async t => {
    await using gateway = await HandMadeGateway.open()
    const { guest, warm } = await gateway.join('guest')
    guest.begin({ fingerprint })
    gateway.passes = port => port !== warm.port
    guest.order(warm.socket, { kind: 'splice', target: gateway.primary }, { role: 'passive', fingerprint })
    // Those that got through latch, and the one that won latches once more.
    const [won = 0] = await until(() => gateway.latches.length > 2 && gateway.latches.slice(-1))
    t.not(won, warm.port)
    t.true(gateway.latches.slice(0, -1).includes(won), 'it had been answered before')
    guest.say({ type: 'over', session, code: 'io', reason: 'enough', trace: '0'.repeat(32) })
    const { report } = await guest.heard('failed')
    t.true(report.steps.some(([name]) => name === 'beside'))
    await until(() => bound(won).then(socket => socket.close().then(() => true)), 5000)
  }
)
