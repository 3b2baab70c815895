// One request, or one refused join, as it is recorded: a summary and its spans. It is plain data, and the same in memory,
// in a file, in the API and in a saved trace.

import type { Verdict } from '../../verdict.ts'

export interface SpanRecord {
  readonly id: string
  readonly parent?: string
  readonly name: string
  readonly startMs: number
  readonly endMs: number
  readonly attributes: Readonly<Record<string, unknown>>
  readonly events: readonly {
    readonly name: string
    readonly atMs: number
    readonly attributes: Readonly<Record<string, unknown>>
  }[]
}

export interface TraceRecord {
  /** The trace id: shared by the requests that were made within one trace. */
  readonly id: string
  readonly startMs: number
  readonly ms: number
  /** Of a refused join it is the peer, if it gave a name. */
  readonly caller: string
  readonly callee: string
  readonly outcome: string
  /** The plugin that won, or the code of the failure. */
  readonly by: string
  readonly reason: string
  /** `direct` or `relay` if there is a path. */
  readonly path?: 'direct' | 'relay'
  /** The session whose connection this was to continue, where that has no record that this could be a part of. */
  readonly continues?: string
  readonly verdict: Verdict
  /** Why paths of the connection were lost, oldest first; left out where none was. */
  readonly losses?: readonly Loss[]
  /** The root, then the others in the order of their start. */
  readonly spans: readonly SpanRecord[]
}

/** The verdict on one loss of a path. */
export interface Loss extends Verdict {
  /** When it was noticed, in milliseconds since the epoch on the gateway's clock. */
  readonly atMs: number
  readonly path?: 'direct' | 'relay'
  /** No more will be learnt of it: the search after it is over, or the connection is. */
  readonly settled: boolean
}

/** What a list shows of a trace. */
export interface TraceSummary extends Omit<TraceRecord, 'spans' | 'losses'> {
  /** The codes of the last losses, oldest first. */
  readonly lost?: readonly string[]
}
