// What the transport makes of a message: how large its IP packets are. Measured with node-datachannel 0.33.4 (DTLS 1.2 with
// AES-GCM, UDP over IPv4, every packet with DF) by counting packets on a wire. A message of n bytes that fits is one packet:
//
//   n + 16 (DATA chunk, RFC 9260 section 3.3.1) + 12 (SCTP) + 37 (DTLS record) + 8 (UDP) + 20 (IPv4)
//
// SCTP's own part is a multiple of 4, so the largest packet may be 3 bytes short of the size that was asked for.

/** IPv4, UDP and the DTLS record around an SCTP packet, in bytes. */
const AROUND_BYTES = 20 + 8 + 37

/** The SCTP header and that of a DATA chunk, in bytes. */
const WITHIN_BYTES = 12 + 16

/**
 * The library's `mtu` reckons with IPv6 and a longer DTLS record: its largest packet is smaller by so much, in bytes: 1,249 for
 * an `mtu` of 1,280, 1,169 for 1,200.
 */
const SPARED_BYTES = 31

/** What SRTP adds to a packet with AES-GCM, in bytes (RFC 7714 section 14.2); with AES-CM it is less. */
const SRTP_TAG_BYTES = 16

/** The largest RTP packet that fits into an IP packet of this size, in bytes. */
export const largestRtp = (packetBytes: number): number => packetBytes - 20 - 8 - SRTP_TAG_BYTES

/** The library's option for packets of at most so many bytes. */
export const mtuOption = (packetBytes: number): number => packetBytes + SPARED_BYTES

/** The length of the message that fills one packet of this size, in bytes. */
export const filling = (packetBytes: number): number => Math.floor((packetBytes - AROUND_BYTES) / 4) * 4 - WITHIN_BYTES
