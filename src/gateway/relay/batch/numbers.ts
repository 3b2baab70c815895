/** Numbers from 0 on, each of which one has at a time; those that were given back are given out again. */
export class Numbers {
  readonly #most: number
  readonly #free: number[] = []
  #next = 0

  constructor(most: number) {
    this.#most = most
  }

  /** Undefined where all are taken. */
  take(): number | undefined {
    return this.#free.pop() ?? (this.#next < this.#most ? this.#next++ : undefined)
  }

  giveBack(number: number): void {
    this.#free.push(number)
  }
}
