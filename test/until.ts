// The one wait of the tests that is no event. It stands alone: processes that need nothing else start sooner.

/** What `look` gives, as soon as it gives something. For what another party does in its own time and tells nobody of. */
export async function until<T>(
  look: () => T | undefined | false | Promise<T | undefined | false>,
  waitMs = 5000
): Promise<T> {
  const endMs = performance.now() + waitMs
  for (;;) {
    const found = await look()
    if (found !== undefined && found !== false) return found
    if (performance.now() > endMs) throw new Error(`not within ${waitMs} ms: ${look}`)
    await new Promise(resolve => setTimeout(resolve, 5))
  }
}
