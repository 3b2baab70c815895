// A bound on what may hang in a laboratory.

/** What the work comes to. Throws where that takes longer. */
export async function within<T>(ms: number, what: string, work: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(() => late.reject(new Error(`${what}: nothing for ${ms / 1000} s`)), ms)
  return await Promise.race([work, late.promise]).finally(() => clearTimeout(timer))
}
