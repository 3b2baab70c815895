// When a page of a call, or one with plain ICE, has come how far, on the clock that all pages of this computer share: as a script that has
// to run before the connections are made that it shall see.

/** In the order in which a call comes to them; plain ICE has no `sends`. */
export const steps = ['asks', 'dtls', 'channel', 'told', 'sends', 'arrives', 'frame'] as const
export type Step = (typeof steps)[number]

export const stepWords: Readonly<Record<Step, string>> = {
  asks: 'the caller asks for the other one',
  dtls: 'DTLS done',
  channel: 'data channel open',
  told: 'tracks of the other side described',
  sends: 'own picture handed to the encoder',
  arrives: 'first packet of picture',
  frame: 'first frame shown'
}

/** In milliseconds; what has not happened is left out. */
export type Marks = Readonly<Partial<Record<Step | 'click', number>>>

/**
 * Gives `marks` to a page: `begin` forgets what was, `click` marks the click, `until` resolves with all of it when there is a frame, or
 * when so many milliseconds are over, and `watches` looks at a video element for the first frame that it shows from then on.
 */
export const marks = `globalThis.marks ??= (() => {
  let at = {}, over
  const mark = name => {
    at[name] ??= performance.timeOrigin + performance.now()
    if (name === 'frame') over?.()
  }
  globalThis.RTCPeerConnection = class extends RTCPeerConnection {
    constructor(options) {
      super(options)
      this.addEventListener('connectionstatechange', () => this.connectionState === 'connected' && mark('dtls'))
      this.addEventListener('track', ({ track }) => {
        if (track.kind === 'video') track.addEventListener('unmute', () => mark('arrives'), { once: true })
      })
      this.addEventListener('datachannel', () => mark('channel'))
    }
    createDataChannel(...words) {
      const channel = super.createDataChannel(...words)
      channel.addEventListener('open', () => mark('channel'), { once: true })
      return channel
    }
    async setRemoteDescription(description) {
      await super.setRemoteDescription(description)
      if (/^a=ssrc:/m.test(description.sdp)) mark('told')
    }
  }
  const { replaceTrack } = RTCRtpSender.prototype
  RTCRtpSender.prototype.replaceTrack = function (track) {
    if (track?.kind === 'video') mark('sends')
    return replaceTrack.call(this, track)
  }
  const { send } = WebSocket.prototype
  WebSocket.prototype.send = function (text) {
    if (typeof text === 'string' && /"type":"(connect|offer)"/.test(text)) mark('asks')
    return send.call(this, text)
  }
  return {
    begin() {
      at = {}
    },
    click: () => mark('click'),
    watches: video => video.requestVideoFrameCallback(() => mark('frame')),
    until: ms => new Promise(resolve => {
      over = () => resolve(at)
      if (at.frame) over()
      setTimeout(over, ms)
    })
  }
})(), null`
