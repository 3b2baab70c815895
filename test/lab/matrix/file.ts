// The file of a run: a line of JSON for each pair as it comes, after one that says the seed. A run that finds its own file goes on
// where that ends.

import { appendFile, readFile, truncate } from 'node:fs/promises'
import type { IceRow, Row } from './row.ts'

interface Head {
  readonly what: 'matrix'
  readonly seed: number
  readonly started: string
}

type Line = Head | Row | IceRow

export class RunFile {
  readonly path: string
  readonly seed: number
  /** By the pair; those that could not be tried are not among them. */
  readonly rows = new Map<string, Row>()
  readonly ice = new Map<string, IceRow>()

  private constructor(path: string, seed: number) {
    this.path = path
    this.seed = seed
  }

  /** @param seed of a new file, and what one that is there has to have; if left out, that is taken. Throws where it has another. */
  static async open(path: string, seed: number | undefined, fresh: () => number): Promise<RunFile> {
    const lines = await linesOf(path)
    const head = lines.find(line => line.what === 'matrix')
    if (lines.length > 0 && !head) throw new Error(`${path} is no file of a matrix of browsers`)
    if (head && seed !== undefined && head.seed !== seed)
      throw new Error(`${path} is of a run with --seed ${head.seed}; another seed needs another file`)
    const file = new RunFile(path, head?.seed ?? seed ?? fresh())
    if (!head) await file.#write({ what: 'matrix', seed: file.seed, started: new Date().toISOString() })
    for (const line of lines) file.#take(line)
    return file
  }

  has(row: Row | IceRow): boolean {
    return (row.what === 'postern' ? this.rows : this.ice).get(row.pair) === row
  }

  async add(row: Row | IceRow): Promise<void> {
    this.#take(row)
    await this.#write(row)
  }

  /** What plain ICE came to in another run: NATs of the same types are the same to it. */
  async takeIce(path: string): Promise<void> {
    for (const line of await linesOf(path)) if (line.what === 'plain-ice') this.#take(line)
  }

  #take(line: Line): void {
    if (line.what === 'matrix' || line.outcome === 'untested') return
    if (line.what === 'postern') this.rows.set(line.pair, line)
    else this.ice.set(line.pair, line)
  }

  async #write(line: Line): Promise<void> {
    await appendFile(this.path, `${JSON.stringify(line)}\n`)
  }
}

/** None where there is no such file. What is left of a line that was being written when the run was ended is cut off. */
async function linesOf(path: string): Promise<Line[]> {
  const text = await readFile(path, 'utf8').catch(error => {
    if (error.code === 'ENOENT') return ''
    throw error
  })
  const whole = text.slice(0, text.lastIndexOf('\n') + 1)
  if (whole.length < text.length) await truncate(path, Buffer.byteLength(whole))
  return whole.split('\n').flatMap(line => (line ? [JSON.parse(line) as Line] : []))
}
