// Reasons for an outcome, each in one word. Errors (errors.ts), strategies and plans (strategy/plan.ts) and verdicts
// (verdict.ts) take their words from this one table, so that a word means the same everywhere. A word is stable: scripts
// match it, `--json` prints it, traces carry it, and metrics are labelled with it.

import { codes } from './codes.ts'

/** Each word and what it means to the person who reads it. */
export const vocabulary = {
  ...codes,
  direct: 'a direct path was found',

  // Refusals by the far side, the network or the computer.
  'join-refused': 'a peer could not join: its name is taken, its protocol differs, or the gateway is full',
  'peer-lost': 'a side lost its connection to the gateway midway',
  'peer-left': 'a side gave the request up',
  'dtls-fingerprint': 'the far side of the encrypted connection has another certificate than the announced one',

  // Outcomes of an order, of a plan, or of a strategy.
  unsuited: 'there is nothing for this strategy to do here',
  unlikely: 'its best plan is worth less than it asks for',
  'budget-shared-out': 'the probes for this address are used up, by these two or by other sessions',
  'plugin-threw': 'a plugin threw an error, or yielded what no peer could obey',
  deadline: 'the time for all strategies was over before they had their turns',
  unheard: "no side found the path within the plan's time",
  'handover-lost': 'the path was found, and the connection on it could not be made',
  'never-obeyed': 'a side did not obey its orders, or could not',
  'no-sample': 'a fresh socket, which would have shown the next port, was not seen in time',
  'own-address': 'a side has the address itself at which it was to reach the other',
  'stale-socket': 'the socket that an order names is gone: the order before was called off too late',
  'called-off': 'an order was called off before anything came of it',

  // Obstacles to a direct path.
  'dead-port': 'one UDP port of a side is not answered, while others of the same host are',
  'gateway-ports': 'a UDP port of the gateway cannot be reached by anybody',
  'hidden-sources': 'something in front of the gateway hides where peers come from',
  'one-address': 'the gateway has one address, so that a mapping could not be told',
  'carrier-above-home': "a carrier's NAT lies above a home router, so that a port forwarded there leads nowhere",
  'both-random': 'both NATs choose their ports at random',
  'prediction-missed': 'the next port could not be predicted: others use up the ports in between',
  'spray-too-small': 'finding a random port takes more probes than the budget has',
  'one-way': 'one side heard the other, which heard nothing',
  'nothing-through': 'neither side heard the other, and nothing observed explains it',
  hairpin: 'both sides are behind one public address, and its NAT does not forward between hosts behind it',
  'mapping-timed-out': 'a NAT forgot a mapping before it was used',
  remapped: 'a NAT gave a flow another port because of packets nobody asked for',
  'handover-gap': 'a datagram met the port that was changing hands, and the NAT ended the flow for its refusal',
  'relay-off': 'no direct path, and no relay is among the strategies',
  'relay-only': 'a side shows its address to no other peer, so the relay alone leads to it',
  // What ended a path that had worked. `one-way`, `udp-blocked`, `too-narrow` and `unexplained` may do it too.
  'address-changed': 'a side has another address than the path had',
  'nat-forgot': 'the NAT or the line of a side began anew: mappings are gone, or have other ports',
  'path-cut': 'a direct path carried nothing any more, while both sides are where they were and reach the gateway',
  'gateway-away': 'the gateway was away, and the path through its relay with it',
  slept: 'a side did not run: its computer slept, or its program was stopped',
  vanished: 'a side was not heard of any more, and did not come back in time',
  interrupted: 'a path carried nothing for a while, and was heard again before another was found',
  'not-tried': 'the strategy that fits this pair is not in the list',
  unexplained: 'what was recorded does not explain it'
} as const

export type Word = keyof typeof vocabulary

/** Picks some of the words, with what they mean. */
export const wordsFor = <Chosen extends Word>(...words: readonly Chosen[]): Readonly<Record<Chosen, string>> =>
  Object.fromEntries<string>(words.map(word => [word, vocabulary[word]])) as Record<Chosen, string>

/** Words of former releases, and what they are now. Traces that were saved at that time have the old words. */
export const formerWords: Readonly<Record<string, Word>> = {
  'shared-budget': 'budget-shared-out',
  threw: 'plugin-threw',
  handover: 'handover-lost',
  failed: 'never-obeyed',
  'no-report': 'never-obeyed',
  gone: 'peer-left',
  'token-refused': 'bad-token',
  'fingerprint-refused': 'fingerprint-mismatch'
}

/** The present form of a word, which may be of a former release. */
export const wordNow = (word: string): string => (Object.hasOwn(formerWords, word) ? formerWords[word] : word) ?? word
