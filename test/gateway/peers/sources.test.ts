import test from 'ava'
import { Sources } from '../../../src/gateway/peers/sources.ts'
import { sideOf } from '../../../src/gateway/session/side-seen.ts'
import { Eyes, Hand, Home, socket } from '../session/made.ts'

function watching() {
  const observer = new Eyes()
  const said: string[] = []
  const log = { warn: (_: object, message: string) => void said.push(message) }
  const links = () => [
    { address: '127.0.0.1', prefix: 8 },
    { address: '172.17.0.2', prefix: 16 }
  ]
  const sources = new Sources({ observer, log, links })
  const shows = async (peer: Hand, address: string) => {
    observer.sees(peer, 0, address)
    await sources.look(peer, socket(0))
  }
  return { observer, sources, said, shows }
}

test('the first peer whose source is hidden is told of in the log, once, with what to do', async t => {
  const { said, shows, sources } = watching()
  const [ann, bob, eve] = [new Hand('ann'), new Hand('bob'), new Hand('eve')]
  await shows(eve, '192.0.2.7')
  t.deepEqual([said, sources.warnings], [[], []])
  await shows(ann, '172.17.0.1')
  await shows(bob, '172.17.0.1')
  await shows(ann, '172.17.0.1')
  t.is(said.length, 1)
  t.regex(said[0] ?? '', /hidden-sources: .* reached 203\.0\.113\.1 .* seen at 172\.17\.0\.1.*; publish UDP/)
})

test('whoever asks is warned while such a peer is joined, and learns no name and no address', async t => {
  const { shows, sources } = watching()
  const [ann, bob] = [new Hand('ann'), new Hand('bob')]
  await shows(ann, '127.0.0.1')
  await shows(bob, '127.0.0.1')
  const [warning] = sources.warnings
  t.is(warning?.code, 'hidden-sources')
  t.regex(warning?.sentence ?? '', / 2 of its peers /)
  t.notRegex(JSON.stringify(warning), /ann|bob|\d+\.\d+\.\d+/)
  ann.leave(new Error('it left'))
  t.is(sources.hidden, 1)
  await shows(bob, '192.0.2.7')
  t.is(sources.hidden, 0, 'bob is seen where it is now')
  await shows(ann, '127.0.0.1')
  t.is(sources.hidden, 0, 'who has gone is not counted again')
})

test('a side whose source is hidden has no NAT to plan with, and what was seen of it is not remembered', async t => {
  using home = new Home()
  const { sources, observer } = watching()
  const ann = new Hand('ann')
  ann.filters({ port: true, address: true, remaps: true })
  observer.sees(ann, 0, '172.17.0.1', [5000, 5001, 5007, 5002])
  const samples = await observer.samples('ann', 0)
  const verdict = () => t.fail('there is nothing to fit') as never
  const side = await sideOf(
    { ...home, observer, sources, history: home.history },
    ann,
    { socket: socket(0), samples, aiming: { caller: ann } },
    verdict
  )
  t.deepEqual(side.profile, {
    ...{ mapping: 'unknown', filtering: 'unknown', translated: true, hidden: true, addresses: [] },
    samples
  })
  t.deepEqual([side.observations, side.probes], [[], 0])
  const next = { address: '172.17.0.1', port: 6000, atMs: 9, localPort: 4009 }
  t.deepEqual(home.history.learn(ann.fingerprint, [next]), [next])
})
