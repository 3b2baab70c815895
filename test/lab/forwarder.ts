// A forwarder in front of a gateway that hides where datagrams come from: programs/forwarder.js, and its remote control.

import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Host } from './world.ts'

/** Takes UDP at these ports of `listen`, and hands it on to the same ports of `to`, until disposed of. */
export async function startForwarder(
  host: Host,
  { listen, to, ports }: { listen: string; to: string; ports: readonly number[] }
): Promise<AsyncDisposable> {
  const program = fileURLToPath(new URL('programs/forwarder.js', import.meta.url))
  const child = host.spawn([process.execPath, program, listen, to, ...ports.map(String)], {
    stdio: ['pipe', 'pipe', 'inherit']
  })
  child.stdin?.on('error', () => {}) // it was killed with its world
  const exited = once(child, 'exit')
  const ready = child.stdout ? once(child.stdout, 'data') : Promise.resolve([])
  if (await Promise.race([exited.then(() => 'ended'), ready.then(() => undefined)]))
    throw new Error(`the forwarder of ${host.name} ended`)
  return {
    async [Symbol.asyncDispose]() {
      child.stdin?.end()
      await exited
    }
  }
}
