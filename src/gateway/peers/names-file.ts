// The table of names on disk, so that no change of it has to write all of it.
//
//   names.json      the names at the last start, each with its fingerprint: one JSON object
//   names.journal   what was claimed and forgotten since then: a line of JSON for each, in its order
//
// At the start the two become one table, which is written to names.json, and the journal begins anew. That also shows whether
// the folder can be written at all. Changes that come while one is being written are written together after it.

import { join } from 'node:path'
import type { Logger } from 'pino'
import { PosternError } from '../../errors.ts'
import { appendToStateFile, makeStateFolder, readStateFile, replaceStateFile, troubleOf } from '../../state-file.ts'

/** A name and the fingerprint that it belongs to from now on; without one it belongs to nobody. */
export interface Change {
  readonly name: string
  readonly fingerprint?: string
}

export type Table = Map<string, string>

const HEADER =
  '# Claims since names.json was written, and names that were forgotten; both files together are the table.\n'

/** An entry of names.json as this file writes it: what is whole of a damaged one is found by it. */
const entry = /"([A-Za-z0-9][\w.-]{0,62})"\s*:\s*"((?:[0-9A-F]{2}:){31}[0-9A-F]{2})"/g

export class NamesFile {
  readonly #journal: string
  #lines: string[] = []
  #writing: Promise<void> = Promise.resolve()
  #next: Promise<void> | undefined

  private constructor(journal: string) {
    this.#journal = journal
  }

  /**
   * Reads the table, and says in the log what of it is lost, if anything.
   * @throws PosternError `bad-config` where the folder cannot be read or written, `io` where nothing of names.json is whole.
   */
  static async open(folder: string, log: Pick<Logger, 'warn'>): Promise<{ file: NamesFile; table: Table }> {
    const [base, journal] = [join(folder, 'names.json'), join(folder, 'names.journal')]
    const texts = await usable(folder, 'read', () => Promise.all([base, journal].map(readStateFile)))
    const written = tableOf(texts[0], base)
    const since = changesOf(texts[1])
    const table: Table = new Map(written.table)
    for (const change of since.changes) apply(table, change)
    await usable(folder, 'written', async () => {
      await makeStateFolder(folder)
      if (written.isDamaged) await setAside(base, texts[0] ?? '', `${written.table.size} names in it are whole`, log)
      if (since.damaged > 0) await setAside(journal, texts[1] ?? '', `${since.changes.length} lines are whole`, log)
      if (written.isDamaged || since.changes.length > 0) await replaceStateFile(base, textOf(table))
      await replaceStateFile(journal, HEADER)
    })
    return { file: new NamesFile(journal), table }
  }

  /** Resolves when the changes are on disk. If it rejects with the error of the system, none of them is. */
  append(changes: readonly Change[]): Promise<void> {
    this.#lines.push(...changes.map(change => `${JSON.stringify(change)}\n`))
    this.#next ??= this.#writing.then(() => this.#write())
    return this.#next
  }

  /** Waits for what is being written. */
  async close(): Promise<void> {
    await (this.#next ?? this.#writing).catch(() => {})
  }

  async #write(): Promise<void> {
    const text = this.#lines.join('')
    this.#lines = []
    this.#next = undefined
    const written = appendToStateFile(this.#journal, text)
    this.#writing = written.catch(() => {})
    await written
  }
}

function apply(table: Table, { name, fingerprint }: Change): void {
  if (fingerprint === undefined) table.delete(name)
  else table.set(name, fingerprint)
}

const textOf = (table: Table): string => `${JSON.stringify(Object.fromEntries(table), undefined, 1)}\n`

/** Of a damaged file the entries that are whole. Throws `io` if there are none, for then everybody's name would be free. */
function tableOf(text: string | undefined, path: string): { table: Table; isDamaged: boolean } {
  if (text === undefined) return { table: new Map(), isDamaged: false }
  const table = parsed(text)
  if (table) return { table, isDamaged: false }
  const whole: Table = new Map([...text.matchAll(entry)].map(([, name = '', fingerprint = '']) => [name, fingerprint]))
  if (whole.size > 0) return { table: whole, isDamaged: true }
  throw new PosternError(
    'io',
    `${path} is ${text === '' ? 'empty' : 'damaged'}, and says no more whose name is whose; put a copy of it there, or delete ` +
      'it: then every name that names.journal does not list belongs to whoever joins under it first'
  )
}

function parsed(text: string): Table | undefined {
  try {
    const table: unknown = JSON.parse(text)
    if (!table || typeof table !== 'object' || Array.isArray(table)) return undefined
    const entries = Object.entries(table)
    return entries.every(([, fingerprint]) => typeof fingerprint === 'string') ? new Map(entries) : undefined
  } catch {
    return undefined
  }
}

function changesOf(text = ''): { changes: Change[]; damaged: number } {
  const lines = text.split('\n').filter(line => line !== '' && !line.startsWith('#'))
  const changes = lines.flatMap(line => changeOf(line) ?? [])
  return { changes, damaged: lines.length - changes.length }
}

function changeOf(line: string): Change | undefined {
  try {
    const { name, fingerprint } = JSON.parse(line) ?? {}
    if (typeof name !== 'string') return undefined
    if (fingerprint === undefined) return { name }
    return typeof fingerprint === 'string' ? { name, fingerprint } : undefined
  } catch {
    return undefined
  }
}

/** What cannot be read stays beside the file, for whoever wants to look at it, and the log says so. */
async function setAside(path: string, text: string, whole: string, log: Pick<Logger, 'warn'>): Promise<void> {
  const aside = `${path}.damaged`
  await replaceStateFile(aside, text)
  const lost = 'the rest is lost, and a name that was in it belongs to whoever joins under it first'
  log.warn(`${path} was damaged: ${whole}, and ${lost}; what it was is in ${aside}`)
}

/** Runs what uses the folder. Throws `bad-config` with what to do about it. */
async function usable<T>(folder: string, how: 'read' | 'written', work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (cause) {
    const why = troubleOf(cause)
    throw new PosternError('bad-config', `state: ${folder} cannot be ${how}: ${why}; ${remedyFor(why)}`, { cause })
  }
}

function remedyFor(why: string): string {
  if (/full/.test(why)) return 'make room on it, or name another folder'
  if (/read-only/.test(why)) return 'mount it to be written, or name another folder'
  if (/permission/.test(why)) return `give it to the user that runs the gateway (uid ${process.getuid?.()})`
  return 'mend that, or name another folder'
}
