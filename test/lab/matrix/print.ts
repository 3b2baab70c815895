// The matrix of browsers on a terminal: how far it is, and the report when it is over or was interrupted.

import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { coreTypes, type NatType } from '../nat.ts'
import { RunFile } from './file.ts'
import { type Part, pairsOf, parts } from './pairs.ts'
import type { IceRow, Row } from './row.ts'
import { checkPrograms, chosen, freshSeed, runMatrix } from './run.ts'
import { goalsOf, report, surpriseOf, told } from './table.ts'

export interface MatrixOptions {
  readonly nats: readonly NatType[]
  /** Names of parts, with commas between; all if left out. */
  readonly only?: string | undefined
  readonly out?: string | undefined
  /** A file of another run, whose plain ICE is taken. */
  readonly ice?: string | undefined
  readonly seed?: number | undefined
  readonly strategies: string
}

export const matrixUsage = `npm run lab -- --matrix --browsers [TYPE...] [options]
  the table of NATs with real browsers: Chromium with Node (144 pairs), Chromium with
  Chromium (78), and Firefox with each (24 that are drawn). Each connects, has bytes come
  back, and both send sound and pictures for 3 s (12 of them for 10 s); then the same
  pair connects by plain ICE with coturn. With types, pairs of which both are of these.

  --only PART,...        ${parts.join(', ')}
  --out FILE             where each pair is written as it comes (JSON lines); a run with a
                         file that is there goes on where that ends. In the system's folder
                         of temporary files, if left out
  --ice FILE             takes what plain ICE came to from the file of another run
  --seed N               draws Firefox's pairs, who calls, and ports of the NATs
  --strategies "..."     as in the YAML file; all when left out

Ends with 1 where a pair failed or a goal is missed. It needs chromium, firefox-esr, certutil
and turnserver (Debian: chromium firefox-esr libnss3-tools coturn), and all of it about 40 minutes.`

export async function printMatrix({ nats, only, out, ice, seed, strategies }: MatrixOptions): Promise<void> {
  const wantedParts = partsOf(only)
  const unknown = nats.find(nat => !coreTypes.includes(nat))
  if (unknown) throw new Error(`"${unknown}" is not in the matrix; there are ${coreTypes.join(', ')}`)
  checkPrograms(wantedParts)
  const file = await openFile(out, seed)
  if (ice) await file.takeIce(ice)
  const wanted = { file, parts: wantedParts, nats }
  const pairs = chosen(wanted)
  if (pairs.length === 0) throw new Error('there is no such pair')
  console.log(`seed ${file.seed}, ${pairs.length} pairs, by TLS; each is written to ${file.path}`)
  const first = pairs.filter(({ caller }) => caller === 0).length
  console.log(
    `who calls is drawn: the first of a pair, which is the row, in ${first}, the other in ${pairs.length - first}`
  )
  const progress = new Progress()
  const ended = new AbortController()
  const end = () => ended.abort(new Error('interrupted'))
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, end)
  try {
    await runMatrix({ ...wanted, strategies, signal: ended.signal, ...progress.hooks })
  } catch (thrown) {
    // The laboratory is gone at once, whatever was under way in it.
    if (!ended.signal.aborted) throw thrown
  } finally {
    progress.clear()
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, end)
  }
  if (ended.signal.aborted) console.log(`interrupted; it goes on with --out ${file.path}`)
  const results = { pairs, rows: file.rows, ice: file.ice }
  for (const line of report(results)) console.log(line)
  console.log('')
  for (const { what, isMet } of goalsOf(results, wholeParts(pairs, file.seed))) {
    console.log(`${isMet ? 'met   ' : 'MISSED'} ${what}`)
    if (!isMet) process.exitCode = 1
  }
}

function partsOf(only: string | undefined): readonly Part[] {
  const named = only === undefined ? parts : only.split(',').map(name => name.trim())
  const unknown = named.find(name => !parts.includes(name as Part))
  if (unknown !== undefined) throw new Error(`--only takes some of ${parts.join(', ')}; got "${unknown}"`)
  return named as readonly Part[]
}

async function openFile(out: string | undefined, seed: number | undefined): Promise<RunFile> {
  if (out !== undefined) return await RunFile.open(out, seed, freshSeed)
  const drawn = seed ?? freshSeed()
  return await RunFile.open(join(tmpdir(), `postern-matrix-${drawn}.jsonl`), drawn, freshSeed)
}

function wholeParts(pairs: readonly { part: Part }[], seed: number): ReadonlySet<Part> {
  const count = (of: readonly { part: Part }[], part: Part) => of.filter(pair => pair.part === part).length
  const all = pairsOf(seed)
  return new Set(parts.filter(part => count(all, part) === count(pairs, part)))
}

/** A line that says how far it is, on a terminal; what should not be is told as it comes, anywhere. */
class Progress {
  readonly #startMs = performance.now()
  #first: number | undefined

  readonly hooks = {
    onPair: (pair: Parameters<typeof told>[0], done: number, of: number): void => {
      this.#first ??= done
      const each = (performance.now() - this.#startMs) / Math.max(1, done - this.#first)
      const left = done > this.#first ? `, ${Math.ceil(((of - done) * each) / 60_000)} min left` : ''
      if (process.stdout.isTTY) this.#draw(`${done + 1} of ${of}${left}: ${told(pair)}`)
    },
    onRow: (pair: Parameters<typeof told>[0], row: Row, ice: IceRow): void => {
      const surprise = surpriseOf(row, ice) ?? (ice.outcome === 'untested' ? `plain ICE: ${ice.why}` : undefined)
      if (surprise === undefined) return
      this.clear()
      console.log(`${told(pair)}: ${surprise}`)
    }
  }

  #draw(text: string): void {
    process.stdout.write(`\r\u001b[K${text.slice(0, (process.stdout.columns || 80) - 1)}`)
  }

  clear(): void {
    if (process.stdout.isTTY) process.stdout.write('\r\u001b[K')
  }
}
