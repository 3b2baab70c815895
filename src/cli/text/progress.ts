// The progress of a transfer: an event for programs, one line on a terminal that is drawn over, and nothing elsewhere. While the
// path is lost the line says for how long.

import type { Connection, PathNews } from '../../peer/connection/connection.ts'
import type { Progress } from '../../peer/services/send.ts'
import { formatBytes } from '../../units.ts'
import { fit, formatSeconds, type Output } from './output.ts'

/** The rate is measured over about this time, in milliseconds: short enough to follow, long enough to read. */
const WINDOW_MS = 2000

/** How often the line says for how long a path is waited for, in milliseconds. */
const WAITING_MS = 1000

export class ProgressBar {
  readonly #output: Output
  readonly #connection: Connection
  #last: Progress | undefined
  #marks: { atMs: number; bytes: number }[] = []
  #waiting: NodeJS.Timeout | undefined
  readonly #follow = (news: PathNews) => this.#changed(news)

  /** @param connection what the transfer goes over */
  constructor(output: Output, connection: Connection) {
    this.#output = output
    this.#connection = connection
    connection.on('path', this.#follow)
    connection.closed.addEventListener('abort', () => this.end(), { once: true })
  }

  show({ file, bytes, total }: Progress): void {
    if (file !== this.#last?.file) this.#marks = []
    this.#last = { file, bytes, total }
    const now = { atMs: performance.now(), bytes }
    this.#marks = [...this.#marks.filter(mark => now.atMs - mark.atMs < WINDOW_MS), now]
    this.#output.tell({ event: 'progress', file, bytes, total })
    if (this.#waiting === undefined)
      this.#output.bar(drawn(this.#last, bytesPerSecond(this.#marks), this.#output.width))
  }

  /** Nothing more will be transferred. */
  end(): void {
    clearInterval(this.#waiting)
    this.#waiting = undefined
    this.#connection.off('path', this.#follow)
  }

  #changed(news: PathNews): void {
    clearInterval(this.#waiting)
    this.#waiting = undefined
    this.#marks = []
    if (news.what !== 'lost') return
    const sinceMs = performance.now() - news.quietMs
    this.#waiting = setInterval(() => this.#wait(performance.now() - sinceMs), WAITING_MS)
  }

  #wait(waitedMs: number): void {
    if (this.#last) this.#output.bar(drawnWaiting(this.#last, waitedMs, this.#output.width))
  }
}

function bytesPerSecond(marks: readonly { atMs: number; bytes: number }[]): number {
  const [first, last] = [marks[0], marks.at(-1)]
  if (!first || !last || last.atMs === first.atMs) return 0
  return ((last.bytes - first.bytes) / (last.atMs - first.atMs)) * 1000
}

/** `name [####····]  45%  waiting for a path (12 s)`, as much of it as there is room for. */
export function drawnWaiting({ file, bytes, total }: Progress, waitedMs: number, width: number): string {
  return line({ file, bytes, total }, `  waiting for a path (${formatSeconds(Math.round(waitedMs / 1000))})`, width)
}

/** `name [####····]  45%  28.8 MiB of 64.0 MiB  52.1 MiB/s  ETA 0.7 s`, as much of it as there is room for. */
export function drawn({ file, bytes, total }: Progress, rate: number, width: number): string {
  const left = rate > 0 ? `  ETA ${formatSeconds((total - bytes) / rate)}` : ''
  const detail = `  ${formatBytes(bytes)} of ${formatBytes(total)}  ${formatBytes(Math.round(rate))}/s${left}`
  return line({ file, bytes, total }, detail, width)
}

function line({ file, bytes, total }: Progress, text: string, width: number): string {
  const share = total > 0 ? bytes / total : 1
  const numbers = `${Math.floor(share * 100)}%`.padStart(5)
  // This text always has the same length, so that the bar beside it stands still.
  const detail = text.padEnd(48)
  const name = fit(file, Math.min(file.length, Math.max(8, Math.floor(width / 4))))
  const room = width - 1 - name.length - numbers.length - detail.length - 3
  if (room < 6) return `${name}${numbers}${detail}`.trimEnd().slice(0, width - 1)
  const cells = Math.min(room, 30)
  const full = Math.round(share * cells)
  return `${name} [${'#'.repeat(full)}${'·'.repeat(cells - full)}]${numbers}${detail}`
}
