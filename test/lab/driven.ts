// Processes on hosts of the laboratory, told what to do over the channel to their parent: `serveDeeds` is the child's
// end, `Driven` the parent's.

import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Host } from './world.ts'

/** What a child can be asked for, by name: JSON in, JSON out. */
// biome-ignore lint/suspicious/noExplicitAny: each deed has a parameter of its own type
export type Deeds = Record<string, (given: any) => Promise<any>> & { close(given: object): Promise<unknown> }

/** Answers the parent until it asks for `close`, or has gone, and ends the process then, whatever is still open in it. */
export function serveDeeds(deeds: Deeds): void {
  process.once('disconnect', () => process.exit())
  process.on('message', async ({ id, deed, given }: { id: number; deed: string; given: unknown }) => {
    try {
      const asked = deeds[deed]
      if (!asked) throw new Error(`there is no deed called ${deed}`)
      process.send?.({ id, result: await asked(given) })
    } catch (error) {
      process.send?.({ id, error: String((error as Error)?.stack ?? error) })
    }
    if (deed === 'close') process.disconnect()
  })
}

export class Driven<Of extends Deeds> implements AsyncDisposable {
  readonly #child: ChildProcess
  readonly #waiting = new Map<number, PromiseWithResolvers<never>>()
  #asked = 0

  /**
   * @param script the module that calls `serveDeeds`
   * @param node what runs it
   */
  constructor(host: Host, script: URL, node: string = process.execPath) {
    this.#child = host.spawn([node, '--expose-gc', fileURLToPath(script)], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc']
    })
    this.#child.on('message', ({ id, result, error }: { id: number; result?: never; error?: string }) => {
      const waiting = this.#waiting.get(id)
      this.#waiting.delete(id)
      if (error === undefined) waiting?.resolve(result as never)
      else waiting?.reject(new Error(error))
    })
    this.#child.on('exit', (code, signal) => {
      for (const waiting of this.#waiting.values())
        waiting.reject(new Error(`the process on ${host.name} ended with ${signal ?? code}`))
    })
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  /** Ends the process as no process can resist, or stops it midway; resolves when that is done. */
  async kill(signal: 'SIGKILL' | 'SIGSTOP'): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const exited = once(this.#child, 'exit')
    this.#child.kill(signal)
    if (signal === 'SIGKILL') await exited
  }

  async do<Name extends keyof Of & string>(
    deed: Name,
    given: Parameters<Of[Name]>[0]
  ): Promise<Awaited<ReturnType<Of[Name]>>> {
    const id = this.#asked++
    const waiting = Promise.withResolvers<never>()
    this.#waiting.set(id, waiting)
    // Without this, what is asked of a process that has ended would end ours.
    this.#child.send({ id, deed, given }, error => {
      if (error) waiting.reject(error as never)
    })
    return await waiting.promise
  }

  /** Throws when the process did not end by itself with 0. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const exited = once(this.#child, 'exit')
    await this.do('close', {}).catch(() => {})
    const [code, signal] = await exited
    if (code !== 0) throw new Error(`a process of the laboratory ended with ${signal ?? code}`)
  }
}
