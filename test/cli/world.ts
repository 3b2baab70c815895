// A gateway on loopback and the real command line around it, in a folder of its own; all of it is gone at the end.

import { spawn } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Child } from '../../examples/child.ts'

const command = fileURLToPath(new URL('../../bin/postern.js', import.meta.url))

export const tokens = { join: 'join-token-of-the-test', admin: 'admin-token-of-the-test' }

export class World implements AsyncDisposable {
  readonly folder: string
  url = 'http://127.0.0.1:1'
  readonly #opened = new AsyncDisposableStack()

  private constructor(folder: string) {
    this.folder = folder
    this.#opened.defer(() => rm(folder, { recursive: true, force: true }))
  }

  static async open(): Promise<World> {
    return new World(await mkdtemp(join(tmpdir(), 'postern-cli-')))
  }

  /** A world with a gateway in it. */
  static async withGateway(yaml = ''): Promise<World> {
    const world = await World.open()
    await world.gateway(yaml)
    return world
  }

  /** Starts a gateway on free ports, or on `port`, and waits until it listens. */
  async gateway(yaml = '', port = 0): Promise<Child> {
    const config = await this.config(yaml, port)
    const child = this.start(['gateway', '--config', config, '--json'])
    this.url = String((await child.event('listening')).url)
    return child
  }

  /** Starts a gateway whose UDP nothing answers: it tells an address at which it does not listen. */
  async muteGateway(): Promise<void> {
    const config = await this.write(
      'mute.yaml',
      `listen: { http: '127.0.0.1:0', udp: { addresses: [127.0.0.1], ports: [0, 0], public: [127.0.0.9] } }
join: { token: ${tokens.join} }`
    )
    const gateway = this.start(['gateway', '--config', config, '--json'])
    this.url = String((await gateway.event('listening')).url)
  }

  config(yaml = '', port = 0): Promise<string> {
    return this.write(
      'postern.yaml',
      `listen: { http: '127.0.0.1:${port}', udp: { addresses: [127.0.0.1], ports: [0, 0] } }
join: { token: ${tokens.join} }
admin: { token: ${tokens.admin} }
${yaml}`
    )
  }

  async write(name: string, content: string | Buffer): Promise<string> {
    const path = join(this.folder, name)
    await writeFile(path, content)
    return path
  }

  async makeFolder(name: string): Promise<string> {
    const path = join(this.folder, name)
    await mkdir(path, { recursive: true })
    return path
  }

  /** A command as `who`, who has a key of their own; with the gateway and its tokens in the environment. */
  start(argv: readonly string[], { who = 'alice', env = {}, stdin = '', through = [] }: Start = {}): Child {
    const [file = '', ...rest] = [...through, command, ...argv]
    const child = spawn(file, rest, {
      cwd: this.folder,
      env: {
        PATH: process.env.PATH,
        NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE,
        HOME: this.folder,
        POSTERN_HOME: join(this.folder, who),
        POSTERN_GATEWAY: this.url,
        POSTERN_TOKEN: tokens.join,
        POSTERN_ADMIN_TOKEN: tokens.admin,
        ...env
      },
      stdio: ['pipe', 'pipe', 'pipe']
    })
    child.stdin.on('error', () => {})
    if (stdin !== 'open') child.stdin.end(stdin)
    return this.#opened.use(new Child(child))
  }

  /** As `start`, and waits until it has ended. */
  async run(argv: readonly string[], options: Start = {}): Promise<Child & { readonly code: number }> {
    const child = this.start(argv, options)
    return Object.assign(child, { code: await child.ended })
  }

  /** A peer that has joined and waits. */
  async peer(name: string, options: readonly string[] = [], start: Start = {}): Promise<Child> {
    const child = this.start(['peer', name, '--json', ...options], { who: name, stdin: 'open', ...start })
    await child.event('joined')
    return child
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#opened.disposeAsync()
  }
}

interface Start {
  readonly who?: string
  readonly env?: Readonly<Record<string, string>>
  /** What it reads; `open` leaves its standard input open. */
  readonly stdin?: string | Buffer
  /** A command that runs the one behind it. */
  readonly through?: readonly string[]
}
