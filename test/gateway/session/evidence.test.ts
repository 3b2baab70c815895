import test from 'ava'
import { PosternError } from '../../../src/errors.ts'
import type { Step } from '../../../src/gateway/recording/step.ts'
import { Evidence } from '../../../src/gateway/session/evidence.ts'
import type { SideName } from '../../../src/wire/side.ts'
import { awake, type Hand, Home, pair } from './made.ts'

/** What a session knows of two sides that show a fresh socket when they are asked, unless they are to be silent. */
function open(home: Home, { silent = false }: { silent?: boolean } = {}) {
  const peers = pair(home, { rttMs: 0 })
  const gone = new AbortController()
  const asked: SideName[] = []
  const evidence: Evidence = new Evidence(home, {
    ...peers,
    gone: gone.signal,
    tell: () => {},
    ask(side, round) {
      asked.push(side)
      if (silent) return
      home.observer.sees(peers[side] as Hand, 9, '192.0.2.7')
      evidence.sides.shown(side, { type: 'fresh', session: 's', round, socket: 9, port: 4009 })
    }
  })
  const scene = (step: Step) => evidence.scene(step, [])
  return { ...peers, evidence, gone, asked, scene }
}

const never = new AbortController().signal
const named = ({ spans }: Home, name: string) => spans.filter(span => span.name === `postern.${name}`)

test('sockets are waited for once in a session, and so is what was found recorded', async t => {
  using home = new Home()
  const { scene } = open(home)
  const [first, second] = await home.step(async step => [await scene(step), await scene(step)])
  t.deepEqual(first?.caller.mapped, { address: '192.0.2.1', port: 4000 })
  t.deepEqual(first?.callee.profile, second?.callee.profile)
  t.is(named(home, 'observe').length, 1)
  t.deepEqual(
    named(home, 'profile').map(({ attributes }) => attributes['postern.side']),
    ['caller', 'callee']
  )
})

test('a side that is not heard blocks the scene, and the other one is asked whether it is heard now', async t => {
  using home = new Home()
  const { scene, callee, asked } = open(home)
  callee.cooled(0, 'silence')
  await t.throwsAsync(home.step(scene), { message: 'no UDP datagram from bob reaches the gateway: silence' })
  t.deepEqual(asked, ['caller'])
  const events = named(home, 'observe').map(({ events }) => events.map(({ name }) => name))
  t.deepEqual(events, [['warm', 'cold'], ['warm']])
})

test('where neither side is heard, nobody is asked again', async t => {
  using home = new Home()
  const { scene, caller, callee, asked } = open(home)
  for (const peer of [caller, callee]) peer.cooled(0, 'silence')
  await t.throwsAsync(home.step(scene), { code: 'udp-blocked' })
  t.deepEqual(asked, [])
})

test('fresh samples make another scene', async t => {
  using home = new Home()
  const { evidence, scene } = open(home)
  const shown = await home.step(async step => {
    await scene(step)
    return await evidence.sample(step, ['callee'], never)
  })
  t.true(shown)
  const { caller, callee } = await evidence.seen()
  t.deepEqual([caller.mapped.address, callee.mapped.address], ['192.0.2.1', '192.0.2.7'])
  t.is(named(home, 'profile').length, 3)
})

test('samples that do not come fail with the cause: nobody showed any, or the time was over', async t => {
  using home = new Home()
  const { evidence, scene } = open(home, { silent: true })
  using _awake = awake()
  await home.step(async step => {
    await scene(step)
    t.like(await evidence.sample(step, ['callee'], never), { cause: 'no-sample' })
    t.like(await evidence.sample(step, ['callee'], AbortSignal.abort()), { cause: 'deadline' })
  })
  t.deepEqual(
    named(home, 'observe').map(({ attributes }) => attributes['postern.cause']),
    [undefined, 'no-sample', 'deadline']
  )
})

test('samples that do not come because a side has gone end the session, and are recorded as that', async t => {
  using home = new Home()
  const { evidence, scene, gone } = open(home, { silent: true })
  const sampling = home.step(async step => {
    await scene(step)
    const sampled = evidence.sample(step, ['caller'], never)
    gone.abort(new PosternError('peer-offline', 'bob left'))
    await sampled
  })
  await t.throwsAsync(sampling, { message: 'bob left' })
  t.is(named(home, 'observe').at(-1)?.attributes['postern.cause'], 'peer-lost')
  await t.throwsAsync(home.step(scene), { message: 'bob left' })
})
