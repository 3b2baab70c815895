// Connections between guests that have to prove to each other that nobody stands between: nothing of the far side reaches the program before.

import test from 'ava'
import type { PosternError } from '../../../src/errors.ts'
import { Connection } from '../../../src/peer/connection/connection.ts'
import { protocolText } from '../../../src/peer/connection/streams/stream-message.ts'
import { handOver } from '../../../src/peer/punch/handover.ts'
import { RawSocket } from '../../../src/peer/punch/raw.ts'
import { entryBy } from '../../../src/peer/room/entry.ts'
import { openNative } from '../../../src/peer/transport/native.ts'
import type { OpenTransport } from '../../../src/peer/transport/transport.ts'
import { formatRoomLink, newSecret } from '../../../src/wire/room/link.ts'
import { endNative } from '../../end-native.ts'
import { until } from '../../until.ts'
import { handovers } from '../far.ts'
import { type Guest, HandMadeGateway } from '../hand-made-gateway.ts'
import { memoryPaths } from '../memory-path.ts'

test.after.always(endNative)

const newLink = () => formatRoomLink({ gateway: 'https://postern.example.org', name: 'standup', secret: newSecret() })

type Paths = ReturnType<typeof memoryPaths>

/** Both ends of a connection of a room, and who has been told of it by then, in that order. */
async function pair(his?: string) {
  const hers = newLink()
  const paths = memoryPaths('first')
  paths.wire.stop()
  const told: string[] = []
  const [annEntry, bobEntry] = await Promise.all([entryBy(hers), entryBy(his ?? hers)])
  const far = (name: string) => ({ peer: { name, fingerprint: name }, resumeMs: 60_000 })
  const ann = new Connection({ ...paths.alice, ...far('bob'), role: 'caller', assure: annEntry.assure })
  const bob = new Connection({ ...paths.bob, ...far('ann'), role: 'callee', assure: bobEntry.assure })
  ann.whenAssured(() => told.push('ann'))
  bob.whenAssured(() => told.push('bob'))
  return { ann, bob, paths, told }
}

async function over({ closed }: Connection): Promise<PosternError> {
  await until(() => closed.aborted)
  return closed.reason
}

/** Lets through what is on its way, one after the other, until Ann has said the last that she has to say: her nonce, which waits. */
async function untilRevealed({ alice, wire }: Paths): Promise<void> {
  const { control } = alice
  const send = control.sendMessage
  let said = 0
  control.sendMessage = text => {
    if (text.includes('"assure"')) said++
    return send(text)
  }
  await until(() => {
    if (said < 2 && wire.waiting > 0) wire.step()
    return said === 2
  })
}

test('both are told of it once they have proved themselves, have the same words, and keep them on another path', async t => {
  const { ann, bob, paths, told } = await pair()
  bob.serve('echo', stream => void stream.pipe(stream))
  t.is(ann.words, undefined)
  paths.wire.flow()
  await until(() => told.length === 2)
  const { words } = ann
  t.is(words?.length, 4)
  t.deepEqual(bob.words, words)
  await Promise.all([ann.ping(), bob.ping()])
  const next = memoryPaths('next')
  await Promise.all([ann.carry(next.alice), bob.carry(next.bob)])
  const stream = await ann.open('echo')
  stream.end('hello')
  t.is(String((await stream.toArray())[0]), 'hello')
  t.deepEqual([ann.words, bob.words], [words, words])
  await Promise.all([ann.close(), bob.close()])
})

test('what a side that is done sooner says and offers waits until the other one is done, and is lost to nobody', async t => {
  const { ann, bob, paths, told } = await pair()
  const served: string[] = []
  bob.serve('hold', () => served.push(told.join(' ')))
  await untilRevealed(paths)
  await until(() => told.length === 1)
  t.deepEqual(told, ['ann'])
  // It overtakes the nonce that Ann reveals, as another channel may where packets are lost.
  const opening = ann.open('hold')
  paths.wire.step(choices => choices - 1)
  t.deepEqual(served, [])
  paths.wire.flow()
  await opening
  t.deepEqual(served, ['ann bob'])
  t.is(bob.droppedMessages, 0)
  await Promise.all([ann.close(), bob.close()])
})

test('who came by another link is told of nothing, and neither is the other side', async t => {
  const { ann, bob, paths, told } = await pair(newLink())
  let served = 0
  bob.serve('hold', () => served++)
  ann.open('hold').catch(() => {})
  paths.wire.flow()
  for (const side of [ann, bob]) {
    const { code, message } = await over(side)
    t.is(code, 'fingerprint-mismatch')
    t.regex(message, /somebody stands between the two, or they came by different links/)
  }
  t.deepEqual([told, served, ann.words, bob.words], [[], 0, undefined, undefined])
  await Promise.all([ann.close(), bob.close()])
})

test('a far side that proves nothing is not heard, whatever it says, and what waits is bounded', async t => {
  const paths = memoryPaths('first')
  const { assure } = await entryBy(newLink())
  const peer = { name: 'ann', fingerprint: 'ann' }
  const bob = new Connection({ ...paths.bob, peer, role: 'callee', resumeMs: 60_000, assure })
  let reached = 0
  bob.whenAssured(() => reached++)
  bob.serve('hold', () => reached++)
  const { control, transport } = paths.alice
  control.sendMessage(`{"v":1,"type":"hello","streams":1,"nonce":"${'x'.repeat(32)}","resumeMs":1}`)
  control.sendMessage('{"v":1,"type":"tracks","number":1,"tracks":[]}')
  control.sendMessage('{"v":1,"type":"bye"}')
  for (let id = 0; id < 600; id += 2)
    transport.createDataChannel('hold', { protocol: protocolText({ stream: id, resumeMs: 0 }) })
  const closed = () => [...transport.channels].filter(({ isOpen }) => !isOpen).length
  await until(() => closed() === 300 + 3 + 1 - 256)
  t.is(bob.droppedMessages, 0)
  for (let count = 0; count < 3; count++) control.sendMessage('{"v":1,"type":"bye"}')
  await until(() => bob.droppedMessages === 3)
  t.deepEqual([reached, bob.closed.aborted], [0, false])
  for (let count = 0; count < 3; count++) control.sendMessage('{"v":1,"type":"assure","said":"nonsense"}')
  t.is((await over(bob)).code, 'fingerprint-mismatch')
  t.deepEqual([reached, bob.droppedMessages], [0, 4])
  await bob.close()
})

test('a path on which the far side has another certificate is refused, and the connection stands', async t => {
  const { ann, bob, paths, told } = await pair()
  paths.wire.flow()
  await until(() => told.length === 2)
  await Promise.all([ann.ping(), bob.ping()])
  const { alice, bob: his } = memoryPaths('between')
  const eve = { local: 'AA', remote: 'EE' }
  await t.throwsAsync(ann.carry({ ...alice, certificates: eve }), { code: 'fingerprint-mismatch' })
  await t.throwsAsync(bob.carry({ ...his, certificates: { ...eve, local: 'BB' } }), { code: 'fingerprint-mismatch' })
  t.is(alice.transport.state(), 'closed')
  t.true((await ann.ping()) >= 0)
  await Promise.all([ann.close(), bob.close()])
})

test.serial('two guests between whom a gateway puts itself are both told, and neither program is', async t => {
  await using between = await Between.open()
  const { ann, bob, hers, his } = between
  handOn(hers, his)
  handOn(his, hers)
  const error = await t.throwsAsync<PosternError>(between.connecting, { code: 'fingerprint-mismatch' })
  t.regex(error.message, /peer guest-bob was shown another certificate than this one's: somebody stands between/)
  for (const { guest } of [ann, bob]) {
    const { what, code } = await guest.heard('news')
    t.deepEqual([what, code], ['ended', 'fingerprint-mismatch'])
  }
  t.deepEqual(between.reached, [])
})

test.serial('a request that is given up before the far side has proved itself leaves no connection behind', async t => {
  const over = new AbortController()
  await using between = await Between.open(over.signal)
  const said: unknown[] = []
  between.hers.control.onMessage(message => said.push(message))
  await until(() => said.some(message => String(message).includes('"assure"')))
  over.abort()
  await t.throwsAsync(between.connecting, { code: 'io' })
  await until(() => said.includes('{"v":1,"type":"bye"}'))
  t.true(await until(() => between.hers.transport.state() === 'closed'))
})

type Joined = Awaited<ReturnType<HandMadeGateway['join']>>

/** A gateway that has introduced itself to two guests as the other one, whom Ann asked for, and has a path to each. */
class Between implements AsyncDisposable {
  /** Whose program has been handed a connection. */
  readonly reached: string[] = []
  readonly #gateway: HandMadeGateway
  readonly #link = newLink()
  ann!: Joined
  bob!: Joined
  connecting!: Promise<Connection>
  hers!: OpenTransport
  his!: OpenTransport

  private constructor(gateway: HandMadeGateway) {
    this.#gateway = gateway
  }

  /** @param signal ends what Ann asks for */
  static async open(signal?: AbortSignal): Promise<Between> {
    const between = new Between(await HandMadeGateway.open())
    const [ann, bob] = [await between.#join('ann'), await between.#join('bob')]
    const { fingerprint } = await between.#gateway.identity('eve')
    const connecting = ann.peer.connect({ name: 'guest-bob' }, signal ? { signal } : {})
    connecting.catch(() => {})
    const { request } = await ann.guest.heard('connect')
    introduce(ann.guest, 'guest-bob', fingerprint, request)
    introduce(bob.guest, 'guest-ann', fingerprint)
    const [hers, his] = await Promise.all([between.#reach(ann), between.#reach(bob)])
    return Object.assign(between, { ann, bob, connecting, hers, his })
  }

  #join(who: string): Promise<Joined> {
    const onConnection = () => this.reached.push(who)
    return this.#gateway.join(who, { room: this.#link, token: undefined, name: undefined, onConnection })
  }

  async #reach({ peer, guest, warm }: Joined): Promise<OpenTransport> {
    const eve = await this.#gateway.identity('eve')
    const [raw] = (await RawSocket.bindMany(1)) as [RawSocket]
    const targets = [{ address: '127.0.0.1', port: raw.port }]
    guest.order(warm.socket, { kind: 'ice', targets }, { role: 'passive', fingerprint: eve.fingerprint })
    return await handOver(raw, openNative, {
      handover: { ...handovers.active, fingerprint: peer.identity.fingerprint },
      remote: { address: '127.0.0.1', port: warm.port },
      ...{ identity: eve, mtu: 1280, step: () => {}, signal: AbortSignal.timeout(10_000) }
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { transport } of [this.hers, this.his]) transport.close()
    await this.#gateway[Symbol.asyncDispose]()
  }
}

/** All that one says is said to the other. */
function handOn({ control }: OpenTransport, { control: other }: OpenTransport): void {
  control.onMessage(message => {
    if (typeof message === 'string') other.sendMessage(message)
  })
}

function introduce(guest: Guest, name: string, fingerprint: string, request?: number): void {
  guest.say({
    type: 'session',
    session: '0123456789abcdef',
    ...(request === undefined ? { role: 'callee' } : { role: 'caller', request }),
    peer: { id: '0b', name, fingerprint, named: false },
    ...{ key: 'AAAA', probeKey: Buffer.from('the key of probes').toString('base64'), trace: '0'.repeat(32) }
  })
}
