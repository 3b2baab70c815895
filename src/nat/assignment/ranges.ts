// The ranges from which operating systems and carriers hand out ports.

export interface Range {
  readonly low: number
  readonly high: number
}

/** Ranges that NATs are known to use, with the share of NATs we expect in each before anything was seen. */
export const KNOWN: readonly (Range & { readonly share: number })[] = [
  // RFC 4787 section 4.2.1 and RFC 6056 section 3.2: all but the well-known ports.
  { low: 1024, high: 65535, share: 0.65 },
  // Linux, net.ipv4.ip_local_port_range.
  { low: 32768, high: 60999, share: 0.12 },
  // The dynamic ports of RFC 6335 section 6.
  { low: 49152, high: 65535, share: 0.12 },
  // The default of pf's nat rules.
  { low: 50001, high: 65535, share: 0.06 },
  { low: 1, high: 65535, share: 0.05 }
]

/** Sizes of the port blocks that carriers give to a subscriber: powers of two (Juniper 128, GCP 32 to 1024, 512 to 2048 common). */
export const BLOCK_SIZES = [64, 128, 256, 512, 1024, 2048, 4096] as const

/** Ports in the widest ordinary range. */
export const WHOLE = 65535 - 1024 + 1

export const size = ({ low, high }: Range): number => high - low + 1

export const holds = ({ low, high }: Range, ports: readonly number[]): boolean =>
  ports.every(port => port >= low && port <= high)

/** The block of `blockSize` ports, aligned to its size, that `port` lies in. */
export function alignedBlock(port: number, blockSize: number): Range {
  const start = Math.floor(port / blockSize) * blockSize
  return { low: Math.max(1, start), high: start + blockSize - 1 }
}

/**
 * A step that visits each of `count` places once. It is about the golden section of them, so that neighbours come far
 * apart.
 */
export function strideOf(count: number): number {
  let stride = Math.max(1, Math.round(count * 0.618))
  while (divisor(stride, count) > 1) stride++
  return stride
}

const divisor = (a: number, b: number): number => (b === 0 ? a : divisor(b, a % b))
