// Names and the certificates they belong to. The first fingerprint that claims a name keeps it for good. The table is written
// to disk before the claim is granted, nothing in it is evicted, and a full table refuses new names. `forget` is the way out.

import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { PosternError } from '../../errors.ts'
import { Full } from './full.ts'

export class Names {
  readonly #file: string
  readonly #max: number
  readonly #names: Map<string, string>

  /** Reads the table in `folder`. Throws `io` when it is there but cannot be read. */
  constructor(folder: string, max: number) {
    this.#file = join(folder, 'names.json')
    this.#max = max
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    this.#names = new Map(Object.entries(readTable(this.#file)))
  }

  /** Binds a name to a fingerprint at its first use. Throws `name-taken`, or why the table cannot be written. */
  claim(name: string, fingerprint: string): void {
    const owner = this.#names.get(name)
    if (owner === fingerprint) return
    if (owner !== undefined)
      throw new PosternError(
        'name-taken',
        `the name ${name} belongs to another certificate; its operator can free it: postern names forget ${name}`
      )
    if (this.#names.size >= this.#max)
      throw new Full('names', `the gateway's table of ${this.#max} names is full and takes no new one`, {
        code: 'name-taken'
      })
    this.#write(new Map(this.#names).set(name, fingerprint))
    this.#names.set(name, fingerprint)
  }

  has(name: string): boolean {
    return this.#names.has(name)
  }

  list(): [name: string, fingerprint: string][] {
    return [...this.#names]
  }

  /** Returns false if there was no such name. */
  forget(name: string): boolean {
    if (!this.#names.has(name)) return false
    this.#write(new Map([...this.#names].filter(([known]) => known !== name)))
    return this.#names.delete(name)
  }

  #write(names: ReadonlyMap<string, string>): void {
    const next = `${this.#file}.new`
    writeFileSync(next, `${JSON.stringify(Object.fromEntries(names), undefined, 1)}\n`, { mode: 0o600 })
    renameSync(next, this.#file)
  }
}

function readTable(file: string): Record<string, string> {
  try {
    const table: unknown = JSON.parse(readFileSync(file, 'utf8'))
    if (table && typeof table === 'object' && Object.values(table).every(value => typeof value === 'string'))
      return table as Record<string, string>
    throw new Error('it is not a table of names')
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return {}
    throw new PosternError('io', `the names in ${file} cannot be read: ${(cause as Error).message}`, { cause })
  }
}
