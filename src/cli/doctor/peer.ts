// What a peer that has joined finds: whether it may join at all, what answers it of the gateway, how large its packets may be, whether
// the gateway sees where it comes from, and what NAT is in front of it.

import { asPosternError, type Code } from '../../errors.ts'
import { keepSources } from '../../nat/hidden.ts'
import type { DoorReached, EndpointReached, Reached } from '../../peer/checks/reach.ts'
import { persist } from '../../peer/patience.ts'
import type { Peer } from '../../peer/peer.ts'
import { type Endpoint, formatEndpoint, isPrivate, sameEndpoint } from '../../wire/endpoint.ts'
import { PACKET_BYTES, SMALLEST_PACKET_BYTES } from '../../wire/packet-size.ts'
import { kindOf } from '../text/nat-text.ts'
import { type Finding, found, ok, parted, type Side, type Stepped, unchecked, warning, wrong } from './check.ts'

/** Whose it is that a peer is not let in; the network's where nothing else is known. */
const sides: Readonly<Partial<Record<Code, Side>>> = {
  'bad-token': 'you',
  'bad-config': 'you',
  'name-taken': 'you',
  'port-in-use': 'you',
  'fingerprint-mismatch': 'you',
  io: 'you',
  'wrong-gateway': 'gateway',
  'relay-full': 'gateway',
  'gateway-disk': 'gateway',
  'over-quota': 'gateway',
  'bad-message': 'gateway',
  internal: 'gateway'
}

const advices: Readonly<Partial<Record<Code, string>>> = {
  'bad-token': 'ask whoever runs the gateway for its join token: --token, or POSTERN_TOKEN',
  'wrong-gateway': 'name this URL in listen.url of the gateway, or dial one that is there'
}

export async function checkToken(joining: Promise<Peer>): Promise<Stepped<Peer>> {
  try {
    const peer = await joining
    return found(ok(`joined as ${peer.name}`, { name: peer.name, fingerprint: peer.identity.fingerprint }), peer)
  } catch (thrown) {
    const { code, message } = asPosternError(thrown)
    const said = parted(sides[code] ?? 'network', message)
    const advice = advices[code] ?? said.advice
    return found({ ...said, ...(advice ? { advice } : {}), facts: { code } })
  }
}

/** A finding for each UDP endpoint. Resolves with whether one of them answers. */
export function checkUdp({ endpoints, reachedAt, hasRoute }: Reached): Stepped<boolean> {
  if (endpoints.length === 0)
    return found(
      wrong('gateway', 'the gateway named no IPv4 endpoint, and UDP is IPv4 alone', { advice: named }),
      false
    )
  if (!hasRoute) return found(wrong('network', 'this computer has no way out for IPv4, and UDP is IPv4 alone'), false)
  const answered = endpoints.filter(({ why }) => why === undefined)
  const findings = endpoints.map(one => endpointFinding(one, answered.length > 0, reachedAt))
  return { findings, value: answered.length > 0 }
}

const named = 'name its addresses in listen.udp.public'

function endpointFinding(reached: EndpointReached, isOpen: boolean, reachedAt: string | undefined): Finding {
  const { endpoint, source, mapped, rttMs } = reached
  const at = formatEndpoint(endpoint)
  const facts = {
    endpoint: at,
    ...(mapped ? { mapped: formatEndpoint(mapped) } : {}),
    ...(source ? { source: formatEndpoint(source) } : {})
  }
  if (reached.why !== undefined) return { ...unanswered(endpoint, isOpen, reachedAt), facts }
  const seen = mapped ? `, and sees this computer at ${formatEndpoint(mapped)}` : ''
  if (source && !sameEndpoint(source, endpoint)) {
    const advice = 'have it answer from the address that was asked: NATs let in nothing else'
    return { ...warning('gateway', `${at} answers from ${formatEndpoint(source)}`, { advice, facts }), ms: rttMs ?? 0 }
  }
  return { ...ok(`${at} answers${seen}`, facts), ms: rttMs ?? 0 }
}

/** Where others answer, or the address cannot be right, it is the gateway; else a firewall that lets no UDP through. */
function unanswered({ address, port }: Endpoint, isOpen: boolean, reachedAt: string | undefined): Finding {
  const sentence = `${formatEndpoint({ address, port })} does not answer over UDP`
  if (isOpen)
    return warning('gateway', `${sentence}, and others do`, { advice: `open UDP port ${port} in front of the gateway` })
  if (reachedAt && isPrivate(address) && !isPrivate(reachedAt))
    return wrong('gateway', `${sentence}: it is a private address, and the gateway was reached at ${reachedAt}`, {
      advice: named
    })
  const elsewhere =
    reachedAt && reachedAt !== address ? `; it was reached at ${reachedAt}: ${named}, if that is wrong` : ''
  const advice = `let UDP out to ${address}, port ${port}; if others are not answered either, the gateway's operator has to open it${elsewhere}`
  return wrong('network', sentence, { advice })
}

/** A finding for each door of the relay. @param isUdpOpen otherwise a door is all there is */
export function checkDoors({ doors }: Reached, isUdpOpen: boolean): Stepped<true> {
  if (doors.length === 0) return found(unchecked('the gateway has no door besides UDP'), true)
  const isOpen = doors.some(({ why }) => why === undefined)
  return { findings: doors.map(door => doorFinding(door, isUdpOpen || isOpen)), value: true }
}

function doorFinding({ kind, name, rttMs, why }: DoorReached, isOtherOpen: boolean): Finding {
  const facts = { door: kind, at: name }
  if (why === undefined) return { ...ok(`${name} takes datagrams`, facts), ms: rttMs }
  const sentence = why.replace('no door of its relay opens: ', '')
  const isWeb = kind === 'websocket'
  const side: Side = isWeb ? 'gateway' : 'network'
  const advice = isWeb
    ? 'have the proxy in front of the gateway pass /relay on as it passes /join'
    : 'let TCP out to that port; it helps only where UDP is blocked'
  const trouble = { advice, facts }
  return isOtherOpen
    ? warning(side, `${sentence} does not open`, trouble)
    : wrong(side, `${sentence} does not open`, trouble)
}

/** How large a packet may be on the way to the gateway and back. */
export function checkPackets({ packets }: Reached): Stepped<true> {
  if (!packets) return found(unchecked('no UDP endpoint answers, and TCP cuts its packets by itself'), true)
  const { bytes, isWhole, isBothWays } = packets
  const facts = { bytes, isWhole, isBothWays }
  const sentence = `IP packets of ${bytes} bytes pass ${isBothWays ? 'both ways' : 'to the gateway, which is too old to answer in kind'}`
  const narrow = 'something on the way, such as a tunnel, is narrow'
  if (bytes === 0)
    return found(
      wrong('network', `IP packets of ${SMALLEST_PACKET_BYTES} bytes do not pass, and small ones do`, {
        advice: `${narrow}: --mtu 1000, or less`,
        facts
      })
    )
  if (bytes < PACKET_BYTES)
    return found(
      warning('network', `${sentence}, and larger ones do not`, {
        advice: `${narrow}: --mtu ${bytes} spares each connection the second that it takes to find that out`,
        facts
      })
    )
  if (!isWhole)
    return found(
      warning('network', `${sentence}, but not the first of them`, {
        advice:
          'it was lost, or too large, and the next ones were fragmented: run it again, and take a smaller --mtu if it stays so',
        facts
      })
    )
  return found(ok(sentence, facts), true)
}

/** What the gateway makes of the network: two checks of one answer. */
export async function checkNat(
  peer: Peer,
  signal: AbortSignal,
  onSocket: (number: number) => void
): Promise<{ readonly source: Finding; readonly nat: Finding }> {
  const findings = await persist(() => peer.nat({ onSocket, signal }), { signal })
  const { type, words } = kindOf(findings)
  if (findings.udp === 'blocked') return { source: unchecked(words), nat: unchecked(words) }
  const { report } = findings
  const { addresses, hidden, prospects } = report
  const facts = { type, addresses }
  const seen = addresses.slice(0, 4).join(', ')
  if (hidden) {
    const sentence = `${hidden.reached} hides where datagrams come from: this computer is seen at ${seen}, so all is relayed`
    return { source: wrong('gateway', sentence, { advice: keepSources, facts }), nat: unchecked(words) }
  }
  const direct = prospects.filter(({ probability }) => probability >= 0.5).length
  const hopes =
    prospects.length === 0 ? '' : `; ${direct} of ${prospects.length} kinds of networks mostly reach it directly`
  return {
    source: ok(`the gateway sees this computer at ${seen}`, { addresses }),
    nat: ok(`${words}${hopes} (see postern nat)`, facts)
  }
}
