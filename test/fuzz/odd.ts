// What nobody expects: texts and values that are seldom tried by hand. Some are known to be trouble; the others fast-check makes,
// from the seed of the run.

import fc from 'fast-check'
import type { Random } from './random.ts'

/** Stands in JSON for a list in a list in a list …, which JSON.stringify could not write (see `jsonText` in mutate.ts). */
export const DEEP = 'so deep: '

const troublesome = [
  ...['', ' ', '\0', '\n', '\r\n', '\t', '\x1b[2J', '\x1b]0;x\x07', '\x7f', '\x9b2J', '\u2028', '\u2029', '\ufeff'],
  ...[
    '\u202e',
    '\u2066',
    '\u200b',
    '\u200d',
    '\u00ad',
    '\ud800',
    '\udfff',
    '👩‍👩‍👧',
    'e\u0301',
    'ﬁ',
    'İ',
    'ß',
    '\u{e0041}'
  ],
  ...['__proto__', 'constructor', 'prototype', 'toString', 'valueOf', 'hasOwnProperty', 'then', 'length', 'toJSON'],
  ...['..', '.', '/', '\\', '../../etc/passwd', 'C:\\x', 'a/b', '%2e%2e%2f', '%', '%00', '%ff', '%u0041'],
  ...[
    'null',
    'true',
    'NaN',
    'Infinity',
    '-0',
    '0x10',
    '1e999',
    '1_000',
    '٣',
    '0.1.2.3',
    '::',
    '::1%lo',
    '255.255.255.256'
  ],
  ...[
    '127.0.0.1:0',
    '[::]:65536',
    '1-0',
    '65535-1',
    '203.0.113.7:4242 1e5 -',
    '$&',
    '$1',
    '{{',
    '}}',
    '${',
    '${X:-',
    '*'
  ],
  ...[
    '<q7"x7>',
    "q7'x7",
    'q7`x7',
    'q7<x7',
    'q7>x7',
    '&amp;q7',
    'javascript:q7',
    '--',
    '-x',
    '#',
    ': ',
    '- ',
    '? ',
    '&a *a'
  ]
]

const numbers = [
  ...[0, -0, -1, 1, 0.5, 2 ** 31, 2 ** 32, 2 ** 53, -(2 ** 53), 65_535, 65_536, 1e21, 1e300, 5e-324],
  ...[8.64e15, -8.64e15, Number.MAX_VALUE, 255, 256, 1e5, 86_400_001]
]

export class Odd {
  readonly seed: number
  readonly #texts: readonly string[]
  readonly #values: readonly unknown[]

  constructor(seed: number) {
    this.seed = seed
    const binary = fc.string({ unit: 'binary', maxLength: 40 })
    const words = fc.string({ unit: 'grapheme', maxLength: 20 })
    const made = fc.sample(fc.oneof(binary, words), { seed, numRuns: 300 })
    this.#texts = [...troublesome, ...troublesome, ...made]
    this.#values = fc.sample(fc.jsonValue({ maxDepth: 3 }), { seed, numRuns: 300 })
  }

  /** Mostly short; once in a while as long as nothing should be. */
  text(random: Random): string {
    const text = random.pick(this.#texts) ?? ''
    if (random.chance(0.03)) return text.repeat(random.size(3000))
    return random.chance(0.2) ? text + this.text(random) : text
  }

  number(random: Random): number {
    return random.chance(0.7) ? (random.pick(numbers) ?? 0) : random.next() - 2 ** 31
  }

  /** Anything that JSON can say. */
  value(random: Random): unknown {
    switch (random.below(10)) {
      case 0:
        return null
      case 1:
        return random.chance(0.5)
      case 2:
      case 3:
        return this.number(random)
      case 4:
      case 5:
        return this.text(random)
      case 6:
        return []
      case 7:
        return `${DEEP}${random.size(20_000)}`
      case 8:
        return { [this.text(random)]: this.text(random), toString: 1, valueOf: null }
      default:
        return structuredClone(random.pick(this.#values))
    }
  }
}
