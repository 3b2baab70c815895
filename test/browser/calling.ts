// A call of two pages, and how it goes: the longest time without another picture, and how much of the sound was lost.

import { media } from './media.ts'
import type { Web } from './page.ts'

/** What one page has got of the other one. */
export interface Got {
  /** The longest time between two decoded frames, in milliseconds, as it is looked every 50 ms. */
  readonly gapMs: number
  readonly frames: number
  readonly height: number
  /** As the browser counts them (W3C webrtc-stats), and how long they were in all. */
  readonly freezes: number
  readonly frozenMs: number
  /** Parts of all sound: packets that never came, and samples that were made up. */
  readonly lost: number
  readonly concealed: number
  /** Of what was sent to it, in bits per second of RTP. */
  readonly bitsPerSecond: number
  /** How often its connection came to another path. */
  readonly moves: number
}

/** Has to run before the page joins. */
export const calling = `${media}
  globalThis.call = async (connection, { isManaged, width, height }) => {
    const video = document.createElement('video')
    Object.assign(video, { muted: true, autoplay: true })
    document.body.append(video)
    connection.on('track', ({ stream }) => { video.srcObject = stream; video.play().catch(() => {}) })
    for (const { stream } of connection.tracks) video.srcObject = stream
    const { Sender } = await import('/sending.js')
    globalThis.heard = []
    globalThis.budgets = []
    globalThis.moves = 0
    connection.on('notice', ({ bitsPerSecond, incomingBitsPerSecond }) =>
      heard.push([performance.now(), bitsPerSecond, incomingBitsPerSecond]))
    connection.on('path', ({ what }) => { if (what === 'moved') moves++ })
    const sender = globalThis.sender = isManaged ? new Sender(connection, { changed: budget => budgets.push([performance.now(), budget]) }) : undefined
    const media = await navigator.mediaDevices.getUserMedia({ audio: true, video: { width, height, frameRate: 30 } })
    for (const track of media.getTracks()) await (sender ? sender.send(track) : connection.addTrack(track))
  }
  const inbound = async connection => {
    const found = {}
    for (const [, one] of await connection.stats()) if (one.type === 'inbound-rtp') found[one.kind] = one
    return found
  }
  globalThis.comes = async (connection, frames) => {
    for (;;) {
      const { video } = await inbound(connection)
      if (video?.framesDecoded >= frames) return true
      await new Promise(resolve => setTimeout(resolve, 50))
    }
  }
  const counted = ['framesDecoded', 'freezeCount', 'totalFreezesDuration', 'bytesReceived', 'packetsLost', 'packetsReceived',
    'concealedSamples', 'totalSamplesReceived']
  globalThis.got = async (connection, ms) => {
    const sums = { audio: {}, video: {} }, start = performance.now()
    let before = await inbound(connection), last = start, gapMs = 0, height = 0
    while (performance.now() < start + ms) {
      await new Promise(resolve => setTimeout(resolve, 50))
      const now = await inbound(connection), nowMs = performance.now()
      gapMs = Math.max(gapMs, nowMs - last)
      for (const kind of ['audio', 'video'])
        for (const field of counted) {
          // On another path all begins anew.
          const isSame = before[kind]?.ssrc === now[kind]?.ssrc
          const more = (now[kind]?.[field] ?? 0) - (isSame ? (before[kind]?.[field] ?? 0) : 0)
          if (field === 'framesDecoded' && more > 0) last = nowMs
          sums[kind][field] = (sums[kind][field] ?? 0) + Math.max(0, more)
        }
      height = now.video?.frameHeight ?? height
      before = now
    }
    const { audio, video } = sums
    return {
      gapMs: Math.round(gapMs), frames: video.framesDecoded, height,
      freezes: video.freezeCount, frozenMs: Math.round(1000 * video.totalFreezesDuration),
      lost: audio.packetsLost / (audio.packetsReceived + audio.packetsLost),
      concealed: audio.concealedSamples / audio.totalSamplesReceived,
      bitsPerSecond: Math.round((video.bytesReceived + audio.bytesReceived) * 8000 / (performance.now() - start)),
      moves: globalThis.moves
    }
  }
  // What the browser was told last, on the connection that has tracks.
  globalThis.encodings = () => Object.fromEntries([...all].flatMap(pc => pc.getSenders()).flatMap(sender => {
    const [{ maxBitrate, maxFramerate, active, priority } = {}] = sender.getParameters().encodings
    return sender.track ? [[sender.track.kind, { maxBitrate, maxFramerate, active, priority }]] : []
  }))
  globalThis.shows = async (width, height) => {
    const canvas = Object.assign(document.createElement('canvas'), { width, height })
    const paint = canvas.getContext('2d')
    setInterval(() => { paint.fillStyle = '#' + Math.random().toString(16).slice(2, 8); paint.fillRect(0, 0, width, height) }, 50)
    await sender.send(canvas.captureStream(20).getVideoTracks()[0], 'screen')
  }
  globalThis.comesAs = async (connection, width) => {
    for (const till = performance.now() + 10000; performance.now() < till; await new Promise(resolve => setTimeout(resolve, 50)))
      if ((await inbound(connection)).video?.frameWidth === width) return true
    return (await inbound(connection)).video?.frameWidth
  }
  // Pays no heed to anything: as much as passes.
  globalThis.floods = async name => {
    const connection = globalThis.second = await peer.connect({ name })
    const stream = await connection.open('echo')
    stream.readable.pipeTo(new WritableStream()).catch(() => {})
    const writer = stream.writable.getWriter()
    globalThis.flooding = (async () => { for (;;) await writer.write(new Uint8Array(16384)) })().catch(() => {})
  }`

export interface Calling {
  /** Whether it keeps to what passes; if not, the browser is left alone. */
  readonly isManaged: boolean
  readonly width: number
  readonly height: number
}

/** Both see each other when it resolves. */
export async function called(caller: Web, callee: Web, how: Calling): Promise<void> {
  await caller.run('globalThis.connection = await peer.connect({ name: given.to })', { to: callee.name })
  await Promise.all([
    caller.run('await call(connection, given)', how),
    // The side that is called has it a moment later.
    callee.run(
      `while (!globalThis.accepted) await new Promise(resolve => { globalThis.onAccepted = resolve })
      globalThis.connection = accepted
      await call(accepted, given)`,
      how
    )
  ])
  await Promise.all([caller, callee].map(web => web.run('return await comes(connection, 10)')))
}

export const gets = (web: Web, ms: number): Promise<Got> =>
  web.run('return await got(connection, given.ms)', { ms }) as never
