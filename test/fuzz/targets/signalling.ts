// A rogue peer at a real gateway on loopback: it says anything before and after its hello, with and without sessions. The gateway
// goes on serving others, what it says can be read by any peer, and whom it refuses is told a code and one printable sentence.

import { ok } from 'node:assert/strict'
import { codes } from '../../../src/errors.ts'
import { helloProof, PROTOCOL } from '../../../src/wire/identity/proof.ts'
import { placeOf } from '../../../src/wire/place.ts'
import { type FromGateway, MESSAGE_BYTES, parseFromGateway } from '../../../src/wire/signal.ts'
import { HandMade } from '../../hand-made.ts'
import { World } from '../../world.ts'
import { jsonText, mutatedJson } from '../mutate.ts'
import type { Odd } from '../odd.ts'
import type { Random } from '../random.ts'
import { isPrintable, type Subject, type Target } from '../target.ts'
import { fromPeers } from './messages.ts'

/** They stand for what is known only when a message is said. */
const holes = ['TOKEN', 'CERTIFICATE', 'PLACE', 'DTLS', 'SIGNATURE', 'SESSION'] as const

const hello = {
  ...{
    type: 'hello',
    v: PROTOCOL,
    name: 'eve',
    token: '{TOKEN}',
    certificate: '{CERTIFICATE}',
    signature: '{SIGNATURE}'
  },
  ...{ place: '{PLACE}', dtls: '{DTLS}', accepts: true, reached: '127.0.0.1', beacons: true }
}
const spoken = fromPeers
  .filter(({ type }) => type !== 'hello')
  .map(message => ({
    ...message,
    ...('session' in message ? { session: '{SESSION}' } : {}),
    ...('plan' in message ? { plan: 0 } : {})
  }))

/** `meet`: both show sockets, and a session is begun in which orders are given. */
type Said = { readonly as: 'stranger' | 'peer'; readonly frame: string | Buffer } | { readonly as: 'meet' }

const config = `
deadline: 100ms
limits: { messagesPerSecond: 1000000, names: 100, sessionsPerPeer: 10000, sessions: 10000 }
traces: { memory: 256 KiB }
`

/** Each meeting takes two sockets, which are closed when their peer leaves. */
const MEETINGS = 50

class Room implements Subject<Said> {
  readonly #world: World
  readonly #odd: Odd
  readonly #witness: HandMade
  #bob: HandMade | undefined
  #eve: HandMade | undefined
  #heard: FromGateway[] = []
  #session = '0'.repeat(16)
  #meetings = 0

  constructor(world: World, witness: HandMade, odd: Odd) {
    this.#world = world
    this.#witness = witness
    this.#odd = odd
  }

  input(random: Random): Said {
    if (random.chance(0.02)) return { as: 'meet' }
    const as = random.chance(0.1) ? 'stranger' : 'peer'
    const specimen = as === 'stranger' && random.chance(0.9) ? hello : random.pick<unknown>(spoken)
    const message = random.chance(0.2) ? specimen : mutatedJson(random, specimen, this.#odd)
    const text = jsonText(random, message, this.#odd, MESSAGE_BYTES)
    return { as, frame: random.chance(0.02) ? Buffer.from(text) : text }
  }

  async check(said: Said): Promise<void> {
    if (said.as === 'stranger') await this.#asStranger(said.frame)
    else if (said.as === 'meet') await this.#meet()
    else await this.#asPeer(said.frame)
    for (const message of this.#heard.splice(0)) judge(message)
    await this.#witness.settled()
    this.#witness.heard.length = 0
  }

  async #asStranger(frame: string | Buffer): Promise<void> {
    const stranger = this.#listening(new HandMade(this.#world.url))
    const { nonce } = await stranger.hears('challenge')
    stranger.say(await this.#filled(frame, nonce))
    await answered(stranger)
    await stranger.close()
  }

  async #asPeer(frame: string | Buffer): Promise<void> {
    this.#eve = await this.#joined(this.#eve, 'eve')
    this.#eve.say(await this.#filled(frame, ''))
    await answered(this.#eve)
    this.#eve.heard.length = 0
  }

  async #meet(): Promise<void> {
    if (++this.#meetings % MEETINGS === 0) await this.rest()
    this.#bob = await this.#joined(this.#bob, 'bob')
    this.#eve = await this.#joined(this.#eve, 'eve')
    await Promise.all([this.#bob.warm(this.#meetings), this.#eve.warm(this.#meetings)])
    this.#eve.say({ type: 'connect', request: this.#meetings, to: 'bob' })
    await this.#eve.settled()
    const begun = this.#eve.heard.findLast(message => message.type === 'session')
    if (begun) this.#session = begun.session
    for (const peer of [this.#bob, this.#eve]) peer.heard.length = 0
  }

  /** The peer itself, or another of the same name if it is gone. */
  async #joined(peer: HandMade | undefined, name: string): Promise<HandMade> {
    if (peer?.ws.readyState === WebSocket.OPEN) return peer
    await peer?.close()
    const identity = await this.#world.identity(name)
    const joined = await HandMade.join(this.#world.url, { identity, token: this.#world.gateway.joinToken, name })
    // Otherwise each session would wait for the test of its NAT's filter.
    joined.say({ type: 'filtering', port: true, address: true })
    return this.#listening(joined)
  }

  #listening(peer: HandMade): HandMade {
    // The parser makes words printable, so what is judged is what came.
    peer.ws.on('message', data => {
      parseFromGateway(String(data))
      this.#heard.push(JSON.parse(String(data)) as FromGateway)
    })
    return peer
  }

  async #filled(frame: string | Buffer, nonce: string): Promise<string | Buffer> {
    if (Buffer.isBuffer(frame)) return frame
    const identity = await this.#world.identity('eve')
    const place = placeOf(this.#world.url) ?? ''
    const dtls = identity.fingerprint
    const values = {
      TOKEN: this.#world.gateway.joinToken,
      CERTIFICATE: JSON.stringify(identity.certificatePem).slice(1, -1),
      PLACE: place,
      DTLS: dtls,
      SIGNATURE: identity.sign(helloProof({ place, nonce, dtls })).toString('base64'),
      SESSION: this.#session
    }
    return holes.reduce((text, hole) => text.replaceAll(`{${hole}}`, () => values[hole]), frame)
  }

  async rest(): Promise<void> {
    await Promise.all([this.#bob?.close(), this.#eve?.close()])
    this.#bob = this.#eve = undefined
  }

  async close(): Promise<void> {
    await this.rest()
    await this.#witness.close()
    await this.#world[Symbol.asyncDispose]()
  }
}

/** Everything said so far was heard, or the link is closed. */
async function answered(peer: HandMade): Promise<void> {
  await Promise.race([peer.settled().catch(() => {}), peer.closed])
}

/** Any peer could read it, or that would have been thrown where it was heard. */
function judge(message: FromGateway): void {
  if (message.type !== 'refused' && message.type !== 'over') return
  ok(Object.hasOwn(codes, message.code), `${message.code} is no code`)
  ok(message.code !== 'internal', `a fault in the gateway: ${message.reason}`)
  ok(message.reason.length > 0 && isPrintable(message.reason), 'the reason is no printable sentence')
}

export const signalling: Target = {
  name: 'signalling',
  about: 'a rogue peer at a gateway: it goes on serving others, and says why it refuses',
  async open(odd) {
    const strategies = '[direct: { waitMs: 50ms }, stun: { waitMs: 50ms }, relay: { waitMs: 50ms }]'
    const world = await World.open({ strategies, more: config })
    const witness = { identity: await world.identity('witness'), token: world.gateway.joinToken, name: 'witness' }
    return new Room(world, await HandMade.join(world.url, witness), odd)
  }
}
