// "Did you mean …?": the known word nearest to a mistyped one.

/** The word of `known` closest to `word`, or undefined where none is close enough to be what was meant. */
export function closest(word: string, known: readonly string[]): string | undefined {
  const ranked = known
    .map(candidate => ({ candidate, distance: distance(word.toLowerCase(), candidate.toLowerCase()) }))
    .sort((a, b) => a.distance - b.distance)
  const best = ranked[0]
  // A wrong letter, or two letters swapped (two steps), in five letters is a typing error; with more steps it is another
  // word.
  return best && best.distance <= Math.max(1, Math.floor(word.length * 0.4)) ? best.candidate : undefined
}

/** ` (did you mean "relay"?)`, or nothing. */
export function didYouMean(word: string, known: readonly string[]): string {
  const meant = closest(word, known)
  return meant ? ` (did you mean "${meant}"?)` : ''
}

// Levenshtein's distance, one row at a time.
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (const [i, letter] of [...a].entries()) {
    const next = [i + 1]
    for (const [j, other] of [...b].entries()) {
      next.push(Math.min(at(row, j + 1) + 1, at(next, j) + 1, at(row, j) + (letter === other ? 0 : 1)))
    }
    row = next
  }
  return at(row, b.length)
}

function at(row: readonly number[], index: number): number {
  return row[index] ?? Number.POSITIVE_INFINITY
}
