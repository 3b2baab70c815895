// A token that strangers may try to guess, so the wrong ones of each network are counted.

import { networkOf } from '../shares/network.ts'
import { Rate } from '../shares/rate.ts'
import { sameToken } from './tokens.ts'

/**
 * A token of at least this many characters is beyond guessing, as the one that is made up is. Wrong tokens cannot keep its
 * owner out, whatever way they come: many people may share one source, behind a proxy or a container's host.
 */
const LONG_TOKEN = 16

/** Wrong tokens a minute from one network: far more than slips of the hand, far too few to guess the poorest token. */
const WRONG_TOKENS = 20

/** For how long a network is not listened to that has shown too many, in milliseconds, at most. */
export const GUESSING_MS = 60_000

type Judged = 'right' | 'wrong' | 'limited'

export class GuardedToken {
  /** Another one from a reload on. */
  token: string
  readonly #wrong = new Rate(WRONG_TOKENS, GUESSING_MS)

  constructor(token: string) {
    this.token = token
  }

  /**
   * While a network is limited, a short token is refused even if it is right: otherwise the limit would be none.
   * @param source the address that it came from
   */
  check(given: string, source: string): Judged {
    return this.judge(sameToken(given, this.token), source, this.token.length >= LONG_TOKEN)
  }

  /**
   * The same for whatever else strangers may try to guess beside the token: all that is wrong is counted together.
   * @param isLong it is beyond guessing
   */
  judge(isRight: boolean, source: string, isLong: boolean): Judged {
    if (isRight && isLong) return 'right'
    const network = networkOf(source)
    if (this.#wrong.isSpent(network)) return 'limited'
    if (isRight) return 'right'
    this.#wrong.admits(network)
    return 'wrong'
  }
}
