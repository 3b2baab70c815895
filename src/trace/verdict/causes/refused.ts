// Requests and joins that ended with an error code. Another path would not help: they need somebody else, or another
// certificate.

import type { Code } from '../../../errors.ts'
import { otherSide } from '../../../wire/side.ts'
import type { Facts } from '../facts.ts'
import { SILENT_ADVICE } from './absent.ts'
import { type Finding, nameOf } from './finding.ts'

/** @param stood what stood in the way of a direct path, weightiest first. */
export function refused(facts: Facts, [stood]: readonly Finding[]): Finding | undefined {
  if (facts.outcome === 'path' || facts.code === undefined) return undefined
  const finding = facts.kind === 'join' ? joining(facts) : connecting[facts.code]?.(facts)
  const evidence = [facts.reason ?? `code ${facts.code}`]
  if (finding?.code !== 'relay-full' || !stood) return finding && { ...finding, evidence }
  const sentence = `${finding.sentence}, and there was no direct path: ${stood.sentence}`
  return { ...finding, sentence, evidence: [...evidence, ...stood.evidence] }
}

type Bare = Omit<Finding, 'evidence'>

function joining(facts: Facts): Bare {
  const who = facts.names.caller === 'the caller' ? 'a peer' : nameOf(facts, 'caller')
  switch (facts.code) {
    case 'bad-token':
      return {
        code: 'bad-token',
        side: 'caller',
        sentence:
          facts.limit === 'wrongTokens'
            ? `${who} was not asked for its join token: too many wrong ones came from its network`
            : `${who} showed a wrong join token`,
        advice:
          'give the peer the token of join.token (or POSTERN_TOKEN), which the gateway prints at its start, or the file that holds it'
      }
    case 'fingerprint-mismatch':
      return {
        code: 'fingerprint-mismatch',
        side: 'caller',
        sentence: `${who} did not prove that its certificate is its own`,
        advice: 'check who tries to join; the peer must sign with the key of the certificate it shows'
      }
    case 'relay-full':
      return {
        code: 'join-refused',
        side: 'gateway',
        sentence: `${who} could not join: the gateway has no room for it (${facts.limit ?? 'limits'})`,
        advice: adviceOfLimit[facts.limit ?? ''] ?? raise(facts)
      }
    case 'gateway-disk':
      return {
        code: 'join-refused',
        side: 'gateway',
        sentence: `${who} could not join: the gateway cannot write its name to disk`,
        advice: "make room in the gateway's state folder, or let it be written; the gateway's log says where it is"
      }
    case 'wrong-family':
      return {
        code: 'wrong-family',
        side: 'gateway',
        sentence: `${who} came by IPv6, UDP is IPv4 alone, and the gateway has no IPv4 address to tell`,
        advice: "set listen.udp.public to the gateway's public IPv4 address"
      }
    default:
      return {
        code: 'join-refused',
        side: 'caller',
        sentence: `${who} could not join: ${joinReasons[facts.code ?? 'internal'] ?? `it was refused with ${facts.code}`}`,
        advice: joinAdvice[facts.code ?? 'internal'] ?? 'see the reason in the evidence'
      }
  }
}

const joinReasons: Partial<Record<Code, string>> = {
  'wrong-gateway': "the URL that it dialled is none of the gateway's own",
  'name-taken': 'the name belongs to another certificate',
  'bad-message': 'it broke the protocol, or speaks another version of it',
  'no-room': 'the link of a room that it showed is not good',
  'room-full': 'the room that it came to has as many guests as it takes',
  timeout: 'it opened a connection and said nothing'
}

const joinAdvice: Partial<Record<Code, string>> = {
  'wrong-gateway':
    'if the URL is right, add it to listen.url; if not, somebody passes on what peers say to another gateway',
  'name-taken': 'choose another name, or bring the certificate that claimed this one',
  'no-room': 'have whoever made the room give its link once more, whole, or make it anew',
  'room-full': 'wait until somebody has left it',
  'bad-message': 'use the same version of postern for peer and gateway'
}

/** By the code that a request ended with. A code that is missing here is explained by what was tried. */
const connecting: Partial<Record<Code, (facts: Facts) => Bare | undefined>> = {
  'unknown-peer': facts => ({
    code: 'unknown-peer',
    side: 'callee',
    sentence: `nobody has ever joined as ${nameOf(facts, 'callee')}`,
    advice: 'check the name; a peer has to join once before it can be asked for'
  }),
  'peer-offline': facts => (facts.begun ? lost(facts) : offline(facts)),
  'silent-peer': facts => (facts.begun ? undefined : silent(facts)),
  'self-connect': facts => ({
    code: 'self-connect',
    side: 'caller',
    sentence: `${nameOf(facts, 'caller')} asked for a connection to itself`,
    advice: 'give each peer a certificate (state folder) of its own'
  }),
  'fingerprint-mismatch': facts => {
    const refusing = facts.side ?? 'caller'
    const shown = otherSide(refusing)
    return {
      code: 'fingerprint-mismatch',
      side: shown,
      sentence: `${nameOf(facts, refusing)} refused ${nameOf(facts, shown)}: its certificate is not the pinned or remembered one`,
      advice: `if ${nameOf(facts, shown)} has a new certificate on purpose, remove the pin or the line in known-peers; if not, somebody else uses its name`
    }
  },
  'over-quota': facts => busy(facts, whoOf(facts)),
  'relay-full': facts => (quotas.includes(facts.limit ?? '') ? overQuota(facts) : full(facts)),
  io: facts => left(facts),
  timeout: facts => left(facts)
}

const offline = (facts: Facts): Bare => ({
  code: 'peer-offline',
  side: 'callee',
  sentence: `${nameOf(facts, 'callee')} has not joined now, or accepts no connections`,
  advice: 'start the callee and see that it stays joined; a peer that only calls is not reachable'
})

const silent = (facts: Facts): Bare => ({
  code: 'silent-peer',
  side: 'callee',
  sentence: `${nameOf(facts, 'callee')} answered nothing, or had lost its connection to the gateway a moment before`,
  advice: SILENT_ADVICE
})

const whoOf = (facts: Facts): string => (facts.side ? nameOf(facts, facts.side) : 'a side')

function lost(facts: Facts): Bare {
  return {
    code: 'peer-lost',
    side: facts.side ?? 'none',
    sentence: `${whoOf(facts)} lost its connection to the gateway while the path was searched`,
    advice: 'see whether that program was ended, its host slept, or its network changed; then ask again'
  }
}

function left(facts: Facts): Bare {
  return {
    code: 'peer-left',
    side: facts.side ?? 'none',
    sentence: `${whoOf(facts)} gave the request up before there was a path`,
    advice: 'let the program wait longer for a connection, or see why it ended'
  }
}

/** Limits of one certificate that no option raises. The second has the name that a former release gave the first. */
const ofCertificate: readonly string[] = ['joinsPerCertificate', 'links']

const adviceOfLimit: Readonly<Record<string, string>> = {
  ...Object.fromEntries(
    ofCertificate.map(limit => [
      limit,
      'end other programs that join with this certificate, or wait until some have ended'
    ])
  ),
  namesPerCertificate: 'let it join under one of its names; after an hour it may claim new ones',
  namesPerNetwork: 'let it join under a name that it has; a day later its network may claim new ones'
}

const quotas: readonly string[] = ['sessionsPerPeer', 'sessionsPerPair', 'settingUp', ...ofCertificate]

const busy = ({ side }: Facts, who: string): Bare => ({
  code: 'over-quota',
  side: side ?? 'none',
  sentence: `${who} is setting up as many connections as it does at once`,
  advice: 'ask again in a moment'
})

function overQuota(facts: Facts): Bare {
  if (facts.limit === 'settingUp' && facts.side) return busy(facts, nameOf(facts, facts.side))
  const advice =
    'close connections that are not needed, or raise limits.sessionsPerPeer; one pair may have a quarter of it'
  const bound = 'as many sessions as limits.sessionsPerPeer allows'
  const { side } = facts
  if (facts.limit !== 'sessionsPerPair' && side)
    return { code: 'over-quota', side, sentence: `${nameOf(facts, side)} has ${bound}`, advice }
  const sentence = `${nameOf(facts, 'caller')} and ${nameOf(facts, 'callee')} have ${bound} a pair`
  return { code: 'over-quota', side: 'both', sentence, advice }
}

const full = (facts: Facts): Bare => ({
  code: 'relay-full',
  side: 'gateway',
  sentence: facts.begun ? 'the relay has no room for another session' : 'the gateway has no room for another session',
  advice: raise(facts)
})

const raise = ({ limit = 'sessions' }: Facts): string =>
  limit === 'judging'
    ? 'ask again in some seconds, or run a second gateway'
    : `raise limits.${optionOf[limit] ?? limit} of the gateway, or run a second gateway`

/** Bounds that have no option of their own. */
const optionOf: Readonly<Record<string, string>> = { relay: 'sessions', strangers: 'peers' }
