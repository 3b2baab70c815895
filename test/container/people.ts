// Two peers of this checkout, each behind a NAT of the laboratory, and what they do by the gateway in the container.

import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Child, postern } from '../../examples/child.ts'
import type { Host, World } from '../lab/world.ts'

/** Enough for some hundred datagrams, and a second of the relay's 4 Mbit/s. */
const FILE_BYTES = 500_000

export class People implements AsyncDisposable {
  readonly #folder: string
  readonly #token: string
  readonly #gateway: string
  readonly #hosts: readonly [bob: Host, alice: Host]
  readonly #opened = new AsyncDisposableStack()
  readonly #bob: Child
  #sent = 0

  /** Bob joins, and takes files. */
  constructor(folder: string, { gateway, sites: [here, there] }: World, token: string) {
    const hosts = [here?.hosts[0], there?.hosts[0]]
    assert.ok(hosts[0] && hosts[1])
    this.#hosts = [hosts[0], hosts[1]]
    this.#folder = folder
    this.#token = token
    this.#gateway = `http://${gateway.addresses[0]}:8080`
    this.#bob = this.#start(this.#hosts[0], 'bob', ['peer', 'bob', '--receive', join(folder, 'received')])
  }

  async joined(): Promise<void> {
    await this.#bob.event('joined')
  }

  /** The gateway has gone and come: bob is there again, and nobody else may have his name. */
  async back(): Promise<void> {
    await this.#bob.event('rejoined')
    const thief = this.#start(this.#hosts[1], 'thief', ['peer', 'bob', '--once'])
    assert.equal(await thief.ended, 1)
    assert.match(thief.stderr, /name-taken/)
  }

  /** Alice sends bob a file, and it arrives as it was, by a path of this kind. */
  async send(kind: 'direct' | 'relay', ...options: readonly string[]): Promise<void> {
    const name = `file-${this.#sent++}`
    const content = randomBytes(FILE_BYTES)
    await writeFile(join(this.#folder, name), content)
    const alice = this.#start(this.#hosts[1], 'alice', ['send', 'bob', join(this.#folder, name), ...options])
    assert.equal((await alice.event('path')).kind, kind)
    assert.equal(await alice.ended, 0, alice.stderr)
    const received = await readFile(join(this.#folder, 'received', name))
    assert.equal(digest(received), digest(content))
  }

  #start(host: Host, who: string, argv: readonly string[]): Child {
    const env = {
      ...process.env,
      POSTERN_GATEWAY: this.#gateway,
      POSTERN_TOKEN: this.#token,
      POSTERN_HOME: join(this.#folder, who)
    }
    const child = host.spawn([...postern, ...argv, '--insecure', '--json'], { env, stdio: ['ignore', 'pipe', 'pipe'] })
    return this.#opened.use(new Child(child))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#opened.disposeAsync()
  }
}

export async function peopled(folder: string, world: World, token: string): Promise<People> {
  await mkdir(join(folder, 'received'), { recursive: true })
  const people = new People(folder, world, token)
  await people.joined()
  return people
}

const digest = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')
