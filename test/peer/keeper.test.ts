// When another path is asked for. The connection is a stand-in that says what becomes of its path.

import { EventEmitter } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import test from 'ava'
import type { Connection, PathNews, PathReport } from '../../src/peer/connection/connection.ts'
import { Keeper } from '../../src/peer/keeper.ts'
import { until } from '../until.ts'

const report = (kind: PathReport['kind']): PathReport => ({
  ...{ by: kind, kind, local: '', remote: '', ms: 1 },
  trace: '',
  mtu: 1280
})

class Stand extends EventEmitter<{ path: [PathNews]; quiet: [] }> {
  readonly role: 'caller' | 'callee'
  readonly over = new AbortController()
  readonly closed = this.over.signal
  path: PathReport
  isAdrift = false
  isTrying = false

  constructor(role: 'caller' | 'callee', kind: PathReport['kind']) {
    super()
    this.role = role
    this.path = report(kind)
  }

  loses(): void {
    this.isAdrift = true
    this.emit('path', {
      what: 'lost',
      path: this.path,
      reason: 'it was closed',
      quietMs: 0,
      askedMs: 0,
      isNarrow: false
    })
  }

  moves(kind: PathReport['kind']): void {
    const before = this.path
    this.isAdrift = false
    this.path = report(kind)
    this.emit('path', { what: 'moved', path: this.path, before, ms: 1, quietMs: 0, resentBytes: 0 })
  }
}

interface Asked {
  readonly only: 'relay' | 'direct'
  readonly signal: AbortSignal
  readonly atMs: number
}

function kept(role: 'caller' | 'callee', kind: PathReport['kind'], finds = async (_asked: Asked): Promise<void> => {}) {
  const stand = new Stand(role, kind)
  const asked: Asked[] = []
  let renewed = 0
  const keeper = new Keeper(stand as unknown as Connection, {
    another: async (only, _mtu, signal) => {
      const one = { only, signal, atMs: performance.now() }
      asked.push(one)
      await finds(one)
    },
    isUnderWay: () => false,
    suspected: () => {},
    renew: async () => void renewed++
  })
  return { stand, asked, keeper, renewed: () => renewed }
}

const notFound = async () => {
  throw new Error('no path was found')
}

test('the caller asks for the relay at once when a path is lost, and for a direct one if there is none', async t => {
  const { stand, asked } = kept('caller', 'direct', notFound)
  stand.loses()
  await until(() => asked.length >= 4)
  stand.over.abort()
  t.deepEqual(
    asked.slice(0, 4).map(({ only }) => only),
    ['relay', 'direct', 'relay', 'direct']
  )
})

test('the callee leaves it to the caller, and asks when nothing comes of that', async t => {
  const { stand, asked } = kept('callee', 'direct', notFound)
  const startMs = performance.now()
  stand.loses()
  await until(() => asked.length > 0)
  stand.over.abort()
  t.true((asked[0]?.atMs ?? 0) - startMs >= 290)
})

test('a callee whose path is found meanwhile asks for nothing', async t => {
  const { stand, asked } = kept('callee', 'direct', notFound)
  stand.loses()
  stand.moves('direct')
  await sleep(500)
  stand.over.abort()
  t.is(asked.length, 0)
})

test('a search for a better path ends at once when the relayed one is lost, and the relay is asked for', async t => {
  const finds = async ({ only, signal }: Asked) => {
    if (only === 'relay') return stand.moves('relay')
    await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
  }
  const { stand, asked, keeper } = kept('caller', 'relay', finds)
  keeper.again()
  await until(() => asked.length === 1)
  t.is(asked[0]?.only, 'direct')
  stand.loses()
  await until(() => asked.length === 2)
  stand.over.abort()
  t.true(asked[0]?.signal.aborted)
  t.is(asked[1]?.only, 'relay')
})

test('a change of network is a reason to look for a direct path at once, on either side', async t => {
  for (const role of ['caller', 'callee'] as const) {
    const { stand, asked, keeper, renewed } = kept(role, 'relay', notFound)
    const startMs = performance.now()
    keeper.again()
    await until(() => asked.length === 1)
    stand.over.abort()
    t.is(asked[0]?.only, 'direct')
    t.is(renewed(), 1)
    t.true(performance.now() - startMs < 1_500, 'it did not wait for the back-off')
  }
})

test('where a side shows its address to nobody, no direct path is asked for, whatever changes, and the relay is where the path is lost', async t => {
  for (const role of ['caller', 'callee'] as const) {
    const { stand, asked, keeper, renewed } = kept(role, 'relay', notFound)
    keeper.stays = true
    keeper.again()
    await sleep(500)
    t.deepEqual([asked.length, renewed()], [0, 0])
    stand.loses()
    await until(() => asked.length > 0)
    stand.over.abort()
    t.is(asked[0]?.only, 'relay')
  }
})

test('the more direct paths were lost soon, the longer the next one has to prove itself, a minute at most', t => {
  const { stand, keeper } = kept('caller', 'direct')
  const proved = [keeper.proveMs]
  for (let failed = 0; failed < 8; failed++) {
    stand.loses()
    proved.push(keeper.proveMs)
    stand.moves('direct')
  }
  stand.over.abort()
  t.deepEqual(proved, [0, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000])
})

test('while one path is being proved, no other is asked for', async t => {
  const { stand, asked, keeper } = kept('caller', 'relay', notFound)
  stand.isTrying = true
  keeper.again()
  await sleep(300)
  t.is(asked.length, 0)
  stand.isTrying = false
  await until(() => asked.length === 1)
  stand.over.abort()
})
