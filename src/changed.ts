// Waiting for something that changes in its own time.

/** Resolves when `target` tells of an event of this type, or `signal` aborts. */
export function changed(target: EventTarget, type: string, signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    const done = () => {
      signal.removeEventListener('abort', done)
      target.removeEventListener(type, done)
      resolve()
    }
    signal.addEventListener('abort', done)
    target.addEventListener(type, done)
    if (signal.aborted) done()
  })
}
