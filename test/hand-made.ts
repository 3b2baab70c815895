// A peer made by hand: it says exactly what a test tells it to say, true or not, and remembers what it hears. For what
// the real peer would never do.

import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { WebSocket } from 'ws'
import type { Identity } from '../src/peer/identity/identity.ts'
import { RawSocket } from '../src/peer/punch/raw.ts'
import { prove } from '../src/peer/punch/warm.ts'
import type { Endpoint } from '../src/wire/endpoint.ts'
import { type FromGateway, helloProof, JOIN_PATH, type Message, PROTOCOL } from '../src/wire/signal.ts'

type Welcome = Message<FromGateway, 'welcome'>

export interface HelloSpec {
  readonly identity: Identity
  readonly token: string
  readonly name?: string
  readonly accepts?: boolean
  /** Said instead of the truth. */
  readonly lie?: Readonly<Record<string, unknown>>
}

export class HandMade {
  readonly ws: WebSocket
  readonly heard: FromGateway[] = []
  /** Resolves with the code the WebSocket was closed with. */
  readonly closed: Promise<number>
  welcome!: Welcome
  readonly #sockets: RawSocket[] = []
  #wake = () => {}

  constructor(url: string, headers: Readonly<Record<string, string>> = {}) {
    this.ws = new WebSocket(url.replace('http', 'ws') + JOIN_PATH, { headers })
    this.closed = once(this.ws, 'close').then(([code]) => code as number)
    this.ws.on('error', () => {})
    this.ws.on('message', data => {
      this.heard.push(JSON.parse(String(data)) as FromGateway)
      this.#wake()
    })
  }

  /** The first message of this type that was not taken yet, and takes it. */
  hears<Type extends FromGateway['type']>(type: Type): Promise<Message<FromGateway, Type>> {
    return this.hearsOf(undefined, type)
  }

  /** The same, of one session. */
  async hearsOf<Type extends FromGateway['type']>(
    session: string | undefined,
    type: Type
  ): Promise<Message<FromGateway, Type>> {
    const wanted = (message: FromGateway) =>
      message.type === type && (session === undefined || ('session' in message && message.session === session))
    for (;;) {
      const index = this.heard.findIndex(wanted)
      if (index >= 0) return this.heard.splice(index, 1)[0] as Message<FromGateway, Type>
      await new Promise<void>(resolve => {
        this.#wake = resolve
      })
    }
  }

  say(message: object | string | Buffer): void {
    this.ws.send(typeof message === 'string' || Buffer.isBuffer(message) ? message : JSON.stringify(message))
  }

  /** Answers the challenge; whether it is welcome is another matter. */
  async hello({ identity, token, name, accepts = true, lie = {} }: HelloSpec): Promise<void> {
    const { nonce } = await this.hears('challenge')
    this.say({
      type: 'hello',
      v: PROTOCOL,
      ...(name === undefined ? {} : { name }),
      token,
      certificate: identity.certificatePem,
      signature: identity.sign(helloProof(nonce)).toString('base64'),
      accepts,
      ...lie
    })
  }

  /** Joins as it should. */
  static async join(url: string, spec: HelloSpec): Promise<HandMade> {
    const made = new HandMade(url)
    await made.hello(spec)
    made.welcome = await made.hears('welcome')
    return made
  }

  /** Maps a socket at every endpoint of the gateway, and says so, perhaps with a lie. */
  async warm(number: number, lie: object = {}): Promise<RawSocket> {
    const raw = await RawSocket.bind()
    this.#sockets.push(raw)
    for (const endpoint of this.welcome.endpoints) await this.show(raw, endpoint, `p:${this.welcome.peer}:${number}`)
    const addresses = [{ address: '127.0.0.1', prefix: 8 }]
    this.say({ type: 'warm', socket: number, port: raw.port, addresses, rttMs: 1, ...lie })
    return raw
  }

  /** Proves a socket to an endpoint under a name. */
  async show(raw: RawSocket, endpoint: Endpoint, username: string, key?: Buffer): Promise<void> {
    await prove(raw, endpoint, username, {
      key: key ?? Buffer.from(this.welcome.key, 'base64'),
      signal: AbortSignal.timeout(5000)
    })
  }

  /** A round trip over the WebSocket: everything said before was heard. */
  async settled(): Promise<void> {
    const at = randomBytes(4).readUInt32BE()
    this.say({ type: 'ping', at })
    while ((await this.hears('pong')).at !== at);
  }

  async close(): Promise<void> {
    await Promise.all(this.#sockets.map(raw => raw.close()))
    this.ws.close()
    await this.closed
  }
}

/** A report of a peer that has done nothing. */
export const nothingDone = { steps: [], sent: 0, received: 0 }
