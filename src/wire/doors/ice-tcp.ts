// The relay's TCP door for a side that speaks ICE alone: its agent dials a passive candidate (RFC 6544 section 4.5) there, and brings its
// datagrams in the same frames. Browsers dial few ports.

/** The gateway's word, among its features, for taking `cold` with the credentials of an agent whose UDP is blocked. */
export const ICE_TCP = 'ice-tcp'

/** Below 1024 Chromium dials these alone. */
const LOW = [80, 443]

/** From 1024 on neither Chromium nor Firefox dials these: those of the Fetch standard ("bad port"). */
const REFUSED = [1719, 1720, 1723, 2049, 3659, 4045, 5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6697, 10080]

/** Whether browsers dial this TCP port of a candidate. */
export const isDialled = (port: number): boolean => (port < 1024 ? LOW.includes(port) : !REFUSED.includes(port))
