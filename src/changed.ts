// Waits for an event that comes in its own time.

/** Resolves when `target` dispatches an event of this type, or `signal` aborts. */
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
