// The names of spans, events and attributes, each with what it means. Whatever records or reads them goes by these tables:
// the compiler objects to any other name. docs/tracing.md has the same tables; `npm run docs` writes them.

import { type AttributeValue, SpanKind } from '@opentelemetry/api'
import type { SideName } from '../../wire/side.ts'

/** A table of `name: [where, meaning]`. */
type Table = Readonly<Record<string, readonly [where: string, meaning: string]>>

/** Spans: beneath which others they stand, and what they cover. */
export const spans = {
  'postern.connect': [
    "the caller's own span, or none",
    "from the caller's call to the path or the failure; a request that is refused has this span alone"
  ],
  'postern.join': [
    '`postern.connect`, or none',
    "a side's join, if it came at most 10 s before the call; or a join that was refused"
  ],
  'postern.observe': [
    '`postern.connect`, `postern.again`, `postern.plugin`, `postern.plan`',
    "waiting for sockets that are not warm yet, for samples of fresh ones (to predict ports, or to see whether a side is still heard when the other is not), or for the test of a NAT's filter"
  ],
  'postern.profile': [
    '`postern.connect`, `postern.again`, `postern.plugin`, `postern.plan`',
    "the judgement on one side's NAT"
  ],
  'postern.plugin': ['`postern.connect`, `postern.again`', "a strategy's turn"],
  'postern.plan': ['`postern.plugin`', 'one plan, from the orders to its end'],
  'postern.relay': ['`postern.plugin`', 'the same for a plan whose orders are to latch at the relay'],
  'postern.probe': [
    '`postern.plan`, `postern.relay`',
    "one side's search, from the arrival of its order until it let its socket go for the handover, or gave up. The passive side of an `ice` order lets it go at once, and ICE does the search"
  ],
  'postern.handover': [
    '`postern.plan`, `postern.relay`',
    'one side, from binding the port again to the open channel, or the failure'
  ],
  'postern.change': [
    '`postern.connect`, `postern.again`',
    "a moment after the connect: the relayed path's source changed, or it ended; or a peer told what became of the path"
  ],
  'postern.again': [
    '`postern.connect`, or none',
    'one search for another path of a connection that stands: the relay, since its path was lost, or a direct one, since it is relayed. The sides beneath it are those of the connection, whoever asked'
  ]
} as const satisfies Table

/**
 * OpenTelemetry's kinds: who serves a request of somebody else, who asks somebody else and waits. The gateway serves a caller, and
 * asks both peers; these serve it, and each asks the other for the connection.
 */
export const spanKinds: Readonly<Record<keyof typeof spans, SpanKind>> = {
  'postern.connect': SpanKind.SERVER,
  'postern.join': SpanKind.SERVER,
  'postern.observe': SpanKind.INTERNAL,
  'postern.profile': SpanKind.INTERNAL,
  'postern.plugin': SpanKind.INTERNAL,
  'postern.plan': SpanKind.CLIENT,
  'postern.relay': SpanKind.CLIENT,
  'postern.probe': SpanKind.SERVER,
  'postern.handover': SpanKind.CLIENT,
  'postern.change': SpanKind.INTERNAL,
  'postern.again': SpanKind.SERVER
}

/** Events: on which spans, and when. */
export const events = {
  asked: ['connect, again', 'the request reached the gateway'],
  hello: ['join', 'the peer proved its certificate'],
  warm: [
    'join, observe',
    "on join: the side had its first socket that the gateway answered; on observe: a side's socket is there"
  ],
  cold: ['observe', "a side's socket is known not to be there"],
  sample: ['profile', 'an endpoint of the gateway saw the mapping last'],
  first_sent: ['probe', 'the first datagram of the search left'],
  last_sent: ['probe', 'the last one left'],
  first_received: ['probe', 'the first datagram of the other side came'],
  last_received: ['probe', 'the last one came'],
  heard: ['probe', 'a probe of the other side came'],
  answered: ['probe', 'a probe of its own was answered'],
  checked: ['probe', "the other side's first ICE check came"],
  latched: ['probe', 'the relay accepted the socket'],
  beside: ['probe', "nothing came back to the socket's port, so another socket of the side was latched in its place"],
  walked: ['probe', 'every target and guess was tried once'],
  spent: ['probe', 'the budget of datagrams was used up'],
  refused: ['handover', 'the host refused a datagram while the port was closed, and ICE did not connect'],
  ice: ['handover', 'ICE is connected'],
  dtls: ['handover', 'DTLS is connected'],
  sctp: ['handover', 'SCTP is connected, and the channel is open']
} as const satisfies Table

/** Attributes: of which spans, or of which event of a span (`span: event`), and what they say. `SIDE` is caller or callee. */
export const attributes = {
  'postern.SIDE': ['connect, again', 'name of the peer'],
  'postern.session': ['connect, again', "the gateway's id of the session"],
  'postern.continues': ['again', 'the id of the session that made the connection'],
  'postern.only': ['again', '`relay` or `direct`: what was asked for'],
  'postern.asker': [
    'again',
    '`caller` or `callee`: the side that asked; left out where the gateway does not know who had called'
  ],
  'postern.SIDE.joined': ['again', 'for how many milliseconds the side had been joined: few, if it had lost its link'],
  'postern.gateway.up': ['again', 'for how many milliseconds the gateway had been up'],
  'postern.source': [
    'connect, again',
    'a word for the network that asked, by which the store shares its room: it is the same for one network until the gateway starts anew, and says nothing of its address'
  ],
  'postern.strategies': ['connect, again', 'names of the strategies, in their order; on again those that are left'],
  'postern.relay.configured': ['connect', 'boolean: one of them is a last resort'],
  'postern.deadline': ['connect', 'milliseconds for all strategies'],
  'postern.gateway.addresses': ['connect', 'how many addresses the gateway tells peers'],
  'postern.gateway.ports': ['connect', 'how many UDP endpoints the gateway tells peers'],
  'postern.gateway.deaf': [
    'connect',
    "list of the gateway's UDP endpoints at which no peer at all was heard in the last minute"
  ],
  'postern.gateway.heard': ['connect', 'boolean: another peer than these two was heard over UDP in the last minute'],
  'postern.SIDE.clock.offset': ['connect', "milliseconds, the gateway's clock less the peer's"],
  'postern.SIDE.clock.uncertainty': ['connect', 'milliseconds either way'],
  'postern.outcome': [
    'connect, again, join, observe, plugin, plan, relay, probe, handover',
    '`path`, `passed` or `failed`; on join and observe only `failed`'
  ],
  'postern.reason': [
    'connect, again, join, observe, plugin, plan, relay, probe, handover, change, observe: cold',
    'one sentence; on change as a peer says it'
  ],
  'postern.cause': [
    'observe, plugin, plan, relay, probe',
    'one word for the verdict: `Cause` in `src/strategy/plan.ts`; on a probe `never-obeyed`, if its side is there and never said what came of its order'
  ],
  'postern.code': [
    'connect, again, join, probe, handover, change, observe: cold',
    'the error code (`src/errors.ts`); for an order also `stale-socket`, `own-address` and `called-off`; on change the one that a connection ended with, such as `path-lost`, if no path was found in time'
  ],
  'error.type': [
    'connect, again, join, probe, handover',
    "the same, by the name it has in OpenTelemetry's conventions"
  ],
  'postern.path': [
    'connect, again, change',
    '`direct` or `relay`; on change the path that was lost, or that the streams run over now'
  ],
  'postern.plugin': ['connect, again, plugin, plan, relay', 'the strategy'],
  'postern.verdict': ['connect, join', 'the code: `verdicts` in `src/verdict.ts`'],
  'postern.verdict.sentence': ['connect, join', 'what stood in the way, in one clause'],
  'postern.verdict.side': ['connect, join', 'who stood in the way: `Blamed` in `src/verdict.ts`'],
  'postern.verdict.evidence': ['connect, join', 'list: what shows it, one fact a line'],
  'postern.verdict.advice': ['connect, join', 'what to do about it'],
  'postern.verdict.also': ['connect, join', 'list: codes of what else stood in the way'],
  'postern.peer': ['join, probe, handover', 'name of the peer, where it gave one'],
  'postern.side': [
    'connect, again, join, profile, probe, handover, change, observe: warm, observe: cold',
    '`caller` or `callee`; on connect and again the side that left, was lost, refused a certificate, or has as many sessions as it may; on change the side that moved or left, or that saw what is told'
  ],
  'postern.limit': [
    'connect, join',
    'the limit that was reached: `sessions`, `sessionsPerPeer`, `sessionsPerPair` (a share of the latter), `settingUp` (what one peer sets up at once), `relay`, `peers` (or a share of them), `strangers` (connections that have not joined, as many as peers), `joinsPerCertificate`, `wrongTokens`, `knocks` (how often guests come to one room within a minute), `judging` (the time for judging networks), `names`, `namesPerCertificate`, `namesPerNetwork`'
  ],
  'postern.told': [
    'observe: cold',
    "the IPv4 address of the gateway's that the side was told, if it may be the wrong one: the side came by IPv6, and this is a private address"
  ],
  'postern.SIDE.relay_only': [
    'connect',
    'boolean: that side shows its address to no other peer, and is relayed for that'
  ],
  'postern.SIDE.dead_ports': [
    'connect',
    'list of numbers: local UDP ports of that side that were not answered, while others of the same host were'
  ],
  'postern.sides': ['observe', 'which sides are waited for'],
  'postern.fresh': ['observe', 'boolean: samples of fresh sockets'],
  'postern.test': [
    'observe',
    '`filtering`: it waits for that test; `link`: it waits until one side has heard the other on a link, where sources are hidden'
  ],
  'postern.near': ['observe', 'boolean: it has'],
  'postern.remapped': [
    'profile',
    'if a mapping of a socket of the side changed within the last minute: what it was, what it is since, and how many milliseconds before'
  ],
  'postern.mapping': ['profile', 'RFC 4787 section 4.1, or `unknown`'],
  'postern.filtering': ['profile', 'RFC 4787 section 5, or `unknown`'],
  'postern.translated': ['profile', 'boolean: there is a NAT'],
  'postern.remaps': ['profile', 'boolean: the NAT gives a flow another port after packets that nobody asked for'],
  'postern.hidden': [
    'profile',
    "boolean: something in front of the gateway hides where the side's datagrams come from, so that nothing is known of its NAT"
  ],
  'postern.reached': ['profile', 'the endpoint of the gateway that a side whose source is hidden was told first'],
  'postern.mapped': [
    'profile, profile: sample',
    'where the primary endpoint saw the socket; on a sample where its endpoint saw it'
  ],
  'postern.via': ['profile: sample', "the gateway's endpoint"],
  'postern.port': ['profile', "the socket's own port"],
  'postern.links': ['profile', "addresses of the host's interfaces, with prefix"],
  'postern.rtt': ['profile', 'round trip to the gateway over UDP, milliseconds'],
  'postern.probes_left': ['profile', 'probes that may still be aimed at guessed ports of its address'],
  'postern.forward': [
    'profile',
    'what became of an endpoint that its peer says is forwarded to that socket: `proved`, `proving`, `unheard` (what was sent there did not come in) or `refused`'
  ],
  'postern.forward.by': ['profile', 'who made the forward: `given` (by hand), `pcp`, `nat-pmp` or `upnp`'],
  'postern.forward.endpoint': ['profile', 'where others send to, if it is proved'],
  'postern.router': [
    'profile',
    "what the side's router said when its peer asked it for a port: `granted`, or why not; left out if it was not asked"
  ],
  'postern.router.outside': ['profile', "the router's own outside address, as it says"],
  'postern.observed': [
    'profile',
    'the last 32 mappings known of it, oldest first: `address:port milliseconds-before local-port`, and how many unseen mappings came before it, if any'
  ],
  'postern.allocation': [
    'profile',
    'port assignment: `kept` (RFC 4787 section 4.2.1, port preservation), `stepping`, `block` or `random`'
  ],
  'postern.confidence': ['profile', 'probability of that'],
  'postern.evidence': ['profile', 'one line that says what was seen'],
  'postern.step': ['profile', 'ports from one mapping to the next'],
  'postern.drift': ['profile', 'mappings of others per second'],
  'postern.block': ['profile', 'ports of the block, as `low-high`'],
  'postern.range': ['profile', 'range from which ports are drawn, as `low-high`'],
  'postern.order': ['plan, relay', "kind of the caller's order: `ice`, `punch`, `splice`"],
  'postern.why': ['plan, relay', 'why it should work'],
  'postern.label': ['plan', 'name by which the plan is remembered'],
  'postern.expected': [
    'plan, plugin',
    'probability that it meets, as the models say; on a pass what its best plan would have been worth'
  ],
  'postern.wait': ['plan, relay', 'milliseconds to find the path'],
  'postern.hairpin': [
    'plan',
    'boolean: both sides were seen at one public address, which neither of them has itself, and were told to send there'
  ],
  'postern.beyond_subnet': [
    'plan',
    'boolean, beside `postern.hairpin`: each has a private address outside the subnets of the other, where `beyondSubnet` of `direct` would send'
  ],
  'postern.SIDE.own': ['plan', 'boolean: the side has all that it was to send to on its own interfaces'],
  'postern.SIDE.sockets': ['plan', 'sockets of an order that has a budget'],
  'postern.SIDE.probes': ['plan', 'most datagrams of an order that has a budget'],
  'postern.SIDE.ports': ['plan', 'how many ports are guessed'],
  'postern.SIDE.first_ports': ['plan', 'the first 32 of them'],
  'postern.SIDE.low_port': ['plan', 'the lowest of them'],
  'postern.SIDE.high_port': ['plan', 'the highest of them'],
  'postern.SIDE.latched': ['relay', 'endpoint from which the side latched'],
  'postern.SIDE.door': ['relay', 'through which door it did: `udp`, `tcp` or `websocket`'],
  'postern.door': ['change', 'the door through which the side comes now: `udp`, `tcp` or `websocket`'],
  'postern.relay.per_session': ['relay', 'limit of the session, bits per second'],
  'postern.relay.per_peer': ['relay', 'limit of each peer, bits per second'],
  'postern.relay.per_network': ['relay', 'limit of each network that asks for sessions, bits per second'],
  'postern.relay.total': ['relay', 'limit of all sessions together, bits per second'],
  'postern.sent': ['probe', 'datagrams of the search that were sent'],
  'postern.received': ['probe', 'datagrams of the other side that were received'],
  'postern.flows': ['probe', 'pairs of an own socket and a far endpoint to which something was sent'],
  'postern.held': [
    'probe',
    'datagrams that had to wait, or did not leave, by the bounds that a peer has for all its orders together'
  ],
  'postern.sockets': ['probe', 'how many sockets the side could bind, if they were fewer than ordered'],
  'postern.heard': ['probe', 'the first 8 endpoints from which the other side was heard'],
  'network.local.address': ['handover', "the path's own end"],
  'network.local.port': ['handover', "the path's own end"],
  'network.peer.address': ['handover, change', "the path's far end; on a change the new source"],
  'network.peer.port': ['handover, change', "the path's far end; on a change the new source"],
  'postern.change': [
    'change',
    'of the relay: `relatched`, `ended` or `idle`; of a peer: `lost`, `moved`, `resumed`, `proved`, `narrow`, `slept` (it did not run for a while), `network` (it has other addresses, or another default route) or `ended`'
  ],
  'postern.told_by': ['change', 'the side that told it; left out where the gateway saw it itself'],
  'postern.silence': [
    'change',
    'milliseconds for which nothing had been heard on the path when it was given up or left'
  ],
  'postern.unanswered': ['change', 'milliseconds before the path was given up that an answer was asked for'],
  'postern.slept': ['change', 'milliseconds for which the side that tells did not run'],
  'postern.back': ['change', 'boolean: the path that was lost is heard again'],
  'postern.late': ['change', 'milliseconds from when it happened until the gateway was told, if more than a second'],
  'postern.pause': ['change', 'milliseconds for which no stream could send'],
  'postern.resent': ['change', 'bytes of streams that the side that tells sent once more'],
  'postern.mtu': [
    'plan, relay, again, change',
    'bytes of the largest IP packet: on plan and relay that the path is made with, on again that it is asked for because larger ones did not pass; on change one that passes both ways, or on `lost` and `narrow` one that does not'
  ],
  'postern.SIDE.bytes': ['change, relay', 'UDP payload forwarded from that side; on relay if it failed'],
  'postern.SIDE.dropped': ['change, relay', 'datagrams of that side that were dropped; on relay if it failed'],
  'postern.SIDE.dropped_by': [
    'change, relay',
    'the same by the limit that was short, each with its count: `session`, `peer`, `network`, `total`; `unlatched`: the other side had not come'
  ],
  'postern.SIDE.delay': [
    'change, relay',
    'milliseconds that a datagram of that side waited for a limit, the mean of those that waited and were sent'
  ]
} as const satisfies Table

/** One name for each side where a table says `SIDE`. */
type OfSides<Name extends string> = Name extends `${infer Before}SIDE${infer After}`
  ? `${Before}${SideName}${After}`
  : Name

export type SpanName = keyof typeof spans
export type EventName = keyof typeof events
export type AttributeName = OfSides<keyof typeof attributes>

/** What may be recorded with a span or an event. */
export type SpanAttributes = { readonly [Name in AttributeName]?: AttributeValue }

/** An attribute of ours as readers ask for it, without the prefix that all of them have. */
export type ShortName = AttributeName extends infer Name
  ? Name extends `postern.${infer Short}`
    ? Short
    : never
  : never
