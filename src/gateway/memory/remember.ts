// A bounded memory in a plain Map: what was set longest ago goes first. An LRUCache does more, and has some kilobytes of its own before
// anything is in it, which counts where each of many thousands has one.

/** Sets an entry, which is the latest from now on. Where there are more than `most`, the one that was set longest ago is forgotten. */
export function remember<Key, Value>(map: Map<Key, Value>, key: Key, value: Value, most: number): void {
  if (map.size > 1) map.delete(key)
  map.set(key, value)
  if (map.size > most) map.delete(map.keys().next().value as Key)
}
