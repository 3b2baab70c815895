// A call of as many pages as there are, each connected to each other, with the browser's own means alone: what one of postern is to be
// compared with. Descriptions go by way of whoever drives the pages.

import type { Page } from 'playwright-core'

const bare = `globalThis.bare = (() => {
  const all = new Map()
  let media
  const show = (stream, muted) => {
    const video = Object.assign(document.createElement('video'), { autoplay: true, muted, srcObject: stream })
    document.body.append(video)
  }
  const connection = name => {
    const pc = new RTCPeerConnection()
    all.set(name, pc)
    for (const track of media.getTracks()) pc.addTrack(track, media)
    pc.ontrack = ({ track, streams: [stream] }) => track.kind === 'video' && show(stream, false)
    return pc
  }
  const described = async pc => {
    await pc.setLocalDescription()
    while (pc.iceGatheringState !== 'complete')
      await new Promise(resolve => pc.addEventListener('icegatheringstatechange', resolve, { once: true }))
    return pc.localDescription.toJSON()
  }
  return {
    async films() {
      media = await navigator.mediaDevices.getUserMedia({ audio: true, video: true })
      show(media, true)
    },
    offer(name) {
      const pc = connection(name)
      pc.createDataChannel('bare')
      return described(pc)
    },
    async answer(name, offer) {
      const pc = connection(name)
      await pc.setRemoteDescription(offer)
      return await described(pc)
    },
    take: (name, answer) => all.get(name).setRemoteDescription(answer)
  }
})(), null`

/** Connects each page with each other one. */
export async function callBare(pages: readonly Page[]): Promise<void> {
  for (const page of pages) {
    await page.evaluate(bare)
    await page.evaluate('bare.films()')
  }
  for (const [at, caller] of pages.entries())
    for (const [later, callee] of pages.slice(at + 1).entries()) {
      const [from, to] = [String(at), String(at + 1 + later)]
      const offer = await caller.evaluate(`bare.offer('${to}')`)
      const answer = await callee.evaluate(`bare.answer('${from}', ${JSON.stringify(offer)})`)
      await caller.evaluate(`bare.take('${to}', ${JSON.stringify(answer)})`)
    }
}
