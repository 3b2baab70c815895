// A check is one thing that has to be as it should for a peer to do its work. What it found is a finding: whether that is so, and if
// not, who can mend it, and how.

import { until } from '../../clock.ts'
import { asPosternError, messageOf } from '../../errors.ts'

/** `unchecked`: nothing is known, because something before it failed, or was not given. */
export type Outcome = 'ok' | 'warning' | 'wrong' | 'unchecked'

/** Who has what is to be mended in hand: whoever runs this computer, the network that it is in, or whoever runs the gateway. */
export type Side = 'you' | 'network' | 'gateway'

export interface Finding {
  readonly outcome: Outcome
  /** Without a full stop. */
  readonly sentence: string
  /** Who is to mend it, where it is not right. */
  readonly side?: Side
  /** What to do about it. */
  readonly advice?: string
  /** What programs want to know besides. */
  readonly facts?: Readonly<Record<string, unknown>>
  /** How long it took, if it is not the time of the whole step. */
  readonly ms?: number
}

/** The names of all checks, in their order. */
export const checks = [
  'url',
  'name',
  'tcp',
  'tls',
  'http',
  'clock',
  'websocket',
  'token',
  'udp',
  'doors',
  'packets',
  'source',
  'nat'
] as const

export type CheckName = (typeof checks)[number]

export interface Check extends Finding {
  readonly check: CheckName
  /** Milliseconds. */
  readonly ms: number
}

/** What a step found, one thing or several, and what the steps behind it go by; undefined if they cannot be done. */
export interface Stepped<T> {
  readonly findings: readonly Finding[]
  readonly value?: T | undefined
}

export const found = <T>(finding: Finding, value?: T): Stepped<T> => ({ findings: [finding], value })

export const ok = (sentence: string, facts?: Finding['facts']): Finding => ({
  outcome: 'ok',
  sentence,
  ...(facts ? { facts } : {})
})

export const unchecked = (sentence: string): Finding => ({ outcome: 'unchecked', sentence })

type Trouble = Pick<Finding, 'advice' | 'facts'>

export const wrong = (side: Side, sentence: string, trouble: Trouble = {}): Finding => ({
  ...{ outcome: 'wrong', side, sentence },
  ...trouble
})

export const warning = (side: Side, sentence: string, trouble: Trouble = {}): Finding => ({
  ...{ outcome: 'warning', side, sentence },
  ...trouble
})

/**
 * A sentence as peer/unreachable.ts writes it, as a finding: `what is there; what to do about it (CODE)`. The code goes where the fact is.
 */
export function parted(side: Side, said: string): Finding {
  const [, words = said, code = ''] = /^(.*?)( \([^()]+\))?$/s.exec(said) ?? []
  const at = words.indexOf('; ')
  if (at < 0) return wrong(side, said)
  return wrong(side, `${words.slice(0, at)}${code}`, { advice: words.slice(at + 2) })
}

/** Does the checks one after the other, and keeps what each has found. */
export class Examination {
  readonly done: Check[] = []
  readonly #tell: (check: Check) => void
  readonly #signal: AbortSignal

  /** @param tell is called with each as soon as it is done */
  constructor(tell: (check: Check) => void, signal: AbortSignal) {
    this.#tell = tell
    this.#signal = signal
  }

  /**
   * Resolves with what the steps behind it go by. Whatever it throws is a finding; throws only what the signal aborts with.
   * @param limitMs how long it may take, in milliseconds
   */
  async step<T>(
    check: CheckName,
    limitMs: number,
    work: (signal: AbortSignal) => Promise<Stepped<T>> | Stepped<T>
  ): Promise<T | undefined> {
    const sinceMs = performance.now()
    const late = new AbortController()
    const timer = setTimeout(() => late.abort(new DOMException('late', 'TimeoutError')), limitMs)
    const over = AbortSignal.any([this.#signal, late.signal])
    try {
      const { findings, value } = await until(work(over), over)
      const tookMs = performance.now() - sinceMs
      for (const finding of findings) this.add(check, finding, finding.ms ?? tookMs)
      return value
    } catch (thrown) {
      this.#signal.throwIfAborted()
      const { code } = asPosternError(thrown)
      const sentence = late.signal.aborted ? `it did not end within ${limitMs / 1000} s` : messageOf(thrown)
      this.add(check, wrong('network', sentence, { facts: { code } }), performance.now() - sinceMs)
      return undefined
    } finally {
      clearTimeout(timer)
    }
  }

  add(check: CheckName, finding: Finding, ms = 0): void {
    const whole = { ...finding, check, ms }
    this.done.push(whole)
    this.#tell(whole)
  }

  /** Those that have no finding were not done. */
  leaveRest(why: string): void {
    const did = new Set(this.done.map(({ check }) => check))
    for (const check of checks) if (!did.has(check)) this.add(check, unchecked(why))
  }
}
