// The certificate of the HTTP port (listen.tls). Whoever renews it puts other files in the place of its two, or writes into them, one
// after the other, or turns a link to others. So both are looked at every two seconds, and read once they have changed and then
// stayed as they are from one look to the next; or at once, where the operator asks for it. A pair that cannot be used, or is not
// valid now, takes nobody's place: the one before stays, and the log and a warning say why.
//
//   files ─► changed ─► still ─► read ─► right ──────────────► for connections from now on
//                                          └─► wrong, over ──► the pair before stays, and the operator is told

import type { X509Certificate } from 'node:crypto'
import { stat } from 'node:fs/promises'
import { setInterval } from 'node:timers/promises'
import { nowMs } from '../../clock.ts'
import { type Pair, type PairFiles, readPair } from '../../config/pair.ts'
import { PosternError } from '../../errors.ts'
import { printable } from '../../wire/text.ts'
import type { Warning } from '../peers/sources.ts'

export interface CertificateOptions {
  readonly log: { info(fields: object, text: string): void; warn(fields: object, text: string): void }
  /** How often the files are looked at, in milliseconds. */
  readonly everyMs?: number
  /** Milliseconds since the epoch. */
  readonly now?: () => number
}

const EVERY_MS = 2000

/** The end is told once so much of a certificate's time is left: 9 days of 90, 14 hours of 6 days. Renewal comes well before. */
const LEFT = 1 / 10

export class Certificate implements Disposable {
  /** Is told of a pair that takes the place of the one before. */
  onRenewed: (pair: Pair) => void = () => {}
  readonly #files: PairFiles
  readonly #log: CertificateOptions['log']
  readonly #now: () => number
  readonly #over = new AbortController()
  #pair: Pair
  /** Why the files as they are now are not used. */
  #trouble: string | undefined
  #isAgeTold = false

  private constructor(files: PairFiles, pair: Pair, { log, now = nowMs }: CertificateOptions) {
    this.#files = files
    this.#pair = pair
    this.#log = log
    this.#now = now
  }

  /** Reads the pair, and watches it. One that is not valid now is taken here, and told. Throws `bad-config`. */
  static async open(files: PairFiles, options: CertificateOptions): Promise<Certificate> {
    const known = await stampOf(files)
    const pair = readPair(files)
    if ('wrong' in pair) throw new PosternError('bad-config', `listen.tls.${pair.wrong}: ${pair.text}`)
    const certificate = new Certificate(files, pair, options)
    certificate.#tellAge()
    void certificate.#watch(known, options.everyMs ?? EVERY_MS)
    return certificate
  }

  get pair(): Pair {
    return this.#pair
  }

  get warnings(): readonly Warning[] {
    const advice = 'have it renewed; the log names its files'
    const age = ageOf(this.#pair.leaf, this.#now())
    return [
      ...(age ? [{ code: 'certificate-ends', sentence: `the gateway's certificate ${age}`, advice } as const] : []),
      ...(this.#trouble ? [kept] : [])
    ]
  }

  /** Reads the files now, and says in the log what became of it. */
  renew(): void {
    this.#read(true)
  }

  [Symbol.dispose](): void {
    this.#over.abort()
  }

  #read(isAsked: boolean): void {
    const pair = readPair(this.#files)
    if ('wrong' in pair) return this.#keep(`listen.tls.${pair.wrong}: ${pair.text}`)
    const isSame = pair.cert === this.#pair.cert && pair.key === this.#pair.key
    const when = isSame ? undefined : outside(pair.leaf, this.#now())
    if (when) return this.#keep(`listen.tls.cert: ${this.#files.cert}: it ${when}; expected one that is valid now`)
    if (isSame && (isAsked || this.#trouble))
      this.#log.info(this.#fields(), 'certificate: the files have the one in use')
    this.#trouble = undefined
    if (isSame) return
    this.#pair = pair
    this.#isAgeTold = false
    this.onRenewed(pair)
    this.#log.info(this.#fields(), 'certificate: renewed, for connections from now on')
  }

  #keep(trouble: string): void {
    this.#trouble = trouble
    this.#log.warn(this.#fields(), `certificate: not renewed, the one before stays in use: ${printable(trouble, 1000)}`)
  }

  async #watch(known: string, everyMs: number): Promise<void> {
    const { signal } = this.#over
    let before = known
    try {
      for await (const _ of setInterval(everyMs, undefined, { signal, ref: false })) {
        const now = await stampOf(this.#files)
        if (now === before && now !== known) {
          known = now
          this.#read(false)
        }
        before = now
        this.#tellAge()
      }
    } catch (error) {
      if (!signal.aborted) throw error
    }
  }

  #tellAge(): void {
    const age = ageOf(this.#pair.leaf, this.#now())
    if (age && !this.#isAgeTold) this.#log.warn(this.#fields(), `certificate: ${this.#files.cert} ${age}`)
    this.#isAgeTold = age !== undefined
  }

  #fields(): object {
    const { leaf } = this.#pair
    return { names: leaf.subjectAltName, until: leaf.validToDate.toISOString(), fingerprint: leaf.fingerprint256 }
  }
}

const kept: Warning = {
  code: 'certificate-kept',
  sentence: 'the files of its certificate have changed and cannot be used, so the gateway keeps the one before',
  advice: 'the log says what is wrong with them; they are read again when they change, and at SIGHUP'
}

/** How a certificate is not valid now, or ends soon. */
const ageOf = (leaf: X509Certificate, now: number): string | undefined => outside(leaf, now) ?? ending(leaf, now)

function outside({ validFromDate, validToDate }: X509Certificate, now: number): string | undefined {
  if (now < validFromDate.getTime()) return `is not valid before ${validFromDate.toISOString()}`
  return now > validToDate.getTime() ? `ended at ${validToDate.toISOString()}` : undefined
}

function ending({ validFromDate, validToDate }: X509Certificate, now: number): string | undefined {
  const [from, to] = [validFromDate.getTime(), validToDate.getTime()]
  return to - now < (to - from) * LEFT ? `ends at ${validToDate.toISOString()}` : undefined
}

/** Differs once either file is another one, or has been written. Links are followed. */
async function stampOf({ cert, key }: PairFiles): Promise<string> {
  const stamps = [cert, key].map(path =>
    stat(path, { bigint: true }).then(
      ({ dev, ino, size, mtimeNs, ctimeNs }) => [dev, ino, size, mtimeNs, ctimeNs].join(' '),
      ({ code }) => String(code)
    )
  )
  return (await Promise.all(stamps)).join('\n')
}
