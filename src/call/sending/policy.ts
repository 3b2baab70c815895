// What a call sends where so much passes: sound first, and of what is left a picture that is small and slow enough for it. Nothing here
// is of a browser; sender.ts asks it, and applies what it says.
//
//   what the relay lets through, what was lost lately ─► share ─► sound, then the rest in steps of size and frames

export type Content = 'camera' | 'screen'

/** What is sent of a picture. Rates are in bits per second, without what each packet adds. */
export interface Picture {
  /** False: there is no room for one, and nothing is sent. */
  readonly isActive: boolean
  readonly bitsPerSecond: number
  /** Of the shorter edge, in pixels, at most. */
  readonly height: number
  readonly framesPerSecond: number
}

export interface Budget {
  readonly soundBitsPerSecond: number
  readonly picture: Picture
}

/** What passes of what this side sends, in bits of UDP payload per second. */
export interface Passage {
  readonly isRelayed: boolean
  /** Left out where nobody has said so, or the path is direct. */
  readonly bitsPerSecond?: number | undefined
}

/** What came of what was sent since it was asked last, as far as the browser says it (W3C webrtc-stats). */
export interface Heard {
  /** Packets of sound and picture together. */
  readonly sent: number
  /** Those that the far side says it did not get. */
  readonly lost: number
  /** 0 where it is not known. */
  readonly roundTripMs: number
}

interface Step {
  readonly fromBitsPerSecond: number
  readonly height: number
  readonly framesPerSecond: number
}

const K = 1000

/** From so much for the picture on. Below the last one it stops, and the sound has all. */
const steps: Readonly<Record<Content, readonly Step[]>> = {
  camera: [
    { fromBitsPerSecond: 1500 * K, height: 720, framesPerSecond: 30 },
    { fromBitsPerSecond: 600 * K, height: 540, framesPerSecond: 30 },
    { fromBitsPerSecond: 300 * K, height: 360, framesPerSecond: 24 },
    { fromBitsPerSecond: 150 * K, height: 270, framesPerSecond: 15 },
    { fromBitsPerSecond: 80 * K, height: 180, framesPerSecond: 10 }
  ],
  // Text is read, so it gives up frames before it gives up sharpness.
  screen: [
    { fromBitsPerSecond: 1500 * K, height: 2160, framesPerSecond: 15 },
    { fromBitsPerSecond: 600 * K, height: 1080, framesPerSecond: 10 },
    { fromBitsPerSecond: 200 * K, height: 1080, framesPerSecond: 5 },
    { fromBitsPerSecond: 80 * K, height: 720, framesPerSecond: 5 }
  ]
}

/** The most that is sent of a picture, whatever passes: more is not seen. */
const MOST = { camera: 2500 * K, screen: 4000 * K } as const

const SOUND = { most: 32 * K, least: 24 * K, leastBelow: 240 * K } as const

/**
 * What is used of the relay's limit. A browser sends a key frame faster than its rate, and the relay holds 50 ms of what passes, so
 * what is left is what keeps a burst from being cut.
 */
const USED = 0.8

/** RTP's header (RFC 3550) and the tag of SRTP (RFC 3711, 7714), in bits: the relay counts them, and `maxBitrate` does not. */
const PACKET_BITS = (12 + 16) * 8

/** Opus has a packet each 20 ms. */
const SOUND_PACKETS = 50

/** Packets of a picture have some 1,100 bytes; reports, repetitions and the connection's own words take a little, too. */
const PICTURE_NET = 0.94

/** Before anybody has said what the relay lets through. */
const UNTOLD = 300 * K

/** A step up needs so much more than its least, so that a rate at the edge does not go up and down. */
const UP = 1.15

/**
 * What is sent at most. `before` is what was sent until now: a picture becomes larger only where that will last.
 * @param share of what passes otherwise, as `Caution` says
 */
export function budgetOf(
  { isRelayed, bitsPerSecond = UNTOLD }: Passage,
  content: Content,
  share = 1,
  before?: Pick<Picture, 'height' | 'isActive'>
): Budget {
  const passes = isRelayed ? USED * bitsPerSecond : Number.POSITIVE_INFINITY
  const soundBitsPerSecond = passes < SOUND.leastBelow ? SOUND.least : SOUND.most
  const left = (passes - soundBitsPerSecond - SOUND_PACKETS * PACKET_BITS) * PICTURE_NET
  const most = Math.floor(Math.min(left, MOST[content]) * share)
  return { soundBitsPerSecond, picture: pictureOf(most, content, before) }
}

function pictureOf(
  bitsPerSecond: number,
  content: Content,
  before: Pick<Picture, 'height' | 'isActive'> | undefined
): Picture {
  const isUp = ({ height }: Step) => before !== undefined && !(before.isActive && height <= before.height)
  const step = steps[content].find(one => bitsPerSecond >= one.fromBitsPerSecond * (isUp(one) ? UP : 1))
  const [{ height, framesPerSecond }] = (step ? [step] : steps[content].slice(-1)) as [Step]
  return { isActive: step !== undefined, bitsPerSecond: Math.max(0, bitsPerSecond), height, framesPerSecond }
}

/** More lost than this part is too much for what the browser repairs by itself. */
const LOST = 0.05

/** So much longer than the shortest round trip, in milliseconds: something on the way keeps what is sent waiting. */
const QUEUED_MS = 250

const CAUTION = { least: 0.3, down: 0.8, up: 1.05 } as const

/** What is new weighs so much: the far side tells of sound every five seconds only, and then of all that was lost. */
const NEW = 0.3

/** So many good words in a row, before a little more is sent. */
const CALM = 3

/**
 * What part of what passes is used, since the path may carry less than the relay lets through. The browser's own control of its rate
 * reacts sooner, and within this; here the picture is made smaller where the path stays bad.
 */
export class Caution {
  #share = 1
  #calm = 0
  #sent = 0
  #lost = 0
  #roundTripMs = 0
  #shortestMs = Number.POSITIVE_INFINITY

  get share(): number {
    return this.#share
  }

  /** To be called every two seconds. */
  hears({ sent, lost, roundTripMs }: Heard): void {
    this.#sent = (1 - NEW) * this.#sent + sent
    this.#lost = (1 - NEW) * this.#lost + lost
    if (roundTripMs > 0) {
      this.#shortestMs = Math.min(this.#shortestMs, roundTripMs)
      this.#roundTripMs = (this.#roundTripMs + roundTripMs) / 2
    }
    if (this.#lost > LOST * this.#sent || this.#roundTripMs > this.#shortestMs + QUEUED_MS) this.#lower()
    else if (++this.#calm > CALM) this.#share = Math.min(1, this.#share * CAUTION.up)
  }

  /** What was heard is of another path. */
  reset(): void {
    this.#share = 1
    this.#shortestMs = Number.POSITIVE_INFINITY
    this.#forget()
  }

  /** What has led to this does not count again. */
  #lower(): void {
    this.#share = Math.max(CAUTION.least, this.#share * CAUTION.down)
    this.#forget()
  }

  #forget(): void {
    this.#calm = this.#sent = this.#lost = this.#roundTripMs = 0
  }
}
