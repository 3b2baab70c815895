// What is remembered of the latest so many, in an LRUCache.

/** Options of a table of so many entries that takes memory as it fills. By `max` it would take all of it at once: a megabyte for 50,000. */
export const latest = (most: number) => ({ maxSize: most, sizeCalculation: () => 1 })
