// Turns text into HTML: a tagged template escapes whatever is put into it, unless it is HTML already. Names and reasons are
// strangers' words, so there is no other way to write a page here.

export class Html {
  readonly #text: string

  constructor(text: string) {
    this.#text = text
  }

  toString(): string {
    return this.#text
  }
}

/** Nothing is written for `undefined` and `false`; lists are written one after the other. */
export type Piece = Html | string | number | false | undefined | readonly Piece[]

export function html(strings: TemplateStringsArray, ...pieces: readonly Piece[]): Html {
  return new Html(strings.map((text, index) => text + written(pieces[index])).join(''))
}

function written(piece: Piece): string {
  if (piece === undefined || piece === false) return ''
  if (piece instanceof Html) return piece.toString()
  if (Array.isArray(piece)) return piece.map(written).join('')
  return String(piece).replace(/[&<>"'`]/g, character => `&#${character.charCodeAt(0)};`)
}
