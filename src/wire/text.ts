// Words from the far side, which end up on a terminal or in a trace: one short line without anything that a terminal would
// take for a command.

export function printable(text: string, mostCharacters = 300): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ').slice(0, mostCharacters)
}
