// A mapping that a profile names, as one line: `203.0.113.7:4242 12.5 40000`. That is the mapping, how many milliseconds
// before the profile it was made, and the socket's own port (`-` if that is unknown). If nobody saw some mappings before
// it, their number follows.

import type { Observation } from '../../nat/assignment.ts'
import { formatEndpoint } from '../../wire/endpoint.ts'

export interface Observed {
  readonly mapped: string
  readonly agoMs: number
  readonly localPort: number | undefined
  readonly unseen: number | undefined
}

export function observedLine({ address, port, localPort, atMs, unseen }: Observation, nowMs: number): string {
  const agoMs = Math.round((nowMs - atMs) * 10) / 10
  return [formatEndpoint({ address, port }), agoMs, localPort ?? '-', ...(unseen ? [unseen] : [])].join(' ')
}

/** Undefined if the line is no such mapping. */
export function observedIn(line: string): Observed | undefined {
  const [, mapped, ago, localPort, unseen] = /^(\S+) (-?[\d.]+) (\d+|-)(?: (\d+))?$/.exec(line) ?? []
  if (mapped === undefined) return undefined
  const number = (text: string | undefined) => (text === undefined || text === '-' ? undefined : Number(text))
  return { mapped, agoMs: Number(ago), localPort: number(localPort), unseen: number(unseen) }
}
