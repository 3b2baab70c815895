// Watches over the fuzzer from a thread of its own: an operation that never ends lets nothing else run in the thread that does it.
// Such an operation is told by its number, and the process is ended.

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
}

export function watch({ target, seed }: { target: string; seed: number }): Watch {
  const beats = new SharedArrayBuffer(4)
  const now = new Int32Array(beats)
  now[0] = NOTHING
  const worker = new Worker(new URL(import.meta.url), { workerData: { beats, target, seed } satisfies Watched })
  worker.unref()
  return {
    begins: operation => void Atomics.store(now, 0, operation ?? NOTHING),
    end: () => void worker.terminate()
  }
}

if (!isMainThread) look(workerData as Watched)

function look({ beats, target, seed }: Watched): void {
  const now = new Int32Array(beats)
  let last = NOTHING
  let sinceMs = performance.now()
  setInterval(() => {
    const operation = Atomics.load(now, 0)
    if (operation !== last || operation === NOTHING) {
      last = operation
      sinceMs = performance.now()
    } else if (performance.now() - sinceMs > PATIENCE_MS) {
      writeSync(
        2,
        `${target}: an operation does not end\n  again: npm run fuzz -- --seed ${seed} --only ${target} --at ${operation}\n`
      )
      process.kill(process.pid, 'SIGKILL')
    }
  }, 250)
}
