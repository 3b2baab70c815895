// A gateway with rooms, and guests made by hand that enter them.

import { roomKeys } from '../../../src/wire/room/keys.ts'
import { newSecret, type RoomLink } from '../../../src/wire/room/link.ts'
import type { FromGateway, Message } from '../../../src/wire/signal.ts'
import { HandMade, type HelloSpec } from '../../hand-made.ts'
import { until } from '../../until.ts'
import { World, type WorldSpec } from '../../world.ts'

export type Key = Pick<RoomLink, 'name' | 'secret'>
type Roster = Message<FromGateway, 'roster'>

export class House implements AsyncDisposable {
  readonly world: World
  readonly #made = new AsyncDisposableStack()

  private constructor(world: World) {
    this.world = world
  }

  /** @param call of the configuration */
  static async open({
    call = 'enabled: true',
    more = '',
    ...spec
  }: WorldSpec & { call?: string } = {}): Promise<House> {
    return new House(await World.open({ more: `call: { ${call} }\n${more}`, trustProxy: ['127.0.0.1'], ...spec }))
  }

  /** Joins by the token, by hand; perhaps from another address, as a proxy of this host would have it. */
  async maker(who = 'ann', from?: string): Promise<HandMade> {
    const made = this.#made.use(new HandMade(this.world.url, from ? { 'x-forwarded-for': from } : {}))
    await made.hello({ identity: await this.world.identity(who), token: this.world.gateway.joinToken, name: who })
    made.welcome = await made.hears('welcome')
    return made
  }

  /** What the gateway answers to a room that is to be made. */
  async asked(maker: HandMade, name: string, more: object = {}, secret = newSecret()) {
    const entry = await (await roomKeys({ name, secret })).entry()
    maker.say({ type: 'room', request: 1, name, entry, ...more })
    return { key: { name, secret } as Key, answer: await answerOf(maker) }
  }

  /** Makes a room. */
  async room(maker: HandMade, name = 'standup', more: object = {}): Promise<Key> {
    const { key, answer } = await this.asked(maker, name, more)
    if (answer.type === 'refused') throw new Error(answer.reason)
    return key
  }

  /** Enters, and gives what the gateway says of the room first. */
  async guest(room: Key, who: string, spec: Partial<HelloSpec> = {}): Promise<{ guest: HandMade; roster: Roster }> {
    const hello = { identity: await this.world.identity(who), room, ...spec }
    const guest = this.#made.use(await HandMade.join(this.world.url, hello))
    return { guest, roster: await guest.hears('roster') }
  }

  /** Knocks in vain, and gives what it is refused with. */
  async refused(room: Key, who: string, spec: Partial<HelloSpec> = {}): Promise<{ code: string; reason: string }> {
    const made = this.#made.use(new HandMade(this.world.url))
    await made.hello({ identity: await this.world.identity(who), room, ...spec })
    const { code, reason } = await made.hears('refused')
    await made.closed
    return { code, reason }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#made.disposeAsync()
    await this.world[Symbol.asyncDispose]()
  }
}

/** What a request about rooms is answered with: either of two messages, so none is waited for by its type. */
export async function answerOf(maker: HandMade): Promise<Message<FromGateway, 'room' | 'refused'>> {
  const index = await until(() => {
    const at = maker.heard.findIndex(({ type }) => type === 'room' || type === 'refused')
    return at >= 0 && { at }
  })
  return maker.heard.splice(index.at, 1)[0] as Message<FromGateway, 'room' | 'refused'>
}

/** The roster that says so, among those that come. */
export async function rosterWith(guest: HandMade, isIt: (roster: Roster) => boolean): Promise<Roster> {
  for (;;) {
    const roster = await guest.hears('roster')
    if (isIt(roster)) return roster
  }
}
