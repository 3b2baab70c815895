// What a test does in a page of a call, and what it finds out there, as a script that is run once the page is loaded: no connection has
// been made by then. Controls are found by the names that a screen reader says.

export const tools = `globalThis.tools ??= (() => {
  const all = new Set(), saved = []
  delete Navigator.prototype.userAgentData // no connection is made in a document of its own, where it would not be counted
  if (globalThis.RTCPeerConnection) globalThis.RTCPeerConnection = class extends RTCPeerConnection {
    constructor(options) {
      super(options)
      all.add(this)
    }
  }
  // Several pages film, encode and decode on one computer: each has a camera of few pixels.
  const get = navigator.mediaDevices?.getUserMedia.bind(navigator.mediaDevices)
  if (get) navigator.mediaDevices.getUserMedia = ({ video, audio }) =>
    get({ audio, video: video && { ...video, width: 320, height: 180 } })
  // What is received is kept in memory, where a test can read it: no dialog of the system asks where to write it.
  delete globalThis.showSaveFilePicker
  const urlOf = URL.createObjectURL
  URL.createObjectURL = blob => {
    saved.push(blob)
    return urlOf(blob)
  }

  /** What \`look\` gives as soon as it gives something; the page is looked at whenever it changes. */
  const when = (what, look, ms = 15000) => new Promise((resolve, reject) => {
    let timer
    const see = () => {
      const found = look()
      if (!found) return
      observer.disconnect()
      clearTimeout(timer)
      resolve(found)
    }
    const observer = new MutationObserver(see)
    observer.observe(document, { subtree: true, childList: true, attributes: true, characterData: true })
    timer = setTimeout(() => {
      observer.disconnect()
      reject(new Error('not within ' + ms + ' ms: ' + what + '; the page says: ' + document.body.innerText.slice(0, 900)))
    }, ms)
    see()
  })
  const said = (place = document.body) => place?.innerText.replaceAll(/\\s+/g, ' ') ?? ''
  const nameOf = one => (one.getAttribute('aria-label') ?? one.innerText).replaceAll(/\\s+/g, ' ').trim()
  const control = name =>
    [...document.querySelectorAll('button, a')].find(one => nameOf(one) === name && !one.disabled && one.checkVisibility())
  const tile = name => document.querySelector('.tile[aria-label="' + CSS.escape(name) + '"]')
  const badge = name => [...tile(name)?.querySelectorAll('.badge') ?? []].map(({ innerText }) => innerText.trim())[0]
  const fill = (selector, text) => when(selector, () => document.querySelector(selector)).then(field => {
    // As if it were typed: the setter of the element itself is not the page's.
    Object.getOwnPropertyDescriptor(Object.getPrototypeOf(field), 'value').set.call(field, text)
    field.dispatchEvent(new Event('input', { bubbles: true }))
    return field
  })

  /** What comes in by each connection that brings media. */
  const received = async () => {
    const each = []
    for (const pc of all) {
      if (pc.connectionState === 'closed') continue
      const found = { frames: 0, samples: 0, concealed: 0, ssrc: 0, width: 0, height: 0, pc }
      for (const [, one] of await pc.getStats()) {
        if (one.type !== 'inbound-rtp') continue
        if (one.kind === 'audio') {
          found.samples += one.totalSamplesReceived - one.concealedSamples
          found.concealed += one.concealedSamples
        } else if (one.framesDecoded > 0)
          Object.assign(found, { frames: one.framesDecoded, ssrc: one.ssrc, width: one.frameWidth, height: one.frameHeight })
      }
      if (found.frames + found.samples > 0) each.push(found)
    }
    return each
  }
  /** As \`when\`, for what shows in no document: it is asked for again and again. */
  const until = async (what, look, ms = 15000) => {
    for (const till = performance.now() + ms; ; await pause(30)) {
      const found = await look()
      if (found) return found
      if (performance.now() > till) throw new Error('not within ' + ms + ' ms: ' + what)
    }
  }
  const pause = ms => new Promise(resolve => setTimeout(resolve, ms))
  /** Waits until so much more than now comes in by so many connections; without the browser's objects. */
  const sees = async ({ frames, samples, by = 1, ms = 15000 }) => {
    const before = new Map((await received()).map(one => [one.pc, one]))
    const grown = ({ pc, ...now }) => {
      const { frames = 0, samples = 0 } = before.get(pc) ?? {}
      return { ...now, frames: now.frames - frames, samples: now.samples - samples }
    }
    for (const till = performance.now() + ms; ; await pause(50)) {
      const now = (await received()).map(grown)
      const enough = now.filter(one => one.frames >= frames && one.samples >= samples).length >= by
      if (enough || performance.now() > till) return now
    }
  }

  /** Looks for the longest time without another frame, from now on. Give what it returns what it shall end by. */
  const watch = async () => {
    const [first] = (await received()).filter(({ frames }) => frames > 0)
    if (!first) throw new Error('no picture comes')
    let gapMs = 0, isOver = false, last = first.frames, lastMs = performance.now()
    const look = async () => {
      for (const [, one] of await first.pc.getStats()) {
        if (one.type !== 'inbound-rtp' || one.kind !== 'video') continue
        const nowMs = performance.now()
        gapMs = Math.max(gapMs, nowMs - lastMs)
        if (one.framesDecoded > last) [last, lastMs] = [one.framesDecoded, nowMs]
      }
    }
    const looking = (async () => {
      for (; !isOver; await pause(25)) await look()
    })()
    return async () => {
      isOver = true
      await looking
      const now = (await received()).find(({ pc }) => pc === first.pc)
      return { gapMs: Math.round(gapMs), frames: last - first.frames, isSame: now?.ssrc === first.ssrc }
    }
  }

  /** A screen whose picture changes, of a form that no camera has. */
  navigator.mediaDevices.getDisplayMedia = async () => {
    const canvas = Object.assign(document.createElement('canvas'), { width: 640, height: 400 })
    const pen = canvas.getContext('2d')
    let turn = 0
    const timer = setInterval(() => {
      pen.fillStyle = 'hsl(' + (turn += 20) + ' 80% 50%)'
      pen.fillRect(0, 0, 640, 400)
      if (!track || track.readyState === 'ended') clearInterval(timer)
    }, 60)
    const stream = canvas.captureStream(15), [track] = stream.getVideoTracks()
    return stream
  }

  return { all, saved, when, said, control, tile, badge, fill, received, sees, watch, until, nameOf }
})(), null`
