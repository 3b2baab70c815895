// Collects what the report on an order tells: each step with its time, what was sent and heard, and from where. The time of
// the order's arrival is on the peer's clock; everything else counts from there.

import { nowMs } from '../../clock.ts'
import { type Endpoint, sameEndpoint } from '../../wire/endpoint.ts'
import { HEARD, type Report } from '../../wire/report.ts'

type Span = [firstMs: number, lastMs: number]

export class Diary {
  readonly #startedMs = nowMs()
  readonly #originMs = performance.now()
  readonly #steps: [string, number][] = []
  readonly #sources: Endpoint[] = []
  #sent = 0
  #received = 0
  #held = 0
  #sentMs: Span | undefined
  #receivedMs: Span | undefined
  /** Pairs of an own socket and a far endpoint that it sent to. */
  flows = 0
  /** How many sockets could be bound, if they were fewer than ordered. */
  sockets: number | undefined

  /** Datagrams that the search has sent. */
  get sent(): number {
    return this.#sent
  }

  /** Records a step the first time it happens. */
  step(name: string): void {
    if (!this.#steps.some(([known]) => known === name)) this.#steps.push([name, rounded(this.#elapsedMs)])
  }

  /** Counts a datagram of the search that leaves. */
  sends(): void {
    this.#sent++
    this.#sentMs = upTo(this.#elapsedMs, this.#sentMs)
  }

  /** Counts a datagram of the search that may not leave now, by the peer's own bounds. */
  holds(): void {
    this.#held++
  }

  /** Counts a datagram of the search that is proved to be the far side's. */
  hears(source: Endpoint): void {
    this.#received++
    this.#receivedMs = upTo(this.#elapsedMs, this.#receivedMs)
    const isNews = this.#sources.length < HEARD && !this.#sources.some(known => sameEndpoint(known, source))
    if (isNews) this.#sources.push(source)
  }

  report(): Report {
    return {
      startedMs: this.#startedMs,
      steps: [...this.#steps],
      sent: this.#sent,
      received: this.#received,
      flows: this.flows,
      ...(this.#held > 0 ? { held: this.#held } : {}),
      ...(this.sockets === undefined ? {} : { sockets: this.sockets }),
      ...(this.#sentMs ? { sentMs: this.#sentMs } : {}),
      ...(this.#receivedMs ? { receivedMs: this.#receivedMs } : {}),
      ...(this.#sources.length > 0 ? { heard: [...this.#sources] } : {})
    }
  }

  get #elapsedMs(): number {
    return performance.now() - this.#originMs
  }
}

const upTo = (lastMs: number, [firstMs]: Span = [rounded(lastMs), 0]): Span => [firstMs, rounded(lastMs)]

const rounded = (ms: number): number => Math.round(ms * 100) / 100
