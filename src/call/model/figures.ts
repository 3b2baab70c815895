// Figures of a connection, from two looks at the browser's statistics (W3C webrtc-stats) with some time between them.

/** What is read of an entry. */
export interface Stat {
  readonly type: string
  readonly kind?: string
  readonly bytesReceived?: number
  readonly bytesSent?: number
  readonly packetsReceived?: number
  readonly packetsLost?: number
  readonly fractionLost?: number
  readonly roundTripTime?: number
  readonly frameWidth?: number
  readonly frameHeight?: number
  readonly framesPerSecond?: number
}

export interface Look {
  /** On a clock that does not go back, in milliseconds. */
  readonly atMs: number
  readonly stats: readonly Stat[]
}

export interface Figures {
  /** Bits per second of sound and picture. */
  readonly receiving: number
  readonly sending: number
  /** Shares of packets, 0 to 1; undefined where there were none. */
  readonly loss: number | undefined
  readonly lossThere: number | undefined
  /** `1280 × 720, 30/s`; undefined where none comes, or goes. */
  readonly picture: string | undefined
  readonly ownPicture: string | undefined
}

export function figuresOf(before: Look, after: Look): Figures {
  const seconds = Math.max(0.001, (after.atMs - before.atMs) / 1000)
  const rate = (type: string, field: 'bytesReceived' | 'bytesSent') => (8 * grown(before, after, type, field)) / seconds
  const lost = grown(before, after, 'inbound-rtp', 'packetsLost')
  const all = lost + grown(before, after, 'inbound-rtp', 'packetsReceived')
  const told = after.stats.filter(
    ({ type, fractionLost }) => type === 'remote-inbound-rtp' && fractionLost !== undefined
  )
  return {
    receiving: rate('inbound-rtp', 'bytesReceived'),
    sending: rate('outbound-rtp', 'bytesSent'),
    loss: all > 0 ? Math.max(0, lost) / all : undefined,
    lossThere: told.length > 0 ? Math.max(...told.map(({ fractionLost = 0 }) => fractionLost)) : undefined,
    picture: pictureOf(after, 'inbound-rtp'),
    ownPicture: pictureOf(after, 'outbound-rtp')
  }
}

type Counter = 'bytesReceived' | 'bytesSent' | 'packetsReceived' | 'packetsLost'

/** On another path the counters begin anew. */
function grown(before: Look, after: Look, type: string, field: Counter): number {
  const sum = ({ stats }: Look) =>
    stats.filter(stat => stat.type === type).reduce((total, stat) => total + (stat[field] ?? 0), 0)
  const [then, now] = [sum(before), sum(after)]
  return now >= then ? now - then : now
}

function pictureOf({ stats }: Look, type: string): string | undefined {
  const found = stats.find(stat => stat.type === type && stat.kind === 'video' && stat.frameWidth)
  if (!found) return undefined
  const { frameWidth, frameHeight = 0, framesPerSecond } = found
  return `${frameWidth} × ${frameHeight}${framesPerSecond === undefined ? '' : `, ${Math.round(framesPerSecond)}/s`}`
}
