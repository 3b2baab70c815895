// What Prometheus reads: labels are bounded, and name no peer.

import type { TraceRecord } from './trace/store.ts'

export class Metrics {
  /** A request has ended. */
  ended(_record: TraceRecord): void {}

  /** The text that a scrape gets. */
  async text(): Promise<string> {
    return ''
  }
}
