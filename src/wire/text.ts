// Text from the far side ends up on a terminal or in a trace. It becomes one short line, without anything that a terminal
// would take for a command.

export function printable(text: string, mostCharacters = 300): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ').slice(0, mostCharacters)
}

/** Lists and members within each other that are read. What is deeper becomes null: nothing of ours has more than ten levels. */
const LEVELS = 64

/** Makes every text in JSON from a file or from a gateway printable, including the names of members. */
export function printableJson(value: unknown, levels = LEVELS): unknown {
  if (typeof value === 'string') return printable(value, Number.POSITIVE_INFINITY)
  if (typeof value !== 'object' || value === null) return value
  if (levels === 0) return null
  const inner = (one: unknown) => printableJson(one, levels - 1)
  if (Array.isArray(value)) return value.map(inner)
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [inner(name), inner(one)]))
}
