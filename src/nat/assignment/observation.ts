// The evidence that models are fitted to, cleaned of what cannot be: the mappings of one peer's sockets in order of
// arrival, each mapping once.

/** One mapping of one socket of the peer, as the gateway saw it. */
export interface Observation {
  /** The public address and port the packet came from. */
  readonly address: string
  readonly port: number
  /** When it arrived, in milliseconds; only differences count. */
  readonly atMs: number
  /** The socket's own port. Observations without one are taken as those of one socket. */
  readonly localPort?: number | undefined
  /** How many mappings the peer made since the observation before that no endpoint saw. Left out: none. Infinite: unknown. */
  readonly unseen?: number | undefined
}

export interface Evidence {
  /** Every mapping once, with its first arrival, oldest first. */
  readonly mappings: readonly Observation[]
  /** The mappings of the socket that is going to be mapped next. */
  readonly own: readonly Observation[]
  /** How often a mapping of a socket was seen again, because it is kept or because a packet came twice. */
  readonly repeats: number
  readonly localPort: number | undefined
  /** When the last observation arrived. */
  readonly lastMs: number
}

// Only the newest observations are used, at most this many. Older ones say nothing more, and the work grows with them.
const MOST = 32

/** The socket that is mapped next is the one with `localPort`, or else the one of the latest observation. */
export function evidence(observations: readonly Observation[], localPort?: number): Evidence {
  const sound = observations
    .filter(({ port, atMs }) => isPort(port) && Number.isFinite(atMs))
    .toSorted((a, b) => a.atMs - b.atMs)
    .slice(-MOST)
  const next = isPort(localPort) ? localPort : sound.at(-1)?.localPort
  const mappings = firsts(sound)
  return {
    mappings,
    own: mappings.filter(mapping => mapping.localPort === next),
    repeats: sound.length - mappings.length,
    localPort: isPort(next) ? next : undefined,
    lastMs: sound.at(-1)?.atMs ?? 0
  }
}

/** Each mapping's first arrival. What went unseen before a repetition counts as unseen before the next mapping. */
function firsts(sound: readonly Observation[]): Observation[] {
  const names = new Set<string>()
  const mappings: Observation[] = []
  let missed = 0
  for (const observation of sound) {
    missed += Math.max(0, observation.unseen || 0)
    if (names.has(nameOf(observation))) continue
    names.add(nameOf(observation))
    mappings.push(missed > 0 ? { ...observation, unseen: missed } : observation)
    missed = 0
  }
  return mappings
}

const nameOf = ({ localPort, address, port }: Observation) => `${localPort} ${address} ${port}`
const isPort = (port: number | undefined): port is number =>
  Number.isInteger(port) && Number(port) > 0 && Number(port) < 65536
