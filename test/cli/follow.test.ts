// What a person and a program are told of a connection's path and of the gateway, by real connections on loopback.

import { once } from 'node:events'
import { PassThrough } from 'node:stream'
import test from 'ava'
import { followPath, GatewayWatch } from '../../src/cli/follow.ts'
import { Output } from '../../src/cli/text/output.ts'
import { PosternError } from '../../src/errors.ts'
import type { Connection, PathReport } from '../../src/peer/connection/connection.ts'
import { endNative } from '../end-native.ts'
import { connectedPair, openPair } from '../peer/loopback.ts'

const made: Connection[] = []

test.after.always(async () => {
  await Promise.all(made.map(connection => connection.close()))
  endNative()
})

let sessions = 0

async function pair() {
  const both = await connectedPair(60_000)
  made.push(both.alice, both.bob)
  await Promise.all([both.alice.ping(), both.bob.ping()])
  return both
}

/** Both go on over another path of this kind. */
async function carry({ alice, bob }: Awaited<ReturnType<typeof pair>>, kind: PathReport['kind']) {
  const paths = await openPair(`session ${++sessions}`)
  const by = kind === 'relay' ? 'relay' : 'stun'
  const on = (side: 'alice' | 'bob') => ({ ...paths[side], path: { ...paths[side].path, kind, by } })
  await Promise.all([alice.carry(on('alice')), bob.carry(on('bob'))])
  return { lose: () => paths.alice.transport.close() }
}

function terminal(json = false) {
  const stream = new PassThrough()
  return {
    output: new Output({ json, stream: stream as unknown as NodeJS.WriteStream }),
    lines: () =>
      String(stream.read() ?? '')
        .replaceAll('\n  ', ' ')
        .split('\n')
        .filter(Boolean)
  }
}

const away = {
  joined: false,
  error: new PosternError('gateway-unreachable', 'the link was lost'),
  final: false
} as const

test('a person is told when the path is relayed, direct again, lost and found, in this order', async t => {
  const both = await pair()
  const { output, lines } = terminal()
  followPath(both.alice, output, { isAway: false })
  await carry(both, 'relay')
  const { lose } = await carry(both, 'direct')
  const lost = once(both.alice, 'path')
  lose()
  await lost
  await carry(both, 'direct')
  const told = lines().map(line => line.replace(/ \([\d.:]+ to [\d.:]+\)$/, ''))
  t.is(told[0], 'path to bob: relayed through the gateway')
  t.is(told[1], 'path to bob: direct again, found by stun')
  t.is(told[2], 'path to bob: lost, it was closed; looking for another')
  t.regex(told[3] ?? '', /^path to bob: direct again, found by stun, after \d+(\.\d)? m?s$/)
})

test('while the path is direct, a person is told nothing of a gateway that is away, and a program is', async t => {
  const { alice } = await pair()
  for (const json of [false, true]) {
    const { output, lines } = terminal(json)
    const watch = new GatewayWatch(output, 'http://gateway')
    watch.connection = alice
    watch.heard(away)
    watch.heard({ joined: true })
    const events = lines().map(line => (JSON.parse(line) as { event: string }).event)
    t.deepEqual(events, json ? ['lost', 'rejoined'] : [])
  }
})

test('while the path is relayed or lost, a person is told that the gateway is away, what for, and that it is back', async t => {
  const both = await pair()
  const { output, lines } = terminal()
  const watch = new GatewayWatch(output, 'http://gateway')
  watch.connection = both.alice
  followPath(both.alice, output, watch)
  const { lose } = await carry(both, 'relay')
  lines()
  watch.heard(away)
  t.deepEqual(lines(), ['the link was lost, and the path to bob leads through it; waiting for it'])
  const lost = once(both.alice, 'path')
  lose()
  await lost
  t.deepEqual(lines(), ['path to bob: lost, it was closed; waiting for the gateway, which is away'])
  watch.heard({ joined: true })
  t.deepEqual(lines(), ['joined http://gateway again'])
  watch.heard(away)
  t.deepEqual(lines(), ['the link was lost, and another path to bob is found through it; waiting for it'])
})
