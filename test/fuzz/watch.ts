// Watches over the fuzzer from a thread of its own: an operation that never ends lets nothing else run in the thread that does it.
// Such an operation is told by its number, and the process is ended. So it is if a target does not open or close.

import { writeSync } from 'node:fs'
import { isMainThread, Worker, workerData } from 'node:worker_threads'

/** An operation that takes longer than a second is told when it ends. This long is waited for its end, in milliseconds. */
const PATIENCE_MS = 20_000

const NOTHING = -1

export interface Watch {
  begins(operation: number | undefined): void
  end(): void
}

interface Watched {
  readonly beats: SharedArrayBuffer
  readonly target: string
  readonly seed: number
  /** Milliseconds after which no operation begins. */
  readonly ms: number
}

export function watch(watched: Omit<Watched, 'beats'>): Watch {
  const beats = new SharedArrayBuffer(4)
  const now = new Int32Array(beats)
  now[0] = NOTHING
  const worker = new Worker(new URL(import.meta.url), { workerData: { ...watched, beats } satisfies Watched })
  worker.unref()
  return {
    begins: operation => void Atomics.store(now, 0, operation ?? NOTHING),
    end: () => void worker.terminate()
  }
}

if (!isMainThread) look(workerData as Watched)

function look({ beats, target, seed, ms }: Watched): void {
  const now = new Int32Array(beats)
  const endMs = performance.now() + ms + 2 * PATIENCE_MS
  let last = NOTHING
  let sinceMs = performance.now()
  setInterval(() => {
    const operation = Atomics.load(now, 0)
    if (operation !== last || operation === NOTHING) {
      last = operation
      sinceMs = performance.now()
    } else if (performance.now() - sinceMs > PATIENCE_MS)
      kill(
        `${target}: an operation does not end\n  again: npm run fuzz -- --seed ${seed} --only ${target} --at ${operation}`
      )
    if (performance.now() > endMs) kill(`${target} does not end`)
  }, 250)
}

function kill(why: string): void {
  writeSync(2, `${why}\n`)
  process.kill(process.pid, 'SIGKILL')
}
