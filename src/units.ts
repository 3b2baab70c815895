// Quantities as people write them (`10s`, `4 Mbit/s`) and as the code holds them (milliseconds, bits per second). A number
// without a unit is refused, because units are what gets mixed up.

const millisecondsIn = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const
const bitsPerSecondIn = { 'bit/s': 1, 'kbit/s': 1e3, 'Mbit/s': 1e6, 'Gbit/s': 1e9 } as const

const bytesIn = { B: 1, KiB: 1024, MiB: 1_048_576, GiB: 1_073_741_824 } as const

type DurationUnit = keyof typeof millisecondsIn
type RateUnit = keyof typeof bitsPerSecondIn

export type DurationText = `${number}${DurationUnit}`
export type RateText = `${number} ${RateUnit}`

export const aDuration = 'a duration such as 10s, 500ms or 2m'
export const aRate = 'a rate above zero such as 4 Mbit/s or 500 kbit/s'
export const aSize = 'a size such as 64 MiB, 512 KiB or 0 B'

/** Milliseconds; undefined where the text is no duration. */
export function parseDuration(text: string): number | undefined {
  return parseQuantity(text, millisecondsIn)
}

/**
 * Bits per second, above zero; undefined where the text is no rate. Bytes (`MB/s`) are not accepted, because they hide a
 * factor of eight.
 */
export function parseRate(text: string): number | undefined {
  return parseQuantity(text, bitsPerSecondIn) || undefined
}

/**
 * Bytes; undefined where the text is no size. Decimal units (`MB`) are not accepted, because many people mean binary ones by
 * them.
 */
export function parseSize(text: string): number | undefined {
  return parseQuantity(text, bytesIn)
}

/** The inverse of parseDuration, in the largest unit that leaves a whole number. */
export function formatDuration(milliseconds: number): string {
  return formatQuantity(milliseconds, millisecondsIn, '')
}

/** The inverse of parseRate, in the largest unit that leaves a whole number. */
export function formatRate(bitsPerSecond: number): string {
  return formatQuantity(bitsPerSecond, bitsPerSecondIn, ' ')
}

/** The inverse of parseSize, in the largest unit that leaves a whole number. */
export function formatSize(bytes: number): string {
  return formatQuantity(bytes, bytesIn, ' ')
}

/** An amount that was counted, in the unit that fits: `1023 B`, `64.0 MiB`. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  const power = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(1, bytes)) / 10))
  return `${power === 0 ? bytes : (bytes / 1024 ** power).toFixed(1)} ${units[power]}`
}

/** A time that was measured, as it is said: `140 ms`, `1.2 s`, `12 s`, `3 min`, `2 h`, `4 days`. */
export function roughly(milliseconds: number): string {
  const ms = Math.round(milliseconds)
  if (ms < 1000) return `${ms} ms`
  if (ms < 9950) return `${Number((ms / 1000).toFixed(1))} s`
  if (ms < 119_500) return `${Math.round(ms / 1000)} s`
  if (ms < 7_170_000) return `${Math.round(ms / 60_000)} min`
  return ms < 3 * 86_400_000 ? `${Math.round(ms / 3_600_000)} h` : `${Math.round(ms / 86_400_000)} days`
}

/** 1, 2 or 5 times a power of ten, at least `least`: the distance between the ticks of an axis. */
export function roundStep(least: number): number {
  const power = 10 ** Math.floor(Math.log10(least))
  return ([1, 2, 5].find(factor => factor * power >= least) ?? 10) * power
}

/**
 * A probability or a share, 0 to 1: `57 %`, `99.6 %`, `0.62 %`, `0.078 %`. Nothing is rounded to 0 % or to 100 %: these two
 * mean certainty.
 */
export function percent(share: number): string {
  const percents = 100 * Math.min(1, Math.max(0, share))
  if (percents === 0 || percents === 100) return `${percents} %`
  if (percents < 0.01) return 'under 0.01 %'
  if (percents > 99.9) return 'over 99.9 %'
  if (percents >= 99) return `${percents.toFixed(1)} %`
  return `${percents >= 10 ? percents.toFixed(0) : Number(percents.toPrecision(2))} %`
}

function parseQuantity(text: string, units: Readonly<Record<string, number>>): number | undefined {
  const match = /^(\d{1,15}(?:\.\d{1,9})?) ?([A-Za-z/]+)$/.exec(text.trim())
  const factor = match?.[2] !== undefined && Object.hasOwn(units, match[2]) ? units[match[2]] : undefined
  return factor === undefined ? undefined : Math.round(Number(match?.[1]) * factor)
}

function formatQuantity(value: number, units: Readonly<Record<string, number>>, gap: string): string {
  const smallestFirst = Object.entries(units)
  const [unit, factor] = smallestFirst.findLast(([, factor]) => value % factor === 0 && value >= factor) ??
    smallestFirst[0] ?? ['', 1]
  return `${value / factor}${gap}${unit}`
}
