// What a target of the fuzzer is: a part of postern that reads what others wrote. It makes an input of its own choice, feeds it,
// and throws if something is not as it has to be.

import type { Odd } from './odd.ts'
import type { Random } from './random.ts'

export interface Target {
  /** As `--only` takes it. */
  readonly name: string
  /** What is fed, and what has to hold. */
  readonly about: string
  open(odd: Odd): Subject | Promise<Subject>
}

/** A target that is open. */
export interface Subject<Input = unknown> {
  /** The input of one operation. These choices decide it, and at most what was heard before (a nonce, an id). */
  input(random: Random): Input
  /** Feeds it. Throws what is wrong. */
  check(input: Input): void | Promise<void>
  /** Lets go of what it holds for the operations so far. Comes before each look at the memory. */
  rest?(): Promise<void>
  close?(): Promise<void>
}

const unseen = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u

/** Whether a text shows as what it is: without anything that a terminal takes for a command, or that cannot be seen. */
export const isPrintable = (text: string): boolean => !unseen.test(text)
