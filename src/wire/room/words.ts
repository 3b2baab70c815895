// The words that two people read aloud to each other: four of 32, which stand for 20 bits. Each is a picture that is told from the others
// at a glance, and an English word that sounds like none of the others.

export interface Word {
  readonly emoji: string
  readonly word: string
}

const WORDS: readonly Word[] = [
  { emoji: '🐘', word: 'elephant' },
  { emoji: '🐢', word: 'turtle' },
  { emoji: '🦋', word: 'butterfly' },
  { emoji: '🐙', word: 'octopus' },
  { emoji: '🐧', word: 'penguin' },
  { emoji: '🦉', word: 'owl' },
  { emoji: '🐴', word: 'horse' },
  { emoji: '🦊', word: 'fox' },
  { emoji: '🍄', word: 'mushroom' },
  { emoji: '🌻', word: 'sunflower' },
  { emoji: '🌙', word: 'moon' },
  { emoji: '🔥', word: 'fire' },
  { emoji: '🌈', word: 'rainbow' },
  { emoji: '⚡', word: 'lightning' },
  { emoji: '⛄', word: 'snowman' },
  { emoji: '🍌', word: 'banana' },
  { emoji: '🍒', word: 'cherries' },
  { emoji: '🍕', word: 'pizza' },
  { emoji: '🥕', word: 'carrot' },
  { emoji: '📖', word: 'book' },
  { emoji: '🎁', word: 'gift' },
  { emoji: '🔑', word: 'key' },
  { emoji: '🔔', word: 'bell' },
  { emoji: '⚓', word: 'anchor' },
  { emoji: '🔨', word: 'hammer' },
  { emoji: '🚲', word: 'bicycle' },
  { emoji: '🚀', word: 'rocket' },
  { emoji: '🚂', word: 'train' },
  { emoji: '⛵', word: 'boat' },
  { emoji: '🎸', word: 'guitar' },
  { emoji: '🥁', word: 'drum' },
  { emoji: '👓', word: 'glasses' }
]

/** The first 20 bits of these bytes. */
export function wordsOf([first = 0, second = 0, third = 0]: Uint8Array): readonly Word[] {
  const bits = (first << 12) | (second << 4) | (third >> 4)
  return [15, 10, 5, 0].flatMap(shift => WORDS[(bits >> shift) & 31] ?? [])
}
