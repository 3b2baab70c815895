// Why a connection was relayed or failed, in one code, one sentence, and what to do about it. The words alone: how a verdict
// is found is trace/verdict.

/** Each code and what it means. A code is stable: scripts match it, and it labels a metric. */
export const verdicts = {
  direct: 'a direct path was found',
  'unknown-peer': 'nobody has ever joined under the name that was asked for',
  'peer-offline': 'the callee was not joined when it was asked for, or accepts no connections',
  'peer-lost': 'a side lost its connection to the gateway midway',
  'peer-left': 'a side gave the request up',
  'self-connect': 'a peer asked for a connection to itself',
  'token-refused': 'a peer that wanted to join showed a wrong token',
  'join-refused': 'a peer could not join: its name is taken, its protocol differs, or the gateway is full',
  'fingerprint-refused': 'a certificate is not the pinned or remembered one',
  'udp-blocked': 'no UDP from one side, or from both, reaches the gateway',
  'gateway-ports': 'a UDP port of the gateway cannot be reached by anybody',
  'one-address': 'the gateway has one address, so that a mapping could not be told',
  'both-random': 'both NATs choose their ports at random',
  'prediction-missed': 'the next port could not be predicted: others use up the ports in between',
  'spray-too-small': 'finding a random port takes more probes than the budget has',
  'budget-shared-out': 'other sessions used up the probes for this address',
  'no-sample': 'a fresh socket, which would have shown the next port, was not seen in time',
  'never-obeyed': 'a side did not obey its orders, or could not',
  'one-way': 'one side heard the other, which heard nothing',
  'nothing-through': 'neither side heard the other, and nothing observed explains it',
  'mapping-timed-out': 'a NAT forgot a mapping before it was used',
  remapped: 'a NAT gave a flow another port because of packets nobody asked for',
  'handover-lost': 'the path was found, and the connection on it could not be made',
  'dtls-fingerprint': 'the far side of the encrypted connection has another certificate than the announced one',
  'relay-full': 'the relay has no room',
  'over-quota': 'a peer, or a pair of peers, has as many sessions as it may',
  'relay-off': 'no direct path, and the relay is not among the strategies',
  deadline: 'the time for all strategies was over before they had their turns',
  'plugin-threw': 'a plugin threw an error',
  'not-tried': 'the strategy that fits this pair is not in the list',
  unexplained: 'what was recorded does not explain it'
} as const

export type VerdictCode = keyof typeof verdicts

/** Who or what stood in the way. `path` is the network between the two sides, `none` where nothing did. */
export const blamed = ['caller', 'callee', 'both', 'gateway', 'path', 'none'] as const
export type Blamed = (typeof blamed)[number]

/** As traces have it and peers are told it. Sentences are at most 512 characters long, lists at most 8. */
export interface Verdict {
  /** A `VerdictCode`; of a newer gateway or an older trace perhaps another word. */
  readonly code: string
  /** A clause that could follow "because". */
  readonly sentence: string
  readonly side: Blamed
  /** What was recorded that shows it, one fact a line. */
  readonly evidence: readonly string[]
  /** What to do about it. */
  readonly advice: string
  /** Codes of what else stood in the way, weightiest first. */
  readonly also: readonly string[]
}
