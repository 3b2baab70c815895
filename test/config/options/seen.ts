// How rows of the table look at a gateway: it is opened on loopback, and asked as peers and strangers ask it.

import { roomKeys } from '../../../src/wire/room/keys.ts'
import { newSecret } from '../../../src/wire/room/link.ts'
import type { FromGateway } from '../../../src/wire/signal.ts'
import { answerOf } from '../../gateway/rooms/house.ts'
import { HandMade, type HelloSpec } from '../../hand-made.ts'
import { World } from '../../world.ts'
import { type Options, type Row, yamlOf } from './option.ts'

/** Where a gateway listens, unless a row is about that. */
const onLoopback: Options = {
  'listen.http': '127.0.0.1:0',
  'listen.udp.addresses': ['127.0.0.1'],
  'listen.udp.ports': [0, 0]
}

/** A gateway, and peers made by hand that are gone before it is. */
export class Seen implements AsyncDisposable {
  readonly world: World
  readonly #peers = new AsyncDisposableStack()

  constructor(world: World) {
    this.world = world
  }

  /** With these options, and all others at their defaults. @param files beside its YAML file, by name */
  static async open(options: Options, files: Readonly<Record<string, string>> = {}): Promise<Seen> {
    return new Seen(await World.open({ yaml: yamlOf({ ...onLoopback, ...options }), files }))
  }

  /** Joins by hand, with an identity of its own. */
  async join(name: string): Promise<HandMade> {
    const made = await this.#hello(name)
    made.welcome = await made.hears('welcome')
    return made
  }

  /** Whether somebody is let in: `welcome`, or the code that it is refused with. */
  async admission(name: string, spec: Partial<HelloSpec> = {}): Promise<string> {
    return answer(await this.#hello(name, spec), 'welcome')
  }

  /** One asks for the other. Both have shown a socket, and have a filter before them. @param said of these sockets, by both */
  async connect(said: readonly [ann?: object, bob?: object] = []): Promise<{ ann: HandMade; bob: HandMade }> {
    const [ann, bob] = [await this.join('ann'), await this.join('bob')]
    for (const peer of [ann, bob]) peer.say({ type: 'filtering', port: false, address: false })
    await Promise.all([ann.warm(0, { ...said[0] }), bob.warm(0, { ...said[1] })])
    ann.say({ type: 'connect', request: 0, to: 'bob' })
    return { ann, bob }
  }

  /** What a callee is ordered to do, or how the request ended without an order. */
  async firstOrder(): Promise<string> {
    const { bob } = await this.connect()
    try {
      return (await bob.hears('order')).order.kind
    } catch {
      return (await bob.hears('over')).reason
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#peers.disposeAsync()
    await this.world[Symbol.asyncDispose]()
  }

  async #hello(name: string, spec: Partial<HelloSpec> = {}): Promise<HandMade> {
    const made = this.#peers.use(new HandMade(this.world.url))
    const token = this.world.gateway.joinToken
    await made.hello({ identity: await this.world.identity(name), token, name, ...spec })
    return made
  }
}

/** How most rows look: a gateway with the options is opened, and closed when it was looked at. @param files as in `Seen.open` */
export const looking =
  (look: (seen: Seen) => unknown, files: Readonly<Record<string, string>> = {}): Row['observe'] =>
  async options => {
    await using seen = await Seen.open(options, files)
    return await look(seen)
  }

/** The message that is waited for, or else the code of the refusal. */
async function answer(made: HandMade, type: FromGateway['type']): Promise<string> {
  try {
    return (await made.hears(type)).type
  } catch {
    return (await made.hears('refused')).code
  }
}

/** What a request to connect is answered with: `session`, or the code of the refusal. */
export async function call(made: HandMade, to: string, request = 0): Promise<string> {
  made.say({ type: 'connect', request, to })
  return answer(made, 'session')
}

/** Asks for a room, and gives `room`, or the code of the refusal. */
export async function room(maker: HandMade, name: string, more: object = {}): Promise<string> {
  const entry = await (await roomKeys({ name, secret: newSecret() })).entry()
  maker.say({ type: 'room', request: 1, name, entry, ...more })
  const found = await answerOf(maker)
  return found.type === 'refused' ? found.code : found.type
}

export const bearer = (token: string) => ({ headers: { authorization: `Bearer ${token}` } })
