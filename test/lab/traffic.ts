// Foreign traffic: a neighbour behind a NAT that uses up its ports. traffic.py sends; this is its remote control.

import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { tool } from './sandbox.ts'
import type { Host } from './world.ts'

/** Disposed of, it stops. */
export interface Traffic extends AsyncDisposable {
  /** Mappings opened so far, or in all once stopped: the datagrams sent, each of which opens one. */
  made(): Promise<number>
}

export async function startTraffic(
  host: Host,
  { target, perSecond, seed }: { target: string; perSecond: number; seed: number }
): Promise<Traffic> {
  const program = fileURLToPath(new URL('programs/traffic.py', import.meta.url))
  const child = host.spawn([tool('python3'), program, `${seed}`, `${perSecond}`, target], {
    stdio: ['pipe', 'pipe', 'inherit']
  })
  child.stdin?.on('error', () => {}) // it was killed with its world
  const exited = once(child, 'exit')
  const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream })[Symbol.asyncIterator]()
  const next = async () => {
    const { value, done } = await lines.next()
    if (done) throw new Error(`the traffic of ${host.name} ended`)
    return value
  }
  await next()
  let total: Promise<number> | undefined
  const stop = async () => {
    child.stdin?.end()
    const made = Number(await next())
    await exited
    return made
  }
  return {
    made() {
      if (total) return total
      child.stdin?.write('?')
      return next().then(Number)
    },
    async [Symbol.asyncDispose]() {
      if (child.exitCode === null && child.signalCode === null) total ??= stop()
      await total
    }
  }
}
