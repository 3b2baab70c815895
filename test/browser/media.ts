// A camera, a microphone and a screen for a page: what it sends is the browser's own fake media, and what it sees is counted.

export interface Seen {
  /** Decoded ones, and samples of sound that had arrived when they were played. */
  readonly frames: number
  readonly samples: number
  /** Frames that the element has shown. */
  readonly shown: number
  readonly width: number
}

/** What is decoded is told by the browser's statistics (W3C webrtc-stats): Firefox counts no frames that nobody looks at. */
export const media = `
  const all = globalThis.all = new Set(), counts = new Map()
  delete Navigator.prototype.userAgentData // no connection is made in a document of its own, where it would not be counted
  globalThis.RTCPeerConnection = class extends RTCPeerConnection {
    constructor(options) {
      super(options)
      all.add(this)
    }
  }
  globalThis.film = async connection => {
    const media = await navigator.mediaDevices.getUserMedia({ audio: true, video: { width: 320, height: 240 } })
    globalThis.sent = []
    for (const track of media.getTracks()) sent.push(await connection.addTrack(track))
  }
  globalThis.view = connection => {
    const video = document.createElement('video')
    Object.assign(video, { muted: true, autoplay: true })
    document.body.append(video)
    const show = ({ stream }) => {
      video.srcObject = stream
      video.play().catch(() => {})
    }
    for (const track of connection.tracks) show(track)
    connection.on('track', show)
    globalThis.seen = async () => {
      const found = { frames: 0, samples: 0, shown: video.getVideoPlaybackQuality().totalVideoFrames, width: video.videoWidth }
      for (const pc of all) {
        // One that was closed, since another path is used, has no statistics any more.
        const counted = { ...counts.get(pc) }
        for (const [id, one] of await pc.getStats()) {
          if (one.type !== 'inbound-rtp') continue
          const { kind, framesDecoded, totalSamplesReceived, concealedSamples } = one
          counted[id] = kind === 'video' ? { frames: framesDecoded } : { samples: totalSamplesReceived - concealedSamples }
        }
        counts.set(pc, counted)
        for (const { frames = 0, samples = 0 } of Object.values(counted)) {
          found.frames += frames
          found.samples += samples
        }
      }
      return found
    }
    globalThis.sees = async ({ frames = 0, shown = 0, samples = 0 }) => {
      for (const till = performance.now() + 15000; performance.now() < till; await new Promise(resolve => setTimeout(resolve, 50))) {
        const found = await seen()
        if (found.frames >= frames && found.shown >= shown && found.samples >= samples) break
      }
      return await seen()
    }
  }`
