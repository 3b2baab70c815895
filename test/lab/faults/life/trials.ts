// What the tables of browsers share: a row is so many trials, one after the other, in a ground that lasts as long as all goes well.

/** A row, as it is asked for and printed. */
export interface TrialRow {
  readonly word: string
  readonly what: string
  /** The longest pause that it may make, in milliseconds. */
  readonly goalMs: number
}

export interface Outcome<What extends string = string> {
  /** The longest pause of each at either end, from the fault on, in milliseconds. */
  readonly pauses?: Readonly<Record<What, number>>
  /** Why paths were lost, as the gateway judges. */
  readonly verdicts: readonly string[]
  /** What the ends have noticed, in milliseconds from the fault on. */
  readonly course: readonly string[]
  /** What went wrong. */
  readonly failed?: string
}

export interface Trials {
  readonly trials: number
  readonly seed?: number
}

/** A row that failed so often is not tried further. */
const LOST_AFTER = 3

/** @param once one trial, the nth of its row, which does not throw */
export async function runTrials<Ground extends AsyncDisposable, What extends string>(
  trials: number,
  open: () => Promise<Ground>,
  once: (ground: Ground, nth: number) => Promise<Outcome<What>>
): Promise<Outcome<What>[]> {
  const outcomes: Outcome<What>[] = []
  const hasFailed = () => outcomes.filter(({ failed }) => failed !== undefined).length
  while (outcomes.length < trials && hasFailed() < LOST_AFTER) {
    await using ground = await open()
    const before = hasFailed()
    // After a failure nobody knows what the ground is like.
    while (outcomes.length < trials && hasFailed() === before) outcomes.push(await once(ground, outcomes.length))
  }
  return outcomes
}

/** In a sentence. */
export const failureOf = (thrown: unknown): string =>
  ((thrown as Error).message.split('\n')[0] ?? '').replace(/^Error: /, '')
