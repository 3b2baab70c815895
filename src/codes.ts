// The codes of errors, which are words of the vocabulary (vocabulary.ts). Modules for pages have their names alone, as types.

/** Each code and what it means to the person who reads it. */
export const codes = {
  'bad-config': 'the configuration or a command line option is wrong',
  unsupported: 'a browser, or the way a page came to it, lacks what a peer needs',
  'port-in-use': 'an address and port to listen on is taken',
  'gateway-unreachable': 'no WebSocket connection to the gateway could be made, or it was lost',
  'bad-token': 'the join or admin token is wrong',
  'wrong-gateway': "the URL that a peer dialled is none of the gateway's own",
  'name-taken': 'the name belongs to another certificate',
  'unknown-peer': 'nobody has ever joined under this name',
  'peer-offline': 'the peer is known, and has not joined now or accepts no connections',
  'self-connect': 'a peer asked for a connection to itself',
  'no-room': 'a room cannot be entered: its link is wrong or has expired, or it was closed',
  'room-full': 'a room has as many guests as it takes',
  'turned-away': 'somebody inside a room did not let this guest in',
  'fingerprint-mismatch':
    'a certificate is not the pinned or remembered one, or not the one that the other guest of a room has',
  'relay-full':
    'the gateway, or a share of it, has no room for another peer, name, session, room or relayed connection',
  'gateway-disk': 'the gateway cannot write to its disk, which is full or read-only; its operator has to mend that',
  'over-quota': 'a peer, or a pair of peers, has as many sessions, or sets up as many at once, as it may',
  timeout: 'a deadline passed',
  io: 'a file, a stream or the connection failed midway',
  'bad-message': 'a message broke the protocol',
  internal: 'a fault in postern itself',
  'no-path': 'every strategy passed or failed',
  'path-lost': 'the path of a connection was lost, and no other was found in time',
  'too-narrow': 'packets of the size that a path needs do not pass between the two, while smaller ones do',
  'udp-blocked': 'no UDP of one side, or of both, reaches the gateway',
  'wrong-family': 'a side and the gateway have no IPv4 path to each other, and postern uses UDP over IPv4 alone',
  'silent-peer': 'a side was joined a moment ago, and answers nothing now: it sleeps, changes networks, or was stopped'
} as const

export type Code = keyof typeof codes
