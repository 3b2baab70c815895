// Numbered bytes on a stream, as numbers.ts has them, and when bytes and frames came. This runs in Node and, by its source, in a page,
// so it refers to nothing outside itself. Times are milliseconds since the epoch, which all processes of one computer share.

/** Both halves of a stream, as a page has them. */
export interface Halves {
  readonly readable: ReadableStream<Uint8Array>
  readonly writable: WritableStream<Uint8Array>
}

/** What came in, and went out. */
export interface Sums {
  readonly sentBytes: number
  readonly gotBytes: number
  /** Where the first byte came that does not belong there; undefined as long as all do. */
  readonly wrongAt?: number | undefined
  /** Whether what came in has ended in order. */
  readonly hasEnded: boolean
}

export type Flow = ReturnType<typeof makeFlow>

export function makeFlow() {
  /** A power of two, so that a piece ends with a word. */
  const pieceBytes = 8192
  /** Odd: Knuth's multiplicative hash, as in numbers.ts. */
  const scatter = 0x9e3779b1
  const now = () => performance.timeOrigin + performance.now()
  const times = { bytes: [] as number[], frames: [] as number[] }
  const sums = { sentBytes: 0, gotBytes: 0, wrongAt: undefined as number | undefined, hasEnded: false }
  let isOver = false

  const piece = () => {
    const view = new DataView(new ArrayBuffer(pieceBytes))
    for (let at = 0; at < pieceBytes; at += 4) view.setUint32(at, Math.imul((sums.sentBytes + at) / 4, scatter), true)
    return new Uint8Array(view.buffer)
  }
  const isRight = (byte: number, at: number) => byte === ((Math.imul(at >> 2, scatter) >>> (8 * (at & 3))) & 255)

  return {
    sums: (): Sums => ({ ...sums }),

    /** When bytes and frames came, after that time. */
    times: (sinceMs: number) => ({
      bytes: times.bytes.filter(atMs => atMs > sinceMs),
      frames: times.frames.filter(atMs => atMs > sinceMs)
    }),

    frame: () => void times.frames.push(now()),

    /** Sends until it is over, at a pace of its own: what the stream has not taken is not made up for. */
    async send({ readable, writable }: Halves, bytesPerSecond: number): Promise<void> {
      void readable.pipeTo(new WritableStream()).catch(() => {})
      const writer = writable.getWriter()
      while (!isOver) {
        await writer.write(piece())
        sums.sentBytes += pieceBytes
        await new Promise(resolve => setTimeout(resolve, (pieceBytes / bytesPerSecond) * 1000))
      }
      await writer.close()
    },

    async receive({ readable, writable }: Halves): Promise<void> {
      const reader = readable.getReader()
      for (;;) {
        const { value, done } = await reader.read()
        if (done) break
        const wrong = value.findIndex((byte, at) => !isRight(byte, sums.gotBytes + at))
        if (wrong >= 0) sums.wrongAt ??= sums.gotBytes + wrong
        sums.gotBytes += value.length
        times.bytes.push(now())
      }
      sums.hasEnded = true
      await writable.close()
    },

    /** Nothing more is sent. */
    finish: () => {
      isOver = true
    }
  }
}
