// Scripts that try a whole, step by step, say each step and what it took.

/** Does one step, and then says so. */
export async function part<T>(title: string, work: () => Promise<T>): Promise<T> {
  const since = performance.now()
  const result = await work()
  console.log(`${seconds(since).padStart(7)}  ${title}`)
  return result
}

/** The time since then, for people. */
export const seconds = (since: number): string => `${((performance.now() - since) / 1000).toFixed(1)} s`
