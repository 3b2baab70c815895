// What is kept for the origin of a page: who its peer is, and whom it has met. In IndexedDB, where keys can be kept that cannot be
// read. Where a browser refuses that, as some do in private windows, it is kept as long as the page.

export interface Store {
  /** False: what is put here is gone with the page. */
  readonly isKept: boolean
  get<T>(kind: Kind, key: string): Promise<T | undefined>
  /** Puts a value unless there is one; gives the one that is there now. */
  putOnce<T>(kind: Kind, key: string, value: T): Promise<T>
  put(kind: Kind, key: string, value: unknown): Promise<void>
  delete(kind: Kind, key: string): Promise<void>
}

const kinds = ['identity', 'known'] as const
type Kind = (typeof kinds)[number]

const VERSION = 1

/** @param database its name */
export async function openStore(database = 'postern'): Promise<Store> {
  try {
    const request = indexedDB.open(database, VERSION)
    request.onupgradeneeded = () => {
      for (const kind of kinds) request.result.createObjectStore(kind)
    }
    return new Database(await done(request))
  } catch {
    return new Memory()
  }
}

class Database implements Store {
  readonly isKept = true
  readonly #database: IDBDatabase

  constructor(database: IDBDatabase) {
    this.#database = database
    // A later version of this module, in another tab, has another layout.
    database.onversionchange = () => database.close()
  }

  get<T>(kind: Kind, key: string): Promise<T | undefined> {
    return done(this.#kind(kind, 'readonly').get(key))
  }

  async putOnce<T>(kind: Kind, key: string, value: T): Promise<T> {
    const store = this.#kind(kind, 'readwrite')
    // No other transaction writes between the two, of another tab neither.
    const there = await done(store.get(key))
    if (there !== undefined) return there
    await done(store.put(value, key))
    return value
  }

  async put(kind: Kind, key: string, value: unknown): Promise<void> {
    await done(this.#kind(kind, 'readwrite').put(value, key))
  }

  async delete(kind: Kind, key: string): Promise<void> {
    await done(this.#kind(kind, 'readwrite').delete(key))
  }

  #kind(kind: Kind, mode: IDBTransactionMode): IDBObjectStore {
    return this.#database.transaction(kind, mode, { durability: 'strict' }).objectStore(kind)
  }
}

export class Memory implements Store {
  readonly isKept = false
  readonly #values = new Map<string, unknown>()

  async get<T>(kind: Kind, key: string): Promise<T | undefined> {
    return this.#values.get(`${kind} ${key}`) as T | undefined
  }

  async putOnce<T>(kind: Kind, key: string, value: T): Promise<T> {
    const there = await this.get<T>(kind, key)
    if (there === undefined) await this.put(kind, key, value)
    return there ?? value
  }

  async put(kind: Kind, key: string, value: unknown): Promise<void> {
    this.#values.set(`${kind} ${key}`, value)
  }

  async delete(kind: Kind, key: string): Promise<void> {
    this.#values.delete(`${kind} ${key}`)
  }
}

function done<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error)
    if ('onblocked' in request) request.onblocked = () => reject(new DOMException('another tab holds it'))
  })
}
