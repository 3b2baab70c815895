// Gateways in containers, one after the other in the gateway's place of a world of the laboratory.

import assert from 'node:assert/strict'
import type { World } from '../lab/world.ts'
import type { Engine } from './engine.ts'
import { readyAt, residentMib, timesOf } from './measure.ts'

/** What a machine that does much else is still within. */
const bounds = { readyMs: 20_000, residentMib: 160 }

/** As `stop_grace_period` in deploy/compose.yaml. */
const GRACE_S = 40

export interface Opened {
  readonly name: string
  /** From the start of its process to the first 200. */
  readonly ms: number
  /** Of it, on a processor: what is left where nothing else runs. */
  readonly processorMs: number
  readonly mib: number
}

export class Gateways {
  readonly #engine: Engine
  readonly #image: string
  readonly #world: World
  #count = 0

  constructor(engine: Engine, image: string, world: World) {
    this.#engine = engine
    this.#image = image
    this.#world = world
  }

  async open(uid: number, state: string): Promise<Opened> {
    const name = this.#name()
    const { gateway } = this.#world
    const ready = readyAt(gateway, `http://${gateway.addresses[0]}:8080/healthz`)
    ready.catch(() => {})
    await this.#start(name, uid, state)
    try {
      const at = await ready
      const { pid } = await this.#engine.state(name)
      const { started, processorMs } = await timesOf(pid)
      const [ms, mib] = [at - started, await residentMib(pid)]
      assert.ok(ms < bounds.readyMs, `ready after ${ms} ms`)
      assert.ok(mib < bounds.residentMib, `${mib} MiB are resident`)
      return { name, ms, processorMs, mib }
    } catch (thrown) {
      throw new Error(`${(thrown as Error).message}; the container said:\n${await this.#engine.logs(name)}`)
    }
  }

  /** It ends by itself, in time. */
  async stop(name: string): Promise<void> {
    const { exitCode, killedForMemory } = await this.#engine.stop(name, GRACE_S)
    assert.deepEqual({ exitCode, killedForMemory }, { exitCode: 0, killedForMemory: false })
  }

  /** A volume that the engine makes from the image's own /state is anybody's. */
  async begin(uid: number): Promise<void> {
    const volume = 'state-of-nobody-yet'
    const { name } = await this.open(uid, volume)
    await this.stop(name)
    await this.#engine.podman('rm', name)
    await this.#engine.podman('volume', 'rm', volume)
  }

  async refuse(uid: number): Promise<void> {
    const name = this.#name()
    await this.#start(name, uid, await this.#engine.folderOf('of-root', 0))
    const code = await this.#engine.podman('wait', name)
    assert.equal(code.trim(), '1')
    const [said] = (await this.#engine.logs(name)).split('\n').filter(line => line.startsWith('postern:'))
    assert.equal(
      said,
      'postern: bad-config: state: /state/postern cannot be written: permission is denied; ' +
        `give it to the user that runs the gateway (uid ${uid})`
    )
  }

  #name(): string {
    return `gateway-${this.#count++}`
  }

  #start(name: string, uid: number, state: string): Promise<void> {
    const network = `ns:${this.#world.gateway.path}`
    const options = ['--network', network, '--user', `${uid}:${uid}`, '--volume', `${state}:/state`]
    return this.#engine.start(name, this.#image, options)
  }
}
