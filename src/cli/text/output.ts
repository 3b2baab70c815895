// The output of a command. With --json it is one JSON object a line. Otherwise it is lines for a person, on a terminal in
// colour and with a progress bar. If standard output carries data (`pipe`), all of it goes to standard error.

import { stripVTControlCharacters, styleText } from 'node:util'
import { formatBytes } from '../../units.ts'

export type Event = Readonly<{ event: string }> & Readonly<Record<string, unknown>>

type Style = Parameters<typeof styleText>[0]

/** Adds colour, for code that renders text without knowing where it goes. */
export type Paint = (style: Style, text: string) => string

export const unpainted: Paint = (_, text) => text

/**
 * The shortest time between two drawings of a bar, in milliseconds. The eye can follow these, but not every byte that
 * arrives.
 */
const BAR_MS = 100

export class Output {
  readonly #stream: NodeJS.WriteStream
  readonly #json: boolean
  #barShown = false
  #barAtMs = 0

  constructor({ json, stream }: { json: boolean; stream: NodeJS.WriteStream }) {
    this.#json = json
    this.#stream = stream
  }

  /** Columns to fill; 80 if no terminal says how many. */
  get width(): number {
    return this.#stream.columns || 80
  }

  /** Whether a progress bar makes sense. If not, only the end of a transfer is told. */
  get live(): boolean {
    return this.#stream.isTTY === true && !this.#json
  }

  /** Writes an event for programs, or `human` for a person. If `human` is left out, a person reads nothing. */
  tell(event: Event, human?: string): void {
    if (this.#json) this.#stream.write(`${JSON.stringify(event)}\n`)
    else if (human !== undefined) this.line(human)
  }

  /** Writes text for people only. */
  line(text: string): void {
    if (this.#json) return
    this.#clearBar()
    this.#stream.write(`${text}\n`)
  }

  /** Draws text on the terminal's last line. The next text is drawn over it. */
  bar(text: string): void {
    if (!this.live || performance.now() - this.#barAtMs < BAR_MS) return
    this.#barAtMs = performance.now()
    this.#clearBar()
    this.#stream.write(text.slice(0, this.width - 1))
    this.#barShown = true
  }

  /** Adds colour on a terminal, unless NO_COLOR is set. */
  paint(style: Style, text: string): string {
    return styleText(style, text, { stream: this.#stream })
  }

  /** Removes the bar, so that nothing stays half drawn. */
  end(): void {
    this.#clearBar()
  }

  #clearBar(): void {
    if (this.#barShown) this.#stream.write('\r\x1b[K')
    this.#barShown = false
  }
}

/**
 * Breaks text at spaces so that no line is longer than `width`, except for longer words. All lines but the first are
 * indented. Spaces at the beginning of the text are kept.
 */
export function wrap(text: string, width: number, indent = 0): string {
  const lines: string[] = []
  let line = /^ */.exec(text)?.[0] ?? ''
  let fresh = true
  for (const word of text.trimStart().split(' ')) {
    const room = width - (lines.length > 0 ? indent : 0)
    if (!fresh && visibleLength(line) + 1 + visibleLength(word) > room) {
      lines.push(line.trimEnd())
      line = word
    } else line += fresh ? word : ` ${word}`
    fresh = false
  }
  return [...lines, line].join(`\n${' '.repeat(indent)}`)
}

/** Shortens text to `width` with an ellipsis, or fills it up to that width. */
export function fit(text: string, width: number): string {
  return text.length > width ? `${text.slice(0, Math.max(0, width - 1))}…` : text.padEnd(width)
}

/** Shortens fingerprints to their ends. Whole ones are wider than most terminals, and --json has them whole. */
export function abridged(text: string): string {
  return text.replaceAll(/\b((?:[0-9A-F]{2}:){4})(?:[0-9A-F]{2}:){25}((?:[0-9A-F]{2}:?){3})\b/g, '$1…:$2')
}

export function formatMs(ms: number): string {
  if (ms < 100) return `${ms.toFixed(1)} ms`
  return ms < 10_000 ? `${Math.round(ms)} ms` : formatSeconds(ms / 1000)
}

/** `+12.3` or `−0.2`. A value that rounds to zero has no minus. */
export function signed(value: number): string {
  const digits = Math.abs(value).toFixed(1)
  return `${value < 0 && digits !== '0.0' ? '−' : '+'}${digits}`
}

/** Local date and time with its zone, `2026-01-31 13:00:00 +01:00`. */
export function formatMoment(atMs: number): string {
  const zoneMinutes = -new Date(atMs).getTimezoneOffset()
  const two = (part: number) => `${Math.floor(part)}`.padStart(2, '0')
  const size = Math.abs(zoneMinutes)
  const zone = size === 0 ? 'UTC' : `${zoneMinutes < 0 ? '-' : '+'}${two(size / 60)}:${two(size % 60)}`
  // The first and the last day there are have no time in other zones.
  const localMs = Math.min(8.64e15, Math.max(-8.64e15, atMs + zoneMinutes * 60_000))
  return `${new Date(localMs).toISOString().replace('T', ' ').slice(0, 19)} ${zone}`
}

/** Formats a wait that a person plans with. */
export function formatSeconds(seconds: number): string {
  if (seconds < 60) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`
  const minutes = Math.floor(seconds / 60)
  return minutes < 60
    ? `${minutes} min ${Math.round(seconds % 60)} s`
    : `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}

/** Bytes a second, from bytes and the time they took. */
export function formatThroughput(bytes: number, ms: number): string {
  return `${formatBytes(Math.round(bytes / (Math.max(ms, 1) / 1000)))}/s`
}

function visibleLength(text: string): number {
  return stripVTControlCharacters(text).length
}
