// Sends a call's tracks on a connection, and keeps them within what its path carries. What the relay lets through is applied before the
// first frame, and at once when that changes; what is lost on the way, every two seconds.

import type { Connection } from '../../browser/connection.ts'
import type { OutgoingTrack } from '../../browser/tracks.ts'
import { type Budget, budgetOf, Caution, type Content, type Heard, type Picture } from './policy.ts'

export interface SenderHooks {
  /** What is sent at most is another one now: the page may show it, and say that a picture stops for want of room. */
  readonly changed: (budget: Budget) => void
}

type Kind = OutgoingTrack['kind']

/** Between two looks at the statistics, in milliseconds. */
const LOOK_MS = 2000

/** Sound is let out first, where a browser knows more than one kind of haste (W3C webrtc-priority). */
const FIRST = { priority: 'high', networkPriority: 'high' } as const

export class Sender {
  readonly #connection: Connection
  readonly #hooks: SenderHooks
  readonly #tracks = new Map<Kind, OutgoingTrack>()
  readonly #caution = new Caution()
  readonly #timer: ReturnType<typeof setInterval>
  readonly #apply = () => this.#refresh(true)
  readonly #moved = ({ what }: { readonly what: string }) => {
    if (what !== 'moved') return
    this.#caution.reset()
    this.#refresh(true)
  }
  #counted: Heard = { sent: 0, lost: 0, roundTripMs: 0 }
  #content: Content = 'camera'
  #budget: Budget

  constructor(connection: Connection, hooks: SenderHooks = { changed: () => {} }) {
    this.#connection = connection
    this.#hooks = hooks
    this.#budget = this.#reckoned()
    connection.on('notice', this.#apply)
    connection.on('path', this.#moved)
    this.#timer = setInterval(() => void this.#look(), LOOK_MS)
    connection.closed.addEventListener('abort', () => this.stop(), { once: true })
  }

  /** What is sent at most now. */
  get budget(): Budget {
    return this.#budget
  }

  /**
   * Sends a track from now on. One of its kind that is sent already is replaced without a gap, such as a camera by another one or by a
   * screen. Throws as `addTrack` does.
   * @param content of a picture; what it is of decides whether size or frames are given up
   */
  async send(track: MediaStreamTrack, content: Content = 'camera'): Promise<void> {
    const kind: Kind = track.kind === 'audio' ? 'audio' : 'video'
    if (kind === 'video') {
      this.#content = content
      track.contentHint = content === 'screen' ? 'text' : 'motion'
      this.#budget = this.#reckoned()
    }
    const sent = this.#tracks.get(kind)
    if (sent) {
      sent.replace(track)
      return sent.tune(this.#encodingOf(kind, track))
    }
    this.#tracks.set(kind, await this.#connection.addTrack(track, this.#encodingOf(kind, track)))
    this.#tune()
  }

  /** Sends nothing of this kind for now. The far side is told nothing, so that this may be done as often as one likes. */
  pause(kind: Kind): void {
    this.#tracks.get(kind)?.replace(null)
  }

  /** Tracks that are sent go on, as they are encoded now. */
  stop(): void {
    clearInterval(this.#timer)
    this.#connection.off('notice', this.#apply)
    this.#connection.off('path', this.#moved)
  }

  /** @param before what is sent now, where nothing is new but what was lost */
  #reckoned(before?: Picture): Budget {
    const { path, notice } = this.#connection
    const passage = { isRelayed: path.kind === 'relay', bitsPerSecond: notice.bitsPerSecond }
    return budgetOf(passage, this.#content, this.#caution.share, before)
  }

  #refresh(isTold = false): void {
    const before = JSON.stringify(this.#budget)
    this.#budget = this.#reckoned(isTold ? undefined : this.#budget.picture)
    if (JSON.stringify(this.#budget) === before) return
    this.#tune()
    this.#hooks.changed(this.#budget)
  }

  #tune(): void {
    for (const [kind, sent] of this.#tracks) sent.tune(this.#encodingOf(kind, sent.track))
  }

  #encodingOf(kind: Kind, track: MediaStreamTrack | null): Partial<RTCRtpEncodingParameters> {
    const { soundBitsPerSecond, picture } = this.#budget
    if (kind === 'audio') return { ...FIRST, maxBitrate: soundBitsPerSecond }
    const { width = 0, height = 0 } = track?.getSettings() ?? {}
    return {
      active: picture.isActive,
      maxBitrate: picture.bitsPerSecond,
      maxFramerate: picture.framesPerSecond,
      scaleResolutionDownBy: Math.max(1, Math.min(width, height) / picture.height)
    }
  }

  async #look(): Promise<void> {
    const report = await this.#connection.stats()
    if (!report) return
    const now = countsOf(report)
    const { sent, lost } = this.#counted
    this.#counted = now
    // On another path they begin anew, and what was repeated there may make them smaller.
    if (now.sent < sent) return
    this.#caution.hears({ sent: now.sent - sent, lost: Math.max(0, now.lost - lost), roundTripMs: now.roundTripMs })
    this.#refresh()
  }
}

/** Of the path of now, over both kinds: since it began, and the longest round trip that the far side's last words came to. */
function countsOf(report: RTCStatsReport): Heard {
  let [sent, lost, roundTripMs] = [0, 0, 0]
  report.forEach(one => {
    if (one.type === 'outbound-rtp') sent += one.packetsSent ?? 0
    if (one.type !== 'remote-inbound-rtp') return
    lost += one.packetsLost ?? 0
    roundTripMs = Math.max(roundTripMs, 1000 * (one.roundTripTime ?? 0))
  })
  return { sent, lost, roundTripMs }
}
