// What two pages of a call say to each other beside sound and picture: a line of JSON each, on a stream of its own. What comes is a
// stranger's word: its shape and length are checked here, and whatever is wrong is dropped.

import { CHAT_CHARACTERS, FILE_BYTES, FILE_NAME_CHARACTERS, LINE_BYTES, NAME_CHARACTERS } from './limits.ts'

/** The version of these lines. */
export const LINES = 1

export interface About {
  readonly name: string
  readonly microphone: boolean
  /** What its picture shows. */
  readonly picture: 'camera' | 'screen' | 'none'
}

export interface FileOffer {
  readonly id: number
  readonly name: string
  readonly size: number
}

export type Line =
  | ({ readonly type: 'about'; readonly v: number } & About)
  | { readonly type: 'chat'; readonly text: string }
  | ({ readonly type: 'file' } & FileOffer)
  /** The file is taken, or not; or whoever offered it takes it back. */
  | { readonly type: 'take' | 'refuse' | 'withdraw'; readonly id: number }

export const lineText = (line: Line): string => `${JSON.stringify(line)}\n`

export function parseLine(text: string): Line | undefined {
  const { type, v, name, microphone, picture, text: said, id, size } = fieldsOf(text)
  switch (type) {
    case 'about':
      return isCount(v) && isText(name) && typeof microphone === 'boolean' && isPicture(picture)
        ? { type, v, name: plain(name).trim().slice(0, NAME_CHARACTERS), microphone, picture }
        : undefined
    case 'chat':
      return isText(said) && said !== '' ? { type, text: said.slice(0, CHAT_CHARACTERS) } : undefined
    case 'file':
      return isCount(id) && isText(name) && isCount(size) && size <= FILE_BYTES
        ? { type, id, size, name: fileName(name) }
        : undefined
    case 'take':
    case 'refuse':
    case 'withdraw':
      return isCount(id) ? { type, id } : undefined
    default:
      return undefined
  }
}

function fieldsOf(text: string): Record<string, unknown> {
  try {
    return Object(JSON.parse(text))
  } catch {
    return {}
  }
}

const isText = (value: unknown): value is string => typeof value === 'string'
const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0
const isPicture = (value: unknown): value is About['picture'] =>
  value === 'camera' || value === 'screen' || value === 'none'

/** Control characters, and marks that turn the direction of writing or show nothing, are no part of a name. */
const plain = (name: string): string => name.replace(/\p{C}+/gu, '_')

/** What paths are made of is none of a file's. */
const fileName = (name: string): string => {
  const safe = plain(name)
    .replace(/[/\\:*?"<>|_]+/g, '_')
    .replace(/^\.+/, '')
  // The end tells of what kind it is.
  const end = /\.\w{1,10}$/.exec(safe)?.[0] ?? ''
  return safe.length <= FILE_NAME_CHARACTERS ? safe || 'file' : safe.slice(0, FILE_NAME_CHARACTERS - end.length) + end
}

/** Puts bytes together to lines. Throws where one is longer than any that is sent. */
export class Lines {
  #rest = ''
  readonly #decoder = new TextDecoder()

  of(bytes: Uint8Array): string[] {
    const parts = (this.#rest + this.#decoder.decode(bytes, { stream: true })).split('\n')
    this.#rest = parts.pop() ?? ''
    if ([...parts, this.#rest].some(({ length }) => length > LINE_BYTES)) throw new Error('a line is too long')
    return parts
  }
}
