// Text from the far side ends up on a terminal or in a trace. It becomes one short line, without anything that a terminal
// would take for a command.

export function printable(text: string, mostCharacters = 300): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ').slice(0, mostCharacters)
}

/** Makes every text in JSON from a file or from a gateway printable, including the names of members. */
export function printableJson(value: unknown): unknown {
  if (typeof value === 'string') return printable(value, Number.POSITIVE_INFINITY)
  if (Array.isArray(value)) return value.map(printableJson)
  if (typeof value !== 'object' || value === null) return value
  const members = Object.entries(value)
  return Object.fromEntries(members.map(([name, one]) => [printableJson(name), printableJson(one)]))
}
