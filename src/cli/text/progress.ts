// The progress of a transfer: an event for programs, one line on a terminal that is drawn over, and nothing elsewhere.

import type { Progress } from '../../peer/services/send.ts'
import { formatBytes } from '../../units.ts'
import { fit, formatSeconds, type Output } from './output.ts'

/** The rate is measured over about this time, in milliseconds: short enough to follow, long enough to read. */
const WINDOW_MS = 2000

export function progressBar(output: Output): (progress: Progress) => void {
  let current = ''
  let marks: { atMs: number; bytes: number }[] = []
  return ({ file, bytes, total }) => {
    if (file !== current) marks = []
    current = file
    const now = { atMs: performance.now(), bytes }
    marks = [...marks.filter(mark => now.atMs - mark.atMs < WINDOW_MS), now]
    output.tell({ event: 'progress', file, bytes, total })
    output.bar(drawn({ file, bytes, total }, bytesPerSecond(marks), output.width))
  }
}

function bytesPerSecond(marks: readonly { atMs: number; bytes: number }[]): number {
  const [first, last] = [marks[0], marks.at(-1)]
  if (!first || !last || last.atMs === first.atMs) return 0
  return ((last.bytes - first.bytes) / (last.atMs - first.atMs)) * 1000
}

/** `name [####····]  45%  28.8 MiB of 64.0 MiB  52.1 MiB/s  ETA 0.7 s`, as much of it as there is room for. */
export function drawn({ file, bytes, total }: Progress, rate: number, width: number): string {
  const share = total > 0 ? bytes / total : 1
  const left = rate > 0 ? `  ETA ${formatSeconds((total - bytes) / rate)}` : ''
  const numbers = `${Math.floor(share * 100)}%`.padStart(5)
  // This text always has the same length, so that the bar beside it stands still.
  const detail = `  ${formatBytes(bytes)} of ${formatBytes(total)}  ${formatBytes(Math.round(rate))}/s${left}`.padEnd(
    48
  )
  const name = fit(file, Math.min(file.length, Math.max(8, Math.floor(width / 4))))
  const room = width - 1 - name.length - numbers.length - detail.length - 3
  if (room < 6) return `${name}${numbers}${detail}`.trimEnd().slice(0, width - 1)
  const cells = Math.min(room, 30)
  const full = Math.round(share * cells)
  return `${name} [${'#'.repeat(full)}${'·'.repeat(cells - full)}]${numbers}${detail}`
}
