// A gateway of the real code on loopback, every port chosen by the system, its state in a folder of its own, and real
// peers that join it: for tests where no NAT is needed. What is opened goes with the world, connections first.
//
// A test file that connects peers ends node-datachannel after itself:
//   test.after.always(endNative)

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Logger } from 'pino'
import { parseConfig } from '../src/config/config.ts'
import { type Gateway, openGateway } from '../src/gateway/gateway.ts'
import { type Identity, loadIdentity } from '../src/peer/identity/identity.ts'
import { KnownPeers } from '../src/peer/identity/known-peers.ts'
import { Peer, type PeerOptions } from '../src/peer/peer.ts'
import type { TraceRecord } from '../src/trace/record/record.ts'
import { authority } from './peer/tls.ts'
import { until } from './until.ts'

export interface WorldSpec {
  /** The whole YAML file, in the place of what all the others but `files` and `log` make of it, and its variables. */
  readonly yaml?: string
  readonly env?: Readonly<Record<string, string>>
  /** The list of strategies as the YAML file has it; it may depend on the folder where the file lies. */
  readonly strategies?: string | ((folder: string) => string)
  /** More lines of the YAML file. */
  readonly more?: string
  readonly addresses?: readonly string[]
  /** Where HTTP listens, as it stands in a URL; 127.0.0.1 if left out. */
  readonly host?: string
  readonly ports?: readonly number[]
  /** `listen.udp.public`. */
  readonly told?: readonly string[]
  /** `listen.tcp`. */
  readonly tcp?: readonly number[]
  /** `listen.trustProxy` and `listen.proxyProtocol`. */
  readonly trustProxy?: readonly string[]
  readonly proxyProtocol?: boolean
  /** `listen.url`. */
  readonly publicUrls?: readonly string[]
  /** The HTTP port speaks TLS, with this pair in cert.pem and key.pem beside the YAML file; peers that join trust its authority. */
  readonly tls?: { readonly cert: string; readonly key: string }
  /** Files beside the YAML file, by name. */
  readonly files?: Readonly<Record<string, string>>
  /** What the gateway logs to; nothing if left out. */
  readonly log?: Logger
}

export class World implements AsyncDisposable {
  readonly folder: string
  readonly #spec: WorldSpec
  readonly #peers = new Set<Peer>()
  gateway!: Gateway

  private constructor(folder: string, spec: WorldSpec) {
    this.folder = folder
    this.#spec = spec
  }

  static async open(spec: WorldSpec = {}): Promise<World> {
    const world = new World(await mkdtemp(join(tmpdir(), 'postern-world-')), spec)
    const { cert, key } = spec.tls ?? {}
    const files = { ...spec.files, ...(cert && key ? { 'cert.pem': cert, 'key.pem': key } : {}) }
    for (const [name, text] of Object.entries(files)) await writeFile(join(world.folder, name), text)
    try {
      await world.start()
    } catch (error) {
      await rm(world.folder, { recursive: true })
      throw error
    }
    return world
  }

  get url(): string {
    return `http${this.gateway.certificate ? 's' : ''}://${this.#spec.host ?? '127.0.0.1'}:${this.gateway.http.port}`
  }

  /** The identity of a name: the same whenever it is asked for. */
  identity(name: string): Promise<Identity> {
    return loadIdentity(join(this.folder, name))
  }

  /** Joins a peer that accepts connections under its name. */
  async join(name: string, options: Partial<PeerOptions> = {}): Promise<Peer> {
    const peer = await Peer.join({
      gateway: this.url,
      token: this.gateway.joinToken,
      name,
      accepts: true,
      insecure: false,
      ...(this.gateway.certificate ? { ca: authority } : {}),
      identity: await this.identity(name),
      known: new KnownPeers(join(this.folder, name)),
      // Kept open until the other side closes it.
      onConnection: () => {},
      ...options
    })
    this.#peers.add(peer)
    return peer
  }

  /** Opens the gateway: the first time, or again with the same state and at the same ports, unless `yaml` has others. */
  async start(): Promise<void> {
    const { log, env = {} } = this.#spec
    const config = parseConfig(this.#yaml(), join(this.folder, 'postern.yaml'), env)
    this.gateway = await openGateway(config, log ? { log } : {})
  }

  #yaml(): string {
    if (this.#spec.yaml !== undefined) return this.#spec.yaml
    const { strategies = '[direct, stun, relay]', more = '', addresses = ['127.0.0.1', '127.0.0.2'] } = this.#spec
    const before = this.gateway as Gateway | undefined
    const { ports = [0, 0], tcp = [], told = [], publicUrls = [] } = this.#spec
    const { trustProxy = [], proxyProtocol = false } = this.#spec
    const proxies = trustProxy.map(one => `'${one}'`).join(', ')
    const url = publicUrls.map(one => `'${one}'`).join(', ')
    const tls = this.#spec.tls ? 'tls: { cert: cert.pem, key: key.pem }, ' : ''
    return `
listen: { ${tls}http: '${this.#spec.host ?? '127.0.0.1'}:${before?.http.port ?? 0}', url: [${url}], udp: { addresses: [${addresses.join(', ')}], ports: [${ports.join(', ')}], public: [${told.join(', ')}] }, tcp: [${tcp.join(', ')}], trustProxy: [${proxies}], proxyProtocol: ${proxyProtocol} }
state: ./state
strategies: ${typeof strategies === 'string' ? strategies : strategies(this.folder)}
${more}
`
  }

  /** Enters a room by its link, with a key of its own, or one that a name has. */
  async enter(link: string, who: string, options: Partial<PeerOptions> = {}): Promise<Peer> {
    const { token, name, ...rest } = options
    const peer = await Peer.join({
      room: link,
      accepts: true,
      insecure: false,
      identity: await this.identity(who),
      known: new KnownPeers(join(this.folder, who)),
      onConnection: () => {},
      ...rest
    })
    this.#peers.add(peer)
    return peer
  }

  api(path: string, init: RequestInit & { token?: string } = {}): Promise<Response> {
    const { token = this.gateway.adminToken, ...rest } = init
    return fetch(`${this.url}${path}`, { ...rest, headers: { authorization: `Bearer ${token}` } })
  }

  /** A trace, once its connect request is over at the gateway too. */
  async trace(id: string): Promise<TraceRecord> {
    return await until(() => this.gateway.traces.get(id)[0])
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#peers].map(peer => peer.close()))
    await this.gateway.close()
    await rm(this.folder, { recursive: true, force: true })
  }
}
