// All that is said to whoever tests a network: by the page, while the test runs, and by the gateway, which writes the result.

export const page = {
  title: 'Test my network',
  loading: 'The test is being loaded.',
  lead: 'In about ten seconds you learn what network this browser is in, whether calls will be direct from here and with whom, and what to change.',
  does: 'Your browser sends a few packets to this gateway and to nobody else, and needs neither camera nor microphone. The gateway keeps the result for 24 hours under a link that nobody can guess. No address, port or name of yours is in it.',
  start: 'Start the test',
  again: 'Test again',
  steps: {
    asked: 'Asking the gateway',
    shows: 'Sending packets over UDP',
    dials: 'UDP does not answer: trying TCP',
    judged: 'Judging what was seen'
  },
  over: 'The result is there.',
  failed: 'The test did not end',
  refused: 'There is no test for now',
  unsupported:
    'This browser makes no connections to others (WebRTC). A setting, an extension or a policy keeps it from that, or it is old: allow it, or take another browser.',
  unreachable:
    'The gateway did not take the test. A proxy or a filter on the way may stop WebSockets: try another network, or ask whoever runs the gateway.',
  lost: 'The connection to the gateway was lost while the test ran. Start it again.',
  wait: (seconds: number) => `Wait ${seconds} ${seconds === 1 ? 'second' : 'seconds'}, and start again.`
} as const

/** In the place of the sentence about a good verdict, where ports have to be foretold. */
export const foretold =
  'Your network uses another port towards each destination, but in such a way that others can be told which.'

/** By the verdict: the headline, and a sentence about it. */
export const headlines = {
  most: ['Calls will be direct with most people', 'Others can be told where to reach you.'],
  probably: [
    'Calls will probably be direct with most people',
    'This gateway has one public address, so it cannot tell whether your network uses other ports towards other addresses.'
  ],
  some: [
    'Calls will be direct with some people, and relayed with others',
    'Your network uses another port towards each destination, so the others have to guess it.'
  ],
  relayed: [
    'Calls will be relayed',
    'Nobody can be told where to reach you. A relay carries the calls: they work, with a longer way and a limited rate.'
  ],
  blocked: [
    'Calls will be relayed: UDP is blocked here',
    'No UDP packet came back from the gateway, but TCP to its relay works. Calls go that way, with more delay.'
  ],
  'cut-off': [
    'Calls will not work here: UDP is blocked',
    'No UDP packet came back from the gateway, and neither did TCP to its relay.'
  ],
  hidden: [
    'Nothing can be told of this network',
    'Something in front of the gateway hides where its visitors come from. Calls over this gateway are relayed.'
  ]
} as const

export const whom = {
  title: 'With whom',
  caption: 'Whether a call is direct, by the network of the other side',
  peer: 'The other side has',
  page: 'In a browser',
  node: 'With postern',
  words: { direct: 'Direct', perhaps: 'Perhaps', relayed: 'Relayed' },
  share: (percent: string) => `up to ${percent}`,
  note: '“Perhaps” depends on what a browser cannot find out, or on guessing ports in time. “With postern” is the program on a computer, in the place of a browser.',
  peers: {
    'no NAT': ['No router in between', 'servers, some offices and universities'],
    'full cone': ['An open home router', '“full cone”, or with UPnP'],
    'port-restricted cone': ['A usual home router', 'most homes'],
    'symmetric, stepping': ['A router that counts ports', 'some companies and carriers'],
    'symmetric, block of 512': ['A carrier with blocks of ports', 'many mobile networks'],
    'symmetric, random': ['A strict firewall', 'some companies, mobile networks and VPNs']
  } as Readonly<Record<string, readonly [string, string]>>
} as const

/** What to change, for whoever can. */
export const advice = {
  title: 'What to change',
  udp: (ports: string) =>
    `Allow UDP to this gateway (${ports}) and its answers in the firewall, and UDP to any port for calls that are to be direct. In a company ask whoever runs the network.`,
  unbound:
    'This browser opens no UDP socket. Look for a setting or an extension that hides addresses (“WebRTC leak protection”, “disable non-proxied UDP”), and allow it for this site.',
  vpn: 'If a VPN is on, turn it off for calls, or let this browser go around it (split tunnelling). Otherwise try another network, such as that of a phone.',
  split:
    'Your web traffic and your UDP leave by different addresses: a proxy, a VPN or a second line carries one of them. Let both go the same way for calls.',
  symmetric:
    'In the router look for its kind of NAT: choose “open”, “full cone” or “static port” in the place of “symmetric” or “strict”. Where two routers stand one behind the other, let the first one only pass on (bridge mode). In a company ask for UDP with fixed ports.',
  carrier:
    'If this is a mobile network, or the carrier has a NAT of its own, that cannot be changed from here: a fixed line or a Wi-Fi does better.',
  door: 'For whoever runs the gateway: give its relay a TCP port that browsers dial, such as 443 or 3478 (listen.tcp).',
  oneAddress: 'For whoever runs the gateway: a second public address in listen.udp would make this test certain.',
  hidden: 'For whoever runs the gateway: publish its UDP ports so that sources are kept.',
  none: 'Nothing: this is as good as a network behind a router gets.'
} as const

export const details = {
  title: 'Details',
  udp: 'UDP',
  udpIs: { open: 'passes, both ways', blocked: 'blocked: nothing came back', hidden: 'passes' },
  door: 'TCP to the relay',
  doorIs: { open: 'passes', shut: 'did not answer', untried: 'not tried, since UDP passes' },
  mapping: 'Ports of one socket',
  mappingIs: {
    'endpoint-independent': 'one for all destinations (endpoint-independent mapping)',
    'address-dependent': 'another one for each address (address-dependent mapping, “symmetric”)',
    'address-and-port-dependent': 'another one for each destination (address- and port-dependent mapping, “symmetric”)',
    unknown: 'one for all ports of the gateway’s only address; for other addresses it is not known'
  },
  ports: 'How ports are chosen',
  portsAre: {
    kept: () => 'kept as the computer has them',
    stepping: (step?: number) =>
      `counted${step === undefined ? '' : `, by ${step > 0 ? '+' : '−'}${Math.abs(step)}`} from one to the next`,
    block: (_step?: number, size?: number) => `within a block${size === undefined ? '' : ` of about ${size}`}`,
    random: () => 'at random'
  },
  sure: (percent: string) => `(${percent} sure)`,
  filter: 'What is let in',
  filterIs: 'a browser cannot find that out; the strictest is assumed',
  nat: 'Router in between',
  natIs: 'yes',
  natUnknown: 'a browser does not know its own address, so none, and one that keeps all ports, look alike',
  addresses: 'Public addresses',
  addressesAre: (count: number) => (count === 1 ? 'one' : `a pool, of which ${count} were seen`),
  rtt: 'There and back',
  rttIs: (ms: number, how: 'udp' | 'web') =>
    `${ms < 10 ? ms : Math.round(ms)} ms to the gateway, over ${how === 'udp' ? 'UDP' : 'its WebSocket'}`,
  unknown: 'not known',
  inside: {
    host: 'The gateway runs on this computer: the network around it was not seen.',
    network:
      'The gateway is within this network, or that of a carrier or a VPN: what leads from there to the Internet was not seen.'
  }
} as const

export const result = {
  title: 'Result of a network test',
  kicker: 'Network test',
  copy: 'Copy link',
  copied: 'The link is copied.',
  uncopied: 'The browser did not copy it: take the link from its address bar.',
  again: 'Test my network',
  kept: (tested: string, until: string) =>
    `Tested ${tested}, and kept until ${until} (UTC) unless the gateway is started again. Whoever has this link can read it. No address, port or name of the tested network is in it.`,
  gone: 'there is no such result: results are kept for 24 hours, and until the gateway is started again'
} as const

export const off = 'this gateway does not test networks; its operator can allow it: test: { enabled: true }'
